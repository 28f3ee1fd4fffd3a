"""Everything a run needs before its first step: rows read and tokenised, the model loaded, the plan made.

Nothing is written here. Whatever is wrong with recipe, rows, model or machine is found before a directory exists.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
import torch
from peft import PeftModel
from torch import nn
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

from llmlora.adapter import Adapter
from llmlora.data.base_text import template_and_tokenizer
from llmlora.data.conversation import Turn
from llmlora.data.examples import Example, fingerprint, make_examples
from llmlora.data.packing import split
from llmlora.data.read import read_conversations
from llmlora.data.render import Renderer
from llmlora.data.template import ChatTemplate
from llmlora.data.tokenizer import Tokenizer
from llmlora.errors import InvalidRecipe, NotEnoughMemory, NothingToTrain, RunChanged
from llmlora.estimate import Machine, Shape, Tokens
from llmlora.model.device import DTYPES, arrange_memory, probe_machine
from llmlora.model.load import unpack
from llmlora.model.lora import add_lora, total_parameters, trainable
from llmlora.model.opened import OpenBase, open_base
from llmlora.model.prompts import followed
from llmlora.model.shape import shape_of
from llmlora.model.source import Base, resolve, verify
from llmlora.model.targets import peft_names, targets_of
from llmlora.ollama.room import make_room
from llmlora.paths import Home
from llmlora.plan import TIGHT, Plan, make_plan
from llmlora.recipe import Recipe, learning_rate_for
from llmlora.text.catalogue import Words
from llmlora.train.beginning import continued, digest_of_start, put_start, read_start

LIBRARIES = ("llmlora", "torch", "transformers", "peft", "numba", "numpy")


@dataclass(frozen=True)
class Frozen:
    """`plan.json`: what must not change between the attempts at one run."""

    plan: Plan
    base_digest: str
    data_fingerprint: str
    versions: dict[str, str]
    start_digest: str | None = None
    base_name: str = ""  # with the commit of a model of the hub
    template: dict[str, str] | None = None  # where the recipe follows Ollama's, whose store may change

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "plan": self.plan.to_json()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """What `to_json` has written down."""
        return cls(**{**values, "plan": Plan.from_json(values["plan"])})


@dataclass(frozen=True)
class Prepared:
    """A run that could start now."""

    recipe: Recipe  # resolved: no value is left to a rule
    base: Base
    opened: OpenBase  # kept open: the pages of a GGUF file are the weights of the model
    template: ChatTemplate
    tokenizer: Tokenizer
    targets: list[str]
    model: PeftModel
    parameters: dict[str, nn.Parameter]
    train: list[Example]
    held_out: list[Example]
    skipped_rows: int
    prompts: dict[str, list[int]]  # the recipe's sample prompts, tokenised
    frozen: Frozen
    unloaded: Sequence[str] = ()  # models that Ollama had in memory, which was short

    @property
    def base_model(self) -> PreTrainedModel:
        """The model itself, its linear layers wrapped by the adapter."""
        return cast(PreTrainedModel, self.model.get_base_model())

    @property
    def plan(self) -> Plan:
        return self.frozen.plan

    @property
    def learning_rate(self) -> float:
        return self.recipe.learning_rate or 0.0

    @property
    def trainable_parameters(self) -> int:
        return sum(weight.numel() for weight in self.parameters.values())

    @property
    def total_parameters(self) -> int:
        return total_parameters(self.model)


@dataclass(frozen=True)
class Draft:
    """A run that has been thought through: rows read and cut into tokens, nothing loaded yet."""

    recipe: Recipe  # resolved
    base: Base
    opened: OpenBase
    template: ChatTemplate
    tokenizer: Tokenizer
    targets: list[str]  # as PEFT is told them
    start: Adapter | None
    shape: Shape
    train: list[Example]
    held_out: list[Example]
    skipped_rows: int
    data_fingerprint: str
    prompts: dict[str, list[int]]

    @property
    def tokens(self) -> Tokens:
        """The rows that are trained on, counted."""
        return _count(self.train)

    @property
    def trainable_parameters(self) -> int:
        return self.shape.adapter_parameters

    @property
    def total_parameters(self) -> int:
        """As of the model with the adapter."""
        return self.opened.parameters + self.trainable_parameters

    def plan(self, machine: Machine | None = None) -> Plan:
        """What the run will need on this machine.

        Raises:
            NotEnoughMemory: it does not fit.
        """
        return make_plan(self.recipe, self.shape, self.tokens, len(self.held_out), machine or probe_machine())


def draft(
    recipe: Recipe, home: Home, stores: Sequence[Path], *, fetch: bool = True, frozen: Frozen | None = None
) -> Draft:
    """Think a run through. With `fetch`, a model of the Hugging Face hub that is not here is downloaded; with `frozen`,
    rows are written as for the run that froze it.

    Raises:
        UserError: any of the user's mistakes.
    """
    base = resolve(recipe.model, home, stores, fetch=fetch)
    opened = open_base(base)
    available = list(opened.linears)
    start = read_start(recipe, base)
    if start:
        recipe = continued(recipe, start, opened.linears)
    targets = targets_of(recipe.target_modules, available)
    recipe = resolve_recipe(recipe, base, opened)
    template, tokenizer = template_and_tokenizer(base.path)
    if frozen and frozen.template:
        template = ChatTemplate(**cast(dict[str, Any], frozen.template))
    elif recipe.template == "ollama":
        template = followed(base, stores, template)
    examples, prompts = _tokenise(recipe, template, tokenizer)
    usable = [example for example in examples if example.usable]
    if not usable:
        raise NothingToTrain(", ".join(recipe.data), recipe.max_length)
    train, held_out = split(usable, recipe.eval_split, recipe.seed)
    return Draft(
        recipe=recipe,
        base=base,
        opened=opened,
        template=template,
        tokenizer=tokenizer,
        targets=peft_names(targets, available),
        start=start,
        shape=shape_of(opened, recipe, targets),
        train=train,
        held_out=held_out,
        skipped_rows=len(examples) - len(usable),
        data_fingerprint=fingerprint(examples),
        prompts=prompts,
    )


def prepare(
    recipe: Recipe,
    home: Home,
    stores: Sequence[Path],
    frozen: Frozen | None = None,
    *,
    fetch: bool = True,
    ollama: str | None = None,
) -> Prepared:
    """Get ready to train `recipe`; with `frozen`, exactly as the run that froze it. `fetch` as in `draft`. Where memory
    is short, the Ollama at the address `ollama` gives up what it keeps there.

    Raises:
        UserError: any of the user's mistakes, before anything is written.
    """
    made = draft(recipe, home, stores, fetch=fetch, frozen=frozen)
    unloaded = make_room(ollama) if ollama and _is_short(made, frozen) else []
    if frozen is None:
        frozen = _freeze(made)
    else:
        _need_same(made, frozen)
    verify(made.base)
    torch.set_num_threads(frozen.plan.threads)
    arrange_memory(kept=not frozen.plan.recompute)
    model = made.opened.load(DTYPES[frozen.plan.dtype])
    if frozen.plan.unpacked:
        unpack(model, DTYPES[frozen.plan.dtype])
    adapted = add_lora(model, made.recipe, made.targets)
    if frozen.plan.recompute:
        # Transformers' own switch would also ask for gradients of the embedding's output, which nobody needs
        again = partial(checkpoint, use_reentrant=False)
        model._set_gradient_checkpointing(enable=True, gradient_checkpointing_func=again)
    if made.start:
        put_start(adapted, made.start)
    return Prepared(
        recipe=made.recipe,
        base=made.base,
        opened=made.opened,
        template=made.template,
        tokenizer=made.tokenizer,
        targets=made.targets,
        model=adapted,
        parameters=trainable(adapted),
        train=made.train,
        held_out=made.held_out,
        skipped_rows=made.skipped_rows,
        prompts=made.prompts,
        frozen=frozen,
        unloaded=unloaded,
    )


def _freeze(made: Draft) -> Frozen:
    return Frozen(
        plan=made.plan(),
        base_digest=made.base.digest,
        data_fingerprint=made.data_fingerprint,
        versions=library_versions(),
        start_digest=digest_of_start(made.start),
        base_name=made.base.name,
        template=asdict(made.template) if made.recipe.template == "ollama" else None,
    )


def _need_same(made: Draft, frozen: Frozen) -> None:
    """Raises RunChanged where base, data or starting adapter are not those of the run's first attempt."""
    if made.base.digest != frozen.base_digest:
        raise RunChanged("base model", frozen.base_digest, made.base.digest)
    if made.data_fingerprint != frozen.data_fingerprint:
        raise RunChanged("data", frozen.data_fingerprint[:12], made.data_fingerprint[:12])
    if (found := digest_of_start(made.start)) != frozen.start_digest:
        raise RunChanged("starting adapter", str(frozen.start_digest)[:19], str(found)[:19])


