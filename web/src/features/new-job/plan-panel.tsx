"use client";

import { LoaderCircleIcon, PlayIcon, TriangleAlertIcon } from "lucide-react";
import { useTranslations } from "use-intl";
import { Card } from "@/components/page";
import { ErrorNote } from "@/components/states";
import { Button } from "@/components/ui/button";
import { Skeleton } from "@/components/ui/skeleton";
import { Knobs } from "@/features/new-job/knobs";
import { PlanFigures } from "@/features/new-job/plan-figures";
import { PlanFiles } from "@/features/new-job/plan-files";
import { PlanRules } from "@/features/new-job/plan-rules";
import { Prompts } from "@/features/new-job/prompts";
import type { Form } from "@/features/new-job/use-form";
import type { Materials } from "@/features/new-job/use-materials";
import type { usePlan } from "@/features/new-job/use-plan";
import type { Start } from "@/features/new-job/use-start";
import { cn } from "@/lib/cn";
import { Failure } from "@/lib/failure";

interface Props {
  form: Form;
  materials: Materials;
  plan: ReturnType<typeof usePlan>;
  start: Start;
}

/** What the job would come to, and the button that starts it. The last plan stays in sight while the next is worked out. */
export function PlanPanel({ form, materials, plan, start }: Props) {
  const t = useTranslations("newJob.plan");
  const { request } = form;
  return (
    <section className="lg:sticky lg:top-20 lg:max-h-[calc(100dvh-6rem)] lg:overflow-y-auto lg:rounded-2xl">
      <Card className="flex flex-col gap-5">
        <div className="flex h-6 items-center justify-between gap-3">
          <h2 className="font-semibold">{t("title")}</h2>
          <p role="status" className={cn("flex items-center gap-1.5 text-xs text-muted", !(request && plan.stale) && "invisible")}>
            <LoaderCircleIcon aria-hidden className="size-3.5 animate-spin" />
            {t("working")}
          </p>
        </div>
        <Button
          variant="primary"
          className="w-full"
          disabled={request === null}
          busy={start.busy}
          onClick={start.start}
        >
          <PlayIcon aria-hidden />
          {t("start")}
        </Button>
        {start.error ? <Refused error={start.error} /> : null}
        {request === null ? <p className="text-sm text-muted">{t("incomplete")}</p> : <Body form={form} materials={materials} plan={plan} />}
      </Card>
    </section>
  );
}

function Body({ form, materials, plan: { query, stale } }: Omit<Props, "start">) {
  const model = materials.models.models.find(({ name }) => name === form.model);
  if (query.data === undefined && !query.error) return <Skeletons />;
  if (query.data === undefined) {
    const short = query.error instanceof Failure && query.error.code === "not_enough_memory";
    return (
      <div className={cn("flex flex-col gap-4 transition-opacity", stale && "opacity-60")}>
        <Refused error={query.error} onRetry={() => void query.refetch()} />
        {short && <Knobs form={form} options={materials.form.fields} />}
      </div>
    );
  }
  return (
    <div className={cn("flex flex-col gap-5 transition-opacity", stale && "opacity-60")} aria-busy={stale}>
      <PlanFigures plan={query.data} parameters={model?.parameters ?? null} />
      {query.data.prompts && <Prompts form={form} prompts={query.data.prompts} />}
      <Warnings warnings={query.data.warnings} />
      <div className="flex flex-col divide-y divide-line border-y border-line">
        <PlanRules plan={query.data} values={form.values} options={materials.form.fields} />
        <PlanFiles plan={query.data} name={form.name || form.suggestion} />
      </div>
    </div>
  );
}

/** Of a form that is wrong, the fields say what; of everything else, the API's own words. */
function Refused({ error, onRetry }: { error: unknown; onRetry?: () => void }) {
  const t = useTranslations("newJob.plan");
  if (!(error instanceof Failure) || error.fields.length === 0) return <ErrorNote error={error} onRetry={onRetry} />;
  return (
    <div role="alert" className="rounded-xl bg-bad-soft p-4 text-sm">
      <p className="font-medium text-bad">{t("wrong", { count: error.fields.length })}</p>
      <ul className="mt-1 list-disc pl-5">
        {error.fields.map(({ field, problem }) => (
          <li key={field}>
            <code className="font-mono text-xs">{field.replace(/^recipe\./, "")}</code> {problem}
          </li>
        ))}
      </ul>
    </div>
  );
}

function Warnings({ warnings }: { warnings: string[] }) {
  const t = useTranslations("newJob.plan");
  if (warnings.length === 0) return null;
  return (
    <ul aria-label={t("warnings")} className="flex flex-col gap-2 rounded-xl bg-warn-soft p-3 text-sm">
      {warnings.map((one) => (
        <li key={one} className="flex gap-2">
          <TriangleAlertIcon aria-hidden className="mt-1 size-4 shrink-0 text-warn" />
          <span className="min-w-0 whitespace-pre-wrap wrap-anywhere">{one}</span>
        </li>
      ))}
    </ul>
  );
}

function Skeletons() {
  return (
    <div className="flex flex-col gap-5">
      <Skeleton className="h-40" />
      <Skeleton className="h-16" />
      <Skeleton className="h-32" />
    </div>
  );
}
