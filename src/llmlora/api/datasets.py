"""Data sets: uploaded, checked, looked into, kept by version."""

import hashlib
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any, get_args

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter
from starlette.concurrency import run_in_threadpool

from llmlora.api.context import Context, Here
from llmlora.api.labels import Id, Label, file_name
from llmlora.errors import DatasetInUse, NotFound, TooLarge
from llmlora.files import full_disk_as_error, need_room, sync
from llmlora.recipe import Part
from llmlora.store import datasets as store
from llmlora.store import jobs
from llmlora.store.database import new_id
from llmlora.store.datasets import Dataset

router = APIRouter(prefix="/api/datasets", tags=["datasets"])

MAX_UPLOAD_MB = 2048
RESERVE_BYTES = 64 * 2**20  # the disk is not filled to the brim: jobs need to save
ROOM_EVERY = 8 * 2**20
ROWS_FILE = "rows"  # the name of every stored file: a user's name is only a label
DEFAULT_LENGTH = 1024

Offset = Annotated[int, Query(ge=0, le=10**9)]
Limit = Annotated[int, Query(ge=1, le=200)]
Length = Annotated[int, Query(ge=8, le=1_048_576)]


ColumnName = Annotated[str, StringConstraints(min_length=1, max_length=500)]
Columns = dict[Part, ColumnName]
PartIsColumn = Annotated[str, StringConstraints(pattern=f"^({'|'.join(get_args(Part))})=.{{1,500}}$")]


class RowProblemBody(BaseModel):
    """Something about a row; the words are in the catalogue under `code`."""

    row: int
    code: str
    detail: str


class BinBody(BaseModel):
    least: int
    most: int
    rows: int


class TokenCountsBody(BaseModel):
    rows: int
    min: int
    mean: float
    p50: int
    p95: int
    max: int
    total: int
    supervised: int
    supervised_share: float
    per_character: float | None
    truncated: int
    histogram: list[BinBody]


class ReportBody(BaseModel):
    """What the check found. Of many errors or warnings the first are listed; the counts are those of all."""

    model_config = ConfigDict(extra="allow")

    format: str
    encoding: str | None  # of a text
    rows: int
    usable: int
    columns: dict[str, str]
    shapes: dict[str, int]
    unused: dict[str, int]
    errors: list[RowProblemBody]
    errors_count: int
    warnings: list[RowProblemBody]
    warnings_count: int
    max_length: int | None
    tokens: TokenCountsBody | None


class DatasetBody(BaseModel):
    id: str
    name: str
    version: int
    format: str
    bytes: int
    sha256: str
    rows: int
    problems: int
    mapping: Columns
    created_at: float
    updated_at: float


class DatasetDetails(DatasetBody):
    report: ReportBody


class NewDataset(BaseModel):
    """Rows given in the request itself."""

    model_config = ConfigDict(extra="forbid")

    name: Label
    mapping: Columns = {}
    rows: list[dict[str, Any]] = Field(min_length=1, max_length=10_000)


class DatasetChange(BaseModel):
    """What to change. `mapping` says which column holds which part of a conversation, where its name does not."""

    model_config = ConfigDict(extra="forbid")

    name: Label | None = None
    mapping: Columns | None = None


class TurnBody(BaseModel):
    role: str
    content: str


class RowBody(BaseModel):
    row: int
    turns: list[TurnBody]


class RowsPage(BaseModel):
    total: int
    rows: list[RowBody]


class TokensRow(BaseModel):
    """A row as the model sees it: `ids`, their texts, and which of them are trained."""

    row: int
    truncated: bool
    ids: list[int]
    pieces: list[str]
    trained: list[bool]


class TokensPage(BaseModel):
    total: int
    rows: list[TokensRow]


@router.get("")
def list_datasets(here: Here) -> list[DatasetBody]:
    """All data sets, newest first."""
    with here.database.reading() as connection:
        return [_body(one) for one in store.listed(connection)]


