"""From one parsed row to turns: the shapes people's data has.

messages            {"messages": [{"role": …, "content": …}, …]}
instruction         {"instruction", "input"?, "output", "system"?}
prompt-completion   {"prompt" | "question", "completion" | "response" | "answer", "system"?}
text                {"text"}
"""

from collections.abc import Mapping
from typing import Any, NoReturn

from llmlora.data.conversation import Turn

PROMPTS, COMPLETIONS = ("prompt", "question"), ("completion", "response", "answer")
ROLES = ("system", "user", "assistant")
KNOWN = "messages; instruction + output; prompt + completion; text"


class RowError(Exception):
    """A row that cannot be used: `code` and `detail` of its `RowProblem`."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail


def turns_of(row: Any) -> tuple[str, tuple[Turn, ...]]:
    """The shape of a row and its turns.

    Raises:
        RowError: no known shape, or one filled wrongly.
    """
    if not isinstance(row, Mapping):
        fail("not_an_object", type(row).__name__)
    if "messages" in row:
        return "messages", _messages(row["messages"])
    if "instruction" in row:
        question = _text(row, "instruction")
        if row.get("input"):
            question = f"{question}\n\n{_text(row, 'input')}"
        return "instruction", _exchange(row, question, "output")
    prompt = next((key for key in PROMPTS if key in row), None)
    completion = next((key for key in COMPLETIONS if key in row), None)
    if prompt and completion:
        return "prompt-completion", _exchange(row, _text(row, prompt), completion)
    if "text" in row:
        return "text", (Turn("text", _filled(row, "text")),)
    return fail("unknown_shape", ", ".join(map(str, row)) or "{}")


def fail(code: str, detail: str) -> NoReturn:
    raise RowError(code, detail)


def _exchange(row: Mapping[str, Any], question: str, answer: str) -> tuple[Turn, ...]:
    if not question.strip():
        fail("empty_prompt", answer)
    system = (Turn("system", _text(row, "system")),) if row.get("system") else ()
    return (*system, Turn("user", question), Turn("assistant", _filled(row, answer)))


def _messages(messages: Any) -> tuple[Turn, ...]:
    if not isinstance(messages, list) or not messages:
        fail("messages_not_a_list", type(messages).__name__)
    turns = tuple(_message(message) for message in messages)
    said = turns[1:] if turns[0].role == "system" else turns
    for place, turn in enumerate(said):
        if turn.role != ("user", "assistant")[place % 2]:
            fail("roles_do_not_alternate", " → ".join(one.role for one in turns))
    if len(said) < 2 or said[-1].role != "assistant":
        fail("no_answer", " → ".join(one.role for one in turns))
    return turns


def _message(message: Any) -> Turn:
    if not isinstance(message, Mapping):
        fail("message_not_an_object", type(message).__name__)
    role = message.get("role")
    if role == "tool" or message.get("tool_calls"):
        fail("tool_calls", str(role))
    if role not in ROLES:
        fail("unknown_role", repr(role))
    return Turn(role, _text(message, "content") if role == "user" else _filled(message, "content"))


def _filled(row: Mapping[str, Any], key: str) -> str:
    value = _text(row, key)
    if not value.strip():
        fail("empty_answer", key)
    return value


def _text(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    if not isinstance(value, str):
        fail("not_text", f"{key}: {type(value).__name__}" if key in row else key)
    try:
        value.encode()
    except UnicodeEncodeError:
        fail("lone_surrogate", key)
    return value
