"""What every row of every format becomes."""

from dataclasses import dataclass
from typing import Literal

Role = Literal["system", "user", "assistant", "text"]


@dataclass(frozen=True)
class Turn:
    """One utterance. The role `text` is a row without roles: trained whole, no template."""

    role: Role
    content: str


@dataclass(frozen=True)
class Conversation:
    """A row. `row` counts from 1 as people do: lines of JSONL, items of a JSON list, records of a CSV file below its
    header.
    """

    row: int
    turns: tuple[Turn, ...]


@dataclass(frozen=True)
class RowProblem:
    """Something about a row; `code` is a key under `problems` (it cannot be used) or `warnings` in the catalogues."""

    row: int
    code: str
    detail: str
