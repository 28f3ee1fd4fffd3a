"""A file of text that may be anything: opened, judged and read a bounded piece at a time.

Text is UTF-8, with or without a BOM, else CP932 (Shift_JIS as Windows writes it).
"""

import codecs
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn, TextIO

from llmlora.errors import DataUnreadable

MAX_FILE_BYTES = 2 * 2**30
MAX_LINE_BYTES = 8 * 2**20
CHUNK = 2**20
UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
ISO_2022_JP = (b"\x1b$B", b"\x1b$@")
NOT_TEXT = (
    (b"PK\x03\x04", "it is an Excel workbook or a ZIP archive; in Excel, save it as “CSV UTF-8”"),
    (b"\x1f\x8b", "it is compressed; unpack it first"),
    (b"PAR1", "it is a Parquet file; write it as JSONL first"),
    (b"GGUF", "it is a model, not data"),
)
Encoding = Literal["utf-8", "cp932"]


@dataclass(frozen=True)
class TextFile:
    """A file known to be text of one encoding, all of it."""

    path: Path
    encoding: Encoding
    size: int

    @property
    def codec(self) -> str:
        """What to open it with, so that a BOM is no part of the text."""
        return "utf-8-sig" if self.encoding == "utf-8" else self.encoding

    def lines(self) -> Iterator[tuple[int, str | None]]:
        """Each line with its number from 1; None in the place of one longer than 8 MiB, which is not kept."""
        with self.path.open("rb", buffering=CHUNK) as file:
            number = 0
            while line := file.readline(MAX_LINE_BYTES + 1):
                number += 1
                if len(line) > MAX_LINE_BYTES:
                    while not line.endswith(b"\n") and (line := file.readline(CHUNK)):
                        pass
                    yield number, None
                else:
                    line = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
                    yield number, line.decode(self.encoding)

    @contextmanager
    def open(self) -> Iterator[TextIO]:
        """The text, with its line ends as they are."""
        with self.path.open(encoding=self.codec, newline="") as file:
            yield file

    def refuse(self, problem: str) -> NoReturn:
        """Raise what the file as a whole is not fit for."""
        raise DataUnreadable(self.path, problem)


def open_text(path: Path) -> TextFile:
    """Look at a whole file once, twice where it is not UTF-8.

    Raises:
        DataUnreadable: missing, not a file, not readable, empty, too large, binary, or of no known encoding.
    """
    try:
        _need_text(path)
        encoding, size = _encoding(path), path.stat().st_size
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise DataUnreadable(path, getattr(error, "strerror", None) or str(error)) from None
    return TextFile(path, encoding, size)


def _need_text(path: Path) -> None:
    if not path.exists():
        raise DataUnreadable(path, "there is no such file")
    if not path.is_file():
        raise DataUnreadable(path, "it is a directory" if path.is_dir() else "it is not a regular file")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise DataUnreadable(path, f"it is larger than {MAX_FILE_BYTES // 2**30} GiB; split it")
    with path.open("rb") as file:
        head = file.read(CHUNK)
    for beginning, words in NOT_TEXT:
        if head.startswith(beginning):
            raise DataUnreadable(path, words)
    if head.startswith(UTF16):
        raise DataUnreadable(path, "it is UTF-16, which is not read yet; save it as UTF-8 (in Excel: “CSV UTF-8”)")
    if any(escape in head for escape in ISO_2022_JP):
        raise DataUnreadable(path, "it is ISO-2022-JP (JIS), which is not read; save it as UTF-8")


def _encoding(path: Path) -> Encoding:
    if (bad_line := _first_bad_line(path, "utf-8")) is None:
        return "utf-8"
    if _first_bad_line(path, "cp932") is None:
        return "cp932"
    raise DataUnreadable(path, f"it is neither UTF-8 (see line {bad_line}) nor Shift_JIS (CP932) text")


def _first_bad_line(path: Path, encoding: Encoding) -> int | None:
    decoder, line = codecs.getincrementaldecoder(encoding)(), 1
    with path.open("rb") as file:
        try:
            while chunk := file.read(CHUNK):
                if b"\0" in chunk:
                    raise DataUnreadable(path, "it is a binary file, not text")
                decoder.decode(chunk)
                line += chunk.count(b"\n")
            decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            return line + error.object[: error.start].count(b"\n")
    return None
