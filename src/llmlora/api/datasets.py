"""Data sets: uploaded, checked, kept by version. What is in them: `rows`."""

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

from llmlora.api.context import Context, Here, Reader
from llmlora.api.labels import Id, Label, file_name
from llmlora.demo.style import material
from llmlora.errors import DatasetInUse, DataUnreadable, NotFound, TooLarge
from llmlora.files import full_disk_as_error, need_room, sync
from llmlora.recipe import Part
from llmlora.store import datasets as store
from llmlora.store import jobs
from llmlora.store.database import new_id
from llmlora.store.datasets import Dataset
from llmlora.text.catalogue import say

router = APIRouter(prefix="/api/datasets", tags=["datasets"])

MAX_UPLOAD_MB = 2048
RESERVE_BYTES = 64 * 2**20  # the disk is not filled to the brim: jobs need to save
ROOM_EVERY = 8 * 2**20
ROWS_FILE = "rows"  # the name of every stored file: a user's name is only a label
DEFAULT_LENGTH = 1024
A_FILE = {"requestBody": {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}}

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
    """What the check found. Of many errors or warnings of a code the first are listed; the counts are those of all.

    Reports that were stored before there were counts by code have none.
    """

    model_config = ConfigDict(extra="allow", json_schema_serialization_defaults_required=True)

    format: str
    encoding: str | None  # of a text
    rows: int
    usable: int
    columns: dict[str, str]
    shapes: dict[str, int]
    unused: dict[str, int]
    errors: list[RowProblemBody]
    errors_count: int
    errors_by_code: dict[str, int] = {}
    warnings: list[RowProblemBody]
    warnings_count: int
    warnings_by_code: dict[str, int] = {}
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


class HeadRow(BaseModel):
    row: int
    cells: list[str]


class ColumnsBody(BaseModel):
    """How a file begins: its columns, the first texts (cut) under each, and what the names alone tell of them."""

    format: str
    encoding: str | None
    names: list[str]
    rows: list[HeadRow]
    guessed: Columns


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


@router.post("/sample", status_code=201)
def create_sample(here: Here, reader: Reader) -> DatasetDetails:
    """A small data set to begin with: the rows of the demo."""
    folder, dataset_id = _new_folder(here)
    shutil.copyfile(material().rows, folder / ROWS_FILE)
    return _accept(here, dataset_id, folder, say(reader, "datasets.sample"), {})


@router.post(
    "/upload",
    status_code=201,
    openapi_extra=A_FILE,
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


@router.post(
    "/columns",
    openapi_extra=A_FILE,
)
async def look_at_columns(here: Here, request: Request, name: Annotated[Label, Query()]) -> ColumnsBody:
    """How a file begins that an upload refuses because it lacks `map`. It is not kept."""
    folder, _ = await run_in_threadpool(_new_folder, here)
    await _receive(request.stream(), folder)
    try:
        return ColumnsBody(**await run_in_threadpool(ask, here, "columns", folder / ROWS_FILE, name))
    finally:
        await run_in_threadpool(_forget, folder)


@router.get("/{dataset_id}")
def get_dataset(here: Here, dataset_id: Id) -> DatasetDetails:
    """A data set and what the check found."""
    return _details(fetch(here, dataset_id))


@router.patch("/{dataset_id}")
def change_dataset(here: Here, dataset_id: Id, new: DatasetChange) -> DatasetDetails:
    """Change the name, or which column holds what; then the rows are read again."""
    old = fetch(here, dataset_id)
    values: dict[str, Any] = {} if new.name is None else {"name": new.name}
    if new.mapping is not None:
        values |= _checked(here, path_of(here, old), old.name, new.mapping)
    with here.database.writing() as connection:
        changed = store.change(connection, dataset_id, **values)
    if changed is None:
        raise NotFound("dataset", dataset_id)
    return _details(changed)


@router.put(
    "/{dataset_id}/file",
    openapi_extra=A_FILE,
)
async def replace_dataset(here: Here, request: Request, dataset_id: Id) -> DatasetDetails:
    """A new version of the data set. Jobs keep the version that they were started with."""
    old = await run_in_threadpool(fetch, here, dataset_id)
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
    one = fetch(here, dataset_id)
    name = file_name(one.name, f".{one.report['format']}")
    return FileResponse(path_of(here, one), media_type="application/octet-stream", filename=name)


def path_of(here: Context, one: Dataset) -> Path:
    """The file of the newest version."""
    return here.settings.home.datasets / one.id / f"v{one.version}" / one.file


def ask(here: Context, question: str, path: Path, name: str, **facts: Any) -> dict[str, Any]:
    """An answer of the inspection; an error calls the file by the name that people gave it."""
    try:
        return here.inspection.ask(question, data=str(path), **facts)
    except DataUnreadable as error:
        raise DataUnreadable(Path(name), error.problem) from None


def _checked(here: Context, path: Path, name: str, mapping: Columns) -> dict[str, Any]:
    """What the check says of a file, as the store keeps it."""
    report = ask(here, "check", path, name, mapping=mapping, model=None, max_length=DEFAULT_LENGTH)
    return {"mapping": mapping, "rows": report["rows"], "problems": report["errors_count"], "report": report}


def fetch(here: Context, dataset_id: str) -> Dataset:
    """The data set of this number.

    Raises:
        NotFound: there is none.
    """
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
        _forget(folder)
        raise


def _accept(
    here: Context, dataset_id: str, folder: Path, name: str, mapping: Columns, version: int = 1
) -> DatasetDetails:
    """Check what was sent and keep it, or refuse it and forget it."""
    path = folder / ROWS_FILE
    try:
        values = _checked(here, path, name, mapping)
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
        _forget(folder)
        raise


def _forget(folder: Path) -> None:
    """A version that was not accepted, and its data set, if it has no other."""
    shutil.rmtree(folder, ignore_errors=True)
    if folder.parent.exists() and not any(folder.parent.iterdir()):
        folder.parent.rmdir()


def _body(one: Dataset) -> DatasetBody:
    return DatasetBody(
        format=one.report["format"],
        **{name: value for name, value in vars(one).items() if name in DatasetBody.model_fields},
    )


def _details(one: Dataset) -> DatasetDetails:
    return DatasetDetails(**_body(one).model_dump(), report=ReportBody(**one.report))
