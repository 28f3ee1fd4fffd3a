"""Go's text/template, run: a tree writes text.

Values are Go's as far as Ollama hands them to templates: strings, numbers and booleans, nil (None), slices (list),
maps (dict), and pointers to structs (`Struct`), of which only their own fields may be asked. Where the result would
depend on Go's memory or on the version of Ollama, as a printed struct does, the template is refused instead. Source:
Go's text/template/exec.go and funcs.go.
"""

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llmlora.data.go_template_syntax import (
    Action,
    Branch,
    Chain,
    Constant,
    Dot,
    Field,
    Function,
    Include,
    Leave,
    Nodes,
    Operand,
    Pipe,
    Text,
    Variable,
)
from llmlora.data.go_template_tokens import GoTemplateError

Value = Any
Functions = Mapping[str, Callable[..., Value]]
VERB = re.compile(r"%(.?)", re.DOTALL)


class Struct(dict[str, Value]):
    """What a pointer to a Go struct points to."""


class Left(Exception):
    """`break` or `continue`."""


class Run:
    """One rendering; a template that includes another makes one for it."""

    def __init__(
        self, trees: Mapping[str, Nodes], functions: Functions, dot: Value, write: Callable[[str], None]
    ) -> None:
        self.trees, self.functions, self.write = trees, functions, write
        self.variables: list[tuple[str, Value]] = [("$", dot)]

    def nodes(self, dot: Value, nodes: Nodes) -> None:
        """Write what these nodes say of `dot`.

        Raises:
            GoTemplateError: one of them fails.
        """
        for node in nodes:
            match node:
                case Text(text):
                    self.write(text)
                case Action(pipe):
                    value = self.pipe(dot, pipe)
                    if not pipe.names:
                        self.write(printed(value))
                case Leave(kind):
                    raise Left(kind)
                case Include(name, pipe):
                    self._include(dot, name, pipe)
                case Branch():
                    self._branch(dot, node)

    def pipe(self, dot: Value, pipe: Pipe) -> Value:
        value: Value = None
        for place, command in enumerate(pipe.commands):
            value = self._command(dot, command, (value,) if place else ())
        for name in pipe.names:
            self._set(name, value) if pipe.assigns else self.variables.append((name, value))
        return value

    def _include(self, dot: Value, name: str, pipe: Pipe | None) -> None:
        if name not in self.trees:
            raise GoTemplateError(f"template {name!r} not defined")
        inner = self.pipe(dot, pipe) if pipe else None
        Run(self.trees, self.functions, inner, self.write).nodes(inner, self.trees[name])

    def _branch(self, dot: Value, node: Branch) -> None:
        mark = len(self.variables)
        value = self.pipe(dot, node.pipe)
        if node.kind == "range":
            entered = self._range(value, node)
        elif entered := truth(value):
            self.nodes(value if node.kind == "with" else dot, node.body)
        if not entered and node.otherwise is not None:
            self.nodes(dot, node.otherwise)
        del self.variables[mark:]

    def _range(self, value: Value, node: Branch) -> bool:
        """Whether there was anything to go through."""
        if value is not None and (not isinstance(value, list | dict) or isinstance(value, Struct)):
            raise GoTemplateError(f"range can't iterate over {_type(value)}")
        entries = sorted(value.items()) if isinstance(value, dict) else list(enumerate(value or ()))
        mark = len(self.variables)
        for index, element in entries:
            for name, one in zip(reversed(node.pipe.names), (element, index), strict=False):
                self._set(name, one)
            try:
                self.nodes(element, node.body)
            except Left as left:
                if str(left) == "break":
                    break
            finally:
                del self.variables[mark:]
        return bool(entries)

    def _command(self, dot: Value, command: Sequence[Operand], final: tuple[Value, ...]) -> Value:
        """`final` is what the command before it in the pipe made."""
        first, rest = command[0], command[1:]
        if isinstance(first, Function):
            return self._call(dot, first.name, rest, final)
        if rest or final:
            raise GoTemplateError("can't give arguments to what is no function")
        if first == Constant(None):
            raise GoTemplateError("nil is not a command")
        return self._operand(dot, first)

    def _operand(self, dot: Value, operand: Operand) -> Value:
        match operand:
            case Field(names):
                return _fields(dot, names)
            case Variable(names):
                return _fields(self._variable(names[0]), names[1:])
            case Chain(term, names):
                return _fields(self._term(dot, term), names)
            case _:
                return self._term(dot, operand)

    def _term(self, dot: Value, term: Constant | Dot | Pipe | Function) -> Value:
        match term:
            case Constant(value):
                return value
            case Dot():
                return dot
            case Pipe():
                return self.pipe(dot, term)
            case Function(name):
                return self._call(dot, name, (), ())

    def _call(self, dot: Value, name: str, operands: Sequence[Operand], final: tuple[Value, ...]) -> Value:
        if name in ("and", "or"):
            return self._first(dot, name, operands, final)
        function = self.functions.get(name)
        if function is None:
            raise GoTemplateError(f"{name} is not defined here")
        arguments = [*(self._operand(dot, operand) for operand in operands), *final]
        try:
            inspect.signature(function).bind(*arguments)
        except TypeError:
            raise GoTemplateError(f"wrong number of args for {name}") from None
        return function(*arguments)

    def _first(self, dot: Value, name: str, operands: Sequence[Operand], final: tuple[Value, ...]) -> Value:
        """What `and` and `or` give: the first argument that decides, the others are not looked at."""
        if not operands and not final:
            raise GoTemplateError(f"wrong number of args for {name}")
        value: Value = None
        for operand in operands:
            value = self._operand(dot, operand)
            if truth(value) == (name == "or"):
                return value
        return final[0] if final else value

    def _variable(self, name: str) -> Value:
        return self.variables[self._place(name)][1]

    def _set(self, name: str, value: Value) -> None:
        self.variables[self._place(name)] = (name, value)

    def _place(self, name: str) -> int:
        """Of the variable declared last; a template may name one before it is declared."""
        for place in range(len(self.variables) - 1, -1, -1):
            if self.variables[place][0] == name:
                return place
        raise GoTemplateError(f"undefined variable {name}")


