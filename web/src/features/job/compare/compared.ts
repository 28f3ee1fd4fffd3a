import type { Line } from "@/features/job/chart-options";
import { Curves } from "@/features/job/curves";
import type { Job } from "@/features/job/queries";

const COLOURS = 6;
const DASHES = [undefined, [8, 4], [2, 3], [10, 3, 2, 3]];

/** A job among others: its curves, and how its lines are told from theirs. */
export interface Compared {
  id: string;
  curves: Curves;
  line: Pick<Line, "colour" | "dash">;
}

/** A job that is loaded. */
export interface Known extends Compared {
  job: Job;
}

/** In the order of the address; the colours come round after six, then with other dashes. */
export function compared(ids: readonly string[]): Compared[] {
  return ids.map((id, at) => ({
    id,
    curves: new Curves(),
    line: { colour: (at % COLOURS) + 1, dash: DASHES[(at + Math.floor(at / COLOURS)) % DASHES.length] },
  }));
}

/** The jobs in the address: `?ids=a,b,c`, each once. */
export function idsOf(param: string | null): string[] {
  return [...new Set((param ?? "").split(",").filter((id) => /^[a-z0-9]{1,32}$/.test(id)))];
}
