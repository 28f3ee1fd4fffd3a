"use client";

import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useRouter } from "next/navigation";
import { jobsQuery } from "@/features/jobs/queries";
import { dropDraft, keyFor } from "@/features/new-job/drafts";
import type { Form } from "@/features/new-job/use-form";
import { api, of, type Schemas } from "@/lib/api";

export interface Start {
  start: () => void;
  /** It is on its way, or already there. */
  busy: boolean;
  /** Why what stands in the form now was refused. */
  error: Error | null;
}

/** Puts the job of the form into the queue and goes to its page. Asked twice, it makes one job. */
export function useStart(form: Form): Start {
  const router = useRouter();
  const client = useQueryClient();
  const body = form.request && { name: form.name.trim() || form.suggestion, ...form.request };
  const { mutate, isPending, isSuccess, error, variables } = useMutation({
    mutationFn: (sent: Schemas["JobRequest"]) => {
      const header = { "idempotency-key": keyFor(form.origin, JSON.stringify(sent)) };
      return of(api.POST("/api/training/jobs", { body: sent, params: { header } }));
    },
    onSuccess: (job) => {
      router.push(`/training/?id=${job.id}`);
      dropDraft(form.origin);
      void client.invalidateQueries({ queryKey: jobsQuery.queryKey });
    },
  });
  return {
    start: () => body && mutate(body),
    busy: isPending || isSuccess,
    error: JSON.stringify(variables) === JSON.stringify(body) ? error : null,
  };
}
