"""A file that may be anything: looked at, judged, and where it is text read a bounded piece at a time.

Text is UTF-8, with or without a BOM, UTF-16 (Excel's “Unicode text”), or else CP932 (Shift_JIS as Windows writes it).
"""

import codecs
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn, TextIO

from llmlora.errors import DataUnreadable
from llmlora.text.catalogue import Words

MAX_FILE_BYTES = 2 * 2**30
MAX_LINE = 8 * 2**20  # characters
CHUNK = 2**20
UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
MARKS = '\n\t,;":{}'
NO_TEXT_HAS = re.compile("[\0-\x08\x0e-\x1f\ufffe\uffff]")
ISO_2022_JP = (b"\x1b$B", b"\x1b$@")
NOT_TEXT = (
    (b"PK\x03\x04", "zip"),
    (b"\xd0\xcf\x11\xe0", "workbook"),
    (b"\x1f\x8b", "compressed"),
    (b"\x28\xb5\x2f\xfd", "compressed"),
    (b"GGUF", "model"),
)
Encoding = Literal["utf-8", "utf-16", "utf-16-le", "utf-16-be", "cp932"]


@dataclass(frozen=True)
class TextFile:
    """A file known to be text of one encoding, all of it."""

    path: Path
    encoding: Encoding
    size: int

    def lines(self) -> Iterator[tuple[int, str | None]]:
        """Each line with its number from 1; None in the place of one longer than `MAX_LINE`, which is not kept."""
        with self.open(newline="\n") as file:
            number = 0
            while line := file.readline(MAX_LINE + 1):
                number += 1
                if len(line) > MAX_LINE:
                    while not line.endswith("\n") and (line := file.readline(CHUNK)):
                        pass
                    yield number, None
                else:
                    yield number, line

    @contextmanager
    def open(self, newline: str = "") -> Iterator[TextIO]:
        """The text without its BOM, with its line ends as they are."""
        codec = "utf-8-sig" if self.encoding == "utf-8" else self.encoding
        with self.path.open(encoding=codec, newline=newline) as file:
            yield file

    def refuse(self, code: str, **facts: object) -> NoReturn:
        """Raise what the file as a whole is not fit for."""
        refuse(self.path, code, **facts)


def refuse(path: Path, code: str, **facts: object) -> NoReturn:
    """Raise DataUnreadable with the words under `unreadable.<code>`."""
    raise DataUnreadable(path, Words(f"unreadable.{code}", facts))


def look_at(path: Path) -> bytes:
    """The first MiB of a file.

    Raises:
        DataUnreadable: missing, not a file, not readable, or too large.
    """
    try:
        if not path.exists():
            refuse(path, "missing")
        if not path.is_file():
            refuse(path, "directory" if path.is_dir() else "not_regular")
        if path.stat().st_size > MAX_FILE_BYTES:
            refuse(path, "too_large", limit=f"{MAX_FILE_BYTES / 2**30:g} GiB")
        with path.open("rb") as file:
            return file.read(CHUNK)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        refuse(path, "not_opened", reason=getattr(error, "strerror", None) or str(error))


def open_text(path: Path, head: bytes) -> TextFile:
    """Read through the whole file once, twice where it is not UTF-8; `head` is how it begins.

    Raises:
        DataUnreadable: binary, or of no known encoding.
    """
    for beginning, code in NOT_TEXT:
        if head.startswith(beginning):
            refuse(path, "workbook" if code == "zip" and b"xl/" in head else code)
    if any(escape in head for escape in ISO_2022_JP):
        refuse(path, "iso_2022_jp")
    return TextFile(path, _encoding(path, head), path.stat().st_size)


def _encoding(path: Path, head: bytes) -> Encoding:
    if head.startswith(UTF16):
        if (bad_line := _first_bad_line(path, "utf-16")) is not None:
            refuse(path, "bad_utf_16", line=bad_line)
        return "utf-16"
    if b"\0" in head:
        return _utf16_without_bom(path, head)
    if (bad_line := _first_bad_line(path, "utf-8")) is None:
        return "utf-8"
    if _first_bad_line(path, "cp932") is None:
        return "cp932"
    refuse(path, "no_known_encoding", line=bad_line)


def _utf16_without_bom(path: Path, head: bytes) -> Encoding:
    """The order by which there are more of the characters that part rows and fields, if the text is sound by it."""
    orders: tuple[Encoding, ...] = ("utf-16-le", "utf-16-be")
    texts = {order: head.decode(order, "replace") for order in orders}
    marks = {order: sum(texts[order].count(mark) for mark in MARKS) for order in orders}
    best = max(orders, key=lambda order: marks[order])
    if not marks[best] or NO_TEXT_HAS.search(texts[best]) or _first_bad_line(path, best) is not None:
        refuse(path, "binary")
    return best


def _first_bad_line(path: Path, encoding: Encoding) -> int | None:
    decoder, line = codecs.getincrementaldecoder(encoding)(), 1
    with path.open("rb") as file:
        try:
            while chunk := file.read(CHUNK):
                text = decoder.decode(chunk)
                if "\0" in text:
                    refuse(path, "binary")
                line += text.count("\n")
            decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            return line + error.object[: error.start].count(b"\n")
    return None
