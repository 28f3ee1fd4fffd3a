"use client";

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useTranslations } from "use-intl";
import { Section } from "@/components/page";
import { QueryStates } from "@/components/states";
import { Skeleton } from "@/components/ui/skeleton";
import { toast } from "@/components/ui/toast";
import ColumnForm from "@/features/datasets/column-form";
import { FirstRows } from "@/features/datasets/first-rows";
import type { Mapping } from "@/features/datasets/parts";
import { columnsQuery, datasetQuery, type DatasetDetails } from "@/features/datasets/queries";
import { api, of } from "@/lib/api";

/** Which column holds what, and how the first rows are read by that. */
export function ColumnsTab({ dataset }: { dataset: DatasetDetails }) {
  const t = useTranslations("datasets.columnsTab");
  const client = useQueryClient();
  const query = useQuery(columnsQuery(dataset));
  const save = useMutation({
    mutationFn: (mapping: Mapping) => {
      const params = { path: { dataset_id: dataset.id } };
      return of(api.PATCH("/api/datasets/{dataset_id}", { params, body: { mapping } }));
    },
    onSuccess: (changed, asked) => {
      client.setQueryData(datasetQuery(dataset.id).queryKey, changed);
      const kept = Object.values(changed.report.columns).filter((column) => !Object.values(asked).includes(column));
      if (kept.length > 0) toast(t("kept", { columns: kept.join(", ") }), t("keptText"));
      else toast(t("saved"));
    },
  });
  const now: Mapping = dataset.report.columns;
  return (
    <div className="flex flex-col gap-8">
      <QueryStates query={query} loading={<Skeleton className="h-72 rounded-2xl" />}>
        {(columns) => (
          <ColumnForm
            key={JSON.stringify(now)}
            columns={columns}
            mapping={now}
            action={t("save")}
            onSave={save.mutate}
            busy={save.isPending}
            error={save.error}
          />
        )}
      </QueryStates>
      {dataset.report.usable > 0 && (
        <Section title={t("readAs")} lead={t("readAsLead")}>
          <FirstRows dataset={dataset} />
        </Section>
      )}
    </div>
  );
}
