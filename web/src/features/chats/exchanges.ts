import type { Answering, Side } from "@/features/chats/answering";
import type { Schemas } from "@/lib/api";

export type Turn = Schemas["ChatBody"]["turns"][number];

export interface Answer {
  side: Side;
  text: string;
  /** How it came about; missing while it is being written. */
  facts?: Turn;
}

/** A question with what was said to it. */
export interface Exchange {
  at: number;
  question: string;
  answers: Answer[];
}

/** The conversation as it is shown: what the server has kept, and what is being said now. */
export function exchangesOf(turns: Turn[], answering: Answering | undefined): Exchange[] {
  if (!answering) return kept(turns);
  const { at, question, sides, texts, error } = answering;
  if (error === null) {
    const answers = sides.map((side) => ({ side, text: texts[side] ?? "" }));
    return [...kept(turns.slice(0, at)), { at, question, answers }];
  }
  return turns.length > at ? kept(turns) : [...kept(turns), { at, question, answers: [] }];
}

function kept(turns: Turn[]): Exchange[] {
  const found: Exchange[] = [];
  turns.forEach((turn, at) => {
    if (turn.role === "user") found.push({ at, question: turn.content, answers: [] });
    else found.at(-1)?.answers.push({ side: turn.adapted ? "tuned" : "base", text: turn.content, facts: turn });
  });
  return found;
}
