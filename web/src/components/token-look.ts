import { cva } from "class-variance-authority";

/** A token: a solid line under what is learned, a dotted one under what is only read; a box around markers. */
export const tokenLook = cva("mx-px rounded-[3px] border-b-2 px-px", {
  variants: {
    kind: {
      trained: "border-solid border-accent bg-accent-soft",
      masked: "border-dotted border-line-strong",
      cut: "border-transparent text-muted line-through decoration-line-strong",
    },
    special: { true: "rounded-md px-1 font-mono text-[0.85em] ring-1 ring-line-strong ring-inset", false: "" },
    chosen: { true: "bg-text text-bg **:text-bg", false: "" },
  },
});
