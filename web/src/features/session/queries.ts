import { queryOptions } from "@tanstack/react-query";
import { api, of } from "@/lib/api";
import { SESSION } from "@/lib/query-client";

export const sessionQuery = queryOptions({ queryKey: SESSION, queryFn: () => of(api.GET("/api/session")) });
