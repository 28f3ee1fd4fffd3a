"""The process that looks into data sets and models for the web process, which loads neither torch nor foreign files.

Reads JSON lines: first {"home", "stores", "ollama"}, then questions {"ask": name, …}; answers {"answer": …} or
{"error": …}. The last data set and tokenizer stay in memory, so that turning pages is quick.
"""

import json
import os
import sys
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from llmlora.child import die_with_parent
from llmlora.failure import LlmloraError
from llmlora.paths import Home

Question = dict[str, Any]
Columns = dict[str, str]
PATIENCE = 30.0  # seconds, for Ollama to load the model whose prompts it is asked for
PROBLEMS_KEPT = 100  # of each code; the counts are those of all


def main() -> None:
    """Answer until standard input ends."""
    die_with_parent()
    protocol = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    setup = json.loads(sys.stdin.readline())
    stores = tuple(Path(store) for store in setup["stores"])
    inspector = Inspector(Home(Path(setup["home"])), stores, setup["ollama"])
    for line in sys.stdin:
        question = json.loads(line)
        try:
            answer = {"answer": ANSWERS[question.pop("ask")](inspector, **question)}
        except LlmloraError as error:
            answer = {"error": error.to_json()}
        protocol.write(json.dumps(answer, ensure_ascii=False) + "\n")
        protocol.flush()


@dataclass(frozen=True)
class Inspector:
    """Where things are."""

    home: Home
    stores: tuple[Path, ...]
    ollama: str  # the address of its server

    def check(
        self, data: str, mapping: Columns, model: str | None, max_length: int, template: str = "model"
    ) -> Question:
        """The report on a data set, with token counts when there is a model."""
        from llmlora.data.check import check, tokenise  # noqa: PLC0415 - each answer loads what it needs

        reading = _reading(data, tuple(mapping.items()))
        if model is None:
            report = check(reading)
        else:
            with self._renderer(model, template) as (renderer, tokenizer):
                examples, problems = tokenise(reading, tokenizer, renderer, max_length)
            report = check(reading, examples, max_length, problems)
        facts = report.to_json()
        for kind in ("errors", "warnings"):
            facts[f"{kind}_count"] = len(facts[kind])
            facts[f"{kind}_by_code"], facts[kind] = _first_of_each(facts[kind])
        (file,) = facts.pop("files")  # its path is a place of this machine, and nobody's business
        return {**facts, "format": file["format"], "encoding": file["encoding"]}

    def columns(self, data: str) -> Question:
        """How the file begins, whatever its columns are called."""
        from llmlora.data.read import read_head  # noqa: PLC0415

        head = asdict(read_head(Path(data)))
        return {**head, "rows": [{"row": row, "cells": cells} for row, cells in head["rows"]]}

    def rows(self, data: str, mapping: Columns, **place: Any) -> Question:
        """Some rows as conversations, and how many there are."""
        page, conversations = _page(data, mapping, **place)
        return {**page, "rows": [asdict(one) for one in conversations]}

    def tokens(self, data: str, mapping: Columns, model: str, max_length: int, template: Any, **place: Any) -> Question:
        """The exact tokens of some rows for a model, which of them are trained, and which are no text.

        `template` is the recipe's, or the one that a run has frozen.
        """
        from llmlora.data.examples import make_examples  # noqa: PLC0415

        page, conversations = _page(data, mapping, **place)
        with self._renderer(model, template) as (renderer, tokenizer):
            examples = make_examples(conversations, tokenizer, renderer, max_length)
        rows = [
            {
                "row": one.row,
                "length": len(one.ids) + one.cut,
                "ids": one.ids.tolist(),
                "pieces": tokenizer.pieces(one.ids.tolist()),
                "trained": one.trained.tolist(),
                "special": [number in tokenizer.control_ids for number in one.ids.tolist()],
            }
            for one in examples
        ]
        return {**page, "rows": rows}

    def plan(self, recipe: Question, memory_limit_mb: int | None) -> Question:
        """The recipe with every rule resolved, and what its run will need, whose process has this limit."""
        from llmlora.model.device import probe_machine  # noqa: PLC0415
        from llmlora.recipe import make_recipe  # noqa: PLC0415
        from llmlora.train.advice import advise  # noqa: PLC0415
        from llmlora.train.prepare import draft  # noqa: PLC0415

        made = draft(make_recipe(recipe), self.home, self.stores, fetch=False)
        machine = probe_machine(None if memory_limit_mb is None else memory_limit_mb * 2**20)
        plan, free = made.plan(machine), machine.free_memory
        return {
            "recipe": made.recipe.model_dump(mode="json", exclude={"data", "mapping"}),
            "plan": plan.to_json(),
            "rows": len(made.train),
            "eval_rows": len(made.held_out),
            "skipped_rows": made.skipped_rows,
            "trainable_parameters": made.shape.adapter_parameters,
            "file_bytes": made.shape.file_bytes,
            "free_memory": free,
            "warnings": [one.to_json() for one in advise(made, plan, free)],
            "prompts": self._prompts(made),
        }

    def _prompts(self, made: Any) -> Question | None:
        """Whether Ollama writes the same prompts as the run."""
        from llmlora.model.prompts import compare_prompts  # noqa: PLC0415

        told = compare_prompts(made.template, made.tokenizer, made.base, self.stores, self.ollama, PATIENCE)
        if told is None:
            return None
        facts = {"verdict": told.verdict, "diff": told.diff, "can_follow": told.can_follow}
        return {**facts, "text": told.summary().to_json(), "way": told.way().to_json()}

    @contextmanager
    def _renderer(self, model: str, chosen: Any) -> Any:
        from llmlora.data.render import Renderer  # noqa: PLC0415
        from llmlora.data.template import ChatTemplate  # noqa: PLC0415
        from llmlora.model.prompts import followed  # noqa: PLC0415
        from llmlora.model.source import resolve  # noqa: PLC0415

        base = resolve(model, self.home, self.stores, fetch=False)
        template, tokenizer = _text_of(base)
        if chosen == "ollama":
            template = followed(base, self.stores, template)
        elif chosen != "model":
            template = ChatTemplate(**chosen)
        with Renderer(template) as renderer:
            yield renderer, tokenizer


