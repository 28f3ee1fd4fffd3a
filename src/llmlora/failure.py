"""What every error of ours can do: say what happened and what to do next, and be written down and revived."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from llmlora.text.catalogue import Language, Words, say


@dataclass(eq=False)
class LlmloraError(Exception):
    """Base of every error raised on purpose."""

    exit_code: ClassVar[int] = 1

    @classmethod
    def code_of(cls) -> str:
        """Stable name for machines: `model_not_found`."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()

    @property
    def code(self) -> str:
        return self.code_of()

    def message(self, language: Language = "en") -> str:
        """What happened."""
        return say(language, f"errors.{self.code}.message", **vars(self))

    def hint(self, language: Language = "en") -> str:
        """What to do next."""
        return say(language, f"errors.{self.code}.hint", **vars(self))

    def __str__(self) -> str:
        return self.message()

    def to_json(self) -> dict[str, Any]:
        """Code and facts, to be kept or sent, and said later in any language."""
        return {"code": self.code, "facts": {name: _plain(fact) for name, fact in vars(self).items()}}


def revive(told: Mapping[str, Any]) -> LlmloraError:
    """The error that `to_json` has written down.

    Raises:
        KeyError: this version knows no such error.
    """
    kinds = {kind.code_of(): kind for kind in _all_kinds(LlmloraError)}
    return kinds[told["code"]](**{name: _revived(fact) for name, fact in told["facts"].items()})


def _all_kinds(root: type[LlmloraError]) -> Iterator[type[LlmloraError]]:
    for kind in root.__subclasses__():
        yield kind
        yield from _all_kinds(kind)


def _plain(fact: object) -> object:
    if isinstance(fact, Path):
        return str(fact)
    if isinstance(fact, Words):
        return fact.to_json()
    return [_plain(item) for item in fact] if isinstance(fact, Sequence) and not isinstance(fact, str) else fact


def _revived(fact: object) -> object:
    if isinstance(fact, list):
        return [_revived(item) for item in fact]
    return Words.revive(fact) if isinstance(fact, Mapping) else fact
