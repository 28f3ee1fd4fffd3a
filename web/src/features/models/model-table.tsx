"use client";

import { useQuery } from "@tanstack/react-query";
import { BoxIcon } from "lucide-react";
import { useRouter } from "next/navigation";
import { useState } from "react";
import { useTranslations } from "use-intl";
import { DataTable, type Column } from "@/components/data-table";
import { Section } from "@/components/page";
import { RowLink } from "@/components/row-link";
import { Empty, QueryStates } from "@/components/states";
import { Button } from "@/components/ui/button";
import { Input } from "@/components/ui/field";
import { Segments } from "@/components/ui/segments";
import { Skeleton } from "@/components/ui/skeleton";
import { modelsQuery } from "@/features/models/queries";
import { Verdict } from "@/features/models/verdict";
import type { Schemas } from "@/lib/api";
import { useFormat } from "@/lib/use-format";
import { useParam } from "@/lib/use-param";

type Model = Schemas["ModelBody"];

/** All bases, narrowed by what stands in the address: `?q=` a part of the name, `?only=trainable`. */
export function ModelTable() {
  const t = useTranslations("models.list");
  const query = useQuery(modelsQuery);
  const router = useRouter();
  const [text, setText] = useParam("q");
  const [only, setOnly] = useParam("only");
  const [typed, setTyped] = useState(text ?? ""); // an input method loses its place in text that comes by way of the address
  const fits = (one: Model) => one.name.toLowerCase().includes(typed.toLowerCase()) && (only !== "trainable" || one.trainable);
  const shown = query.data?.models.filter(fits) ?? [];
  const search = (changed: string) => {
    setTyped(changed);
    setText(changed || null);
  };
  const clear = () => {
    setTyped("");
    router.replace("/models/", { scroll: false });
  };
  return (
    <Section
      title={t("title")}
      actions={query.data && <p className="text-sm text-muted">{t("count", { shown: shown.length, all: query.data.models.length })}</p>}
    >
      <div className="flex flex-wrap items-center gap-3">
        <Input
          type="search"
          aria-label={t("search")}
          placeholder={t("search")}
          value={typed}
          onChange={(event) => search(event.target.value)}
          className="max-w-64"
        />
        <Segments
          label={t("filter")}
          value={only === "trainable" ? "trainable" : "all"}
          onChange={(chosen) => setOnly(chosen === "all" ? null : chosen)}
          options={[
            { value: "all", label: t("all") },
            { value: "trainable", label: t("trainable") },
          ]}
        />
      </div>
      <QueryStates query={query} loading={<Skeleton className="h-64 rounded-2xl" />}>
        {() =>
          shown.length > 0 ? (
            <Table models={shown} />
          ) : (
            <Empty icon={BoxIcon} title={t("none")} action={<Button onClick={clear}>{t("showAll")}</Button>}>
              {t("noneText")}
            </Empty>
          )
        }
      </QueryStates>
    </Section>
  );
}

function Table({ models }: { models: Model[] }) {
  const t = useTranslations("models.list");
  const format = useFormat();
  const known = (value: number | null | undefined, show: (value: number) => string) =>
    typeof value === "number" ? show(value) : "–";
  const count = (value: number) => format.number(value, { notation: "compact", maximumSignificantDigits: 3 });
  const columns: Column<Model>[] = [
    {
      key: "name",
      title: t("name"),
      cell: (one) => (
        <>
          <RowLink href={`/models/?name=${encodeURIComponent(one.name)}`}>{one.name}</RowLink>
          <span className="mt-1 flex flex-wrap items-center gap-x-3 text-xs text-muted md:hidden">
            <Verdict trainable={one.trainable} />
            {known(one.parameters, count)}
          </span>
          {one.reason && <span className="block max-w-prose text-xs text-muted">{one.reason}</span>}
        </>
      ),
    },
    { key: "trainable", title: t("training"), wideOnly: true, cell: (one) => <Verdict trainable={one.trainable} /> },
    { key: "parameters", title: t("parameters"), numeric: true, wideOnly: true, cell: (one) => known(one.parameters, count) },
    { key: "type", title: t("type"), wideOnly: true, cell: (one) => <Type model={one} /> },
    { key: "size", title: t("size"), numeric: true, cell: (one) => <span className="whitespace-nowrap">{known(one.size, format.bytes)}</span> },
    { key: "context", title: t("context"), numeric: true, wideOnly: true, cell: (one) => known(one.context_length, format.number) },
    { key: "license", title: t("license"), wideOnly: true, cell: (one) => <span className="line-clamp-2">{one.license ?? "–"}</span> },
  ];
  return <DataTable caption={t("title")} columns={columns} rows={models} rowKey={(one) => one.name} />;
}

/** The type that most of the file's bytes have: the list comes with the largest first. */
function Type({ model }: { model: Model }) {
  return <span className="font-mono text-xs">{model.tensor_types?.[0]?.type ?? "–"}</span>;
}
