"""Which column of a table, or key of an object, holds which part of a conversation: guessed from its name, or said.

A name is recognised whatever its case and width, in English and in Japanese.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmlora.recipe import Part

Columns = Mapping["Part", str]

# the first name that is there wins
NAMES: "dict[Part, str]" = {
    "messages": "messages conversations conversation 会話 対話",
    "instruction": (
        "instruction 指示 指示文 命令 prompt プロンプト question 質問 質問文 問い 問題 "
        "query request user human ユーザー q"
    ),
    "input": "input 入力 context 文脈 補足",
    "output": "output 出力 completion response 応答 返答 answer 回答 答え 解答 返事 reply assistant gpt アシスタント a",
    "system": "system システム system_prompt システムプロンプト system_message",
    "text": "text テキスト 本文 文章",
}
# what a row needs to be of use, the first that is there, and what else it may have
SHAPES: "dict[tuple[Part, ...], tuple[Part, ...]]" = {
    ("messages",): ("system",),
    ("instruction", "output"): ("input", "system"),
    ("text",): (),
}


def choose_columns(names: Sequence[str], given: Columns) -> Columns:
    """The columns to take from a row with these names, by what they hold; none where they make no conversation.

    What is given goes before what is guessed; where the names lack it, the guess holds.
    """
    return _choose(tuple(names), tuple(given.items()))


@lru_cache(maxsize=16)  # rows mostly have the names of the row before
def _choose(names: tuple[str, ...], given: "tuple[tuple[Part, str], ...]") -> Columns:
    found = {part: name for part, name in given if name in names}
    said = set(found)
    free = {plain(name): name for name in reversed(names) if name not in found.values()}
    for part, known in NAMES.items():
        if part not in said and (name := next((name for name in known.split() if name in free), None)):
            found[part] = free[name]
    if "input" in found and "instruction" not in found:  # 入力 and 出力 alone: a question and its answer
        found["instruction"] = found.pop("input")
    complete = [shape for shape in SHAPES if all(part in found for part in shape)]
    if not complete:
        return {}
    shape = max(complete, key=lambda parts: any(part in said for part in parts))
    return {part: found[part] for part in (*shape, *SHAPES[shape]) if part in found}


def plain(name: str) -> str:
    """`Ｓystem Prompt ` → `system_prompt`."""
    return unicodedata.normalize("NFKC", name).strip().lower().replace(" ", "_").replace("-", "_")
