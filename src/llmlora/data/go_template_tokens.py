"""Go's text/template, cut into tokens, with Go's rules for white space and trim markers.

Source: Go's text/template/parse/lex.go.
"""

import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass

SPACE = " \t\r\n"
TOKEN = re.compile(
    r"""
    (?P<space>[ \t\r\n]+)
  | (?P<declare>:=) | (?P<assign>=) | (?P<pipe>\|) | (?P<comma>,) | (?P<open>\() | (?P<close>\))
  | (?P<string>"(?:\\[^\n]|[^"\\\n])*"|`[^`]*`) | (?P<letter>'(?:\\[^\n]|[^'\\\n])+')
  | (?P<number>[+-]?(?:0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)
        (?:[eE][+-]?[0-9_]+)?)(?!\w))
  | (?:(?P<field>\.\w+) | (?P<dot>\.) | (?P<variable>\$\w*) | (?P<word>\w+)) (?=[ \t\r\n.,|:()]|\}\}|\Z)
    """,
    re.VERBOSE,
)
ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.))", re.DOTALL)
LEFT = re.compile(r"\{\{(?P<trims>-[ \t\r\n])?")
RIGHT = re.compile(r"\}\}|[ \t\r\n]+-\}\}[ \t\r\n]*")
RIGHT_OF_COMMENT = re.compile(r"\*/(?:\}\}|[ \t\r\n]-\}\}[ \t\r\n]*)")
LETTERS = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92, "'": 39, '"': 34}


class GoTemplateError(Exception):
    """A template that cannot be read, or fails while it writes."""


@dataclass(frozen=True)
class Token:
    """`kind` is a group of TOKEN, or `text`, `left`, `right`, `end` (of everything)."""

    kind: str
    text: str
    line: int


def unquote(literal: str) -> str:
    """The text of a quoted string; bytes that are no text stay in it as surrogates."""
    if literal.startswith("`"):
        return literal[1:-1].replace("\r", "")
    quote, other = literal[0], "'" if literal[0] == '"' else '"'
    parts, at = [], 1
    for found in ESCAPE.finditer(literal, 1, len(literal) - 1):
        byte, short, long, octal, letter = found.groups()
        if letter is not None and (letter == other or letter not in LETTERS):
            raise GoTemplateError(f"invalid escape {found[0]} in {quote}…{quote}")
        parts.append(literal[at : found.start()].encode())
        parts.append(
            chr(_scalar(short or long)).encode()
            if short or long
            else bytes([LETTERS[letter] if letter else int(byte, 16) if byte else _byte(octal)])
        )
        at = found.end()
    parts.append(literal[at:-1].encode())
    return b"".join(parts).decode("utf-8", "surrogateescape")


def _scalar(digits: str) -> int:
    number = int(digits, 16)
    if number > 0x10FFFF or 0xD800 <= number < 0xE000:
        raise GoTemplateError(f"no such character: {digits}")
    return number


def _byte(octal: str) -> int:
    if (number := int(octal, 8)) > 255:
        raise GoTemplateError(f"no such byte: {octal}")
    return number


def tokens(source: str) -> Iterator[Token]:
    at, line = 0, 1
    while left := LEFT.search(source, at):
        text = source[at : left.start()]
        if text := text.rstrip(SPACE) if left["trims"] else text:
            yield Token("text", text, line)
        line += source.count("\n", at, left.start())
        reading = _comment if source.startswith("/*", left.end()) else _action
        at = yield from reading(source, left.end(), line)
        line += source.count("\n", left.start(), at)
    if source[at:]:
        yield Token("text", source[at:], line)
    yield Token("end", "", line)


def _comment(source: str, at: int, line: int) -> Generator[Token, None, int]:
    yield from ()
    closed = RIGHT_OF_COMMENT.match(source, source.find("*/", at + 2)) if "*/" in source[at + 2 :] else None
    if closed is None:
        raise GoTemplateError(f"line {line}: unclosed comment")
    return closed.end()


def _action(source: str, at: int, line: int) -> Generator[Token, None, int]:
    yield Token("left", "{{", line)
    while (closed := RIGHT.match(source, at)) is None:
        found = TOKEN.match(source, at)
        if found is None:
            rest = source[at : at + 10]
            raise GoTemplateError(f"line {line}: " + (f"unexpected {rest!r}" if rest else "unclosed action"))
        yield Token(str(found.lastgroup), found[0], line)
        at = found.end()
    yield Token("right", "}}", line)
    return closed.end()
