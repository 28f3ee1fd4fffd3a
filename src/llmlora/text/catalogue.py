"""Every sentence people read, one catalogue a language: `en.toml` and `ja.toml` beside this file.

A key is a dotted path, `errors.model_not_found.message`; values may hold `{fields}`.
The edges (CLI, API) choose the language; the library only carries keys and facts.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Literal, Self

Language = Literal["en", "ja"]
LANGUAGES: tuple[Language, ...] = ("en", "ja")


@cache
def catalogue(language: Language) -> Mapping[str, Any]:
    """The parsed catalogue of one language."""
    return tomllib.loads(files("llmlora.text").joinpath(f"{language}.toml").read_text("utf-8"))


@dataclass(frozen=True)
class Words:
    """A sentence that waits for its language: a key and its facts. As a fact of another it is said with that one."""

    key: str
    facts: Mapping[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.said("en")

    def said(self, language: Language) -> str:
        """In one language."""
        return say(language, self.key, **self.facts)

    def to_json(self) -> dict[str, Any]:
        """To be sent, and said elsewhere."""
        facts = {name: fact.to_json() if isinstance(fact, Words) else fact for name, fact in self.facts.items()}
        return {"words": self.key, "facts": facts}

    @classmethod
    def revive(cls, told: Mapping[str, Any]) -> Self:
        """What `to_json` has written down."""
        facts = {name: cls.revive(fact) if isinstance(fact, Mapping) else fact for name, fact in told["facts"].items()}
        return cls(told["words"], facts)


def say(language: Language, key: str, /, **facts: object) -> str:
    """The text at `key`, its fields filled from `facts`; lists are joined by commas.

    Raises:
        KeyError: the catalogue has no such key.
    """
    value: Any = catalogue(language)
    for part in key.split("."):
        value = value[part]
    return str(value).format(**{name: _readable(fact, language) for name, fact in facts.items()})


def _readable(fact: object, language: Language) -> object:
    if isinstance(fact, Words):
        return fact.said(language)
    if isinstance(fact, list | tuple | set | frozenset):
        return ", ".join(str(_readable(item, language)) for item in fact)
    return fact
