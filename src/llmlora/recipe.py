"""The recipe: what a run is asked to do. YAML file, command-line flags, API body and form are this one class.

A field's type, default and bounds are here; what turning it does is in `text/{en,ja}.toml` under `recipe.<field>`.
"""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from llmlora.errors import InvalidRecipe, OnlyLora

# The short names the command line uses beside the full ones.
FLAG_ALIASES = {
    "learning_rate": "lr",
    "target_modules": "targets",
    "gradient_accumulation": "grad-accum",
    "sample_prompts": "sample-prompt",
    "mapping": "map",
}

ALL_LINEAR = "all-linear"
# LoRA pays 10x the learning rate of full fine-tuning, and narrow models take more (see `learning_rate_for`).
LEARNING_RATE_BOUNDS = (1e-5, 1e-3)
PRESETS = Path(str(files("llmlora"))) / "recipes"

# The parts of a row that a column (or key) can hold; a mapping says which column holds which.
Part = Literal["messages", "instruction", "input", "output", "system", "text"]


def _several(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Name = Annotated[str, Field(min_length=1)]
Paths = Annotated[tuple[Name, ...], BeforeValidator(_several), Field(min_length=1)]
Choice = Literal["auto", "always", "never"]  # not on and off, which YAML takes for booleans
Probability = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]


class RecipeValues(BaseModel):
    """What a recipe and the body of a request that asks for one have in common."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    @model_validator(mode="before")
    @classmethod
    def _only_lora(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and (modules := values.get("modules_to_save")):
            raise OnlyLora([str(module) for module in _several(modules)])
        return values


class Recipe(RecipeValues):
    """One fine-tuning, described completely; `None` means "by the documented rule", resolved before the start."""

    model_config = ConfigDict(frozen=True)

    model: str = Field(min_length=1)
    data: Paths
    mapping: dict[Part, Name] = Field(default_factory=dict)

    rank: int = Field(16, ge=1, le=512)
    alpha: float | None = Field(None, gt=0, le=65536, allow_inf_nan=False)
    dropout: Probability = 0.0
    target_modules: tuple[str, ...] = (ALL_LINEAR,)
    rslora: bool = False
    dora: bool = False
    init_adapter: str | None = Field(None, min_length=1)

    epochs: int = Field(3, ge=1, le=10_000)
    steps: int | None = Field(None, ge=1, le=10_000_000)
    learning_rate: float | None = Field(None, gt=0, le=1, allow_inf_nan=False)
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup_ratio: Probability = 0.05
    weight_decay: Probability = 0.0
    batch_size: int = Field(4, ge=1, le=4096)
    gradient_accumulation: int = Field(2, ge=1, le=4096)
    max_length: int = Field(1024, ge=8, le=1_048_576)
    template: Literal["model", "ollama"] = "model"
    seed: int = Field(0, ge=0, le=2**63 - 1)

    eval_split: float = Field(0.05, ge=0.0, le=0.5, allow_inf_nan=False)
    early_stopping: int = Field(0, ge=0, le=1000)
    eval_every: int | None = Field(None, ge=1)
    save_every: int | None = Field(None, ge=1)
    sample_prompts: tuple[str, ...] = Field((), max_length=16)

    # how it is computed; the plan chooses what is left to it
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    threads: int | None = Field(None, ge=1, le=1024)
    pass_tokens: int | None = Field(None, ge=1, le=1_048_576)
    recompute: Choice = "auto"
    unpack: Choice = "auto"

    @model_validator(mode="after")
    def _no_contradiction(self) -> Self:
        if self.early_stopping and not self.eval_split:
            raise ValueError("early_stopping needs an eval_split above 0")
        if not self.target_modules:
            raise ValueError("target_modules is empty")
        return self

    @property
    def scale_alpha(self) -> float:
        """`alpha`, or its rule: twice the rank."""
        return 2.0 * self.rank if self.alpha is None else self.alpha

    def to_yaml(self) -> str:
        """The recipe as a YAML document, fields in their order here."""
        return str(yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True))

    def to_flags(self) -> list[str]:
        """The arguments of `llmlora train` that make this recipe: those that differ from their defaults."""
        written = self.model_dump(mode="json", exclude_defaults=True)
        return [part for name, value in written.items() for part in _flags(name, value)]


def make_recipe(values: Mapping[str, Any]) -> Recipe:
    """A recipe from parsed values.

    Raises:
        InvalidRecipe: names every wrong field at once.
        OnlyLora: it has PEFT's `modules_to_save`.
    """
    try:
        return Recipe.model_validate(dict(values))
    except ValidationError as error:
        raise InvalidRecipe([_problem(detail) for detail in error.errors()]) from None


def read_recipe(path: Path) -> dict[str, Any]:
    """The values written in a YAML file, not yet checked against `Recipe`.

    Raises:
        InvalidRecipe: the file is missing, not YAML, or not a mapping.
    """
    try:
        values = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidRecipe([f"{path}: {error}"]) from None
    if not isinstance(values, dict):
        raise InvalidRecipe([f"{path}: a recipe is a mapping of names to values"])
    return values


def preset_names() -> list[str]:
    """The recipes that come with the program, from the quickest to the most careful."""
    return sorted((path.stem for path in PRESETS.glob("*.yaml")), key=lambda name: read_preset(name)["rank"])


def read_preset(name: str) -> dict[str, Any]:
    """The values of a recipe that comes with the program; `read_recipe` of its file.

    Raises:
        InvalidRecipe: there is none of this name.
    """
    return read_recipe(PRESETS / f"{name}.yaml")


def learning_rate_for(hidden_size: int) -> float:
    """The default learning rate of a base whose hidden states have `hidden_size` numbers.

    5e-4 at 2000, rising as models get narrower, kept inside `LEARNING_RATE_BOUNDS`: the rule Thinking Machines
    fitted on Llama models ("LoRA Without Regret", 2025; tinker-cookbook `get_lr`).
    """
    lowest, highest = LEARNING_RATE_BOUNDS
    return float(f"{min(highest, max(lowest, 5e-4 * (2000 / hidden_size) ** 0.781)):.2g}")


def _flags(name: str, value: Any) -> list[str]:
    flag = FLAG_ALIASES.get(name, name).replace("_", "-")
    if isinstance(value, bool):
        return [f"--{flag}" if value else f"--no-{flag}"]
    if isinstance(value, dict):
        value = [f"{part}={column}" for part, column in value.items()]
    several = value if isinstance(value, list) else [value]
    return [part for one in several for part in (f"--{flag}", str(one))]


def _problem(detail: Any) -> str:
    where, message = ".".join(str(part) for part in detail["loc"]), str(detail["msg"])
    if not where:
        return message.removeprefix("Value error, ")
    return f"{where}: {message}" if detail["type"] == "missing" else f"{where}: {message} (got {detail['input']!r})"