def _is_short(made: Draft, frozen: Frozen | None) -> bool:
    """Whether the run wants nearly all the memory that is free, or more."""
    machine = probe_machine()
    try:
        plan = frozen.plan if frozen else made.plan(machine)
    except NotEnoughMemory:
        return True
    return plan.memory > TIGHT * machine.free_memory


def library_versions() -> dict[str, str]:
    """The versions that decide the bits of a result."""
    return {name: version(name) for name in LIBRARIES}


def resolve_recipe(recipe: Recipe, base: Base, opened: OpenBase) -> Recipe:
    """Fill in what the recipe leaves to a rule, and make names and paths independent of where it was started.

    Raises:
        InvalidRecipe: max_length is beyond the model's context.
    """
    if recipe.max_length > opened.context:
        beyond = {"length": recipe.max_length, "context": opened.context}
        raise InvalidRecipe([Words("recipe_problems.beyond_context", beyond)])
    resolved: dict[str, Any] = {
        "model": base.name,
        "data": tuple(str(Path(path).expanduser().absolute()) for path in recipe.data),
        "alpha": recipe.scale_alpha,
        "learning_rate": recipe.learning_rate or learning_rate_for(opened.config.hidden_size),
    }
    return recipe.model_copy(update=resolved)


def _tokenise(
    recipe: Recipe, template: ChatTemplate, tokenizer: Tokenizer
) -> tuple[list[Example], dict[str, list[int]]]:
    reading = read_conversations([Path(path) for path in recipe.data], recipe.mapping)
    reading.need_sound()
    with Renderer(template) as renderer:
        examples = make_examples(reading.conversations, tokenizer, renderer, recipe.max_length)
        prompts = {
            prompt: tokenizer.encode(renderer.prompt((Turn("user", prompt),)), add_bos=True)
            for prompt in recipe.sample_prompts
        }
    return examples, prompts


def _count(examples: list[Example]) -> Tokens:
    lengths = np.array([len(example.ids) for example in examples])
    supervised = int(np.sum([example.trained.sum() for example in examples]))
    return Tokens(
        rows=len(examples),
        total=int(lengths.sum()),
        supervised=supervised,
        longest=int(lengths.max()),
        squares=int(np.square(lengths).sum()),
    )
