"""How a run will be done: the fastest way that fits, and why.

Nothing here measures or loads; `Machine` comes from `model.device`, `Shape` from the model, `Tokens` from the data.
What the recipe leaves open is chosen among all ways there are, by what `estimate` says of each. The plan is frozen in
`OUT/plan.json`, so that a resumed run computes the same bits.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from itertools import product
from typing import Any, Self

from llmlora.errors import NotEnoughMemory
from llmlora.estimate import MB, Dtype, Machine, Memory, Shape, Tokens, Way, memory_needed, seconds_needed
from llmlora.recipe import Choice, Recipe
from llmlora.text.catalogue import Words

PASS_TOKENS = (4096, 2048, 1024, 512, 256)  # of which a pass may have
ROW_BY_ROW = 1  # and with this, every row goes alone
TIGHT = 0.8  # of the free memory: what else runs wants some of it
CONVENIENT = 0.5  # and of it what is only convenient may take
WORTH = 1.03  # less time than this is not worth more memory
GIGA = 1e9


@dataclass(frozen=True)
class Plan:
    """The choices of a run. Times in seconds, memory in bytes."""

    dtype: Dtype
    threads: int
    pass_tokens: int
    recompute: bool
    total_steps: int
    eval_every: int
    save_every: int
    memory: int
    seconds: float
    unpacked: bool = False
    reasons: tuple[Words, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "reasons": [reason.to_json() for reason in self.reasons]}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """What `to_json` has written down; an older version wrote other names besides, and no tokens a pass."""
        known = {one.name: values[one.name] for one in fields(cls) if one.name in values}
        reasons = tuple(Words.revive(told) for told in values.get("reasons", ()))
        return cls(**{"pass_tokens": PASS_TOKENS[0], **known, "reasons": reasons})


@dataclass(frozen=True)
class Candidate:
    """A way, and what it takes."""

    way: Way
    memory: Memory
    seconds: float


Consider = Callable[[Way], Candidate]


def make_plan(recipe: Recipe, shape: Shape, tokens: Tokens, eval_rows: int, machine: Machine) -> Plan:
    """Choose number format, threads, steps, tokens a pass, recompute, and whether the base is dequantised once.

    Raises:
        NotEnoughMemory: it does not fit even with one row a pass and activations recomputed.
    """
    rows_per_step = recipe.batch_size * recipe.gradient_accumulation
    steps = recipe.steps or -(-tokens.rows * recipe.epochs // rows_per_step)
    tenth = max(1, steps // 10)
    eval_every = (recipe.eval_every or tenth) if eval_rows else steps
    evaluated = -(-steps // eval_every) * eval_rows

    def consider(way: Way) -> Candidate:
        memory = memory_needed(recipe, shape, tokens, way)
        return Candidate(way, memory, seconds_needed(recipe, shape, tokens, way, machine, steps, evaluated))

    candidates = [consider(way) for way in _ways(recipe, shape, tokens, machine)]
    fitting = [one for one in candidates if _fits(one, recipe, machine)]
    if not fitting:
        least = min(candidates, key=lambda one: one.memory.total)
        raise _refusal(recipe, shape, least, machine)
    chosen = _best(fitting, machine)
    return Plan(
        **asdict(chosen.way),
        total_steps=steps,
        eval_every=eval_every,
        save_every=recipe.save_every or tenth,
        memory=chosen.memory.total,
        seconds=chosen.seconds,
        reasons=tuple(_reasons(recipe, shape, machine, chosen, consider)),
    )


def _ways(recipe: Recipe, shape: Shape, tokens: Tokens, machine: Machine) -> Iterator[Way]:
    """All ways that the recipe leaves open; of the tokens a pass, none more than a step has."""
    dtype: Dtype = machine.dtype if recipe.dtype == "auto" else recipe.dtype
    step = recipe.batch_size * recipe.gradient_accumulation * tokens.longest
    sizes = (recipe.pass_tokens,) if recipe.pass_tokens else [*(n for n in PASS_TOKENS if n < 2 * step), ROW_BY_ROW]
    unpacked = (False,) if shape.dense_parameters else _open(recipe.unpack)
    for size, recompute, once in product(sizes, _open(recipe.recompute), unpacked):
        yield Way(dtype, recipe.threads or machine.threads, size, recompute, once)


def _open(asked: Choice) -> tuple[bool, ...]:
    return {"always": (True,), "never": (False,)}.get(asked, (False, True))


def _fits(one: Candidate, recipe: Recipe, machine: Machine) -> bool:
    free, limit = machine.free_memory, machine.allocatable
    if one.way.unpacked and recipe.unpack == "auto":
        free, limit = int(free * CONVENIENT), limit and int(limit * CONVENIENT)
    return one.memory.total <= free and (limit is None or one.memory.reserved <= limit)


def _best(fitting: list[Candidate], machine: Machine) -> Candidate:
    """Of those that leave others some memory, if any: the one with least memory among the fastest."""
    roomy = [one for one in fitting if one.memory.total <= TIGHT * machine.free_memory] or fitting
    fastest = min(one.seconds for one in roomy)
    return min(
        (one for one in roomy if one.seconds <= WORTH * fastest), key=lambda one: (one.memory.total, one.seconds)
    )


def _refusal(recipe: Recipe, shape: Shape, least: Candidate, machine: Machine) -> NotEnoughMemory:
    needed, available, limit = least.memory.total, machine.free_memory, machine.allocatable
    if limit is not None and least.memory.reserved > limit and needed <= available:
        needed, available = least.memory.reserved, limit
    return NotEnoughMemory(
        -(-needed // MB), available // MB, recipe.max_length, recipe.rank, shape.targets * shape.layers
    )


def _reasons(recipe: Recipe, shape: Shape, machine: Machine, chosen: Candidate, consider: Consider) -> Iterator[Words]:
    """A sentence for each choice."""
    way = chosen.way
    yield _why_dtype(recipe, machine, way.dtype)
    yield Words(f"plan.threads.{'asked' if recipe.threads else 'cores'}", {"threads": way.threads})
    passes = "asked" if recipe.pass_tokens else "rows" if way.pass_tokens == ROW_BY_ROW else "chosen"
    yield Words(f"plan.passes.{passes}", {"tokens": way.pass_tokens})
    other = consider(replace(way, recompute=not way.recompute))
    yield _why("recompute", recipe.recompute, way.recompute, chosen, other)
    if not shape.dense_parameters:
        other = consider(replace(way, unpacked=not way.unpacked))
        yield _why("unpacked", recipe.unpack, way.unpacked, chosen, other)


def _why_dtype(recipe: Recipe, machine: Machine, dtype: Dtype) -> Words:
    fast, slow = machine.flops(dtype) / GIGA, min(machine.float32_flops, machine.bfloat16_flops) / GIGA
    asked = recipe.dtype != "auto"
    return Words(f"plan.dtype.{'asked' if asked else dtype}", {"dtype": dtype, "fast": fast, "times": fast / slow})


def _why(what: str, asked: Choice, taken: bool, chosen: Candidate, other: Candidate) -> Words:
    if asked != "auto":
        return Words(f"plan.{what}.{asked}")
    memory = abs(other.memory.total - chosen.memory.total) / MB
    share = abs(other.seconds - chosen.seconds) / chosen.seconds
    return Words(f"plan.{what}.{'yes' if taken else 'no'}", {"memory": memory, "time": round(100 * share)})
