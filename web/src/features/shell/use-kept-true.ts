"use client";

import { useQueryClient } from "@tanstack/react-query";
import { useTranslations } from "use-intl";
import { toast } from "@/components/ui/toast";
import { chatsQuery } from "@/features/chats/queries";
import { datasetsQuery } from "@/features/datasets/queries";
import { jobsQuery } from "@/features/jobs/queries";
import { modelsQuery, pullsQuery } from "@/features/models/queries";
import { systemQuery } from "@/features/system/queries";
import { useRefresh, useTopic } from "@/lib/use-topic";

/** Keeps all lists true, on whatever page one is: one that nobody looks at now is loaded anew when somebody does. */
export function useKeptTrue(): void {
  useRefresh("jobs", jobsQuery.queryKey, systemQuery.queryKey);
  useRefresh("datasets", datasetsQuery.queryKey, systemQuery.queryKey);
  useRefresh("chats", chatsQuery.queryKey); // and each conversation: their keys begin with this
  useWhatIsPulled();
}

/** Downloads begin and end on any page, in another tab or on the command line. */
function useWhatIsPulled(): void {
  const t = useTranslations("models.pull");
  const client = useQueryClient();
  const reload = () => {
    void client.invalidateQueries({ queryKey: pullsQuery.queryKey });
    void client.invalidateQueries({ queryKey: modelsQuery.queryKey });
  };
  useTopic("jobs", {
    onEvent: (event) => {
      if (event.kind !== "deleted" && (event.kind !== "state" || event.body.kind !== "pull")) return;
      reload();
      if (event.kind === "state" && event.body.state === "succeeded") toast(t("done", { name: event.body.name }));
    },
    onReset: reload,
  });
}
