"""Rows of JSON and JSONL files. What is wrong in a row is that row's problem, wherever the rest stays readable."""

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Literal

from llmlora.data.columns import Columns, choose_columns
from llmlora.data.shapes import RowError
from llmlora.data.textfile import CHUNK, MAX_LINE, TextFile
from llmlora.text.catalogue import Words

MAX_OBJECT_BYTES = 64 * 2**20  # one object around all rows is parsed as a whole
SHOWN = 12  # characters on either side of a mistake
BLANK = re.compile(r"[ \t\r\n]*")
Row = tuple[int, Any]


def json_format(file: TextFile, first: str | None, second: str | None, given: Columns) -> Literal["json", "jsonl"]:
    """Whether a file that begins with `{` is one object over several lines or around its rows, or a row a line.

    `first` and `second` are lines (None: too long); an empty second one does not exist.
    """
    only = second == ""
    if first is None:
        return "json" if only and file.size <= MAX_OBJECT_BYTES else "jsonl"
    value = parse(first)
    if isinstance(value, RowError):
        whole = first.rstrip().endswith("}")
        broken_off = (second or "").lstrip().startswith("{") and not first.rstrip().endswith(("{", "[", ",", ":"))
        return "jsonl" if whole or broken_off else "json"
    return "json" if only and _rows_inside(value, given) is not None else "jsonl"


def line_rows(file: TextFile) -> Iterator[Row]:
    """A row a line; empty lines are passed over."""
    for number, line in file.lines():
        if line is None:
            yield number, RowError("line_too_long", f"{MAX_LINE:,}")
        elif line.strip():
            yield number, parse(line.rstrip("\r\n"))


def list_rows(file: TextFile) -> Iterator[Row]:
    """The items of a list, read one at a time.

    Raises:
        DataUnreadable: it breaks off, or an item cannot be passed over.
    """
    with file.open() as text:
        items = _Items(text.read)
        number = 1
        while True:
            try:
                item = items.next()
            except StopIteration:
                return
            except RowError as error:
                file.refuse("json_item", item=number, problem=_words(error))
            yield number, item
            number += 1


def object_rows(file: TextFile, given: Columns) -> Iterator[Row]:
    """The rows inside one object, or the object as the only row.

    Raises:
        DataUnreadable: it is too large, or not JSON.
    """
    if file.size > MAX_OBJECT_BYTES:
        file.refuse("object_too_large", limit=f"{MAX_OBJECT_BYTES // 2**20} MiB")
    with file.open() as text:
        value = parse(text.read())
    if isinstance(value, RowError):
        file.refuse("json_object", problem=_words(value))
    rows = _rows_inside(value, given)
    yield from enumerate([value] if rows is None else rows, 1)


def parse(text: str) -> Any:
    """The value of a JSON text, or the RowError that says why there is none."""
    try:
        return _DECODER.decode(text)
    except (json.JSONDecodeError, RecursionError) as error:
        return _row_error(error)


def _rows_inside(value: Any, given: Columns) -> list[Any] | None:
    """The only list of an object that is no row itself: `{"data": [{…}, …]}`."""
    if not isinstance(value, dict) or choose_columns(list(value), given):
        return None
    lists = [item for item in value.values() if isinstance(item, list)]
    return lists[0] if len(lists) == 1 else None


def _row_error(error: json.JSONDecodeError | RecursionError) -> RowError:
    if isinstance(error, RecursionError):
        return RowError("nested_too_deeply", "")
    around = error.doc[max(0, error.pos - SHOWN) : error.pos + SHOWN]
    place = f"{error.lineno}:{error.colno}" if error.lineno > 1 else str(error.colno)
    return RowError("not_json", f"{place} …{around.strip()}…")


def _words(error: RowError) -> Words:
    return Words(f"problems.{error.code}", {"detail": error.detail})


def _object(pairs: list[tuple[str, Any]]) -> Any:
    if len(table := dict(pairs)) != len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        return RowError("duplicate_key", twice)
    return table


def _float(text: str) -> float | RowError:
    number = float(text)
    return number if math.isfinite(number) else RowError("not_a_number", text)


def _integer(text: str) -> int | RowError:
    try:
        return int(text)
    except ValueError:  # the interpreter's own limit
        return RowError("number_too_long", f"{len(text):,}")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_float=_float,
    parse_int=_integer,
    parse_constant=lambda name: RowError("not_a_number", name),
)


class _Items:
    """The items of a JSON list whose text comes in pieces; no more than one item is held."""

    def __init__(self, read: Callable[[int], str]) -> None:
        self.read, self.text, self.at, self.ended = read, "", 0, False
        self.separator = "["

    def next(self) -> Any:
        """The next item.

        Raises:
            StopIteration: the list is over.
            RowError: it cannot be read on.
        """
        mark = self._mark()
        if mark == "]" and self.separator == ",":
            self._end()
        if mark != self.separator:
            raise RowError("list_comma" if mark else "list_breaks_off", mark)
        self.at += 1
        if self.separator == "[" and self._mark() == "]":
            self._end()
        self.separator = ","
        self._mark()
        return self._value()

    def _end(self) -> None:
        self.at += 1
        if self._mark():
            raise RowError("list_goes_on", self.text[self.at : self.at + SHOWN])
        raise StopIteration

    def _mark(self) -> str:
        """The next character that is not blank; none at the end."""
        while True:
            blank = BLANK.match(self.text, self.at)
            self.at = blank.end() if blank else self.at
            if self.at < len(self.text) or not self._more():
                return self.text[self.at : self.at + 1]

    def _value(self) -> Any:
        while True:
            try:
                value, end = _DECODER.raw_decode(self.text, self.at)
            except json.JSONDecodeError as error:
                # perhaps only the rest of it is missing
                if len(self.text) - self.at > MAX_LINE or not self._more():
                    raise _row_error(error) from None
            except RecursionError as error:
                raise _row_error(error) from None
            else:
                # a number may go on: `1`, `1.5`, `1.5e+`
                if end + 2 < len(self.text) or not self._more():
                    self.at = end
                    return value

    def _more(self) -> bool:
        """Take in as much again as is held."""
        piece = self.read(max(CHUNK, len(self.text) - self.at))
        if piece:
            self.text, self.at = self.text[self.at :] + piece, 0
        return bool(piece)
