"""How fast and how lean training is here: real steps of the loop, held against what this machine's products reach.

A step takes two packs of at most 512 tokens, filled with the rows nearly in their order; the loss, its gradient and the
optimiser are in its time. The first two steps pay for what happens once, and are left out. Useful work is what no
trainer can do without: no padding, no activation computed twice, no head where nothing is learned.

    frozen layers      4 · parameters · tokens                forward, and the gradient of what came in
    head               4 · vocabulary · hidden · supervised   the same, of the positions that are learned from
    LoRA               6 · adapter · tokens                   and the gradients of A and B
    attention          12 · query · pairs, a layer            two products forward, four backward; a pair is a token
                                                              and one it sees: n (n + 1) / 2 of a row (512 fit a window)

The peak is the best of five square products in this process, in bfloat16, or in float32 where that is faster.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from math import isfinite
from pathlib import Path
from statistics import median
from typing import Any

import psutil
import torch

from llmlora.data.examples import Example
from llmlora.data.packing import Batch, fill, pack
from llmlora.errors import Diverged
from llmlora.estimate import Dtype, Shape
from llmlora.model.device import DTYPES, probe_machine
from llmlora.model.shape import shape_of
from llmlora.model.targets import targets_of
from llmlora.paths import Home
from llmlora.plan import Plan
from llmlora.recipe import Recipe, make_recipe
from llmlora.train.footprint import Footprint
from llmlora.train.loop import take_gradient
from llmlora.train.optimise import Optimiser
from llmlora.train.prepare import Prepared, prepare

PACKS, PACK_TOKENS = 2, 512
AHEAD = 64  # rows among which one is looked for that fills a pack
LEFT_OUT = 2  # steps at the beginning
PEAK_SIZE, PEAK_RUNS = 4096, 5

Tell = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Work:
    """What a step has to do."""

    tokens: int
    supervised: int
    flops: int


@dataclass(frozen=True)
class Figures:
    """What was measured. Seconds and losses by step, memory in bytes."""

    model: str
    digest: str
    plan: Plan
    work: list[Work]
    seconds: list[float]
    losses: list[float]
    start_seconds: float  # from the start of the process to the first step
    peak_memory: int
    peak_anonymous_memory: int
    peak_dtype: Dtype
    peak_flops: float  # a second

    def tokens_per_second(self) -> float:
        """The median over the steps that count; there is no padding among them."""
        return self._median([work.tokens for work in self.work])

    def supervised_tokens_per_second(self) -> float:
        return self._median([work.supervised for work in self.work])

    def utilisation(self) -> float:
        """Share of the peak that useful work reaches."""
        return self._median([work.flops for work in self.work]) / self.peak_flops

    def _median(self, amounts: Sequence[float]) -> float:
        return median(amount / took for amount, took in list(zip(amounts, self.seconds, strict=True))[LEFT_OUT:])

    def to_json(self) -> dict[str, Any]:
        """One document: the measurements and what follows from them."""
        rates = (self.tokens_per_second, self.supervised_tokens_per_second, self.utilisation)
        follows = {rate.__name__: rate() for rate in rates}
        return {**asdict(self), "plan": self.plan.to_json(), "left_out": LEFT_OUT, **follows}


def bench_recipe(model: str, data: Sequence[str], steps: int) -> Recipe:
    """What is measured: rank 8 on every linear layer, a constant rate. A pack counts as a row, a step is one pass."""
    values = {"rank": 8, "alpha": 16, "dropout": 0, "schedule": "constant", "warmup_ratio": 0, "eval_split": 0}
    size = {"batch_size": PACKS, "gradient_accumulation": 1, "max_length": PACK_TOKENS, "steps": steps}
    size["pass_tokens"] = PACKS * PACK_TOKENS
    return make_recipe({"model": model, "data": tuple(data), **values, **size})


def bench(recipe: Recipe, home: Home, stores: Sequence[Path], tell: Tell) -> Figures:
    """Take the recipe's steps, of which nothing is kept; `tell` hears of phases as `cli.phases` does.

    Raises:
        UserError: any of the user's mistakes.
        Diverged: a loss is not finite.
    """
    tell("preparing", 0, 0)
    prepared = prepare(recipe, home, stores)
    return measure(prepared, cut(prepared.train, prepared.plan.pass_tokens), tell)


def cut(train: Sequence[Example], pass_tokens: int) -> Iterator[list[Batch]]:
    """The passes of each step, without end: the rows of two packs, up to `pass_tokens` tokens a pass."""
    packs = packs_of(train)
    while True:
        rows = [example for _ in range(PACKS) for example in next(packs)]
        yield [pack(together) for together in fill(rows, pass_tokens)]


def packs_of(train: Sequence[Example]) -> Iterator[list[Example]]:
    """Packs without end: the rows in their order, and where the next is too long, the longest of those behind it that
    fits."""
    rows = cycle(train)
    waiting = list(islice(rows, AHEAD))
    while True:
        together, free = list[Example](), PACK_TOKENS
        while fitting := [place for place, example in enumerate(waiting) if len(example.ids) <= free]:
            place = max(fitting, key=lambda place: (place == 0, len(waiting[place].ids)))
            together.append(waiting.pop(place))
            free -= len(together[-1].ids)
            waiting.append(next(rows))
        yield together


def measure(prepared: Prepared, steps: Iterator[list[Batch]], tell: Tell) -> Figures:
    """Train as many steps as the plan has, then find the machine's peak.

    Raises:
        Diverged: a loss is not finite.
    """
    count, shape = prepared.plan.total_steps, _shape(prepared)
    model = prepared.base_model.train()
    optimiser = Optimiser(prepared.parameters, prepared.recipe.weight_decay)
    start_seconds = time.time() - psutil.Process().create_time()
    work, seconds, losses = list[Work](), list[float](), list[float]()
    with Footprint() as memory:
        for step in range(count):
            tell("steps", step, count)
            batches, began = next(steps), time.perf_counter()
            losses.append(take_gradient(model, batches))
            if not isfinite(losses[-1]):
                raise Diverged(step + 1, prepared.learning_rate)
            optimiser.step(prepared.learning_rate)
            seconds.append(time.perf_counter() - began)
            work.append(work_of(shape, batches))
    tell("peak", 0, 0)
    dtype = probe_machine().dtype
    return Figures(
        model=prepared.base.name,
        digest=prepared.base.digest,
        plan=prepared.plan,
        work=work,
        seconds=seconds,
        losses=losses,
        start_seconds=start_seconds,
        peak_memory=memory.resident,
        peak_anonymous_memory=memory.anonymous,
        peak_dtype=dtype,
        peak_flops=peak_flops(dtype, PEAK_SIZE),
    )


def work_of(shape: Shape, batches: Sequence[Batch]) -> Work:
    """The useful work of a step; the formula is this module's."""
    tokens = sum(len(batch.ids) for batch in batches)
    supervised = sum(len(batch.labels) for batch in batches)
    lengths = [int(length) for batch in batches for length in batch.boundaries[1:] - batch.boundaries[:-1]]
    pairs = sum(length * (length + 1) // 2 for length in lengths)
    flops = (
        (4 * shape.body_parameters + 6 * shape.adapter_parameters) * tokens
        + 4 * shape.vocabulary * shape.hidden * supervised
        + 12 * shape.layers * shape.query * pairs
    )
    return Work(tokens, supervised, flops)


def peak_flops(dtype: Dtype, size: int) -> float:
    """Operations a second of the best of five products of two square matrices."""
    a, b = (torch.ones(size, size, dtype=DTYPES[dtype]) for _ in range(2))
    best = float("inf")
    for _ in range(PEAK_RUNS):
        began = time.perf_counter()
        torch.mm(a, b)
        best = min(best, time.perf_counter() - began)
    return 2 * size**3 / best


def _shape(prepared: Prepared) -> Shape:
    recipe, opened = prepared.recipe, prepared.opened
    return shape_of(opened, recipe, targets_of(recipe.target_modules, list(opened.linears)))