@router.post("", status_code=201)
def create_dataset(here: Here, new: NewDataset) -> DatasetDetails:
    """A data set of the rows in the request."""
    folder, dataset_id = _new_folder(here)
    text = "\n".join(json.dumps(row, ensure_ascii=False) for row in new.rows)
    (folder / ROWS_FILE).write_bytes(text.encode("utf-8", "surrogatepass"))
    return _accept(here, dataset_id, folder, new.name, new.mapping)


@router.post(
    "/upload",
    status_code=201,
    openapi_extra={
        "requestBody": {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
    },
)
async def upload_dataset(
    here: Here,
    request: Request,
    name: Annotated[Label, Query()],
    columns: Annotated[list[PartIsColumn] | None, Query(alias="map", max_length=16)] = None,
) -> DatasetDetails:
    """A data set from a file: its bytes are the body of the request, whatever format they are in.

    `map` says which column holds which part, as instruction=foo; it may be repeated.
    """
    mapping = dict(TypeAdapter(Columns).validate_python(dict(one.split("=", 1) for one in columns or ())))
    folder, dataset_id = await run_in_threadpool(_new_folder, here)
    await _receive(request.stream(), folder)
    return await run_in_threadpool(_accept, here, dataset_id, folder, name, mapping)


@router.get("/{dataset_id}")
def get_dataset(here: Here, dataset_id: Id) -> DatasetDetails:
    """A data set and what the check found."""
    return _details(_fetch(here, dataset_id))


@router.patch("/{dataset_id}")
def change_dataset(here: Here, dataset_id: Id, new: DatasetChange) -> DatasetDetails:
    """Change the name, or which column holds what; then the rows are read again."""
    old = _fetch(here, dataset_id)
    values: dict[str, Any] = {} if new.name is None else {"name": new.name}
    if new.mapping is not None:
        values |= _checked(here, path_of(here, old), new.mapping)
    with here.database.writing() as connection:
        changed = store.change(connection, dataset_id, **values)
    if changed is None:
        raise NotFound("dataset", dataset_id)
    return _details(changed)


@router.put(
    "/{dataset_id}/file",
    openapi_extra={
        "requestBody": {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
    },
)
async def replace_dataset(here: Here, request: Request, dataset_id: Id) -> DatasetDetails:
    """A new version of the data set. Jobs keep the version that they were started with."""
    old = await run_in_threadpool(_fetch, here, dataset_id)
    folder = here.settings.home.datasets / dataset_id / f"v{old.version + 1}"
    await run_in_threadpool(shutil.rmtree, folder, True)
    folder.mkdir(parents=True)
    await _receive(request.stream(), folder)
    return await run_in_threadpool(_accept, here, dataset_id, folder, old.name, old.mapping, old.version + 1)


@router.delete("/{dataset_id}", status_code=204)
def delete_dataset(here: Here, dataset_id: Id) -> Response:
    """Delete a data set that no unfinished job needs."""
    with here.database.writing() as connection:
        one = store.fetch(connection, dataset_id)
        if one is None:
            raise NotFound("dataset", dataset_id)
        if needed := jobs.depending_on(connection, dataset_id):
            raise DatasetInUse(one.name, [job.name for job in needed])
        store.remove(connection, dataset_id)
    shutil.rmtree(here.settings.home.datasets / dataset_id, ignore_errors=True)
    return Response(status_code=204)


@router.get("/{dataset_id}/file")
def download_dataset(here: Here, dataset_id: Id) -> FileResponse:
    """The file as it was sent."""
    one = _fetch(here, dataset_id)
    name = file_name(one.name, f".{one.report['format']}")
    return FileResponse(path_of(here, one), media_type="application/octet-stream", filename=name)


@router.get("/{dataset_id}/check")
def check_dataset(
    here: Here, dataset_id: Id, model: str | None = None, max_length: Length = DEFAULT_LENGTH
) -> ReportBody:
    """The check again, with the token counts of a model."""
    rows = _rows_of(here, dataset_id)
    return ReportBody(**here.inspection.ask("check", **rows, model=model, max_length=max_length))


@router.get("/{dataset_id}/rows")
def list_rows(here: Here, dataset_id: Id, offset: Offset = 0, limit: Limit = 50) -> RowsPage:
    """Some rows as conversations."""
    return RowsPage(**here.inspection.ask("rows", **_rows_of(here, dataset_id), offset=offset, limit=limit))


@router.get("/{dataset_id}/tokens")
def list_tokens(
    here: Here, dataset_id: Id, model: str, max_length: Length = DEFAULT_LENGTH, offset: Offset = 0, limit: Limit = 5
) -> TokensPage:
    """The exact tokens of some rows for a model, and which of them are trained."""
    facts = {"model": model, "max_length": max_length, "offset": offset, "limit": limit}
    return TokensPage(**here.inspection.ask("tokens", **_rows_of(here, dataset_id), **facts))


def path_of(here: Context, one: Dataset) -> Path:
    """The file of the newest version."""
    return here.settings.home.datasets / one.id / f"v{one.version}" / one.file


def _rows_of(here: Context, dataset_id: str) -> dict[str, Any]:
    one = _fetch(here, dataset_id)
    return {"data": str(path_of(here, one)), "mapping": one.mapping}


def _checked(here: Context, path: Path, mapping: Columns) -> dict[str, Any]:
    """What the check says of a file, as the store keeps it."""
    facts = {"mapping": mapping, "model": None, "max_length": DEFAULT_LENGTH}
    report = here.inspection.ask("check", data=str(path), **facts)
    return {"mapping": mapping, "rows": report["rows"], "problems": report["errors_count"], "report": report}


def _fetch(here: Context, dataset_id: str) -> Dataset:
    with here.database.reading() as connection:
        one = store.fetch(connection, dataset_id)
    if one is None:
        raise NotFound("dataset", dataset_id)
    return one


def _new_folder(here: Context) -> tuple[Path, str]:
    dataset_id = new_id()
    folder = here.settings.home.datasets / dataset_id / "v1"
    folder.mkdir(parents=True)
    return folder, dataset_id


async def _receive(stream: AsyncIterator[bytes], folder: Path) -> None:
    """Write the body to the disk as it comes, counting; whatever goes wrong, nothing is left."""
    try:
        with full_disk_as_error(folder / ROWS_FILE), (folder / ROWS_FILE).open("xb") as file:
            written = checked = 0
            async for chunk in stream:
                written += len(chunk)
                if written > MAX_UPLOAD_MB * 2**20:
                    raise TooLarge(MAX_UPLOAD_MB)
                if written - checked > ROOM_EVERY or not checked:
                    need_room(folder / ROWS_FILE, RESERVE_BYTES)
                    checked = written
                await run_in_threadpool(file.write, chunk)
    except BaseException:  # a client that goes away cancels us
        shutil.rmtree(folder, ignore_errors=True)
        _remove_if_empty(folder.parent)
        raise


def _accept(
    here: Context, dataset_id: str, folder: Path, name: str, mapping: Columns, version: int = 1
) -> DatasetDetails:
    """Check what was sent and keep it, or refuse it and forget it."""
    path = folder / ROWS_FILE
    try:
        values = _checked(here, path, mapping)
        sync(path)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        values |= {"version": version, "file": path.name, "bytes": path.stat().st_size, "sha256": digest}
        with here.database.writing() as connection:
            if version == 1:
                return _details(store.add(connection, id=dataset_id, name=name, **values))
            changed = store.change(connection, dataset_id, **values)
        if changed is None:  # deleted meanwhile
            raise NotFound("dataset", dataset_id)
        return _details(changed)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        _remove_if_empty(folder.parent)
        raise


def _remove_if_empty(folder: Path) -> None:
    if folder.exists() and not any(folder.iterdir()):
        folder.rmdir()


def _body(one: Dataset) -> DatasetBody:
    return DatasetBody(
        format=one.report["format"],
        **{name: value for name, value in vars(one).items() if name in DatasetBody.model_fields},
    )


def _details(one: Dataset) -> DatasetDetails:
    return DatasetDetails(**_body(one).model_dump(), report=ReportBody(**one.report))
