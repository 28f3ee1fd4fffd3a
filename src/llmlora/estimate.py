"""How much memory and time a way of training takes, by arithmetic from recipe, model, data and machine.

Memory is the base's mapped file, which the system can take back, and what the process allocates:

    runtime    Python, torch, transformers, compiled kernels, the tile of a matrix being dequantised
    base       its numbers, where they are dequantised once or lie in memory anyway
    adapter    per parameter float32 weight, gradient and two moments, and the weight rounded to the number format
    kept       what autograd keeps of a pass: of every layer, or the inputs of all and the rest of one at a time
    passing    the logits of the loss, or the gradients inside one layer's backward pass, whichever is more

What a layer keeps for its backward pass is what its functions save (`Shape.kept`, in numbers per token):

    norms      the input of each, and the outputs that linear layers read         (norms + 2) · hidden
    heads      q and k before their norms, where they have some                   query + key
    attention  q, k, v after RoPE; its output, which the next layer reads         2 · query + 2 · key_value
    MLP        gate, up, activation, and their product, which the next layer reads  4 · intermediate
    LoRA       A·x of each target                                                 targets · rank

Time is the products at the speed the probe has seen, and what costs so much a number or a layer beside them. The
constants were fitted to runs by `benchmarks/predictions.py`, which prints them anew; a run corrects its own after a few
steps.
"""

from dataclasses import dataclass
from typing import Literal

from llmlora.recipe import Recipe

Dtype = Literal["float32", "bfloat16"]
MB = 2**20
BYTES: dict[Dtype, int] = {"float32": 4, "bfloat16": 2}
HEAD_BYTES = 256 * MB  # the chunk of logits `train.loss` works on

# Memory. `MLP` is the number in the table above. Libraries are mapped files too; the rest of the runtime is allocated.
MLP = 4
LIBRARY_BYTES = 180 * MB
RUNTIME_BYTES = 380 * MB
TOKEN_BYTES = 560  # of a token of the vocabulary, in the tokenizer
GAPS = 1.35  # kept activations, and the gaps between them that the allocator cannot fill
LOGITS = 1.25  # the chunk of logits, and the copies that products with it make
DENSER = 1.25  # the share of supervised tokens in some pass, to that in all rows
BACKWARD = 6  # gradients that a layer's MLP has at a time, in numbers · intermediate per token
MOMENTS = 16  # bytes a parameter: float32 weight, gradient and two moments
RESERVED_BYTES = 160 * MB  # what counts against a limit of allocation and is never touched


@dataclass(frozen=True)
class Work:
    """What a run computes, or what one of each costs in seconds. Of all but `layers`, cores share the work."""

    products: float  # seconds of products at the probe's speed
    numbers: float  # that layers keep, each time they are computed or left
    scores: float  # pairs of tokens that see each other, times the numbers of a query
    weights: float  # dequantised
    layers: float  # passes through a layer, whatever its size
    parameters: float  # of the adapter, each step

    def seconds(self, costs: "Work", threads: int) -> float:
        """With what one of each costs on one core."""
        beside = sum(
            getattr(self, name) * getattr(costs, name) for name in ("numbers", "scores", "weights", "parameters")
        )
        return float(self.products * costs.products + beside / threads + self.layers * costs.layers)


COSTS: dict[Dtype, Work] = {
    "bfloat16": Work(1.24, 6.8e-10, 7.0e-11, 4.0e-10, 1.5e-3, 1.0e-9),
    "float32": Work(1.0, 6.8e-10, 7.0e-11, 4.0e-10, 1.5e-3, 1.0e-9),
}


@dataclass(frozen=True)
class Machine:
    """What the probe found: cores, bytes, and floating-point operations a second."""

    threads: int
    free_memory: int
    float32_flops: float
    bfloat16_flops: float
    allocatable: int | None = None  # the most the process may allocate, where it is limited

    def flops(self, dtype: Dtype) -> float:
        """Operations a second in this number format."""
        return self.bfloat16_flops if dtype == "bfloat16" else self.float32_flops

    @property
    def dtype(self) -> Dtype:
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
    norms: int = 2  # of a block, over the hidden states
    head_norms: bool = False  # over those of q and k
    dense_parameters: int = 0  # of a base that lies in memory in the number format it computes in

    @property
    def kept(self) -> int:
        """Numbers that a layer without LoRA keeps per token."""
        heads = (self.query + self.key_value) * self.head_norms
        attention = 2 * self.query + 2 * self.key_value
        return (self.norms + 2) * self.hidden + heads + attention + MLP * self.intermediate

    @property
    def matrix_weights(self) -> int:
        """Weights of all matrices that products are taken with."""
        return self.body_parameters + self.vocabulary * self.hidden


