"""Which linear layers get an adapter: from the names in a recipe to modules, and from modules to PEFT's names.

A name is a module's own, or the end of it after a dot: `q_proj` and `self_attn.q_proj` mean that layer of every block,
`model.layers.0.self_attn.q_proj` means one. `layers.3` or `layers.0-5` in front keeps to these blocks, alone or with a
name behind it: `layers.0-5.q_proj`. Names are compared, never read as patterns.
"""

import re
from collections.abc import Sequence

from llmlora.errors import UnknownTarget
from llmlora.recipe import ALL_LINEAR

BLOCKS = re.compile(r"layers\.(\d{1,6})(?:-(\d{1,6}))?(?:\.(.+))?")


def in_blocks(names: Sequence[str], layers: int) -> list[str]:
    """Names of block `{}`, such as the modules LoRA can be put on, of every block in turn."""
    return [name.format(layer) for layer in range(layers) for name in names]


def targets_of(names: Sequence[str], available: Sequence[str]) -> list[str]:
    """The modules these names mean, in the order of `available`.

    Raises:
        UnknownTarget: names that mean none.
    """
    meant = {name: _meant(name, available) for name in names}
    if unknown := [name for name, modules in meant.items() if not modules]:
        raise UnknownTarget(unknown, [ALL_LINEAR, *dict.fromkeys(map(short, available))], _last_block(available))
    chosen = set().union(*meant.values())
    return [module for module in available if module in chosen]


def peft_names(targets: Sequence[str], available: Sequence[str]) -> list[str]:
    """How PEFT is told: by the last part where every such layer is meant, by the whole name otherwise."""
    partial = {short(module) for module in set(available).difference(targets)}
    return list(dict.fromkeys(module if short(module) in partial else short(module) for module in targets))


def short(module: str) -> str:
    """`model.layers.0.self_attn.q_proj` → `q_proj`."""
    return module.rpartition(".")[2]


def block_of(module: str) -> int:
    """The number in a module's name, -1 where there is none."""
    return next((int(part) for part in module.split(".") if part.isdecimal()), -1)


def _meant(name: str, available: Sequence[str]) -> set[str]:
    first, last = -1, (end := _last_block(available))
    if found := BLOCKS.fullmatch(name):
        first, last = int(found[1]), int(found[2] or found[1])
        name = found[3] or ALL_LINEAR
    if not first <= last <= end:
        return set()
    return {
        module
        for module in available
        if first <= block_of(module) <= last and (name == ALL_LINEAR or f".{module}".endswith(f".{name}"))
    }


def _last_block(available: Sequence[str]) -> int:
    return max(map(block_of, available))
