"""A conversation, whatever continues it."""

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from types import TracebackType
from typing import Self

from llmlora.chat.engine import Sampling
from llmlora.data.conversation import Turn


class Dialogue(ABC):
    """Turns so far, and what continues them; a context manager."""

    def __init__(self, system: str | None = None) -> None:
        self.first = (Turn("system", system),) if system else ()
        self.turns: tuple[Turn, ...] = self.first

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @abstractmethod
    def engine_name(self, adapted: bool = True) -> str:
        """What answers, as people are told."""

    @abstractmethod
    def write(self, turns: tuple[Turn, ...], sampling: Sampling, adapted: bool) -> Generator[str]:
        """The next turn after `turns`, piece by piece, not minding `stop`. Closing it ends the writing."""

    @abstractmethod
    def tokens_of(self, text: str) -> int:
        """How many tokens the last answer, `text`, had."""

    @abstractmethod
    def close(self) -> None:
        """Let go of what answers."""

    def answer(self, turns: tuple[Turn, ...], sampling: Sampling, adapted: bool = True) -> Generator[str]:
        """The model's next turn after `turns`, piece by piece; nothing is remembered."""
        return until(self.write(turns, sampling, adapted), sampling.stop)

    def ask(self, text: str, sampling: Sampling, adapted: bool = True) -> Iterator[str]:
        """Say something and hear the answer; both are remembered, also an answer that was stopped half-way."""
        turns, said = self.fitting((*self.turns, Turn("user", text)), sampling), list[str]()
        try:
            with closing(self.answer(turns, sampling, adapted)) as pieces:
                for piece in pieces:
                    said.append(piece)
                    yield piece
        finally:
            if said:
                self.turns = (*turns, Turn("assistant", "".join(said)))

    def fitting(self, turns: tuple[Turn, ...], sampling: Sampling) -> tuple[Turn, ...]:  # noqa: ARG002 - of who forgets
        """As many of the turns as there is room for."""
        return turns

    def reset(self) -> None:
        """Forget what was said."""
        self.turns = self.first


def until(pieces: Generator[str], stop: Sequence[str]) -> Generator[str]:
    """The text before the first of `stop`. What may be the beginning of one waits until it is known whether it is."""
    held = ""
    with closing(pieces):
        for piece in pieces:
            held += piece
            ends = [place for one in stop if (place := held.find(one)) >= 0]
            sure = min(ends) if ends else _sure(held, stop)
            if sure:
                yield held[:sure]
            if ends:
                return
            held = held[sure:]
    if held:
        yield held


def _sure(text: str, stop: Sequence[str]) -> int:
    """How much of `text` no beginning of one of `stop` can be part of."""
    return next((at for at in range(len(text)) if any(one.startswith(text[at:]) for one in stop)), len(text))
