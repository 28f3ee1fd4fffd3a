"""What a run will need and how it will be done, by arithmetic from recipe, model, data and machine.

Nothing here measures or loads; `Machine` comes from `model.device`, `Shape` from the model, `Tokens` from the data.
The plan is frozen in `OUT/plan.json`, so that a resumed run computes the same bits. The terms of the memory model are
those of the activations a layer keeps for its backward pass, in numbers per token:

    hidden     2 norms in and out, 2 residual sums, input of q/k/v, input of the MLP          8 · hidden
    attention  q, k, v after RoPE and their inputs, output                          4 · q + 4 · kv
    MLP        gate, up, activation, product                                                4 · intermediate
    LoRA       A·x of each target                                                   targets · rank
    DoRA       each target's output before its rows are rescaled                    adapted

Capped attention (Gemma 2) besides has the scores of one row at a time, float32: 4 · heads · length².
"""

from dataclasses import asdict, dataclass
from typing import Literal

from llmlora.errors import NotEnoughMemory
from llmlora.recipe import Recipe

MB = 2**20
RUNTIME_BYTES = 700 * MB  # Python, torch, transformers, kernels and their buffers
HEAD_BYTES = 256 * MB  # the chunk of logits `train.loss` works on
BYTES = {"float32": 4, "bfloat16": 2}
# share of the probe's speed that a whole training step reaches on thin layers, seen on the two samples
EFFICIENCY = {"float32": 0.45, "bfloat16": 0.22}

TIGHT = 0.8  # of the free memory: what else runs wants some of it


@dataclass(frozen=True)
class Machine:
    """What the probe found: cores, bytes, and floating-point operations a second."""

    threads: int
    free_memory: int
    float32_flops: float
    bfloat16_flops: float

    @property
    def dtype(self) -> Literal["float32", "bfloat16"]:
        """The faster number format."""
        return "bfloat16" if self.bfloat16_flops > self.float32_flops else "float32"


@dataclass(frozen=True)
class Shape:
    """The sizes of a model that cost time and memory."""

    layers: int
    hidden: int
    intermediate: int
    query: int  # heads · head_dim
    key_value: int  # kv_heads · head_dim
    vocabulary: int
    body_parameters: int  # linear layers of all blocks
    adapter_parameters: int
    targets: int  # LoRA layers in the block that has most
    adapted: int  # and what comes out of them
    file_bytes: int
    capped_heads: int = 0  # whose scores exist as a matrix, because they are softly capped
    dense_parameters: int = 0  # of a base that lies in memory in the number format it computes in

    def base_bytes(self, dtype: str) -> int:
        """Bytes of the base: its mapped file, or its numbers in memory."""
        return self.dense_parameters * BYTES[dtype] or self.file_bytes


@dataclass(frozen=True)
class Tokens:
    """The data, after tokenising: rows that are trained on, and their lengths."""

    rows: int
    total: int
    supervised: int
    longest: int


@dataclass(frozen=True)
class Plan:
    """The choices of a run. Times in seconds, memory in bytes."""

    dtype: Literal["float32", "bfloat16"]
    threads: int
    micro_batch: int  # rows a pass
    recompute: bool  # activations of a block are computed again in the backward pass
    total_steps: int
    eval_every: int
    save_every: int
    memory: int
    seconds: float
    unpacked: bool = False  # the base's matrices are dequantised once, not in each pass

    def to_json(self) -> dict[str, object]:
        return asdict(self)


def make_plan(recipe: Recipe, shape: Shape, tokens: Tokens, eval_rows: int, machine: Machine) -> Plan:
    """Choose dtype, threads, steps, rows a pass and recompute.

    Raises:
        NotEnoughMemory: it does not fit even with one row a pass and activations recomputed.
    """
    dtype = machine.dtype
    rows_per_step = recipe.batch_size * recipe.gradient_accumulation
    total_steps = recipe.steps or -(-tokens.rows * recipe.epochs // rows_per_step)
    way, memory = _fit(recipe, shape, tokens, dtype, machine.free_memory)
    tenth = max(1, total_steps // 10)
    return Plan(
        dtype=dtype,
        threads=machine.threads,
        micro_batch=way.rows,
        recompute=way.recompute,
        unpacked=way.unpacked,
        total_steps=total_steps,
        eval_every=(recipe.eval_every or tenth) if eval_rows else total_steps,
        save_every=recipe.save_every or tenth,
        memory=memory,
        seconds=seconds_needed(shape, tokens, total_steps * rows_per_step, machine, dtype, way.recompute),
    )


@dataclass(frozen=True)
class Way:
    """How a pass is done: rows in it, activations computed again or kept, the base dequantised once or in each pass."""

    rows: int
    recompute: bool
    unpacked: bool


def _fit(recipe: Recipe, shape: Shape, tokens: Tokens, dtype: str, free: int) -> tuple[Way, int]:
    """The fastest way that fits, and its bytes."""
    ways = [Way(recipe.batch_size, False, False), Way(recipe.batch_size, True, False), Way(1, True, False)]
    if not shape.dense_parameters:
        ways.insert(0, Way(recipe.batch_size, False, True))
    for way in ways:
        memory = memory_needed(recipe, shape, tokens, dtype, way)
        if memory <= (free // 2 if way.unpacked else free):  # what is only convenient leaves room for others
            return way, memory
    raise NotEnoughMemory(memory // MB, free // MB, recipe.batch_size, recipe.max_length, recipe.rank)


def memory_needed(recipe: Recipe, shape: Shape, tokens: Tokens, dtype: str, way: Way) -> int:
    """Peak bytes of this process, the mapped model file included.

    The worst pass is taken: the longest row, as often as a pass has rows.
    """
    per_layer = (
        8 * shape.hidden + 4 * (shape.query + shape.key_value) + 4 * shape.intermediate + shape.targets * recipe.rank
    ) + (shape.adapted if recipe.dora else 0)
    live_layers = 1 if way.recompute else shape.layers
    kept = shape.hidden * shape.layers if way.recompute else 0
    batch_tokens = min(tokens.longest * way.rows, max(tokens.total, 1))
    activations = batch_tokens * (per_layer * live_layers + kept) * BYTES[dtype]
    unpacked = (shape.body_parameters + shape.vocabulary * shape.hidden) * BYTES[dtype] * way.unpacked
    adapter = 16 * shape.adapter_parameters  # float32 weight, gradient and two moments
    scores = 4 * shape.capped_heads * tokens.longest**2 * BYTES["float32"]
    return RUNTIME_BYTES + HEAD_BYTES + shape.base_bytes(dtype) + unpacked + adapter + activations + scores


def seconds_needed(shape: Shape, tokens: Tokens, rows: int, machine: Machine, dtype: str, recompute: bool) -> float:
    """Time of the training steps: 4 operations a weight and token (6 with recompute), the head for supervised ones."""
    per_token = (6 if recompute else 4) * shape.body_parameters + 6 * shape.adapter_parameters
    per_row = tokens.total * per_token + tokens.supervised * 4 * shape.vocabulary * shape.hidden
    flops = machine.bfloat16_flops if dtype == "bfloat16" else machine.float32_flops
    return rows * per_row / max(tokens.rows, 1) / (flops * EFFICIENCY[dtype])
