"""Go's text/template, read: source text becomes a tree.

What Ollama's templates may hold, which is the whole language but complex numbers. Source: Go's text/template/parse,
whose rules for white space, trim markers and variables are followed to the letter.
"""

import re
from collections.abc import Callable, Set
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

from llmlora.data.go_template_tokens import GoTemplateError, Token, tokens, unquote

OPERANDS = ("string", "letter", "number", "field", "dot", "variable", "word", "open")
WORDS = {"true": True, "false": False, "nil": None}
KEYWORDS = ("block", "break", "continue", "define", "else", "end", "if", "range", "template", "with")


@dataclass(frozen=True)
class Text:
    text: str


@dataclass(frozen=True)
class Constant:
    """A literal; None is `nil`."""

    value: str | bool | int | float | None


@dataclass(frozen=True)
class Dot:
    """`.`"""


@dataclass(frozen=True)
class Field:
    """`.A.B`"""

    names: tuple[str, ...]


@dataclass(frozen=True)
class Variable:
    """`$x.A.B`, its first name with the `$`."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class Function:
    name: str


@dataclass(frozen=True)
class Pipe:
    """Commands of operands, each command given what the one before it made; `names` take the result."""

    commands: tuple[tuple["Operand", ...], ...]
    names: tuple[str, ...] = ()
    assigns: bool = False  # to variables there are, or else declares them


@dataclass(frozen=True)
class Chain:
    """`(…).A.B`"""

    pipe: "Pipe | Function"
    names: tuple[str, ...]


Operand = Constant | Dot | Field | Variable | Function | Pipe | Chain


@dataclass(frozen=True)
class Action:
    pipe: Pipe


@dataclass(frozen=True)
class Leave:
    """`break` or `continue`."""

    kind: Literal["break", "continue"]


@dataclass(frozen=True)
class Include:
    """`{{template "name" pipe}}`"""

    name: str
    pipe: Pipe | None


@dataclass(frozen=True)
class Branch:
    """`if`, `with` or `range`."""

    kind: Literal["if", "with", "range"]
    pipe: Pipe
    body: tuple["Node", ...]
    otherwise: tuple["Node", ...] | None


Node = Text | Action | Leave | Include | Branch
Nodes = tuple[Node, ...]


def parse(source: str, functions: Set[str]) -> dict[str, Nodes]:
    """The trees of a template by name, its own under the empty one; it may call these functions.

    Raises:
        GoTemplateError: it is malformed.
        RecursionError: it is nested too deeply.
    """
    parser = _Parser(list(tokens(source)), functions)
    parser.everything()
    return parser.trees


class _Parser:
    """Recursive descent, in the order and with the names of Go's own."""

    def __init__(self, tokens: list[Token], functions: Set[str]) -> None:
        self.tokens, self.functions = tokens, functions
        self.at = 0
        self.trees: dict[str, Nodes] = {}
        self.known = ["$"]  # variables in reach
        self.ranges = 0

    def everything(self) -> None:
        nodes: list[Node] = []
        while self.peek().kind != "end":
            if self._begins("define"):
                self._define()
            else:
                nodes.append(self._node())
        self._add("", tuple(nodes))

    def peek(self, ahead: int = 0) -> Token:
        return self.tokens[min(self.at + ahead, len(self.tokens) - 1)]

    def _next(self) -> Token:
        token = self.peek()
        self.at += 1
        return token

    def _skip_space(self) -> Token:
        """What comes next but spaces, not taken yet."""
        while self.peek().kind == "space":
            self.at += 1
        return self.peek()

    def _expect(self, kind: str, where: str) -> Token:
        self._skip_space()
        token = self._next()
        if token.kind != kind:
            raise _unexpected(token, where)
        return token

    def _begins(self, *words: str) -> bool:
        """Whether an action with one of these keywords comes next."""
        first = 2 if self.peek(1).kind == "space" else 1
        return self.peek().kind == "left" and self.peek(first).kind == "word" and self.peek(first).text in words

    def _list(self) -> Nodes:
        """The nodes before `end` or `else`."""
        nodes = []
        while not self._begins("end", "else"):
            nodes.append(self._node())
        return tuple(nodes)

    def _node(self) -> Node:
        token = self._next()
        if token.kind == "text":
            return Text(token.text)
        if token.kind != "left":
            raise _unexpected(token, "input")
        word = self._skip_space()
        control = CONTROLS.get(word.text) if word.kind == "word" else None
        if control is None:
            return Action(self._pipeline("command"))
        self._next()
        return control(self, word)

    def _branch(self, word: Token) -> Branch:
        kind, known = word.text, len(self.known)
        pipe = self._pipeline(kind)
        self.ranges += kind == "range"
        body = self._list()
        self.ranges -= kind == "range"
        otherwise = self._otherwise(word)
        del self.known[known:]
        return Branch(cast(Any, kind), pipe, body, otherwise)

    def _otherwise(self, word: Token) -> Nodes | None:
        """What stands behind `else`; `else if` and `else with` share the `end` of what they continue."""
        self._next()
        self._skip_space()
        if self._next().text == "end":
            self._expect("right", "end")
            return None
        again = self._skip_space()
        if again.kind == "word" and again.text == word.text and word.text != "range":
            self._next()
            return (self._branch(again),)
        self._expect("right", "else")
        nodes = self._list()
        if self._begins("else"):
            raise GoTemplateError(f"line {self.peek().line}: expected end; found else")
        self._end()
        return nodes

    def _end(self) -> None:
        self._next()
        self._expect("word", "end")
        self._expect("right", "end")

    def _leave(self, word: Token) -> Leave:
        self._expect("right", word.text)
        if not self.ranges:
            raise GoTemplateError(f"line {word.line}: {word.text} outside range")
        return Leave(cast(Any, word.text))

    def _include(self, _: Token) -> Include:
        name = unquote(self._expect("string", "template clause").text)
        if self._skip_space().kind == "right":
            self._next()
            return Include(name, None)
        return Include(name, self._pipeline("template clause"))

    def _block(self, _: Token) -> Include:
        name = unquote(self._expect("string", "block clause").text)
        pipe = self._pipeline("block clause")
        self._definition(name)
        return Include(name, pipe)

    def _define(self) -> None:
        self._next()
        self._expect("word", "define clause")
        name = unquote(self._expect("string", "define clause").text)
        self._expect("right", "define clause")
        self._definition(name)

    def _definition(self, name: str) -> None:
        known, ranges = self.known, self.ranges
        self.known, self.ranges = ["$"], 0
        nodes = self._list()
        if self._begins("else"):
            raise GoTemplateError(f"line {self.peek().line}: unexpected else in a definition")
        self._end()
        self.known, self.ranges = known, ranges
        self._add(name, nodes)

    def _add(self, name: str, nodes: Nodes) -> None:
        empty = all(isinstance(node, Text) and not node.text.strip() for node in nodes)
        if name not in self.trees or all(isinstance(n, Text) and not n.text.strip() for n in self.trees[name]):
            self.trees[name] = nodes
        elif not empty:
            raise GoTemplateError(f"multiple definition of template {name!r}")

    def _pipeline(self, where: str, end: str = "right") -> Pipe:
        names, assigns = self._declarations(where)
        commands: list[tuple[Operand, ...]] = []
        while self._skip_space().kind != end:
            if self.peek().kind not in OPERANDS:
                raise _unexpected(self.peek(), where)
            commands.append(self._command())
        line = self._next().line
        if not commands:
            raise GoTemplateError(f"line {line}: missing value for {where}")
        if any(isinstance(command[0], Constant | Dot) for command in commands[1:]):
            raise GoTemplateError(f"line {line}: non executable command in pipeline")
        return Pipe(tuple(commands), names, assigns)

    def _declarations(self, where: str) -> tuple[tuple[str, ...], bool]:
        names: list[str] = []
        while self._skip_space().kind == "variable":
            sign = 2 if self.peek(1).kind == "space" else 1
            follows = self.peek(sign).kind
            if follows not in ("declare", "assign", "comma"):
                break
            names.append(self.peek().text)
            self.known.append(self.peek().text)
            self.at += sign + 1
            if follows != "comma":
                return tuple(names), follows == "assign"
            if where != "range" or len(names) > 1:
                raise GoTemplateError(f"line {self.peek().line}: too many declarations in {where}")
        if names:
            raise GoTemplateError(f"line {self.peek().line}: range can only initialize variables")
        return (), False

    def _command(self) -> tuple[Operand, ...]:
        operands: list[Operand] = []
        while self._skip_space().kind in OPERANDS:
            operands.append(self._operand())
            if self.peek().kind != "space":
                break
        if self.peek().kind == "pipe":
            self._next()
        elif self.peek().kind not in ("right", "close"):
            raise _unexpected(self.peek(), "operand")
        return tuple(operands)

    def _operand(self) -> Operand:
        term, names = self._term(), list[str]()
        while self.peek().kind == "field":
            names.append(self._next().text[1:])
        if not names:
            return term
        if isinstance(term, Field | Variable):
            return replace(term, names=(*term.names, *names))
        if isinstance(term, Pipe | Function):
            return Chain(term, tuple(names))
        raise GoTemplateError(f"line {self.peek().line}: unexpected . after term")

    def _term(self) -> Operand:
        token = self._next()
        if token.kind == "open":
            return self._pipeline("parenthesized pipeline", "close")
        if token.kind == "word":
            return self._word(token)
        if token.kind == "field":
            return Field((token.text[1:],))
        if token.kind == "dot":
            return Dot()
        if token.kind == "variable":
            if token.text not in self.known:
                raise GoTemplateError(f"line {token.line}: undefined variable {token.text}")
            return Variable((token.text,))
        return Constant(_literal(token))

    def _word(self, token: Token) -> Operand:
        if token.text in WORDS:
            return Constant(WORDS[token.text])
        if token.text in KEYWORDS:
            raise _unexpected(token, "operand")
        if token.text not in self.functions:
            raise GoTemplateError(f"line {token.line}: function {token.text!r} not defined")
        return Function(token.text)


CONTROLS: dict[str, Callable[[_Parser, Token], Node]] = {
    **dict.fromkeys(("if", "with", "range"), _Parser._branch),
    **dict.fromkeys(("break", "continue"), _Parser._leave),
    "template": _Parser._include,
    "block": _Parser._block,
}


def _literal(token: Token) -> str | int | float:
    if token.kind == "string":
        return unquote(token.text)
    try:
        if token.kind == "letter":
            return ord(unquote(token.text))
        if re.fullmatch(r"[+-]?0[0-9_]+", token.text):
            return int(token.text.replace("0", "0o", 1), 0)
        return float(token.text) if re.search(r"\.|^[^xX]*[eE]", token.text) else int(token.text, 0)
    except (ValueError, TypeError):
        raise GoTemplateError(f"line {token.line}: bad number or character {token.text}") from None


def _unexpected(token: Token, where: str) -> GoTemplateError:
    if token.kind == "end":
        return GoTemplateError(f"line {token.line}: unexpected end of the template in {where}")
    return GoTemplateError(f"line {token.line}: unexpected {token.text[:20]!r} in {where}")
