"""What a form needs to make a recipe: every field, its bounds and what turning it does, and presets to begin from."""

from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel

from llmlora.api.context import Reader
from llmlora.recipe import Recipe, preset_names, read_preset
from llmlora.text.catalogue import Language, say

router = APIRouter(prefix="/api/training/recipe", tags=["training"])

KINDS: dict[str, Literal["integer", "number", "boolean", "text", "texts"]] = {
    "integer": "integer",
    "number": "number",
    "boolean": "boolean",
    "string": "text",
    "array": "texts",
}


class FieldBody(BaseModel):
    """One option. `nullable`: without a value a documented rule decides, and the plan shows what it gave."""

    name: str
    kind: Literal["integer", "number", "boolean", "choice", "text", "texts"]
    help: str
    default: Any
    required: bool
    nullable: bool
    minimum: float | None  # inclusive, unless `above_minimum`
    maximum: float | None
    above_minimum: bool
    choices: list[str]


class PresetBody(BaseModel):
    """A recipe to begin from; what it does not name keeps its default."""

    name: str
    title: str
    help: str
    recipe: dict[str, Any]


class RecipeForm(BaseModel):
    fields: list[FieldBody]
    presets: list[PresetBody]


@router.get("")
def get_recipe_form(reader: Reader) -> RecipeForm:
    """The options of a recipe, but for its data, and the presets."""
    schema = Recipe.model_json_schema()
    required = set(schema["required"])
    return RecipeForm(
        fields=[
            _field(name, properties, name in required, reader)
            for name, properties in schema["properties"].items()
            if name not in ("data", "mapping")
        ],
        presets=[_preset(name, reader) for name in preset_names()],
    )


def _field(name: str, properties: dict[str, Any], required: bool, reader: Language) -> FieldBody:
    kinds = properties.get("anyOf", [properties])
    nullable = any(one.get("type") == "null" for one in kinds)
    kind = next(one for one in kinds if one.get("type") != "null")
    above = kind.get("exclusiveMinimum")
    return FieldBody(
        name=name,
        kind="choice" if "enum" in kind else KINDS[kind["type"]],
        help=say(reader, f"recipe.{name}"),
        default=properties.get("default"),
        required=required,
        nullable=nullable,
        minimum=kind.get("minimum", above),
        maximum=kind.get("maximum"),
        above_minimum=above is not None,
        choices=kind.get("enum", []),
    )


def _preset(name: str, reader: Language) -> PresetBody:
    title, help_text = (say(reader, f"presets.{name}.{part}") for part in ("title", "help"))
    return PresetBody(name=name, title=title, help=help_text, recipe=read_preset(name))
