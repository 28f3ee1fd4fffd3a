"""The process that runs chat templates. They come from files we do not trust.

Jinja's sandbox stops code, not loops: memory is limited here, time by the parent, which kills this process. It reads a
JSON line, {"template", "bos", "eos"}, then requests {"turns": [[role, content], …], "prompt": bool}, and answers each
with {"pieces": [[text, trained], …]} or {"error": text}. Imports nothing of llmlora.
"""

import json
import sys
from typing import Any

from jinja2 import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

MEMORY_BYTES = 512 * 2**20
MAPPED_BYTES = 2**30  # what an interpreter maps by itself, where it cannot be read off
MAX_OUTPUT = 4 * 2**20

Message = dict[str, str]


def main() -> None:
    """Serve until standard input ends."""
    _limit_memory()
    renderer: Renderer | None = None
    for line in sys.stdin:
        answer: dict[str, Any]
        try:
            request = json.loads(line)
            if renderer is None:
                renderer, answer = Renderer(request), {}
            else:
                messages = [{"role": role, "content": content} for role, content in request["turns"]]
                answer = {"pieces": renderer.answer(messages, prompt=request["prompt"])}
        except MemoryError:
            answer = {"error": "it builds a text larger than memory allows"}
        except (TemplateError, ValueError, TypeError, ArithmeticError, LookupError, RecursionError) as error:
            answer = {"error": f"{type(error).__name__}: {error}"[:500]}
        print(json.dumps(answer), flush=True)  # noqa: T201 - the protocol


class Renderer:
    """One compiled template."""

    def __init__(self, setup: dict[str, str]) -> None:
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
        )
        environment.filters["tojson"] = _to_json
        environment.globals["raise_exception"] = _raise
        self.template = environment.from_string(setup["template"])
        self.special = {"bos_token": setup["bos"], "eos_token": setup["eos"]}

    def answer(self, messages: list[Message], *, prompt: bool) -> list[tuple[str, bool]]:
        """The rendered text in pieces; a template that knows no system role gets it in the first user turn."""
        try:
            return self._pieces(messages, prompt=prompt)
        except TemplateError:
            if messages[0]["role"] != "system" or len(messages) < 2:
                raise
            folded = f"{messages[0]['content']}\n\n{messages[1]['content']}"
            return self._pieces([{"role": "user", "content": folded}, *messages[2:]], prompt=prompt)

    def _pieces(self, messages: list[Message], *, prompt: bool) -> list[tuple[str, bool]]:
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
            raise ValueError("it writes earlier turns differently once later ones follow")
        return len(before)

    def _render(self, messages: list[Message], *, prompt: bool) -> str:
        text: str = self.template.render(messages=messages, add_generation_prompt=prompt, **self.special)
        if len(text) > MAX_OUTPUT:
            raise ValueError(f"it writes {len(text)} characters for one row")
        return text


def _raise(message: str) -> None:
    raise TemplateError(message)


def _to_json(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _limit_memory() -> None:
    try:
        import resource  # noqa: PLC0415 - not on Windows
    except ImportError:
        return
    used = MAPPED_BYTES
    if sys.platform == "linux":
        with open("/proc/self/statm", encoding="ascii") as statm:
            used = int(statm.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY_BYTES, used + MEMORY_BYTES))


if __name__ == "__main__":
    main()
