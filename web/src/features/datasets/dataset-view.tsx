"use client";

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { ArrowLeftIcon } from "lucide-react";
import Link from "next/link";
import { useTranslations } from "use-intl";
import { Page } from "@/components/page";
import { QueryStates } from "@/components/states";
import { Skeleton } from "@/components/ui/skeleton";
import { Tabs } from "@/components/ui/tabs";
import { ColumnsTab } from "@/features/datasets/columns-tab";
import { DatasetActions } from "@/features/datasets/dataset-actions";
import { Overview } from "@/features/datasets/overview";
import { datasetQuery, deletionKey, type DatasetDetails } from "@/features/datasets/queries";
import { RowsTab } from "@/features/datasets/rows-tab";
import { TokensTab } from "@/features/datasets/tokens-tab";
import { useView } from "@/features/datasets/use-view";
import { useFormat } from "@/lib/use-format";
import { useTopic } from "@/lib/use-topic";

/** One data set: what was found in it, its rows, their tokens, its columns. */
export default function DatasetView({ id }: { id: string }) {
  const t = useTranslations("datasets");
  const query = useQuery(datasetQuery(id));
  useLiveDataset(id);
  return (
    <Page
      title={query.data?.name ?? t("title")}
      lead={<Lead dataset={query.data} />}
      actions={query.data && <DatasetActions dataset={query.data} />}
    >
      <QueryStates query={query} loading={<Skeleton className="h-96 rounded-2xl" />}>
        {(dataset) => <Views dataset={dataset} />}
      </QueryStates>
    </Page>
  );
}

function Lead({ dataset }: { dataset: DatasetDetails | undefined }) {
  const t = useTranslations("datasets");
  const format = useFormat();
  return (
    <>
      <Link href="/datasets/" className="inline-flex items-center gap-1 text-accent hover:underline">
        <ArrowLeftIcon aria-hidden className="size-3.5" />
        {t("all")}
      </Link>
      {dataset &&
        ` · ${t("versionShort", { version: dataset.version })} · ${format.bytes(dataset.bytes)} · ${format.date(dataset.updated_at)}`}
    </>
  );
}

function Views({ dataset }: { dataset: DatasetDetails }) {
  const t = useTranslations("datasets.tabs");
  const { tab, go } = useView(dataset.id);
  return (
    <Tabs
      value={tab}
      onChange={(chosen) => go({ tab: chosen })}
      tabs={[
        { value: "overview", label: t("overview"), panel: <Overview dataset={dataset} /> },
        { value: "rows", label: t("rows"), panel: <RowsTab dataset={dataset} /> },
        { value: "tokens", label: t("tokens"), panel: <TokensTab dataset={dataset} /> },
        { value: "columns", label: t("columns"), panel: <ColumnsTab dataset={dataset} /> },
      ]}
    />
  );
}

/** Keeps it true; when it is gone, loading it anew says so. */
function useLiveDataset(id: string): void {
  const client = useQueryClient();
  const { queryKey } = datasetQuery(id);
  const deletions = () => client.getMutationCache().findAll({ mutationKey: deletionKey(id) });
  const deletedHere = () => deletions().some(({ state }) => state.status !== "error"); // and led away already
  useTopic("datasets", {
    onEvent: (event) => {
      if (event.kind === "dataset" && event.body.id === id) void client.invalidateQueries({ queryKey });
      if (event.kind === "deleted" && event.body.dataset_id === id && !deletedHere()) void client.resetQueries({ queryKey });
    },
    onReset: () => void client.invalidateQueries({ queryKey }),
  });
}
