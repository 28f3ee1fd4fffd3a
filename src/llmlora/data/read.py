"""Files into conversations, read in a limited process of its own (see `read_child`). Every row that cannot be used is
reported by its number; nothing is guessed but what a column holds, and that guess is told.
"""

import signal
from collections import Counter
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from llmlora.child import ChildDiedError, JsonChild
from llmlora.data.conversation import Conversation, Role, RowProblem, Turn
from llmlora.data.open_rows import Format
from llmlora.data.parse import Message
from llmlora.data.textfile import refuse
from llmlora.errors import DataUnreadable, InvalidRows
from llmlora.text.catalogue import Words

if TYPE_CHECKING:
    from llmlora.recipe import Part

MEMORY_BYTES = 2**30
CPU_SECONDS, SECONDS_PER_MIB = 60, 1
SILENT_SECONDS = 300.0  # without a message
OUT_OF_TIME = -getattr(signal, "SIGXCPU", 24)  # not on Windows
EXAMPLES_IN_MESSAGE = 3
ROLES: dict[str, Role] = {role: role for role in get_args(Role)}
AHEAD = 8  # messages the child may be ahead


@dataclass(frozen=True)
class SourceFile:
    """A file that was read; `encoding` is that of a text."""

    path: Path
    format: Format
    encoding: str | None


@dataclass(frozen=True)
class Head:
    """How a file begins: the names of its columns, the first rows with the texts (cut) under these names, and which of
    them make a conversation by their names; none where they do not.
    """

    format: Format
    encoding: str | None
    names: list[str]
    rows: list[tuple[int, list[str]]]
    guessed: "dict[Part, str]"


@dataclass
class Reading:
    """What some files held. `columns` says what was taken from where; `unused` counts the keys (or columns) that were
    not taken.
    """

    files: list[SourceFile] = field(default_factory=list)
    columns: "dict[Part, str]" = field(default_factory=dict)
    shapes: Counter[str] = field(default_factory=Counter)
    unused: Counter[str] = field(default_factory=Counter)
    conversations: list[Conversation] = field(default_factory=list)
    problems: list[RowProblem] = field(default_factory=list)

    def need_sound(self) -> None:
        """Raises InvalidRows for the first file with rows that cannot be used."""
        if self.problems:
            number = self.problems[0].file
            problems = [problem for problem in self.problems if problem.file == number]
            examples = [problem.words() for problem in problems[:EXAMPLES_IN_MESSAGE]]
            raise InvalidRows(self.files[number].path, len(problems), examples)


def read_conversations(paths: Path | Sequence[Path], mapping: "Mapping[Part, str] | None" = None) -> Reading:
    """Read files of rows as one data set; `mapping` says what columns hold, where their names do not.

    Raises:
        DataUnreadable: one is not a file of rows at all: missing, empty, binary, of no known encoding, or too large; or
            a column of `mapping` is nowhere.
    """
    listed = [paths] if isinstance(paths, Path) else list(paths)
    with closing(_parsed_by_child(listed, mapping or {})) as messages:
        return collect(listed, messages)


def read_head(path: Path) -> Head:
    """The columns of a file and their first texts, for who is to say what they hold.

    Raises:
        DataUnreadable: it is not a file of rows at all.
    """
    with closing(_parsed_by_child([path], {}, head=True)) as messages:
        message = next(messages)
    _need_readable([path], message)
    return Head(**message)


def collect(paths: Sequence[Path], messages: Iterable[Message]) -> Reading:
    """The messages of `parse` put together."""
    reading = Reading()
    for message in messages:
        number = message.get("file", 0)
        _need_readable(paths, message)
        if "format" in message:
            reading.files.append(SourceFile(paths[number], message["format"], message["encoding"]))
        for row, turns in message.get("rows", ()):
            said = tuple([Turn(ROLES[role], *content) for role, *content in turns])
            reading.conversations.append(Conversation(row, said, number))
        reading.problems += [RowProblem(row, code, detail, number) for row, code, detail in message.get("problems", ())]
        if "shapes" in message:
            reading.columns = message["columns"]
            reading.shapes, reading.unused = Counter(message["shapes"]), Counter(message["unused"])
    return reading


def _need_readable(paths: Sequence[Path], message: Message) -> None:
    if "unreadable" in message:
        raise DataUnreadable(paths[message["file"]], Words.revive(message["unreadable"]))


def _parsed_by_child(
    paths: Sequence[Path], given: "Mapping[Part, str]", *, head: bool = False
) -> Generator[Message, None, None]:
    child = JsonChild("llmlora.data.read_child")
    path = paths[0]
    try:
        seconds = CPU_SECONDS + SECONDS_PER_MIB * sum(map(_mebibytes, paths))
        names = [str(one) for one in paths]
        limits = {"memory": MEMORY_BYTES, "seconds": seconds}
        child.send({"paths": names, "given": dict(given), "head": head, **limits})
        for _ in range(AHEAD):
            _allow(child)
        while True:
            message = child.receive(SILENT_SECONDS)
            path = paths[message["file"]] if "file" in message else path
            if "died" in message:
                refuse(path, "memory", limit=f"{MEMORY_BYTES / 2**30:g} GiB")
            yield message
            if "shapes" in message:
                return
            _allow(child)
    except TimeoutError:
        refuse(path, "silent", seconds=f"{SILENT_SECONDS:g}")
    except ChildDiedError as error:
        if child.exit_code() == OUT_OF_TIME:
            refuse(path, "processor_time", seconds=seconds)
        if "bad_alloc" in str(error) or "MemoryError" in str(error):
            refuse(path, "memory", limit=f"{MEMORY_BYTES / 2**30:g} GiB")
        refuse(path, "child_died", reason=str(error))
    finally:
        child.close()


def _allow(child: JsonChild) -> None:
    """One message more. It may have said everything and be gone, while we are still listening to that."""
    with suppress(ChildDiedError):
        child.send({})


def _mebibytes(path: Path) -> int:
    with suppress(OSError, ValueError):
        return path.stat().st_size // 2**20
    return 0
