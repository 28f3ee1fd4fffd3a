"use client";

import { useQuery } from "@tanstack/react-query";
import { useTranslations } from "use-intl";
import { Card, Section } from "@/components/page";
import { ErrorNote, QueryStates } from "@/components/states";
import { Skeleton } from "@/components/ui/skeleton";
import { Commands } from "@/features/job/ollama/commands";
import { CertificateView } from "@/features/job/ollama/certificate";
import { registrationsQuery, type Registration } from "@/features/job/ollama/queries";
import { Registered } from "@/features/job/ollama/registered";
import { RegisterForm } from "@/features/job/ollama/register-form";
import { Registering } from "@/features/job/ollama/registering";
import { FINAL, type Job } from "@/features/job/queries";
import { OllamaAway } from "@/features/models/ollama-away";
import { modelsQuery } from "@/features/models/queries";
import { Failure } from "@/lib/failure";
import { useRefresh } from "@/lib/use-topic";

/** The result as a model in Ollama: the way there, what came of it, and the proof. */
export function Ollama({ job }: { job: Job }) {
  const t = useTranslations("job.results.ollama");
  const query = useQuery(registrationsQuery(job.id));
  useRefresh("jobs", registrationsQuery(job.id).queryKey); // one that another tab has begun
  if (String(job.recipe.model).startsWith("hf:")) return null; // no GGUF, and so nothing for Ollama
  return (
    <Section title={t("title")} lead={t("lead")}>
      <QueryStates query={query} loading={<Skeleton className="h-36 rounded-2xl" />}>
        {(all) => <Known job={job} all={all} />}
      </QueryStates>
    </Section>
  );
}

function Known({ job, all }: { job: Job; all: Registration[] }) {
  const [newest] = all;
  const underway = newest !== undefined && !FINAL.includes(newest.state);
  const made = all.find(({ registered }) => registered !== null);
  const certified = all.some(({ passed }) => passed !== null);
  return (
    <>
      {made?.registered && <Registered job={job} one={made.registered} passed={made.passed} />}
      {underway ? (
        <Registering job={job} under={newest} />
      ) : (
        <>
          {newest?.error && <ErrorNote error={new Failure(422, newest.error)} />}
          <Way job={job} name={made?.name} />
        </>
      )}
      {certified && <CertificateView job={job} />}
    </>
  );
}

/** The form where Ollama answers; elsewhere how to mend that, and the commands to do it by hand. */
function Way({ job, name }: { job: Job; name: string | undefined }) {
  const models = useQuery(modelsQuery);
  return (
    <QueryStates query={models} loading={<Skeleton className="h-36 rounded-2xl" />}>
      {({ ollama }) =>
        ollama.error ? (
          <>
            <Card>
              <OllamaAway error={ollama.error} />
            </Card>
            <Commands job={job} />
          </>
        ) : (
          <RegisterForm key={name} job={job} known={name} version={ollama.version ?? ""} />
        )
      }
    </QueryStates>
  );
}
