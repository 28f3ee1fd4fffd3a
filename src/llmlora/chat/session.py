"""A conversation with a model: the prompt is written by the code that writes the training rows."""

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from llmlora.adapter import template_of
from llmlora.chat.engine import Engine, EngineOptions, Sampling
from llmlora.data.base_text import template_and_tokenizer
from llmlora.data.conversation import Turn
from llmlora.data.render import Renderer
from llmlora.errors import GgufError
from llmlora.gguf.reader import GgufFile
from llmlora.model.hf import HfDirectory

MOST_CONTEXT = 4096


class Session:
    """Turns so far, and an engine that continues them; a context manager."""

    def __init__(self, model: Path, adapter: Path | None = None, system: str | None = None) -> None:
        """Load the model, a GGUF file or a Hugging Face directory, and the adapter if there is one. Prompts are written
        by the template the adapter was trained with.

        A merged model may stand in the adapter's place. It is an engine of its own; that of the base is started when
        the base is first asked.
        """
        own, self.tokenizer = template_and_tokenizer(model)
        self.template = (template_of(adapter) if adapter else None) or own
        context = _context_of(model) or MOST_CONTEXT
        self.model, self.merged = model, adapter is not None and _is_merged(adapter)
        self.first = (Turn("system", system),) if system else ()
        self.turns: tuple[Turn, ...] = self.first
        self.renderer = Renderer(self.template)
        self.options = EngineOptions(context=min(context, MOST_CONTEXT))
        self.engine = (
            Engine(adapter, None, self.options) if adapter and self.merged else Engine(model, adapter, self.options)
        )
        self.base_engine: Engine | None = None

    def __enter__(self) -> Self:
        self.renderer.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        self.renderer.__exit__(kind, error, trace)

    def answer(self, turns: tuple[Turn, ...], sampling: Sampling, adapted: bool = True) -> Iterator[str]:
        """The model's next turn after `turns`, piece by piece; nothing is remembered."""
        return self._engine(adapted).stream(self._prompt(turns), sampling, adapted)

    def ask(self, text: str, sampling: Sampling, adapted: bool = True) -> Iterator[str]:
        """Say something and hear the answer; both are remembered, also an answer that was stopped half-way.

        What was said longest ago is forgotten when the context has no more room for it and an answer.
        """
        turns, said = (*self.turns, Turn("user", text)), list[str]()
        room = self.options.context - sampling.max_tokens
        while len(turns) > len(self.first) + 1 and len(self._prompt(turns)) > room:
            turns = (*self.first, *turns[len(self.first) + 2 :])
        try:
            for piece in self.answer(turns, sampling, adapted):
                said.append(piece)
                yield piece
        finally:
            if said:
                self.turns = (*turns, Turn("assistant", "".join(said)))

    def close(self) -> None:
        """End the engines."""
        self.engine.close()
        if self.base_engine:
            self.base_engine.close()

    def _engine(self, adapted: bool) -> Engine:
        if adapted or not self.merged:
            return self.engine
        self.base_engine = self.base_engine or Engine(self.model, None, self.options)
        return self.base_engine

    def _prompt(self, turns: tuple[Turn, ...]) -> list[int]:
        return self.tokenizer.encode(self.renderer.prompt(turns))

    def reset(self) -> None:
        """Forget what was said."""
        self.turns = self.first


def _is_merged(path: Path) -> bool:
    try:
        with GgufFile(path) as file:
            return file.metadata.get("general.type") != "adapter"
    except GgufError:
        return False  # PEFT's directory, or llama.cpp has the words for what is wrong with it


def _context_of(model: Path) -> int | None:
    if model.is_dir():
        return HfDirectory.open(model).context
    with GgufFile(model) as file:
        context: int | None = file.metadata.get(f"{file.metadata['general.architecture']}.context_length")
        return context
