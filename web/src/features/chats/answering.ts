import type { QueryClient } from "@tanstack/react-query";
import { create } from "zustand";
import { setDraft } from "@/features/chats/drafts";
import { drawing, useOptions } from "@/features/chats/options-store";
import { chatQuery } from "@/features/chats/queries";
import { api, of, type Schemas } from "@/lib/api";
import { Failure } from "@/lib/failure";
import { pieces } from "@/lib/pieces";

export type Side = Schemas["Token"]["side"];

/** An answer that is being written, or was broken off. It belongs to the tab, not to the page: one may look elsewhere meanwhile. */
export interface Answering {
  question: string;
  /** Where the question stands among the turns. */
  at: number;
  sides: Side[];
  outlook: Schemas["Waiting"]["outlook"] | null;
  /** What answers. */
  engine: string | null;
  texts: Partial<Record<Side, string>>;
  /** Why it was broken off; null while it is being written. */
  error: unknown;
}

interface Question {
  content: string;
  at: number;
  /** The question that stands there is asked anew. */
  again?: boolean;
}

type Heard =
  | { name: "waiting"; data: Schemas["Waiting"] }
  | { name: "token"; data: Schemas["Token"] }
  | { name: "done"; data: Schemas["Done"] }
  | { name: "error"; data: Schemas["Problem"] };

export const useAnswering = create<Record<string, Answering | undefined>>(() => ({}));

/** The last answer that is complete, for those who hear the page. */
export const useSaid = create<{ chat: string; text: string }>(() => ({ chat: "", text: "" }));

const controls = new Map<string, AbortController>();

const note = (id: string, changed: Partial<Answering> | undefined) =>
  useAnswering.setState((all) => {
    const one = all[id];
    return { [id]: changed && one && { ...one, ...changed } };
  });

/** Ask, and hear the answer to its end. Both are kept by the server; what it has kept is shown afterwards. */
export async function ask(client: QueryClient, chat: Schemas["ChatBody"], { content, at, again }: Question): Promise<void> {
  const options = drawing(useOptions.getState());
  const { id } = chat;
  const control = new AbortController();
  controls.set(id, control);
  const sides: Side[] = chat.job_id === null ? ["base"] : options.compare ? ["tuned", "base"] : [options.adapted ? "tuned" : "base"];
  useAnswering.setState({ [id]: { question: content, at, sides, outlook: null, engine: null, texts: {}, error: null } });
  const reload = () => client.invalidateQueries({ queryKey: chatQuery(id).queryKey });
  try {
    const body = { content, ...options, replaces: again ? at : null };
    await hear(id, body, control.signal);
    await reload();
    note(id, undefined);
  } catch (error) {
    if (control.signal.aborted) return keepWhatWasHeard(client, id);
    await reload();
    note(id, { error });
  }
}

/** End the answer; what was said so far stays. */
export function stop(id: string): void {
  controls.get(id)?.abort();
}

/** Forget an answer that was broken off. */
export function dismiss(id: string): void {
  note(id, undefined);
}

async function hear(id: string, body: Schemas["MessageRequest"], signal: AbortSignal): Promise<void> {
  const params = { path: { chat_id: id } };
  const stream = await of(api.POST("/api/chats/{chat_id}/messages", { params, body, signal, parseAs: "stream" }));
  for await (const piece of pieces(stream as ReadableStream<Uint8Array>, "\n\n")) {
    const heard = parsed(piece);
    if (heard.name === "error") throw new Failure(422, heard.data);
    if (heard.name === "waiting") note(id, heard.data);
    if (heard.name === "token") hearToken(id, heard.data);
    if (heard.name === "done") {
      useSaid.setState({ chat: id, text: heard.data.answers.map(({ text }) => text).join("\n") });
      return;
    }
  }
  throw Failure.unreachable(); // it ended in the middle
}

function hearToken(id: string, { side, text }: Schemas["Token"]): void {
  const texts = useAnswering.getState()[id]?.texts ?? {};
  note(id, { texts: { ...texts, [side]: (texts[side] ?? "") + text } });
}

function parsed(piece: string): Heard {
  const [name, data] = piece.split("\n").map((line) => line.slice(line.indexOf(": ") + 2));
  return { name, data: JSON.parse(data ?? "") as unknown } as Heard;
}

/** After a stop: show what was heard until the server tells what it has kept. Nothing heard: the question can be changed. */
function keepWhatWasHeard(client: QueryClient, id: string): void {
  const one = useAnswering.getState()[id];
  note(id, undefined);
  if (!one) return;
  const answers = one.sides.flatMap((side) => {
    const content = one.texts[side];
    return content ? [{ role: "assistant" as const, content, adapted: side === "tuned" }] : [];
  });
  if (answers.length === 0) return setDraft(id, one.question);
  client.setQueryData(chatQuery(id).queryKey, (chat) => {
    const said = [{ role: "user" as const, content: one.question }, ...answers];
    return chat && { ...chat, turns: [...chat.turns.slice(0, one.at), ...said] };
  });
}
