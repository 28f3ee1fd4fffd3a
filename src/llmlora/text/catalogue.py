"""Every sentence people read, one catalogue a language: `en.toml` and `ja.toml` beside this file.

A key is a dotted path, `errors.model_not_found.message`; values may hold `{fields}`.
The edges (CLI, API) choose the language; the library only carries keys and facts.
"""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Literal

Language = Literal["en", "ja"]
LANGUAGES: tuple[Language, ...] = ("en", "ja")


@cache
def catalogue(language: Language) -> Mapping[str, Any]:
    """The parsed catalogue of one language."""
    return tomllib.loads(files("llmlora.text").joinpath(f"{language}.toml").read_text("utf-8"))


def say(language: Language, key: str, **facts: object) -> str:
    """The text at `key`, its fields filled from `facts`; lists are joined by commas.

    Raises:
        KeyError: the catalogue has no such key.
    """
    value: Any = catalogue(language)
    for part in key.split("."):
        value = value[part]
    return str(value).format(**{name: _readable(fact) for name, fact in facts.items()})


def _readable(fact: object) -> object:
    if isinstance(fact, list | tuple | set | frozenset):
        return ", ".join(str(item) for item in fact)
    return fact
