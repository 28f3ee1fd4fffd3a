"""AdamW over the adapter, and the learning rate as a pure function of the step."""

import math

import torch
from torch import Tensor, nn

from llmlora.recipe import Recipe

FLOOR = 0.1  # share of the learning rate that cosine and linear end at
CLIP = 1.0
BETAS, EPSILON = (0.9, 0.999), 1e-8


def rate_share(step: int, total_steps: int, recipe: Recipe) -> float:
    """Share of the recipe's learning rate at step `step` (counted from 0): a linear rise, then the schedule."""
    warmup = math.ceil(recipe.warmup_ratio * total_steps)
    if step < warmup:
        return (step + 1) / warmup
    if recipe.schedule == "constant":
        return 1.0
    done = (step - warmup) / max(1, total_steps - warmup)
    falling = 1 - done if recipe.schedule == "linear" else (1 + math.cos(math.pi * done)) / 2
    return FLOOR + (1 - FLOOR) * falling


class Optimiser:
    """One step of AdamW with clipped gradients; its moments can be saved and put back exactly."""

    def __init__(self, parameters: dict[str, nn.Parameter], weight_decay: float) -> None:
        self.parameters = parameters
        matrices = [weight for weight in parameters.values() if weight.ndim > 1]
        lengths = [weight for weight in parameters.values() if weight.ndim == 1]  # DoRA's, which are not small at rest
        groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": lengths, "weight_decay": 0.0}]
        self.adamw = torch.optim.AdamW(groups, lr=0.0, betas=BETAS, eps=EPSILON, fused=True)

    def step(self, learning_rate: float) -> float:
        """Apply and clear the gradients; returns their norm before clipping."""
        norm = nn.utils.clip_grad_norm_(self.parameters.values(), CLIP)
        for group in self.adamw.param_groups:
            group["lr"] = learning_rate
        self.adamw.step()
        self.adamw.zero_grad(set_to_none=True)
        return float(norm)

    def state(self) -> dict[str, Tensor]:
        """The moments, `<parameter>.<moment>` → tensor."""
        return {
            f"{name}.{moment}": tensor
            for name, weight in self.parameters.items()
            for moment, tensor in self.adamw.state[weight].items()
        }

    def load(self, state: dict[str, Tensor]) -> None:
        """Put back what `state` gave."""
        for name, weight in self.parameters.items():
            self.adamw.state[weight] = {
                moment: state[f"{name}.{moment}"] for moment in ("step", "exp_avg", "exp_avg_sq")
            }
