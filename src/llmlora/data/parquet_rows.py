"""Rows of Parquet files, of the columns that are needed only. pyarrow, loaded here, reads what others have written in
many ways: it runs in a limited child, in one thread, and is given neither extension types nor types we have no use for.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from llmlora.data.columns import Columns, choose_columns
from llmlora.data.shapes import RowError
from llmlora.data.textfile import refuse
from llmlora.errors import DataUnreadable

MAX_COLUMNS, MAX_ROW_GROUPS, MAX_DEPTH = 1_000, 100_000, 8
MAX_METADATA = 16 * 2**20  # bytes of a string in the footer, and entries of a list
BATCH = 256
EXTENSION = b"ARROW:extension:name"
SHOWN = 80


def parquet_rows(path: Path, given: Columns, any_columns: bool = False) -> Iterator[tuple[int, Any]]:
    """The rows, numbered from 1.

    Raises:
        DataUnreadable: broken, too large in some way, or of types that are not taken.
    """
    pa.set_cpu_count(1)
    try:
        with pq.ParquetFile(
            path, thrift_string_size_limit=MAX_METADATA, thrift_container_size_limit=MAX_METADATA
        ) as file:
            names = _needed(path, file, given, any_columns)
            number = 0
            for batch in file.iter_batches(BATCH, columns=names, use_threads=False):
                for row in _rows(batch):
                    number += 1
                    yield number, row
    except pa.ArrowMemoryError:
        raise MemoryError from None
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        refuse(path, "parquet", reason=str(error)[:SHOWN])


def _needed(path: Path, file: pq.ParquetFile, given: Columns, any_columns: bool) -> list[str]:
    """The columns that make a conversation, or all of types we know.

    Raises:
        DataUnreadable: too many columns or row groups, an extension type anywhere, or another type in those needed.
    """
    if file.metadata.num_columns > MAX_COLUMNS or file.metadata.num_row_groups > MAX_ROW_GROUPS:
        refuse(path, "parquet_too_many", columns=MAX_COLUMNS, groups=MAX_ROW_GROUPS)
    schema = file.schema_arrow
    names = list(dict.fromkeys(schema.names))
    if len(names) != len(schema.names):
        refuse(path, "column_twice", names=", ".join(schema.names)[:SHOWN])
    for field in schema:
        _need_plain(path, field)
    if any_columns:
        return [name for name in names if _is_known(path, schema.field(name))]
    chosen = list(choose_columns(names, given).values())
    if not chosen:
        refuse(path, "no_known_columns", header=", ".join(names)[:SHOWN])
    for name in chosen:
        _need_known(path, schema.field(name))
    return chosen


def _need_plain(path: Path, field: pa.Field, depth: int = 1) -> None:
    if depth > MAX_DEPTH:
        refuse(path, "parquet_depth", depth=MAX_DEPTH)
    if isinstance(field.type, pa.BaseExtensionType) or EXTENSION in (field.metadata or {}):
        refuse(path, "parquet_extension", column=field.name)
    for place in range(field.type.num_fields):
        _need_plain(path, field.type.field(place), depth + 1)


def _need_known(path: Path, field: pa.Field) -> None:
    kind, is_ = field.type, pa.types
    if is_.is_nested(kind):
        if not (is_.is_list(kind) or is_.is_large_list(kind) or is_.is_fixed_size_list(kind) or is_.is_struct(kind)):
            refuse(path, "parquet_type", column=field.name, type=str(kind)[:SHOWN])
        for place in range(kind.num_fields):
            _need_known(path, kind.field(place))
        return
    texts = is_.is_string(kind) or is_.is_large_string(kind) or is_.is_string_view(kind)
    if not (texts or is_.is_integer(kind) or is_.is_floating(kind) or is_.is_boolean(kind) or is_.is_null(kind)):
        refuse(path, "parquet_type", column=field.name, type=str(kind)[:SHOWN])


def _is_known(path: Path, field: pa.Field) -> bool:
    try:
        _need_known(path, field)
    except DataUnreadable:
        return False
    return True


def _rows(batch: pa.RecordBatch) -> list[Any]:
    try:
        rows: list[Any] = batch.to_pylist()
    except UnicodeDecodeError:
        return [_row(batch.slice(place, 1)) for place in range(batch.num_rows)]
    return rows


def _row(batch: pa.RecordBatch) -> Any:
    try:
        return batch.to_pylist()[0]
    except UnicodeDecodeError:
        return RowError("not_utf8", "")
