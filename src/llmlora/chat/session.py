"""A conversation with a model: the prompt is written by the code that writes the training rows."""

from collections.abc import Generator
from pathlib import Path
from types import TracebackType
from typing import Self

from llmlora.adapter import template_of
from llmlora.chat.dialogue import Dialogue
from llmlora.chat.engine import ENGINES, Engine, EngineOptions, Sampling
from llmlora.data.base_text import template_and_tokenizer
from llmlora.data.conversation import Turn
from llmlora.data.render import Renderer
from llmlora.errors import GgufError
from llmlora.gguf.reader import GgufFile
from llmlora.model.hf import HfDirectory

MOST_CONTEXT = 4096


class Session(Dialogue):
    """Turns so far, and an engine of ours that continues them."""

    def __init__(self, model: Path, adapter: Path | None = None, system: str | None = None) -> None:
        """Load the model, a GGUF file or a Hugging Face directory, and the adapter if there is one. Prompts are written
        by the template the adapter was trained with.

        A merged model may stand in the adapter's place. It is an engine of its own; that of the base is started when
        the base is first asked.
        """
        super().__init__(system)
        own, self.tokenizer = template_and_tokenizer(model)
        self.template = (template_of(adapter) if adapter else None) or own
        context = _context_of(model) or MOST_CONTEXT
        self.model, self.merged = model, adapter is not None and _is_merged(adapter)
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

    def engine_name(self, adapted: bool = True) -> str:  # noqa: ARG002 - one engine has both
        """See `embedded_name`."""
        return embedded_name(self.model)

    def write(self, turns: tuple[Turn, ...], sampling: Sampling, adapted: bool) -> Generator[str]:
        """The next turn, by llama.cpp or PyTorch."""
        return self._engine(adapted).stream(self._prompt(turns), sampling, adapted)

    def tokens_of(self, text: str) -> int:
        """As the base counts."""
        return len(self.tokenizer.encode(text, add_bos=False))

    def fitting(self, turns: tuple[Turn, ...], sampling: Sampling) -> tuple[Turn, ...]:
        """What was said longest ago is forgotten when the context has no more room for it and an answer."""
        room = self.options.context - sampling.max_tokens
        while len(turns) > len(self.first) + 1 and len(self._prompt(turns)) > room:
            turns = (*self.first, *turns[len(self.first) + 2 :])
        return turns

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


def embedded_name(model: Path) -> str:
    """What answers here for a GGUF file or a Hugging Face directory: `llama.cpp (embedded)`."""
    return f"{ENGINES['directory' if model.is_dir() else 'file'][1]} (embedded)"


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
