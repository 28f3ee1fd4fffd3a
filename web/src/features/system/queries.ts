import { queryOptions } from "@tanstack/react-query";
import { api, of } from "@/lib/api";

/** The state of the installation. What the machine has changes without an event, hence another look at each return. */
export const systemQuery = queryOptions({
  queryKey: ["system"],
  queryFn: () => of(api.GET("/api/system")),
  refetchOnWindowFocus: "always",
});
