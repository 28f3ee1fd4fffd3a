"use client";

import { Suspense } from "react";
import { ComparePage } from "@/features/job/compare/compare-page";

export default function CompareRoute() {
  return (
    <Suspense>
      <ComparePage />
    </Suspense>
  );
}
