"""What every row of every format becomes."""

from dataclasses import dataclass
from typing import Literal

from llmlora.text.catalogue import Words

Role = Literal["system", "user", "assistant", "text"]


@dataclass(frozen=True)
class Turn:
    """One utterance. The role `text` is a row without roles: trained whole, no template. Of the others the assistant's
    are trained, unless the row says not to.
    """

    role: Role
    content: str
    trained: bool = True


@dataclass(frozen=True)
class Conversation:
    """A row. `row` counts from 1 as people do: lines of JSONL, items of a JSON list, records of a CSV file below its
    header, rows of a Parquet file. `file` is its place among the files read together, from 0.
    """

    row: int
    turns: tuple[Turn, ...]
    file: int = 0


@dataclass(frozen=True)
class RowProblem:
    """Something about a row; `code` is a key under `problems` (it cannot be used) or `warnings` in the catalogues."""

    row: int
    code: str
    detail: str
    file: int = 0

    def words(self) -> Words:
        """`row 3: …`"""
        return in_row(self.row, Words(f"problems.{self.code}", {"detail": self.detail}))


def in_row(row: int, words: Words) -> Words:
    """`row 3: …`"""
    return Words("row.said", {"row": row, "words": words})
