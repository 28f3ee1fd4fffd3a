"""A conversation with a model: the prompt is written by the code that writes the training rows."""

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from llmlora.chat.engine import Engine, EngineOptions, Sampling
from llmlora.data.conversation import Turn
from llmlora.data.render import Renderer
from llmlora.data.template import choose_template
from llmlora.data.tokenizer import load_tokenizer
from llmlora.gguf.reader import GgufFile

MOST_CONTEXT = 4096


class Session:
    """Turns so far, and an engine that continues them; a context manager."""

    def __init__(self, model: Path, adapter: Path | None = None, system: str | None = None) -> None:
        """Load the model, and the GGUF adapter if there is one."""
        with GgufFile(model) as file:
            self.template, self.tokenizer = choose_template(file), load_tokenizer(file)
            context = int(file.metadata.get(f"{file.metadata['general.architecture']}.context_length", MOST_CONTEXT))
        self.first = (Turn("system", system),) if system else ()
        self.turns: tuple[Turn, ...] = self.first
        self.renderer = Renderer(self.template)
        self.engine = Engine(model, adapter, EngineOptions(context=min(context, MOST_CONTEXT)))

    def __enter__(self) -> Self:
        self.renderer.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.engine.close()
        self.renderer.__exit__(kind, error, trace)

    def answer(self, turns: tuple[Turn, ...], sampling: Sampling, adapted: bool = True) -> Iterator[str]:
        """The model's next turn after `turns`, piece by piece; nothing is remembered."""
        return self.engine.stream(self._prompt(turns), sampling, adapted)

    def ask(self, text: str, sampling: Sampling, adapted: bool = True) -> Iterator[str]:
        """Say something and hear the answer; both are remembered, also an answer that was stopped half-way.

        What was said longest ago is forgotten when the context has no more room for it and an answer.
        """
        turns, said = (*self.turns, Turn("user", text)), list[str]()
        room = self.engine.options.context - sampling.max_tokens
        while len(turns) > len(self.first) + 1 and len(self._prompt(turns)) > room:
            turns = (*self.first, *turns[len(self.first) + 2 :])
        try:
            for piece in self.answer(turns, sampling, adapted):
                said.append(piece)
                yield piece
        finally:
            if said:
                self.turns = (*turns, Turn("assistant", "".join(said)))

    def _prompt(self, turns: tuple[Turn, ...]) -> list[int]:
        return self.tokenizer.encode(self.renderer.prompt(turns))

    def reset(self) -> None:
        """Forget what was said."""
        self.turns = self.first
