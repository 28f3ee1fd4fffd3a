import { queryOptions } from "@tanstack/react-query";
import { api, of, type Schemas } from "@/lib/api";

export type Registration = Schemas["RegistrationBody"];
export type Certificate = Schemas["CertificateBody"];
export type Line = Certificate["lines"][number];

const path = (id: string) => ({ params: { path: { job_id: id } } });

/** The jobs that register the result of a job, newest first. */
export const registrationsQuery = (id: string) =>
  queryOptions({
    queryKey: ["job", id, "ollama"],
    queryFn: () => of(api.GET("/api/training/jobs/{job_id}/ollama", path(id))),
  });

/** The newest certificate. */
export const certificateQuery = (id: string) =>
  queryOptions({
    queryKey: ["job", id, "certificate"],
    queryFn: () => of(api.GET("/api/training/jobs/{job_id}/certificate", path(id))),
  });
