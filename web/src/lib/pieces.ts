import { Failure } from "@/lib/failure";

/** An answer that comes piece by piece, cut at `end`. Whoever stops reading ends the request. */
export async function* pieces(stream: ReadableStream<Uint8Array>, end: "\n" | "\n\n"): AsyncGenerator<string> {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const parts = (rest + decoder.decode(value, { stream: true })).split(end);
      rest = parts.pop() ?? "";
      yield* parts;
    }
  } catch (error) {
    throw error instanceof DOMException ? error : Failure.unreachable(); // stopped, or broken off
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}