@dataclass(frozen=True)
class Tokens:
    """The data, after tokenising: rows that are trained on, and their lengths."""

    rows: int
    total: int
    supervised: int
    longest: int
    squares: int = 0  # the sum of length²


@dataclass(frozen=True)
class Way:
    """How a step is computed."""

    dtype: Dtype
    threads: int
    pass_tokens: int  # rows are packed up to so many tokens a pass; a longer row goes alone
    recompute: bool  # activations of a block are computed again in the backward pass
    unpacked: bool  # the base's matrices are dequantised once, not in each pass


@dataclass(frozen=True)
class Memory:
    """Peak bytes of a process: pages of the model's file, and what it allocates."""

    mapped: int
    allocated: int

    @property
    def total(self) -> int:
        return LIBRARY_BYTES + self.mapped + self.allocated

    @property
    def reserved(self) -> int:
        """What counts against a limit of allocation."""
        return self.allocated + RESERVED_BYTES


def memory_needed(recipe: Recipe, shape: Shape, tokens: Tokens, way: Way) -> Memory:
    """Peak memory of this way, in its largest pass."""
    size = BYTES[way.dtype]
    step = recipe.batch_size * recipe.gradient_accumulation
    batch = min(max(way.pass_tokens, tokens.longest), step * tokens.longest, tokens.total)
    supervised = min(batch, int(DENSER * batch * tokens.supervised / tokens.total))
    layer = shape.kept + shape.targets * recipe.rank + (shape.adapted if recipe.dora else 0)
    kept = layer * shape.layers
    if way.recompute:
        kept = shape.hidden * shape.layers
    backward = (layer if way.recompute else 0) + BACKWARD * shape.intermediate
    chunk = max(1, HEAD_BYTES // (shape.vocabulary * size))
    logits = min(supervised, chunk) * shape.vocabulary
    base = shape.dense_parameters + shape.matrix_weights * way.unpacked
    rounded = size if size < BYTES["float32"] else 0
    adapter = (MOMENTS + rounded) * shape.adapter_parameters
    runtime = RUNTIME_BYTES + TOKEN_BYTES * shape.vocabulary
    allocated = runtime + adapter + int(size * (base + GAPS * batch * kept + max(LOGITS * logits, batch * backward)))
    return Memory(0 if shape.dense_parameters else shape.file_bytes, allocated)


def seconds_needed(
    recipe: Recipe, shape: Shape, tokens: Tokens, way: Way, machine: Machine, steps: int, evaluated: int
) -> float:
    """Time of the training steps, and of passes forward over `evaluated` held-out rows."""
    rows = recipe.batch_size * recipe.gradient_accumulation
    threads, costs = way.threads, COSTS[way.dtype]
    step = work_of(shape, tokens, way, machine, rows).seconds(costs, threads)
    forward = work_of(shape, tokens, way, machine, evaluated, backward=False).seconds(costs, threads)
    return steps * step + forward


def work_of(shape: Shape, tokens: Tokens, way: Way, machine: Machine, rows: int, *, backward: bool = True) -> Work:
    """A step of `rows` rows of mean length, in as many passes as they need; or forward passes alone."""
    times = (3 if way.recompute else 2) if backward else 1  # that a matrix is used
    share, mean = rows / tokens.rows, tokens.total / tokens.rows
    total = share * tokens.total
    passes = total and max(1.0, total / max(mean, way.pass_tokens - mean / 2))  # half a row of each stays empty
    body = total * times * 2 * (shape.body_parameters + shape.adapter_parameters)
    head = share * tokens.supervised * 2 * min(times, 2) * shape.vocabulary * shape.hidden
    packed = not way.unpacked and not shape.dense_parameters
    return Work(
        products=(body + head) / (machine.flops(way.dtype) * way.threads / machine.threads),
        numbers=total * shape.layers * shape.kept * times,
        scores=share * tokens.squares / 2 * shape.layers * shape.query * times,
        weights=passes * times * shape.matrix_weights * packed,
        layers=passes * shape.layers * times,
        parameters=shape.adapter_parameters * backward,
    )
