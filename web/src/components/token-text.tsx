"use client";

import { Fragment, memo, useId, useState, type KeyboardEvent, type SyntheticEvent } from "react";
import { useTranslations } from "use-intl";
import { tokenLook } from "@/components/token-look";
import { stretches } from "@/lib/visible";
import type { Schemas } from "@/lib/api";
import { useFormat } from "@/lib/use-format";

const MOVES: Record<string, number> = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -10, ArrowDown: 10 };

/** The tokens in their order; one of them is told of below, by the pointer or the arrow keys. */
export function TokenText({ row, length }: { row: Schemas["TokensRow"]; length: number }) {
  const t = useTranslations("tokenText");
  const id = useId(); // a page may show several rows
  const [at, setAt] = useState(0);
  const kept = row.pieces.slice(0, length);
  const rest = row.pieces.slice(length);
  const chosen = Math.min(at, kept.length - 1);
  const point = ({ target }: SyntheticEvent) => {
    const place = (target as Element).closest<HTMLElement>("[data-at]")?.dataset.at;
    if (place !== undefined) setAt(Number(place));
  };
  const move = (event: KeyboardEvent) => {
    const to = { Home: 0, End: kept.length - 1 }[event.key] ?? (event.key in MOVES ? chosen + (MOVES[event.key] ?? 0) : undefined);
    if (to === undefined) return;
    event.preventDefault();
    setAt(Math.min(Math.max(to, 0), kept.length - 1));
  };
  return (
    <div className="flex flex-col gap-3">
      <div className="max-h-112 overflow-y-auto rounded-xl border border-line bg-bg p-3 leading-8 whitespace-pre-wrap">
        <div
          role="listbox"
          aria-label={t("label")}
          aria-activedescendant={`${id}-${chosen}`}
          tabIndex={0}
          onKeyDown={move}
          onPointerOver={point}
          onClick={point}
          className="inline"
        >
          {kept.map((piece, place) => (
            <Fragment key={place}>
              <Token
                id={`${id}-${place}`}
                at={place}
                piece={piece}
                kind={row.trained[place] ? "trained" : "masked"}
                special={row.special[place] ?? false}
                chosen={place === chosen}
              />
              <wbr />
            </Fragment>
          ))}
        </div>
        {row.length > length && <Cut rest={rest} length={length} more={row.length - row.pieces.length} />}
      </div>
      <Told row={row} at={chosen} />
    </div>
  );
}

interface TokenProps {
  id: string;
  at: number;
  piece: string;
  kind: "trained" | "masked";
  special: boolean;
  chosen: boolean;
}

const Token = memo(function Token({ id, at, piece, kind, special, chosen }: TokenProps) {
  const t = useTranslations("tokenText");
  return (
    <span
      role="option"
      id={id}
      data-at={at}
      aria-selected={chosen}
      aria-label={`${piece.trim() || t("invisible")} ${t(kind)}`}
      className={tokenLook({ kind, special, chosen })}
    >
      <Visible text={piece} />
    </span>
  );
});

function Visible({ text }: { text: string }) {
  return stretches(text).map((one, at) => (one.mark ? <span key={at} className="text-muted">{one.text}</span> : one.text));
}

/** What the model never sees, because the row is too long. */
function Cut({ rest, length, more }: { rest: string[]; length: number; more: number }) {
  const t = useTranslations("tokenText");
  const format = useFormat();
  return (
    <>
      <p className="my-2 border-t-2 border-dashed border-bad pt-1 text-xs leading-normal text-bad">{t("cutHere", { length: format.number(length) })}</p>
      <p aria-label={t("rest")}>
        {rest.map((piece, at) => (
          <Fragment key={at}>
            <span className={tokenLook({ kind: "cut" })}>
              <Visible text={piece} />
            </span>
            <wbr />
          </Fragment>
        ))}
        {more > 0 && <span className="text-xs text-muted no-underline"> {t("more", { count: more })}</span>}
      </p>
    </>
  );
}

/** All about one token, always in the same place. */
function Told({ row, at }: { row: Schemas["TokensRow"]; at: number }) {
  const t = useTranslations("tokenText");
  const format = useFormat();
  const piece = row.pieces[at] ?? "";
  const kind = row.trained[at] ? "trained" : "masked";
  return (
    <p className="flex min-h-14 flex-wrap items-center gap-x-4 gap-y-1 rounded-xl bg-sunken px-3 py-2 text-sm sm:min-h-10">
      <span className="text-xs text-muted">{t("number", { at: format.number(at + 1), all: format.number(row.length) })}</span>
      <code className="font-mono break-all">{stretches(piece).map(({ text }) => (text === "\n" ? "" : text)).join("")}</code>
      <span className="text-xs text-muted">ID {row.ids[at]}</span>
      <span className="text-xs">
        {t(kind)}
        {row.special[at] && ` · ${t("special")}`}
        {piece === "" && ` · ${t("part")}`}
      </span>
    </p>
  );
}
