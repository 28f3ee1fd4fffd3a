"""A Go template as Ollama runs it on a conversation. Source: template/template.go of Ollama.

Turns of one role in a row are joined by an empty line. A template that knows `.Messages` gets them all at once. Any
other writes one exchange (`.System`, `.Prompt`, `.Response`) and is run for each; in the last run it is cut behind
`.Response`, where the model goes on. Nothing of ours depends on thinking: it is off (`"think": false`).
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from llmlora.data.go_template import BUILTINS, NAMES, Functions, Run, Struct, Value, printed
from llmlora.data.go_template_syntax import (
    Action,
    Branch,
    Field,
    Include,
    Node,
    Nodes,
    Operand,
    Pipe,
    Variable,
    parse,
)
from llmlora.data.go_template_tokens import GoTemplateError
from llmlora.data.unusable import Unusable

Message = dict[str, str]
MAX_OUTPUT = 4 * 2**20
# fields of a message that no row fills
SILENT: dict[str, Value] = {"Thinking": "", "Images": [], "ToolCalls": [], "ToolName": "", "ToolCallID": ""}
THINKING = {"Think": False, "ThinkLevel": "", "IsThinkSet": True}
# in the place of an answer and of the question behind it, to see what the template writes around them
ANSWER, QUESTION = "\ue000answer\ue001", "\ue000question\ue001"
ESCAPED = {letter: f"\\u{ord(letter):04x}" for letter in "<>&\u2028\u2029"}


class OllamaTemplate:
    """One template, read."""

    def __init__(self, source: str, ends: Sequence[str] = ()) -> None:
        """`ends` are the markers that end a turn of this model, the first its own.

        Raises:
            GoTemplateError: it is malformed.
        """
        self.ends = [end for end in ends if end]
        self.trees = parse(source, NAMES | set(FUNCTIONS))
        # the names it mentions, in lower case, by which Ollama judges it
        self.mentioned = {name.lower() for tree in self.trees.values() for name in _identifiers(tree)}
        if not self.mentioned & {"messages", "response"}:
            self.trees[""] += (RESPONSE,)

    def answer(self, messages: list[Message], *, prompt: bool) -> list[tuple[str, bool]]:
        """The text that asks for the next turn; or else the text of these, in pieces of which answers are trained.

        Ollama always asks for a next turn. So an answer is what it would be asked for, what it says, and the marker
        that the template writes behind it once a question follows.

        Raises:
            GoTemplateError, Unusable: the template fails, or writes earlier turns differently later.
        """
        answers = [place for place, message in enumerate(messages) if message["role"] == "assistant"]
        if prompt or not answers:
            return [(self.render(messages), False)]
        texts = [self._answer(messages, place) for place in answers]
        ends_in_answer = answers[-1] == len(messages) - 1
        whole = "".join(texts[-1]) if ends_in_answer else self.render(messages)
        pieces, at = [], 0
        for before, said in texts:
            if not whole.startswith(before + said):
                raise Unusable("template_rewrites")
            pieces += [(whole[at : len(before)], False), (said, True)]
            at = len(before) + len(said)
        return [*pieces, (whole[at:], False)]

    def render(self, messages: Sequence[Message]) -> str:
        """The prompt that Ollama makes of these messages.

        Raises:
            GoTemplateError: the template fails.
            Unusable: it writes too much.
        """
        system, collated = _collate(messages)
        if "messages" in self.mentioned:
            turns = [Struct(Role=one["role"], Content=one["content"], **SILENT) for one in collated]
            values = {"System": system, "Messages": turns, "Tools": NoTools(), "Response": "", **THINKING}
            text = self._run(self.trees, FUNCTIONS, values)
        else:
            text = "".join(self._exchanges(collated))
        return text.encode("utf-8", "surrogateescape").decode()

    def _answer(self, messages: list[Message], place: int) -> tuple[str, str]:
        """What is written before the answer at `place`, and the answer with the marker of its end."""
        before, said = self.render(messages[:place]), messages[place]["content"]
        later = [{"role": "assistant", "content": ANSWER}, {"role": "user", "content": QUESTION}]
        probe = self.render([*messages[:place], *later])
        start, stop = probe.rfind(ANSWER), probe.rfind(QUESTION)
        if not 0 <= start < stop:
            raise Unusable("template_rewrites")
        lead = probe[len(before) : start] if probe.startswith(before) and start >= len(before) else ""
        behind = probe[start + len(ANSWER) : stop]
        found = [(behind.index(end) + len(end)) for end in self.ends if end in behind]
        if found:
            return before, lead + said + behind[: min(found)]
        # text between turns is nothing a model can end with: it is ended by its own marker, if it is the last
        return before, lead + said + (self.ends[0] if self.ends and place == len(messages) - 1 else "")

    def _exchanges(self, messages: Sequence[Message]) -> Iterator[str]:
        """The text of a template that knows no `.Messages`, run by run."""
        told = {"System": "", "Prompt": "", "Response": ""}
        for message in messages:
            role, content = message["role"], message["content"]
            if (told["Response"] and role != "assistant") or (told["Prompt"] and role == "system"):
                yield self._run(self.trees, FUNCTIONS, {**told, **THINKING})
                told = dict.fromkeys(told, "")
            told[PLACES[role]] = content
        # Ollama runs the cut template without functions and definitions of its own
        yield self._run({"": _Cut().nodes(self.trees[""])}, BUILTINS, {**told, **THINKING})

    def _run(self, trees: dict[str, Nodes], functions: Functions, values: dict[str, Value]) -> str:
        written, length = list[str](), 0

        def write(text: str) -> None:
            nonlocal length
            length += len(text)
            if length > MAX_OUTPUT:
                raise Unusable("template_writes_too_much", f"{MAX_OUTPUT // 2**20} MiB")
            written.append(text)

        Run(trees, functions, values, write).nodes(values, trees[""])
        return "".join(written)


class NoTools(list[Any]):
    """`.Tools` where there are none, which Ollama writes as JSON."""

    def __str__(self) -> str:
        return "null"


PLACES = {"system": "System", "user": "Prompt", "assistant": "Response"}
RESPONSE = Action(Pipe(((Field(("Response",)),),)))


def _collate(messages: Sequence[Message]) -> tuple[str, list[Message]]:
    """All system turns as one text, and the messages, neighbours of one role joined."""
    collated: list[Message] = []
    for message in messages:
        if collated and collated[-1]["role"] == message["role"]:
            joined = f"{collated[-1]['content']}\n\n{message['content']}"
            collated[-1] = {"role": message["role"], "content": joined}
        else:
            collated.append(message)
    return "\n\n".join(one["content"] for one in messages if one["role"] == "system"), collated


def _identifiers(nodes: Nodes) -> Iterator[str]:
    """The names a template mentions, where Ollama looks for them."""
    for node in nodes:
        if isinstance(node, Include) and node.pipe is None:
            raise GoTemplateError("undefined template specified")
        if isinstance(node, Action | Include | Branch) and node.pipe:
            yield from _mentioned(node.pipe)
        if isinstance(node, Branch):
            yield from _identifiers(node.body)
            yield from _identifiers(node.otherwise or ())


def _mentioned(pipe: Pipe) -> Iterator[str]:
    for operand in (operand for command in pipe.commands for operand in command):
        if isinstance(operand, Field | Variable):
            yield from operand.names
        elif isinstance(operand, Pipe):
            yield from _mentioned(operand)


class _Cut:
    """Takes away what stands behind `.Response`, as Ollama does: the conditions on the way are not looked at."""

    cut = False

    def nodes(self, nodes: Nodes) -> Nodes:
        kept = []
        for node in nodes:
            if not self.cut and (left := self._node(node)):
                kept.append(left)
        return tuple(kept)

    def _node(self, node: Node) -> Node | None:
        if isinstance(node, Action):
            return Action(pipe) if (pipe := self._pipe(node.pipe)) else None
        if not isinstance(node, Branch):
            return node
        body = self.nodes(node.body)
        if node.otherwise is None:
            return replace(node, body=body)
        if self.cut:
            raise GoTemplateError(".Response stands before an else: Ollama cannot run this template")
        return replace(node, body=body, otherwise=self.nodes(node.otherwise))

    def _pipe(self, pipe: Pipe) -> Pipe | None:
        commands = []
        for command in pipe.commands:
            operands = tuple(kept for operand in command if (kept := self._operand(operand)))
            if not operands:
                return None
            commands.append(operands)
        return replace(pipe, commands=tuple(commands))

    def _operand(self, operand: Operand) -> Operand | None:
        if isinstance(operand, Field) and "Response" in operand.names:
            self.cut = True
            return operand
        if self.cut:
            return None
        return self._pipe(operand) if isinstance(operand, Pipe) else operand


def _json(value: Value) -> str:
    """As Go writes it, which escapes what would mean something in HTML."""
    if isinstance(value, list) and not value:
        return "null"
    if not isinstance(value, str | int | float | None):
        raise GoTemplateError("the JSON of a message depends on the version of Ollama")
    if isinstance(value, float):
        return printed(value)
    return "".join(ESCAPED.get(letter, letter) for letter in json.dumps(value, ensure_ascii=False))


def _date(*_: Value) -> str:
    raise Unusable("template_date")


FUNCTIONS: dict[str, Callable[..., Value]] = {
    **BUILTINS,
    "json": _json,
    "currentDate": _date,
    "yesterdayDate": _date,
    "toTypeScriptType": lambda _: "any",
}
