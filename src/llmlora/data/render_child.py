"""The process that runs chat templates. They come from files we do not trust.

Jinja's sandbox stops code, not loops: memory and processor time are limited here, waiting time by the parent, which
ends this process. It says `{}` when it is there, reads a JSON line {"language", "template", "bos", "eos", "ends"}, then
requests {"turns": [[role, content], …], "prompt": bool}, and answers each with {"pieces": [[text, trained], …]} or
{"error": code, "detail": text}, the code of a row problem. Go templates are run by `ollama_template`, with the same
limits.
"""

import json
import sys
from typing import Any

from jinja2 import TemplateError, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from llmlora.confine import limit_memory, limit_time
from llmlora.data.go_template_tokens import GoTemplateError
from llmlora.data.ollama_template import MAX_OUTPUT, Message, OllamaTemplate
from llmlora.data.unusable import Unusable

MEMORY_BYTES = 512 * 2**20
CPU_SECONDS = 5  # a request; the parent gives up earlier, this is for when it is gone
MAX_DETAIL = 500


def main() -> None:
    """Serve until standard input ends."""
    limit_memory(MEMORY_BYTES)
    _say({})
    renderer: Renderer | OllamaTemplate | None = None
    for line in sys.stdin:
        limit_time(CPU_SECONDS)
        answer: dict[str, Any] = {}
        try:
            request = json.loads(line)
            if renderer is None:
                renderer = _renderer(request)
            else:
                messages = [{"role": role, "content": content} for role, content in request["turns"]]
                answer = {"pieces": renderer.answer(messages, prompt=request["prompt"])}
        except MemoryError:
            answer = {"error": "template_memory", "detail": ""}
        except RecursionError:
            answer = {"error": "template_nested", "detail": ""}
        except Raised as error:
            answer = {"error": "template", "detail": str(error)[:MAX_DETAIL]}
        except GoTemplateError as error:
            answer = {"error": "template_fails", "detail": str(error)[:MAX_DETAIL]}
        except Unusable as error:
            answer = {"error": error.code, "detail": error.detail}
        except Exception as error:  # a template may fail in any way there is
            answer = {"error": "template_fails", "detail": f"{type(error).__name__}: {error}"[:MAX_DETAIL]}
        _say(answer)


def _renderer(setup: dict[str, Any]) -> "Renderer | OllamaTemplate":
    if setup["language"] == "go":
        return OllamaTemplate(setup["template"], [setup["eos"], *setup["ends"]])
    return Renderer(setup)


class Raised(TemplateError):
    """What a template said by `raise_exception`."""


class Generation(Extension):
    """`{% generation %}…{% endgeneration %}`, with which some templates mark what is trained: as if it were not."""

    tags = {"generation"}  # noqa: RUF012 - jinja2's own declaration

    def parse(self, parser: Parser) -> list[nodes.Node]:
        """The statements between the tags."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class Renderer:
    """One compiled template."""

    def __init__(self, setup: dict[str, Any]) -> None:
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols", Generation]
        )
        environment.filters["tojson"] = _to_json
        environment.globals["raise_exception"] = _raise
        self.template = environment.from_string(setup["template"])
        # what Transformers passes; no clock, so that the same rows give the same text on every day
        self.given = {"bos_token": setup["bos"], "eos_token": setup["eos"], "tools": None, "documents": None}

    def answer(self, messages: list[Message], *, prompt: bool) -> list[tuple[str, bool]]:
        """The rendered text in pieces; a template that knows no system role gets it in the first user turn."""
        try:
            return self._pieces(messages, prompt=prompt)
        except Raised:
            if messages[0]["role"] != "system" or len(messages) < 2:
                raise
            folded = f"{messages[0]['content']}\n\n{messages[1]['content']}"
            return self._pieces([{"role": "user", "content": folded}, *messages[2:]], prompt=prompt)

    def _pieces(self, messages: list[Message], *, prompt: bool) -> list[tuple[str, bool]]:
        """The text cut before and after each assistant turn: a turn begins where the prompt for it ends, and ends with
        its end-of-turn marker; the white space behind that is not for the model to write.
        """
        whole = self._render(messages, prompt=prompt)
        pieces, at = [], 0
        for place, message in enumerate(messages):
            if message["role"] != "assistant":
                continue
            start = self._border(whole, messages[:place], prompt=True)
            stop = self._border(whole, messages[: place + 1], prompt=False)
            stop = start + len(whole[start:stop].rstrip())
            pieces += [(whole[at:start], False), (whole[start:stop], True)]
            at = stop
        return [*pieces, (whole[at:], False)]

    def _border(self, whole: str, messages: list[Message], *, prompt: bool) -> int:
        """Where the text of the first messages ends within the text of all."""
        before = self._render(messages, prompt=prompt)
        if not whole.startswith(before):
            raise Unusable("template_rewrites")
        return len(before)

    def _render(self, messages: list[Message], *, prompt: bool) -> str:
        text: str = self.template.render(messages=messages, add_generation_prompt=prompt, **self.given)
        if len(text.encode()) > MAX_OUTPUT:
            raise Unusable("template_writes_too_much", f"{MAX_OUTPUT // 2**20} MiB")
        return text


def _say(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)  # noqa: T201 - the protocol


def _raise(message: str) -> None:
    raise Raised(message)


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


if __name__ == "__main__":
    main()
