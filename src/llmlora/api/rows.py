"""What is in a data set: its rows, their tokens, its columns, and the check for a model."""

from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel

from llmlora.api.context import Context, Here
from llmlora.api.datasets import DEFAULT_LENGTH, ColumnsBody, ReportBody, ask, fetch, path_of
from llmlora.api.labels import Id
from llmlora.text.catalogue import say

router = APIRouter(prefix="/api/datasets/{dataset_id}", tags=["datasets"])

Offset = Annotated[int, Query(ge=0, le=10**9)]
Limit = Annotated[int, Query(ge=1, le=200)]
Written = Annotated[Literal["model", "ollama"], Query(description=say("en", "recipe.template"))]
Length = Annotated[int, Query(ge=8, le=1_048_576)]
FromRow = Annotated[int | None, Query(ge=1, le=10**9, description="Begin with this row, or the next, not at `offset`")]


@dataclass
class Writing:
    """How rows become a model's tokens."""

    max_length: Length = DEFAULT_LENGTH
    template: Written = "model"


class TurnBody(BaseModel):
    role: str
    content: str
    trained: bool


class RowBody(BaseModel):
    row: int
    turns: list[TurnBody]


class RowsPage(BaseModel):
    """Rows from `offset` on, of `total` that can be used."""

    total: int
    offset: int
    rows: list[RowBody]


class TokensRow(BaseModel):
    """A row as the model sees it: `ids`, their texts, which of them are trained, and which are special (markers that
    are no text, such as the end of a turn). `length` is that of the row before it was cut.
    """

    row: int
    length: int
    ids: list[int]
    pieces: list[str]
    trained: list[bool]
    special: list[bool]


class TokensPage(BaseModel):
    total: int
    offset: int
    rows: list[TokensRow]


@router.get("/check")
def check_dataset(
    here: Here,
    dataset_id: Id,
    how: Annotated[Writing, Depends()],
    model: str | None = None,
) -> ReportBody:
    """The check again, with the token counts of a model."""
    return ReportBody(**_answer(here, dataset_id, "check", model=model, **asdict(how)))


@router.get("/columns")
def list_columns(here: Here, dataset_id: Id) -> ColumnsBody:
    """The columns of the file and its first rows as they are, whatever the mapping says."""
    one = fetch(here, dataset_id)
    return ColumnsBody(**ask(here, "columns", path_of(here, one), one.name))


@router.get("/rows")
def list_rows(here: Here, dataset_id: Id, offset: Offset = 0, row: FromRow = None, limit: Limit = 50) -> RowsPage:
    """Some rows as conversations."""
    return RowsPage(**_answer(here, dataset_id, "rows", offset=offset, row=row, limit=limit))


@router.get("/tokens")
def list_tokens(
    here: Here,
    dataset_id: Id,
    model: str,
    how: Annotated[Writing, Depends()],
    offset: Offset = 0,
    row: FromRow = None,
    limit: Limit = 5,
) -> TokensPage:
    """The exact tokens of some rows for a model, and which of them are trained."""
    facts = {"model": model, "offset": offset, "row": row, "limit": limit, **asdict(how)}
    return TokensPage(**_answer(here, dataset_id, "tokens", **facts))


def _answer(here: Context, dataset_id: str, question: str, **facts: Any) -> dict[str, Any]:
    one = fetch(here, dataset_id)
    return ask(here, question, path_of(here, one), one.name, mapping=one.mapping, **facts)
