"""llama.cpp, the engine Ollama runs, from our side of the pipe."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from llmlora.child import ChildDiedError, JsonChild
from llmlora.errors import EngineFailed

LOAD_SECONDS, TOKEN_SECONDS, TABLE_SECONDS = 600.0, 120.0, 600.0


@dataclass(frozen=True)
class EngineOptions:
    """How the engine runs. `exact` keeps its cache in float32, for comparing numbers."""

    context: int = 4096
    threads: int = 0  # 0: as many as there are cores
    exact: bool = False


@dataclass(frozen=True)
class Sampling:
    """How an answer is drawn. Temperature 0 always takes the likeliest token."""

    max_tokens: int = 256
    temperature: float = 0.7
    top_p: float = 0.95
    seed: int = 0


class Engine:
    """A model in memory, with or without an adapter; a context manager."""

    def __init__(self, model: Path, adapter: Path | None = None, options: EngineOptions | None = None) -> None:
        """Load the files.

        Raises:
            EngineFailed: llama.cpp refuses one of them, in its own words.
        """
        self.options = options or EngineOptions()
        self._child = JsonChild("llmlora.chat.worker")
        try:
            self._child.send(
                {
                    "model": str(model),
                    "adapter": str(adapter) if adapter else None,
                    "context": self.options.context,
                    "threads": self.options.threads or os.cpu_count() or 1,
                    "exact": self.options.exact,
                }
            )
            self._receive(LOAD_SECONDS)
        except (ChildDiedError, EngineFailed) as error:
            self._child.close()
            raise error if isinstance(error, EngineFailed) else EngineFailed(str(error)) from None

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

    def stream(self, prompt: Sequence[int], sampling: Sampling, adapted: bool = True) -> Iterator[str]:
        """The answer to a tokenised prompt, piece by piece. Closing the iterator stops the engine.

        Raises:
            EngineFailed: the prompt does not fit the context, or the engine died.
        """
        request = {
            "prompt": list(prompt),
            "n_predict": sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": sampling.seed,
        }
        self._send({"complete": request, "adapted": adapted})
        done = False
        try:
            while True:
                answer = self._receive(TOKEN_SECONDS)
                if "done" in answer:
                    done = True
                    return
                yield answer["text"]
        except EngineFailed:
            done = True
            raise
        finally:
            if not done:
                self._cancel()

    def complete(self, prompt: Sequence[int], sampling: Sampling, adapted: bool = True) -> str:
        """The whole answer."""
        return "".join(self.stream(prompt, sampling, adapted))

    def log_probabilities(self, ids: Sequence[int], top: int = 400, adapted: bool = True) -> list[dict[int, float]]:
        """After each prefix ids[:1], ids[:2], …: the `top` likeliest next tokens, each with its log probability."""
        self._send({"probabilities": list(ids), "top": top, "adapted": adapted})
        return [dict(row) for row in self._receive(TABLE_SECONDS)["rows"]]

    def _cancel(self) -> None:
        """Stop what is being written and read it away, so that the next request is answered with its own answer."""
        try:
            self._child.send({"cancel": True})
            while "done" not in self._receive(TOKEN_SECONDS):
                pass
        except (ChildDiedError, EngineFailed):
            pass  # the next request will say so

    def _send(self, message: dict[str, Any]) -> None:
        try:
            self._child.send(message)
        except ChildDiedError as error:
            raise EngineFailed(str(error)) from None

    def _receive(self, seconds: float) -> dict[str, Any]:
        try:
            answer = self._child.receive(seconds)
        except ChildDiedError as error:
            raise EngineFailed(str(error)) from None
        except TimeoutError:
            raise EngineFailed(f"no answer within {seconds:g} s") from None
        if "error" in answer:
            raise EngineFailed(answer["error"])
        return answer
