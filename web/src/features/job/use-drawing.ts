"use client";

import { useState } from "react";
import { useParam } from "@/lib/use-param";

const SMOOTHING = 0.6;

/** How curves are drawn, as the address says; `tools` is what `ChartTools` takes to change it. */
export function useDrawing() {
  const [scale, setScale] = useParam("y");
  const [kept, keep] = useParam("smooth");
  const [smoothing, onSmoothing] = useState(kept === null ? SMOOTHING : Number(kept));
  const log = scale === "log";
  const onLog = (wanted: boolean) => setScale(wanted ? "log" : null);
  const onSmoothed = () => keep(smoothing === SMOOTHING ? null : String(smoothing));
  return { log, smoothing, tools: { log, onLog, smoothing, onSmoothing, onSmoothed } };
}
