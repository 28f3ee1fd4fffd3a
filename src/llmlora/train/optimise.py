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
    """One step of AdamW with clipped gradients; its moments can be saved and put back exactly.

    It takes the parameters' place in memory: see `_Joined`.
    """

    def __init__(self, parameters: dict[str, nn.Parameter], weight_decay: float) -> None:
        matrices = {name: weight for name, weight in parameters.items() if weight.ndim > 1}
        lengths = {name: weight for name, weight in parameters.items() if weight.ndim == 1}  # DoRA's, not small at rest
        kinds = [(_Joined(some), decay) for some, decay in ((matrices, weight_decay), (lengths, 0.0)) if some]
        self.kinds = [kind for kind, _ in kinds]
        groups = [{"params": [kind.weights], "weight_decay": decay} for kind, decay in kinds]
        self.adamw = torch.optim.AdamW(groups, lr=0.0, betas=BETAS, eps=EPSILON, fused=True)

    @property
    def nbytes(self) -> int:
        """Bytes of the weights; the moments take twice as many."""
        return sum(kind.weights.numel() * kind.weights.element_size() for kind in self.kinds)

    def step(self, learning_rate: float) -> float:
        """Apply and clear the gradients; returns their norm before clipping."""
        norm = nn.utils.clip_grad_norm_([kind.weights for kind in self.kinds], CLIP)
        for group in self.adamw.param_groups:
            group["lr"] = learning_rate
        self.adamw.step()
        self.adamw.zero_grad(set_to_none=False)
        return float(norm)

    def state(self) -> dict[str, Tensor]:
        """The moments, `<parameter>.<moment>` → tensor."""
        return {
            f"{name}.{moment}": tensor
            for kind in self.kinds
            for moment, joined in self.adamw.state[kind.weights].items()
            for name, tensor in (
                kind.cut(joined) if joined.ndim else {one: joined.clone() for one in kind.names}
            ).items()
        }

    def load(self, state: dict[str, Tensor]) -> None:
        """Put back what `state` gave."""
        for kind in self.kinds:
            moments = {moment: kind.join(state, moment) for moment in ("exp_avg", "exp_avg_sq")}
            self.adamw.state[kind.weights] = {"step": state[f"{next(iter(kind.names))}.step"], **moments}


class _Joined:
    """Parameters that become parts of one long one, and their gradients too.

    Hundreds of small tensors would cost a call each.
    """

    def __init__(self, parameters: dict[str, nn.Parameter]) -> None:
        self.names = {name: weight.shape for name, weight in parameters.items()}
        self.weights = nn.Parameter(torch.cat([weight.detach().reshape(-1) for weight in parameters.values()]))
        self.weights.grad = torch.zeros_like(self.weights)
        weights, gradients = self.cut(self.weights.detach()), self.cut(self.weights.grad)
        for name, weight in parameters.items():
            weight.data, weight.grad = weights[name], gradients[name]

    def cut(self, joined: Tensor) -> dict[str, Tensor]:
        """The parts of a tensor as long as all parameters, as views."""
        parts = torch.split(joined, [shape.numel() for shape in self.names.values()])
        return {name: part.view(shape) for (name, shape), part in zip(self.names.items(), parts, strict=True)}

    def join(self, state: dict[str, Tensor], moment: str) -> Tensor:
        """The other way round."""
        return torch.cat([state[f"{name}.{moment}"].reshape(-1) for name in self.names])
