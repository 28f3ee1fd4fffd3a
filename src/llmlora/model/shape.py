"""The sizes of a model that cost time and memory."""

from collections.abc import Sequence

from llmlora.estimate import Shape
from llmlora.model.opened import OpenBase
from llmlora.model.targets import block_of
from llmlora.recipe import Recipe


def shape_of(opened: OpenBase, recipe: Recipe, targets: Sequence[str]) -> Shape:
    """The sizes the plan computes with; `targets` are the modules that get LoRA."""
    config, linears = opened.config, opened.linears
    heads, hidden, layers = config.num_attention_heads, config.hidden_size, config.num_hidden_layers
    head_dim = getattr(config, "head_dim", None) or hidden // heads
    blocks = [[linears[target] for target in targets if block_of(target) == block] for block in range(layers)]
    outputs = [sum(rows for rows, _ in block) for block in blocks]
    return Shape(
        layers=layers,
        hidden=hidden,
        intermediate=getattr(config, "intermediate_size", None) or getattr(config, "n_inner", None) or 4 * hidden,
        query=heads * head_dim,
        key_value=(getattr(config, "num_key_value_heads", None) or heads) * head_dim,
        vocabulary=config.vocab_size,
        body_parameters=sum(rows * columns for rows, columns in linears.values()),
        adapter_parameters=recipe.rank * sum(sum(map(sum, block)) for block in blocks) + recipe.dora * sum(outputs),
        targets=max(map(len, blocks)),
        adapted=max(outputs),
        file_bytes=opened.file_bytes,
        norms=opened.norms,
        head_norms=opened.head_norms,
        dense_parameters=opened.dense_parameters,
    )
