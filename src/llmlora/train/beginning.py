"""Where a run's adapter begins: fresh, or as another adapter ended (`init_adapter`).

Rank, alpha, targets, rslora and dora are then those of that adapter. A recipe may repeat them, or leave them at their
defaults; what it says otherwise is refused, not bent.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from peft import PeftModel

from llmlora.adapter import WEIGHTS, Adapter, check_base, check_layers, read_adapter
from llmlora.errors import StartDiffers
from llmlora.model.lora import load_adapter_state
from llmlora.model.source import Base, digest_of
from llmlora.model.targets import peft_names, targets_of
from llmlora.recipe import Recipe


def read_start(recipe: Recipe, base: Base) -> Adapter | None:
    """The adapter to begin with.

    Raises:
        NotAnAdapter, OnlyLora: there is none there, or none that can be used exactly.
        AdapterMismatch: it belongs to other bytes than the base's.
    """
    if recipe.init_adapter is None:
        return None
    start = read_adapter(Path(recipe.init_adapter).expanduser())
    check_base(start, base)
    return start


def continued(recipe: Recipe, start: Adapter, available: Mapping[str, tuple[int, int]]) -> Recipe:
    """The recipe with what the adapter decides; `available` are the model's layers and their sizes.

    Raises:
        StartDiffers: it asks for something else.
        AdapterMismatch: the adapter is on layers the model does not have, or has with other sizes.
    """
    check_layers(start, available, recipe.model)
    targets = [module for module in available if module in start.pairs]
    decided = {"rank": start.rank, "alpha": start.alpha, "rslora": start.rslora, "dora": start.dora}
    differences = [
        f"{name} {asked} ({value})"
        for name, value in decided.items()
        if (asked := getattr(recipe, name)) not in (value, Recipe.model_fields[name].default)
    ]
    names = peft_names(targets, list(available))
    asked_for = targets_of(recipe.target_modules, list(available))
    if recipe.target_modules != Recipe.model_fields["target_modules"].default and asked_for != targets:
        differences.append(f"target_modules {', '.join(recipe.target_modules)} ({', '.join(names)})")
    if differences:
        raise StartDiffers(start.path, differences)
    path = str(Path(recipe.init_adapter or "").expanduser().absolute())
    return recipe.model_copy(update={**decided, "target_modules": tuple(names), "init_adapter": path})


def digest_of_start(start: Adapter | None) -> str | None:
    """The digest of its weights, for the plan: a resumed run must begin with the same."""
    return digest_of(start.path / WEIGHTS) if start else None


def put_start(model: PeftModel, start: Adapter) -> None:
    """Load the weights of `start` into a fresh adapter of the same form."""
    load_adapter_state(model, {name: torch.from_numpy(tensor) for name, tensor in start.state().items()})
