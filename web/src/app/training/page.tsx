"use client";

import { lazy, Suspense } from "react";
import { JobList } from "@/features/jobs/job-list";
import { useParam } from "@/lib/use-param";

const JobPage = lazy(() => import("@/features/job/job-page").then((module) => ({ default: module.JobPage })));

export default function TrainingPage() {
  return (
    <Suspense>
      <ListOrJob />
    </Suspense>
  );
}

function ListOrJob() {
  const [id] = useParam("id");
  return id ? <JobPage key={id} id={id} /> : <JobList />;
}
