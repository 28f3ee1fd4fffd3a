/** What a column can hold, in the order of reading. */
export const PARTS = ["instruction", "input", "output", "system", "messages", "text"] as const;
export type Part = (typeof PARTS)[number];

/** Which column holds what. */
export type Mapping = Partial<Record<Part, string>>;
