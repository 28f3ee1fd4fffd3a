import { admitted, ownHeaders } from "@/lib/api";
import { Failure } from "@/lib/failure";

interface Options {
  /** Bytes that are on their way, of all. */
  onProgress?: (sent: number, total: number) => void;
  signal?: AbortSignal;
}

/**
 * Send the bytes of a file and tell how far it is, which `fetch` cannot; the body of the answer.
 * A refusal is thrown as a `Failure`, the end of the signal as its reason.
 */
export async function upload<T>(method: "POST" | "PUT", address: string, file: Blob, { onProgress, signal }: Options = {}): Promise<T> {
  await admitted();
  signal?.throwIfAborted();
  const request = new XMLHttpRequest();
  request.open(method, address);
  request.setRequestHeader("content-type", "application/octet-stream");
  for (const [name, value] of Object.entries(ownHeaders())) request.setRequestHeader(name, value);
  request.upload.onprogress = ({ loaded, total }) => onProgress?.(loaded, total);
  const cancel = () => request.abort();
  signal?.addEventListener("abort", cancel);
  try {
    await new Promise<void>((resolve) => {
      request.onloadend = () => resolve();
      request.send(file);
    });
  } finally {
    signal?.removeEventListener("abort", cancel);
  }
  signal?.throwIfAborted();
  if (request.status === 0) throw Failure.unreachable();
  const answer = new Response(request.responseText, { status: request.status });
  if (!answer.ok) throw await Failure.of(answer);
  return (await answer.json()) as T;
}
