"use client";

import dynamic from "next/dynamic";
import { Suspense } from "react";
import { JobList } from "@/features/jobs/job-list";
import { useParam } from "@/lib/use-param";

const JobPage = dynamic(() => import("@/features/job/job-page").then((loaded) => loaded.JobPage)); // the list is light

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
