"use client";

import { useEffect, useEffectEvent, useState } from "react";

/** Files that are dragged anywhere onto the page; whether they are over it now. */
export function useFileDrop(onFiles: (files: File[]) => void): boolean {
  const [over, setOver] = useState(false);
  const drop = useEffectEvent(onFiles);
  useEffect(() => {
    let depth = 0; // how many nested elements they have entered and not left
    const holdsFiles = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;
    const moved = (by: number) => (event: DragEvent) => {
      if (!holdsFiles(event)) return;
      depth += by;
      setOver(depth > 0);
    };
    const entered = moved(1);
    const left = moved(-1);
    const allow = (event: DragEvent) => holdsFiles(event) && event.preventDefault();
    const dropped = (event: DragEvent) => {
      if (!holdsFiles(event)) return;
      event.preventDefault();
      depth = 0;
      setOver(false);
      drop([...(event.dataTransfer?.files ?? [])]);
    };
    const listeners = { dragenter: entered, dragleave: left, dragover: allow, drop: dropped };
    for (const [kind, listener] of Object.entries(listeners)) window.addEventListener(kind, listener as EventListener);
    return () => {
      for (const [kind, listener] of Object.entries(listeners)) window.removeEventListener(kind, listener as EventListener);
    };
  }, []);
  return over;
}