def truth(value: Value) -> bool:
    """Whether `if` takes a value for true: what is not nil, empty or zero."""
    return isinstance(value, Struct) or bool(value)


def printed(value: Value) -> str:
    """A value as an action writes it."""
    return "<no value>" if value is None else _plain(value)


def _plain(value: Value) -> str:
    match value:
        case None:
            return "<nil>"
        case bool():
            return "true" if value else "false"
        case str() | int():
            return str(value)
        case float() if value == 0 or 1e-4 <= abs(value) < 1e16:
            return repr(value).removesuffix(".0")
        case list() if not value:
            return str(value)
    raise GoTemplateError(f"printing {_type(value)} is not supported")


def _fields(value: Value, names: Sequence[str]) -> Value:
    """A value's fields one after the other; those of nothing are nothing."""
    if value is None:
        return None
    for name in names:
        if not isinstance(value, dict):
            raise GoTemplateError(f"can't evaluate field {name} in {_type(value)}")
        if isinstance(value, Struct) and name not in value:
            raise GoTemplateError(f"can't evaluate field {name} in a message")
        value = value.get(name)
    return value


def _type(value: Value) -> str:
    kinds = {type(None): "nil", str: "a string", bool: "a boolean", int: "a number", float: "a number"}
    return kinds.get(type(value), "a list" if isinstance(value, list) else "a map or message")


def _equal(first: Value, *others: Value) -> bool:
    if not others:
        raise GoTemplateError("missing argument for comparison")
    return any(_same(first, other) for other in others)


def _same(first: Value, other: Value) -> bool:
    if first is None or other is None:
        return all(one is None or one == [] for one in (first, other))
    _comparable(first, other, (str, bool, int, float))
    return bool(first == other)