ANSWERS: dict[str, Callable[..., Question]] = {
    "check": Inspector.check,
    "columns": Inspector.columns,
    "rows": Inspector.rows,
    "tokens": Inspector.tokens,
    "plan": Inspector.plan,
}


def _first_of_each(problems: list[Question]) -> tuple[dict[str, int], list[Question]]:
    """How many there are of each code, the most frequent first, and the first of them."""
    found, kept = Counter[str](), []
    for one in problems:
        found[one["code"]] += 1
        if found[one["code"]] <= PROBLEMS_KEPT:
            kept.append(one)
    return dict(found.most_common()), kept


def _page(data: str, mapping: Columns, offset: int, row: int | None, limit: int) -> tuple[Question, list[Any]]:
    """Conversations from `offset` on, or from that of `row` (the next one where it cannot be used)."""
    conversations = _reading(data, tuple(mapping.items())).conversations
    start = offset if row is None else bisect_left(conversations, row, key=lambda one: one.row)
    return {"total": len(conversations), "offset": start}, conversations[start : start + limit]


@lru_cache(maxsize=1)
def _reading(data: str, mapping: tuple[tuple[Any, str], ...]) -> Any:
    """A stored version of a data set never changes."""
    from llmlora.data.read import read_conversations  # noqa: PLC0415

    return read_conversations(Path(data), dict(mapping))


@lru_cache(maxsize=2)
def _text_of(base: Any) -> Any:
    from llmlora.data.base_text import template_and_tokenizer  # noqa: PLC0415

    return template_and_tokenizer(base.path)


if __name__ == "__main__":
    main()
