"use client";

import { Suspense } from "react";
import { NewJob } from "@/features/new-job/new-job";

export default function NewJobPage() {
  return (
    <Suspense>
      <NewJob />
    </Suspense>
  );
}
