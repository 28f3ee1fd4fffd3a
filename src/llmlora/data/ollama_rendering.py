"""Which rendering is in force: how Ollama writes the prompts of a stored model.

    renderer   code inside Ollama, named in the model's config: goes before all others
    go         the Go template of the model's own layer
    jinja      the template in the GGUF file, run by llama.cpp: since 0.30, where there is no Go template, or where the
               file's knows more (tools, thinking) than the Go template does
    none       nothing: the last question as it stands

Source: `chatModeForModel` in server/routes.go, `GetModel` and `shouldPreferChatTemplate` in server/images.go,
thinking/template.go of Ollama. Its setting OLLAMA_GO_TEMPLATE, which can forbid Go templates, cannot be seen from here.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from llmlora.data.go_template_syntax import Action, Branch, Field, Include, Nodes, Pipe, Text
from llmlora.data.go_template_tokens import GoTemplateError
from llmlora.data.ollama_template import OllamaTemplate
from llmlora.ollama.store import StoredModel
from llmlora.text.catalogue import Words

JINJA_SINCE = (0, 30)
HARMONY = ("gptoss", "gpt-oss")
ANSWERED = (
    *("tool_response", "tool_results", "ipython"),
    *(f"{asked} == {quote}tool{quote}" for asked in ("role']", 'role"]', "message.role") for quote in "'\""),
)


@dataclass(frozen=True)
class Rendering:
    """The rendering in force. `source` is a renderer's name or a template's text, `system` the model's own."""

    kind: Literal["renderer", "go", "jinja", "none"]
    source: str = ""
    system: str = ""
    doubt: Words | None = None  # what is not certain about the kind

    def to_json(self) -> dict[str, str | None]:
        """Its facts, ready for `json.dumps`."""
        return {"kind": self.kind, "source": self.source, "doubt": str(self.doubt) if self.doubt else None}

    def words(self) -> Words:
        """It in a sentence, its doubt included."""
        kind = Words(f"rendering.{self.kind}", {"name": self.source if self.kind == "renderer" else ""})
        return Words("rendering.doubtful", {"rendering": kind, "doubt": self.doubt}) if self.doubt else kind


def rendering_of(model: StoredModel, jinja: str, version: str | None = None, shown: str | None = None) -> Rendering:
    """The rendering of a model whose GGUF file has the template `jinja`, if any, by a server of this `version`.

    `shown` is the template the server says is in force. Of no server, the newest is assumed.
    """
    config, own, system = model.config(), model.template(), model.system() or ""
    if config.renderer:
        return Rendering("renderer", config.renderer, system)
    native = bool(jinja) and not config.parser and (own is None or _outvoted(own, jinja, config.model_family))
    if shown is not None:
        native, own = bool(jinja) and shown == jinja, own and shown
    elif version is not None:
        native = native and release(version) >= JINJA_SINCE
    elif native:
        before = Words("rendering.none" if own is None else "rendering.go", {"name": ""})
        return Rendering("jinja", jinja, system, Words("rendering.by_version", {"before": before}))
    if native:
        return Rendering("jinja", jinja, system)
    return Rendering("none", system=system) if own is None else Rendering("go", own, system)


def release(version: str) -> tuple[int, ...]:
    """`0.33.0-rc2` → (0, 33, 0); nothing where it is no number."""
    found = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(map(int, found[0].split("."))) if found else ()


def _outvoted(source: str, jinja: str, family: str) -> bool:
    """Whether Ollama prefers the GGUF file's template to this one in Go."""
    try:
        template = OllamaTemplate(source)
    except (GoTemplateError, RecursionError):
        return False
    if family in HARMONY and "<|start|>" in source and "<|end|>" in source:
        return False
    go, file = _abilities_of_go(template), _abilities_of_jinja(jinja)
    go_answers = {"tools", "toolcalls"} <= template.mentioned and any(
        mark in source for mark in ('eq .Role "tool"', "tool_response", "TOOL_RESULTS")
    )
    file_answers = (
        "tools" in file
        and ("tool_calls" in jinja or "assistant_tool_call" in jinja)
        and any(mark in jinja for mark in ANSWERED)
    )
    if len(file) > len(go):
        return not go_answers or file_answers
    return file == go and "tools" in file and file_answers and not go_answers


def _abilities_of_go(template: OllamaTemplate) -> set[str]:
    return (template.mentioned & {"tools", "suffix"}) | ({"thinking"} if _thinks(template.trees[""]) else set())


def _abilities_of_jinja(source: str) -> set[str]:
    thinks = ("<think>" in source and "</think>" in source) or (
        re.search(r"content\.split\((['\"])</think>\1\)", source) is not None
        and "reasoning_content" not in source
        and "<SPECIAL_12>" not in source
    )
    tools = "tools" in source or "tool_call" in source
    return {name for name, is_so in (("tools", tools), ("thinking", thinks)) if is_so}


def _thinks(nodes: Nodes) -> bool:
    """Whether there is text before and behind a `.Thinking` of the messages: the tags around a thought."""
    opening = closing = ""
    for around in _thoughts(nodes, in_messages=False):
        opening = around[0].text.strip() if isinstance(around[0], Text) else opening
        closing = around[-1].text.strip() if isinstance(around[-1], Text) else closing
    return bool(opening and closing)


def _thoughts(nodes: Nodes, *, in_messages: bool) -> Iterator[Nodes]:
    for node in nodes:
        fields = list(_fields(node.pipe)) if isinstance(node, Action | Include | Branch) and node.pipe else []
        if in_messages and "Thinking" in fields:
            yield nodes
        if isinstance(node, Branch):
            inside = "Messages" in fields if node.kind == "range" else in_messages
            yield from _thoughts(node.body, in_messages=inside)
            yield from _thoughts(node.otherwise or (), in_messages=inside)


def _fields(pipe: Pipe) -> Iterator[str]:
    """The first names of the fields in a pipe."""
    for operand in (operand for command in pipe.commands for operand in command):
        if isinstance(operand, Field):
            yield operand.names[0]
        elif isinstance(operand, Pipe):
            yield from _fields(operand)
