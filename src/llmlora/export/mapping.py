"""From an adapter's modules to the tensors of its base's GGUF file, rows in the order of the file."""

import re
from dataclasses import dataclass

import numpy as np

from llmlora.adapter import Adapter, Pair
from llmlora.errors import AdapterMismatch, NotAnAdapter
from llmlora.gguf.architectures import Architecture, Linear, stored_rows
from llmlora.gguf.reader import GgufFile
from llmlora.model.form import architecture_of
from llmlora.model.source import Base

LAYER = re.compile(r"\.layers\.(\d+)\.")


@dataclass(frozen=True)
class Placed:
    """An adapter pair and the tensor it changes; rows of `pair.b` are in the file's order."""

    tensor: str  # with ".weight"
    module: str
    pair: Pair


def check_base(adapter: Adapter, base: Base) -> None:
    """Raises AdapterMismatch when the adapter says it was trained on other bytes than the base's."""
    if adapter.base_digest is not None and adapter.base_digest != base.digest:
        raise AdapterMismatch(
            f"{adapter.base_name} ({adapter.base_digest[:19]}…)", f"{base.name} ({base.digest[:19]}…)"
        )


def place(adapter: Adapter, file: GgufFile) -> list[Placed]:
    """Every pair beside its tensor.

    Raises:
        AdapterMismatch: a module the file does not have, or another shape.
        UnsupportedArchitecture: the file's architecture is not one of ours.
    """
    architecture = architecture_of(file)
    return [_placed(adapter, module, pair, file, architecture) for module, pair in adapter.pairs.items()]


def _placed(adapter: Adapter, module: str, pair: Pair, file: GgufFile, architecture: Architecture) -> Placed:
    linear, layer = _linear(adapter, module, architecture)
    tensor = f"{linear.tensor.format(layer)}.weight"
    info = file.tensors.get(tensor)
    shape = (pair.b.shape[0], pair.a.shape[1])
    if info is None or info.shape != shape:
        found = "without it" if info is None else f"of {info.shape}"
        raise AdapterMismatch(f"{adapter.base_name} ({module} of {shape})", f"{file.path.name} {found}")
    return Placed(tensor, module, Pair(pair.a, _file_order(pair.b, linear, file, architecture), pair.scaling))


def _linear(adapter: Adapter, module: str, architecture: Architecture) -> tuple[Linear, int]:
    found = LAYER.search(module)
    layer = int(found.group(1)) if found else -1
    for linear in architecture.linears:
        if linear.module.format(layer) == module:
            return linear, layer
    raise NotAnAdapter(adapter.path, f"{module} is not a linear layer of the architecture {architecture.name}")


def _file_order(b: np.ndarray, linear: Linear, file: GgufFile, architecture: Architecture) -> np.ndarray:
    if linear.row_order == "as stored":
        return b
    heads = int(file.metadata[f"{architecture.name}.attention.head_count"])
    if linear.row_order == "interleaved k":
        heads = int(file.metadata.get(f"{architecture.name}.attention.head_count_kv", heads))
    stored = np.empty_like(b)
    stored[stored_rows(heads, b.shape[0] // heads)] = b
    return stored
