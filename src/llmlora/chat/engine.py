"""What answers, from our side of the pipe: llama.cpp, the engine Ollama runs; PyTorch for Hugging Face directories."""

import os
import tempfile
from collections.abc import Generator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from llmlora.child import ChildDiedError, JsonChild
from llmlora.errors import EngineFailed

# the child's module, and what people are told
ENGINES = {"file": ("llmlora.chat.worker", "llama.cpp"), "directory": ("llmlora.chat.torch_worker", "PyTorch")}
LOAD_SECONDS, TOKEN_SECONDS, TABLE_SECONDS = 600.0, 120.0, 600.0


@dataclass(frozen=True)
class EngineOptions:
    """How the engine runs. `exact` keeps its cache in float32, for comparing numbers."""

    context: int = 4096
    threads: int = 0  # 0: as many as there are cores
    exact: bool = False


@dataclass(frozen=True)
class Sampling:
    """How an answer is drawn. Temperature 0 always takes the likeliest token. One of `stop` ends it, and is left out:
    whoever holds the conversation sees to that, so it is the same with every engine.
    """

    max_tokens: int = 256
    temperature: float = 0.7
    top_p: float = 0.95
    seed: int = 0
    stop: tuple[str, ...] = ()


class Engine:
    """A model in memory, with or without an adapter; a context manager."""

    def __init__(self, model: Path, adapter: Path | None = None, options: EngineOptions | None = None) -> None:
        """Load a GGUF file with a GGUF adapter, or a Hugging Face directory with one of PEFT's.

        Raises:
            EngineFailed: the engine refuses one of them, in its own words.
        """
        module, self.name = ENGINES["directory" if model.is_dir() else "file"]
        self.options = options or EngineOptions()
        self._number = 0  # of the request whose answers are awaited
        self._child = JsonChild(module)
        setup = {
            "model": str(model.absolute()),
            "adapter": str(adapter.absolute()) if adapter else None,
            "context": self.options.context,
            "threads": self.options.threads or os.cpu_count() or 1,
            "exact": self.options.exact,
        }
        loaded = False
        try:
            # the engine's socket lies there; once it is gone, nobody can even try the door
            with tempfile.TemporaryDirectory(prefix="llmlora-chat-", ignore_cleanup_errors=True) as private:
                self._send({**setup, "private": private})
                self._receive(LOAD_SECONDS)
            loaded = True
        finally:
            if not loaded:
                self._child.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the child process."""
        self._child.close()

    @property
    def pid(self) -> int:
        """Of the child process."""
        return self._child.pid

    def stream(self, prompt: Sequence[int], sampling: Sampling, adapted: bool = True) -> Generator[str]:
        """The answer to a tokenised prompt, piece by piece. Closing the iterator ends the writing.

        Raises:
            EngineFailed: the prompt does not fit the context, or the engine died.
        """
        if len(prompt) >= self.options.context:
            raise EngineFailed(f"a prompt of {len(prompt)} tokens; its context holds {self.options.context}")
        request = {
            "prompt": list(prompt),
            "n_predict": sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": sampling.seed,
        }
        with closing(self._answers({"complete": request, "adapted": adapted}, TOKEN_SECONDS)) as answers:
            for answer in answers:
                if answer.get("text"):
                    yield answer["text"]

    def complete(self, prompt: Sequence[int], sampling: Sampling, adapted: bool = True) -> str:
        """The whole answer."""
        return "".join(self.stream(prompt, sampling, adapted))

    def log_probabilities(self, ids: Sequence[int], top: int = 400, adapted: bool = True) -> list[dict[int, float]]:
        """After each prefix ids[:1], ids[:2], …: the `top` likeliest next tokens, each with its log probability."""
        (answer,) = self._answers({"probabilities": list(ids), "top": top, "adapted": adapted}, TABLE_SECONDS)
        return [dict(row) for row in answer["rows"]]

    def _answers(self, request: dict[str, Any], seconds: float) -> Generator[dict[str, Any]]:
        """All answers to a request. Whoever stops listening, for whatever reason, cancels it."""
        self._number += 1
        number, done = self._number, False
        self._send({"id": number, **request})
        try:
            while not done:
                answer = self._receive(seconds)
                done = "done" in answer
                yield answer
        finally:
            if not done:
                with suppress(EngineFailed):  # it is dead: the next request will say so
                    self._send({"cancel": number})

    def _send(self, message: dict[str, Any]) -> None:
        try:
            self._child.send(message)
        except ChildDiedError as error:
            raise EngineFailed(str(error)) from None
        except ValueError:  # its pipe is closed
            raise EngineFailed("it was closed") from None

    def _receive(self, seconds: float) -> dict[str, Any]:
        """The next answer to the last request; late ones to cancelled requests are passed over."""
        try:
            while (answer := self._child.receive(seconds))["id"] != self._number:
                pass
        except ChildDiedError as error:
            raise EngineFailed(str(error)) from None
        except TimeoutError:
            raise EngineFailed(f"no answer within {seconds:g} s") from None
        if "error" in answer:
            raise EngineFailed(answer["error"])
        return answer
