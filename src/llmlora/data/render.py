"""Turns into text, by the model's chat template, in a process of its own (see `render_child`)."""

import json
import queue
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from llmlora.data.conversation import Conversation, Turn
from llmlora.data.template import ChatTemplate
from llmlora.errors import TemplateFailed

START_SECONDS, ANSWER_SECONDS = 20.0, 2.0


@dataclass(frozen=True)
class Piece:
    """A stretch of the rendered text, and whether the model learns to write it."""

    text: str
    trained: bool


class Renderer:
    """A running template; a context manager."""

    def __init__(self, template: ChatTemplate) -> None:
        self.template = template

    def __enter__(self) -> Self:
        """Start the process and compile the template.

        Raises:
            TemplateFailed: it cannot be compiled.
        """
        command = [sys.executable, "-I", "-m", "llmlora.data.render_child"]
        self.child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={}
        )
        self.answers: queue.Queue[bytes] = queue.Queue()
        self.listener = threading.Thread(target=self._listen, daemon=True)
        self.listener.start()
        setup = {"template": self.template.source, "bos": self.template.bos, "eos": self.template.eos}
        try:
            self._ask(setup, START_SECONDS)
        except TemplateFailed:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def pieces(self, conversation: Conversation) -> list[Piece]:
        """The exact text of a row: assistant turns with their end-of-turn marker are trained, the rest is masked.

        Raises:
            TemplateFailed: the template raises, loops, explodes, or rewrites earlier turns.
        """
        turns = conversation.turns
        if turns[0].role == "text":
            return [Piece(turns[0].content, trained=True)]
        return [Piece(text, trained) for text, trained in self._render(turns, prompt=False) if text]

    def prompt(self, turns: Sequence[Turn]) -> str:
        """The text that asks the model for its next turn."""
        return "".join(text for text, _ in self._render(turns, prompt=True))

    def _render(self, turns: Sequence[Turn], *, prompt: bool) -> list[tuple[str, bool]]:
        request = {"turns": [(turn.role, turn.content) for turn in turns], "prompt": prompt}
        answer: list[tuple[str, bool]] = self._ask(request, ANSWER_SECONDS)["pieces"]
        return answer

    def _ask(self, request: dict[str, Any], seconds: float) -> dict[str, Any]:
        try:
            assert self.child.stdin
            self.child.stdin.write(json.dumps(request).encode() + b"\n")
            self.child.stdin.flush()
            line = self.answers.get(timeout=seconds)
        except (BrokenPipeError, queue.Empty):
            self.child.kill()
            raise TemplateFailed(f"it gave no answer within {seconds:g} s, or took too much memory") from None
        answer: dict[str, Any] = json.loads(line or '{"error": "its process ended"}')
        if "error" in answer:
            raise TemplateFailed(answer["error"])
        return answer

    def _listen(self) -> None:
        assert self.child.stdout
        for line in self.child.stdout:
            self.answers.put(line)
        self.answers.put(b"")

    def _stop(self) -> None:
        self.child.kill()
        self.child.wait()
        self.listener.join()
        for pipe in (self.child.stdin, self.child.stdout):
            if pipe:
                pipe.close()
