"""The recipe's fields as command-line options: ranges and defaults come from `Recipe`, words from the catalogue."""

import types
from collections.abc import Callable, Sequence
from typing import Any, Literal, Union, cast, get_args, get_origin

import click
from pydantic.fields import FieldInfo

from llmlora.errors import InvalidRecipe
from llmlora.recipe import FLAG_ALIASES, Part, Recipe
from llmlora.settings import read_language
from llmlora.text.catalogue import say

Command = Callable[..., Any]
PARTS = get_args(Part)


def recipe_options(command: Command) -> Command:
    """Add an option for each recipe field; an option that is not given is None (or empty)."""
    for name, field in reversed(Recipe.model_fields.items()):
        command = _option(name, field)(command)
    return command


def given_values(options: dict[str, Any]) -> dict[str, Any]:
    """The recipe values that were really given on the command line."""
    given = {name: options[name] for name in Recipe.model_fields if options.get(name) not in (None, ())}
    if "target_modules" in given:
        given["target_modules"] = [part for text in given["target_modules"] for part in text.split(",") if part]
    if "mapping" in given:
        given["mapping"] = parse_mapping(given["mapping"])
    return given


def parse_mapping(pairs: Sequence[str]) -> dict[Part, str]:
    """`["output=回答"]` → `{"output": "回答"}`.

    Raises:
        InvalidRecipe: one is not PART=COLUMN with a part there is.
    """
    cut = [pair.partition("=") for pair in pairs]
    if wrong := [pair for pair, (part, _, column) in zip(pairs, cut, strict=True) if part not in PARTS or not column]:
        raise InvalidRecipe([say(read_language(), "cli.map_wrong", pair=pair, parts=PARTS) for pair in wrong])
    return {cast(Part, part): column for part, _, column in cut}


def map_option(command: Command) -> Command:
    """`--map PART=COLUMN`, as `train` has it."""
    text = say(read_language(), "recipe.mapping")
    return click.option("--map", "--mapping", "mapping", multiple=True, metavar="PART=COLUMN", help=text)(command)


def option_help(name: str) -> str:
    """What an option that is no recipe field does."""
    return say(read_language(), f"cli.options.{name}")


def _option(name: str, field: FieldInfo) -> Callable[[Command], Command]:
    long = name.replace("_", "-")
    flags = [f"--{FLAG_ALIASES.get(name, long)}", *([f"--{long}"] if name in FLAG_ALIASES else [])]
    kind = field.annotation
    common: dict[str, Any] = {"help": _help(name, field), "default": None}
    if kind is bool:
        return click.option(f"{flags[0]}/--no-{flags[0][2:]}", name, **common)
    if name == "mapping":
        return map_option
    if get_origin(kind) is tuple:
        return click.option(*flags, name, multiple=True, metavar="TEXT", help=common["help"])
    return click.option(*flags, name, metavar=_metavar(kind), **common)


def _help(name: str, field: FieldInfo) -> str:
    facts = [fact for fact in (_range(field), _default(field)) if fact]
    return say(read_language(), f"recipe.{name}") + (f"  [{'; '.join(facts)}]" if facts else "")


def _range(field: FieldInfo) -> str:
    bounds = {
        kind: getattr(mark, kind) for mark in field.metadata for kind in ("ge", "gt", "le") if hasattr(mark, kind)
    }
    if "le" not in bounds:
        return ""
    low = bounds.get("ge", bounds.get("gt"))
    return f"{low}–{bounds['le']}" if "ge" in bounds else f"> {low}, ≤ {bounds['le']}"


def _default(field: FieldInfo) -> str:
    if field.is_required() or field.default in (None, ()):
        return ""
    value = field.default
    return f"{say(read_language(), 'cli.default')} {','.join(value) if isinstance(value, tuple) else value}"


def _metavar(kind: Any) -> str:
    if get_origin(kind) in (Union, types.UnionType):
        kind = get_args(kind)[0]
    if get_origin(kind) is Literal:
        return "|".join(get_args(kind))
    return {int: "N", float: "X"}.get(kind, "TEXT")
