"use client";

import { useQuery } from "@tanstack/react-query";
import { useTranslations } from "use-intl";
import { Sparkline } from "@/components/sparkline";
import { sparkQuery } from "@/features/jobs/queries";
import type { Schemas } from "@/lib/api";
import { useFormat } from "@/lib/use-format";
import { useSeen } from "@/lib/use-seen";

/** The loss, as a curve and as its last value. The curve is loaded when its row comes into sight. */
export function LossCell({ job }: { job: Schemas["JobBody"] }) {
  const t = useTranslations("training");
  const format = useFormat();
  const [ref, seen] = useSeen<HTMLDivElement>();
  const { loss, step } = job.progress;
  const { data } = useQuery({ ...sparkQuery(job.id), enabled: seen && step > 0 });
  const [first, last] = [data?.at(0), data?.at(-1)];
  return (
    <div ref={ref} className="flex h-10 w-44 items-center gap-3">
      <span className="block h-7 w-24 shrink-0">
        {data && first && last && (
          <Sparkline points={data} label={t("curve", { first: format.figure(first.y), last: format.figure(last.y) })} />
        )}
      </span>
      <span className="text-xs whitespace-nowrap text-muted">{loss !== null && format.figure(loss)}</span>
    </div>
  );
}
