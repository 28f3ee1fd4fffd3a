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
    """A row. `row` counts from 1 as people do: lines of JSONL, items of a JSON list, records of a CSV below its header."""

    row: int
    turns: tuple[Turn, ...]


@dataclass(frozen=True)
class RowProblem:
    """Why a row cannot be used; `code` is a key under `problems` in the catalogues."""

    row: int
    code: str
    detail: str