def _less(first: Value, other: Value) -> bool:
    _comparable(first, other, (str, int, float))
    return bool(first < other)


def _comparable(first: Value, other: Value, kinds: Sequence[type]) -> None:
    if type(first) is not type(other) or type(first) not in kinds:
        raise GoTemplateError(f"incompatible types for comparison: {_type(first)} and {_type(other)}")


def _length(value: Value) -> int:
    if isinstance(value, str):
        return len(_bytes(value))
    if isinstance(value, Struct) or not isinstance(value, list | dict):
        raise GoTemplateError(f"len of {_type(value)}")
    return len(value)


def _index(value: Value, *places: Value) -> Value:
    if value is None:
        raise GoTemplateError("index of nil")
    for place in places:
        if isinstance(value, dict) and not isinstance(value, Struct):
            value = value.get(_string(place))
            continue
        items = _bytes(value) if isinstance(value, str) else value
        if not isinstance(items, bytes | list):
            raise GoTemplateError(f"can't index {_type(value)}")
        value = items[_place(place, len(items) - 1)]
    return value


def _slice(value: Value, *places: Value) -> Value:
    items = _bytes(value) if isinstance(value, str) else value
    if not isinstance(items, bytes | list) or len(places) > 2:
        raise GoTemplateError(f"can't slice {_type(value)} by {len(places)} indexes")
    start, stop = [*(_place(place, len(items)) for place in places), *(0, len(items))[len(places) :]]
    if start > stop:
        raise GoTemplateError(f"invalid slice index: {start} > {stop}")
    part = items[start:stop]
    return part.decode("utf-8", "surrogateescape") if isinstance(part, bytes) else part


def _place(value: Value, most: int) -> int:
    if type(value) is not int or not 0 <= value <= most:
        raise GoTemplateError(f"index out of range: {value}")
    return value


def _string(value: Value) -> str:
    if not isinstance(value, str):
        raise GoTemplateError(f"expected a string; got {_type(value)}")
    return value


def _bytes(text: str) -> bytes:
    """Go counts bytes; those that are no text, a character cut in two, are kept as surrogates."""
    return text.encode("utf-8", "surrogateescape")


def _print(*values: Value) -> str:
    """Sprint: a space between two operands of which none is a string."""
    text = ""
    for place, value in enumerate(values):
        apart = place and not isinstance(value, str) and not isinstance(values[place - 1], str)
        text += (" " if apart else "") + _plain(value)
    return text


def _print_line(*values: Value) -> str:
    return " ".join(map(_plain, values)) + "\n"


def _print_formatted(form: Value, *values: Value) -> str:
    left = list(values)

    def written(verb: re.Match[str]) -> str:
        kinds = {"s": str, "v": object, "d": int, "t": bool}
        if verb[1] == "%":
            return "%"
        if verb[1] not in kinds or not left:
            raise GoTemplateError(f"printf {verb[0]} is not supported, or has no argument")
        value = left.pop(0)
        if not isinstance(value, kinds[verb[1]]) or (verb[1] == "d" and isinstance(value, bool)):
            raise GoTemplateError(f"printf {verb[0]} of {_type(value)}")
        return _plain(value)

    text = VERB.sub(written, _string(form))
    if left:
        raise GoTemplateError("printf has more arguments than verbs")
    return text


BUILTINS: Functions = {
    "eq": _equal,
    "ne": lambda first, other: not _same(first, other),
    "lt": _less,
    "le": lambda first, other: _less(first, other) or _same(first, other),
    "gt": lambda first, other: not (_less(first, other) or _same(first, other)),
    "ge": lambda first, other: not _less(first, other),
    "not": lambda value: not truth(value),
    "len": _length,
    "index": _index,
    "slice": _slice,
    "print": _print,
    "println": _print_line,
    "printf": _print_formatted,
}
# with those that do not look at all their arguments
NAMES = frozenset(BUILTINS) | {"and", "or"}
