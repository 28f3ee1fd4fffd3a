"""From one parsed row to turns: the shapes people's data has.

messages            {"messages": [{"role": …, "content": …}, …], "system"?}; OpenAI's `weight: 0` masks an answer
sharegpt            {"conversations": [{"from": …, "value": …}, …], "system"?}
instruction         {"instruction", "input"?, "output", "system"?}
prompt-completion   {"prompt" | "question", "completion" | "response" | "answer", "system"?}
text                {"text"}

Keys go by many names (see `columns`). A row is judged by its own; those that its shape does not know are not used, and
are named.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NoReturn, cast

from llmlora.data.columns import Columns, choose_columns, plain
from llmlora.data.conversation import Role, Turn

ROLES = {
    **dict.fromkeys(("system", "developer", "システム"), "system"),
    **dict.fromkeys(("user", "human", "ユーザー"), "user"),
    **dict.fromkeys(("assistant", "gpt", "chatgpt", "model", "アシスタント"), "assistant"),
    **dict.fromkeys(("tool", "function", "function_call", "observation"), "tool"),
}
TOOLS = ("tools", "functions", "tool_calls", "function_call")
NO_TOOLS: tuple[Any, ...] = ("", "[]", "null", None, [], {})
INSTRUCTIONS = ("instruction", "指示", "指示文", "命令")
MAX_DEPTH = 64
MAX_KEYS = 1_000
MAX_TURNS = 500  # a template writes a conversation anew for every answer in it
MAX_DETAIL = 200
NOTHING_GIVEN: Columns = MappingProxyType({})


class RowError(Exception):
    """A row that cannot be used: `code` and `detail` of its `RowProblem`."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, printable(detail, MAX_DETAIL)


@dataclass(frozen=True)
class Row:
    """A row that can be used."""

    shape: str
    turns: tuple[Turn, ...]
    columns: Columns


def interpret(value: Any, given: Columns = NOTHING_GIVEN) -> Row:
    """What a parsed row says, its keys taken as `given` or else as their names tell. It may hold RowErrors, which the
    parser put in the place of what it could not accept.

    Raises:
        RowError: it has no known shape, or one that is filled wrongly.
    """
    if isinstance(value, RowError):
        raise value
    if not isinstance(value, Mapping):
        fail("not_an_object", type(value).__name__)
    if len(value) > MAX_KEYS:
        fail("too_many_keys", f"{len(value):,} > {MAX_KEYS:,}")
    _search_for_flaws(value)
    columns = choose_columns(list(value), given)
    if "messages" in columns:
        return _conversation(value, columns)
    if "instruction" in columns:
        instructed = "input" in columns or plain(columns["instruction"]) in INSTRUCTIONS
        return Row("instruction" if instructed else "prompt-completion", _exchange(value, columns), columns)
    if "text" in columns:
        return Row("text", (Turn("text", _filled(value, columns["text"])),), columns)
    if "instruction" in value:
        fail("missing", "output")
    return fail("unknown_shape", ", ".join(map(str, value)) or "{}")


def fail(code: str, detail: str) -> NoReturn:
    raise RowError(code, detail)


def printable(text: str, most: int) -> str:
    """A row's own words may be anything, half characters too; these can be printed."""
    return text.encode("utf-8", "backslashreplace").decode()[:most]


def _exchange(value: Mapping[str, Any], columns: Columns) -> tuple[Turn, ...]:
    parts = [_text(value, columns["instruction"]), _optional(value, columns.get("input"))]
    return (
        *_system(value, columns),
        Turn("user", "\n\n".join(part for part in parts if part.strip())),
        Turn("assistant", _filled(value, columns["output"])),
    )


def _conversation(value: Mapping[str, Any], columns: Columns) -> Row:
    for key in TOOLS:
        if key in value and value[key] not in NO_TOOLS:
            fail("tool_calls", key)
    messages = value[columns["messages"]]
    turns = _messages(messages)
    if turns[0].role != "system":
        turns = (*_system(value, columns), *turns)
    return Row("sharegpt" if "from" in messages[0] else "messages", turns, columns)


def _system(value: Mapping[str, Any], columns: Columns) -> tuple[Turn, ...]:
    system = _optional(value, columns.get("system"))
    return (Turn("system", system),) if system else ()


def _messages(messages: Any) -> tuple[Turn, ...]:
    if not isinstance(messages, list) or not messages:
        fail("messages_not_a_list", type(messages).__name__)
    if len(messages) > MAX_TURNS:
        fail("too_many_turns", f"{len(messages):,} > {MAX_TURNS}")
    turns = tuple(_message(message) for message in messages)
    said = turns[1:] if turns[0].role == "system" else turns
    roles = " → ".join(one.role for one in turns)
    for place, turn in enumerate(said):
        if turn.role != ("user", "assistant")[place % 2]:
            fail("roles_do_not_alternate", roles)
    if len(said) < 2 or said[-1].role != "assistant":
        fail("no_answer", roles)
    if not any(turn.trained for turn in said if turn.role == "assistant"):
        fail("nothing_weighted", "weight: 0")
    return turns


def _message(message: Any) -> Turn:
    if not isinstance(message, Mapping):
        fail("message_not_an_object", type(message).__name__)
    said, key = (message["from"], "value") if "from" in message else (message.get("role"), "content")
    role = ROLES.get(said) if isinstance(said, str) else None
    if role == "tool" or any(message.get(tool) not in NO_TOOLS for tool in TOOLS):
        fail("tool_calls", str(said))
    if role is None:
        fail("unknown_role", repr(said))
    if role != "assistant":
        return Turn(cast(Role, role), _content(message, key))
    if (weight := message.get("weight")) not in (None, 0, 1):
        fail("unknown_weight", repr(weight))
    content = _content(message, key)
    if not content.strip():
        fail("empty_answer", key)
    return Turn("assistant", content, trained=weight != 0)


def _content(message: Mapping[str, Any], key: str) -> str:
    """A text, or OpenAI's list of parts that are all text."""
    parts = message.get(key)
    if not isinstance(parts, list):
        return _text(message, key)
    for part in parts:
        if not isinstance(part, Mapping) or part.get("type") != "text":
            fail("not_text", f"{key}: {part.get('type') if isinstance(part, Mapping) else type(part).__name__}")
    return "".join(_text(part, "text") for part in parts)


def _filled(value: Mapping[str, Any], key: str) -> str:
    text = _text(value, key)
    if not text.strip():
        fail("empty_answer", key)
    return text


def _optional(value: Mapping[str, Any], key: str | None) -> str:
    return _text(value, key) if key is not None and value.get(key) is not None else ""


def _text(value: Mapping[str, Any], key: str) -> str:
    if key not in value:
        fail("missing", key)
    text = value[key]
    if not isinstance(text, str):
        fail("not_text", f"{key}: {type(text).__name__}")
    try:
        text.encode()
    except UnicodeEncodeError:
        fail("lone_surrogate", key)
    return text


def _search_for_flaws(value: Any) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [inner for outer in level for inner in _inside(outer)]
        for flaw in level:
            if isinstance(flaw, RowError):
                raise flaw
        if not level:
            return
    fail("nested_too_deeply", str(MAX_DEPTH))


def _inside(value: Any) -> list[Any]:
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return [item for item in inner if isinstance(item, Mapping | list | RowError)]
