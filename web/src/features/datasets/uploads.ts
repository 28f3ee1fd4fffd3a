import { create } from "zustand";
import type { Mapping } from "@/features/datasets/parts";
import type { DatasetDetails } from "@/features/datasets/queries";
import type { Schemas } from "@/lib/api";
import { Failure } from "@/lib/failure";
import { upload } from "@/lib/upload";

/** A file on its way to becoming a data set, and what became of it. */
export interface Upload {
  key: number;
  name: string;
  file: Blob;
  stop: AbortController;
  /** `unmapped`: it has columns, and nobody knows yet what they hold. */
  state: "waiting" | "sending" | "checking" | "unmapped" | "done" | "failed";
  sent: number;
  columns?: Schemas["ColumnsBody"];
  dataset?: DatasetDetails;
  error?: unknown;
}

/** Not of a page: an upload goes on while one looks at something else. */
export const useUploads = create<Upload[]>()(() => []);

const LONGEST_NAME = 200;
const ENDING = /\.(jsonl?|csv|tsv|txt|parquet)$/i;
let lastKey = 0;
let queue = Promise.resolve();

/** Send files one after the other; each becomes a data set of its own. */
export function startUploads(files: { name: string; file: Blob }[]): void {
  const added = files.map(({ name, file }): Upload => {
    const label = name.replace(ENDING, "").trim().slice(0, LONGEST_NAME);
    return { key: ++lastKey, name: label || name, file, stop: new AbortController(), state: "waiting", sent: 0 };
  });
  useUploads.setState((uploads) => [...added, ...uploads], true);
  for (const one of added) enqueue(one);
}

/** Send it again, with what its columns hold. */
export function sendMapped(one: Upload, mapping: Mapping): void {
  enqueue(one, mapping);
}

/** Stop it, and show it no more. */
export function dismiss(one: Upload): void {
  one.stop.abort();
  useUploads.setState((uploads) => uploads.filter(({ key }) => key !== one.key), true);
}

function enqueue(one: Upload, mapping: Mapping = {}): void {
  change(one, { state: "waiting", sent: 0, error: undefined });
  queue = queue.then(() => send(one, mapping));
}

async function send(one: Upload, mapping: Mapping): Promise<void> {
  if (one.stop.signal.aborted) return;
  change(one, { state: "sending" });
  const asked = new URLSearchParams({ name: one.name });
  for (const [part, column] of Object.entries(mapping)) asked.append("map", `${part}=${column}`);
  const onProgress = (sent: number, total: number) => change(one, { sent, state: sent < total ? "sending" : "checking" });
  const { signal } = one.stop;
  try {
    const dataset = await upload<DatasetDetails>("POST", `/api/datasets/upload?${asked}`, one.file, { onProgress, signal });
    change(one, { state: "done", dataset });
  } catch (error) {
    if (signal.aborted) return;
    const columns = one.columns ?? (lacksColumns(error) ? await lookAtColumns(one) : undefined);
    const again = one.columns !== undefined; // it was said what they hold, and that was not it
    change(one, columns ? { state: "unmapped", columns, error: again ? error : undefined } : { state: "failed", error });
  }
}

function lacksColumns(error: unknown): boolean {
  return error instanceof Failure && error.problemOf("map") !== undefined;
}

/** Two columns at least: what has one only is a text that somebody took for data. */
async function lookAtColumns({ name, file, stop }: Upload): Promise<Schemas["ColumnsBody"] | undefined> {
  const asked = new URLSearchParams({ name });
  const look = upload<Schemas["ColumnsBody"]>("POST", `/api/datasets/columns?${asked}`, file, { signal: stop.signal });
  const columns = await look.catch(() => undefined);
  return columns && columns.names.length > 1 && columns.rows.length > 0 ? columns : undefined;
}

function change(one: Upload, changes: Partial<Upload>): void {
  useUploads.setState((uploads) => uploads.map((other) => (other.key === one.key ? { ...other, ...changes } : other)), true);
}
