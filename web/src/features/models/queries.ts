import { queryOptions } from "@tanstack/react-query";
import { api, of } from "@/lib/api";

/** Every base there is, and whether Ollama answers. */
export const modelsQuery = queryOptions({ queryKey: ["models"], queryFn: () => of(api.GET("/api/models")) });
