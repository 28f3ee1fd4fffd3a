import { queryOptions } from "@tanstack/react-query";
import { api, of } from "@/lib/api";

/** Training jobs, newest first. */
export const jobsQuery = queryOptions({ queryKey: ["jobs"], queryFn: () => of(api.GET("/api/training/jobs")) });
