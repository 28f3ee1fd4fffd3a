interface Part {
  code: boolean;
  lines: string[];
}

/** What a model said: text with its line breaks, and what stands between fences of ``` as code. Never HTML. */
export function AnswerText({ text, writing }: { text: string; writing?: boolean }) {
  const parts = partsOf(text);
  return (
    <div className="flex flex-col gap-3 text-[0.9375rem]">
      {parts.map(({ code, lines }, at) => {
        const caret = writing && at === parts.length - 1 && <Caret />;
        return code ? (
          <pre key={at} className="rounded-lg bg-sunken p-3 font-mono text-xs leading-relaxed whitespace-pre-wrap">
            {lines.join("\n")}
            {caret}
          </pre>
        ) : (
          <p key={at} className="whitespace-pre-wrap">
            {lines.join("\n").trim()}
            {caret}
          </p>
        );
      })}
    </div>
  );
}

function Caret() {
  return <span aria-hidden className="ml-0.5 inline-block h-[1.1em] w-[0.45em] animate-pulse rounded-xs bg-accent align-text-bottom" />;
}

function partsOf(text: string): Part[] {
  const parts: Part[] = [{ code: false, lines: [] }];
  for (const line of text.split("\n")) {
    const last = parts[parts.length - 1] as Part;
    if (line.trimStart().startsWith("```")) parts.push({ code: !last.code, lines: [] });
    else last.lines.push(line);
  }
  return parts.filter(({ lines }) => lines.some((line) => line.trim() !== ""));
}
