"""From one parsed row to turns: the shapes people's data has.

messages            {"messages": [{"role": …, "content": …}, …]}
instruction         {"instruction", "input"?, "output", "system"?}
prompt-completion   {"prompt" | "question", "completion" | "response" | "answer", "system"?}
text                {"text"}

A row is judged by its own keys; keys that its shape does not know are not used, and are named.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from llmlora.data.conversation import Turn

PROMPTS, COMPLETIONS = ("prompt", "question"), ("completion", "response", "answer")
QUESTIONS = ("instruction", *PROMPTS)
ROLES = ("system", "user", "assistant")
MAX_DEPTH = 64
MAX_TURNS = 500  # a template writes a conversation anew for every answer in it
MAX_DETAIL = 200


class RowError(Exception):
    """A row that cannot be used: `code` and `detail` of its `RowProblem`."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        # a row's own words may be anything; here they can be printed
        self.code, self.detail = code, detail.encode("utf-8", "backslashreplace").decode()[:MAX_DETAIL]


@dataclass(frozen=True)
class Row:
    """A row that can be used."""

    shape: str
    turns: tuple[Turn, ...]
    unused: tuple[str, ...]  # keys


def interpret(value: Any) -> Row:
    """What a parsed row says. It may hold RowErrors, put there by the parser in the place of what it could not accept.

    Raises:
        RowError: it has no known shape, or one that is filled wrongly.
    """
    if isinstance(value, RowError):
        raise value
    if not isinstance(value, Mapping):
        fail("not_an_object", type(value).__name__)
    _search_for_flaws(value)
    if "messages" in value:
        return _row("messages", value, _messages(value["messages"]), ("messages",))
    answer = "output" if "instruction" in value else next((key for key in COMPLETIONS if key in value), None)
    question = next((key for key in QUESTIONS if key in value), None)
    if question and answer:
        shape = "instruction" if question == "instruction" else "prompt-completion"
        used = (question, answer, "system", *(["input"] if shape == "instruction" else []))
        return _row(shape, value, _exchange(value, question, answer), used)
    if "text" in value:
        return _row("text", value, (Turn("text", _filled(value, "text")),), ("text",))
    return fail("unknown_shape", ", ".join(map(str, value)) or "{}")


def fail(code: str, detail: str) -> NoReturn:
    raise RowError(code, detail)


def _row(shape: str, value: Mapping[str, Any], turns: tuple[Turn, ...], used: tuple[str, ...]) -> Row:
    return Row(shape, turns, tuple(key for key in value if key not in used))


def _exchange(value: Mapping[str, Any], question: str, answer: str) -> tuple[Turn, ...]:
    parts = [_text(value, question), _optional(value, "input") if question == "instruction" else ""]
    system = _optional(value, "system")
    first = (Turn("system", system),) if system else ()
    return (
        *first,
        Turn("user", "\n\n".join(part for part in parts if part.strip())),
        Turn("assistant", _filled(value, answer)),
    )


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
    return turns


def _message(message: Any) -> Turn:
    if not isinstance(message, Mapping):
        fail("message_not_an_object", type(message).__name__)
    role = message.get("role")
    if role == "tool" or message.get("tool_calls"):
        fail("tool_calls", str(role))
    if role not in ROLES:
        fail("unknown_role", repr(role))
    return Turn(role, _filled(message, "content") if role == "assistant" else _text(message, "content"))


def _filled(value: Mapping[str, Any], key: str) -> str:
    text = _text(value, key)
    if not text.strip():
        fail("empty_answer", key)
    return text


def _optional(value: Mapping[str, Any], key: str) -> str:
    return _text(value, key) if value.get(key) is not None else ""


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
