import type uPlot from "uplot";
import type { Look } from "@/features/job/look";

const ZOOM_OF_WHEEL = 1.002; // for each pixel that the wheel turns

/**
 * Moving about in a chart: shift and drag, or a sideways wheel, pan; Ctrl and the wheel zoom (so does a pinch on a
 * trackpad); on a touch screen one finger pans and two zoom. Scrolling up and down stays the page's.
 */
export function explore(plot: uPlot, look: Look): () => void {
  const { over } = plot;
  const fingers = new Map<number, number>();
  const valueAt = (x: number) => plot.posToVal(x - over.getBoundingClientRect().left, "x");
  const shareOf = (pixels: number) => pixels / over.clientWidth;
  let panned: number | undefined;

  const pressed = (event: PointerEvent) => {
    if (event.pointerType === "touch") fingers.set(event.pointerId, event.clientX);
    else if (event.shiftKey && event.button === 0) panned = event.clientX;
    else return;
    over.setPointerCapture(event.pointerId);
  };
  const moved = (event: PointerEvent) => {
    if (panned !== undefined) {
      look.pan(shareOf(panned - event.clientX));
      panned = event.clientX;
    }
    const before = fingers.get(event.pointerId);
    if (before === undefined) return;
    const other = [...fingers].find(([id]) => id !== event.pointerId)?.[1];
    if (other === undefined) look.pan(shareOf(before - event.clientX));
    else pinch(look, Math.abs(before - other), Math.abs(event.clientX - other), valueAt(other));
    fingers.set(event.pointerId, event.clientX);
  };
  const released = (event: PointerEvent) => {
    panned = undefined;
    fingers.delete(event.pointerId);
  };
  const wheeled = (event: WheelEvent) => {
    const sideways = Math.abs(event.deltaX) > Math.abs(event.deltaY) && look.range !== undefined;
    if (!event.ctrlKey && !event.metaKey && !sideways) return;
    event.preventDefault();
    if (sideways) look.pan(shareOf(event.deltaX));
    else look.zoom(ZOOM_OF_WHEEL ** event.deltaY, valueAt(event.clientX));
  };

  over.style.touchAction = "pan-y";
  over.addEventListener("pointerdown", pressed);
  over.addEventListener("pointermove", moved);
  over.addEventListener("pointerup", released);
  over.addEventListener("pointercancel", released);
  over.addEventListener("wheel", wheeled, { passive: false });
  return () => fingers.clear(); // the listeners go with the element
}

function pinch(look: Look, before: number, now: number, still: number): void {
  if (before > 0 && now > 0) look.zoom(before / now, still);
}
