const MARKS: Record<string, string> = { " ": "␣", "\n": "↵", "\t": "⇥", "\u3000": "□" };
const INVISIBLE = /[\p{C}\p{Z}]/u;

/** What stands for a part of a character: of the tokens that make one, the last adds it and the others nothing. */
export const PART = "◦";

export interface Stretch {
  text: string;
  /** It stands for something that cannot be seen. */
  mark: boolean;
}

/** A text in which everything shows, with the same marks as on the command line. */
export function stretches(text: string): Stretch[] {
  const found: Stretch[] = [];
  for (const letter of text || PART) {
    const shown = MARKS[letter] ?? (INVISIBLE.test(letter) ? codePoint(letter) : letter);
    const mark = shown !== letter || text === "";
    const last = found.at(-1);
    if (last?.mark === mark) last.text += shown;
    else found.push({ text: shown, mark });
    if (letter === "\n") found.push({ text: "\n", mark: false });
  }
  return found;
}

function codePoint(letter: string): string {
  return `‹U+${(letter.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}›`;
}
