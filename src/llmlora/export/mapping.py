"""From an adapter's modules to the tensors of its base's GGUF file, rows in the order of the file."""

import re
from dataclasses import dataclass, replace

import numpy as np

from llmlora.adapter import Adapter, Pair
from llmlora.data.hf_architectures import HF_ARCHITECTURES
from llmlora.errors import AdapterMismatch, NoGguf, NotAnAdapter
from llmlora.gguf.architectures import Architecture, Linear, stored_rows
from llmlora.gguf.reader import GgufFile
from llmlora.model.form import architecture_of
from llmlora.model.hf import HfDirectory
from llmlora.model.source import Base
from llmlora.text.catalogue import Words

LAYER = re.compile(r"\.layers\.(\d+)\.")


@dataclass(frozen=True)
class Placed:
    """An adapter pair and the tensor it changes; rows of `pair` are in the file's order."""

    tensor: str  # with ".weight"
    module: str
    pair: Pair


def open_gguf(base: Base) -> GgufFile:
    """The file of a base that is one.

    Raises:
        NoGguf: it is a Hugging Face directory.
    """
    if base.is_gguf:
        return GgufFile(base.path)
    kind = HF_ARCHITECTURES.get(HfDirectory.open(base.path).model_type)
    raise NoGguf(base.name, Words("hf.convert_base" if kind and kind.gguf else "hf.peft_only"))


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
    b = _file_order(pair.b, linear, file, architecture)
    magnitude = None if pair.magnitude is None else _file_order(pair.magnitude, linear, file, architecture)
    return Placed(tensor, module, replace(pair, b=b, magnitude=magnitude))


def _linear(adapter: Adapter, module: str, architecture: Architecture) -> tuple[Linear, int]:
    found = LAYER.search(module)
    layer = int(found.group(1)) if found else -1
    for linear in architecture.linears:
        if linear.module.format(layer) == module:
            return linear, layer
    facts = {"module": module, "architecture": architecture.name}
    raise NotAnAdapter(adapter.path, Words("not_adapter.no_layer", facts))


def _file_order(rows: np.ndarray, linear: Linear, file: GgufFile, architecture: Architecture) -> np.ndarray:
    if linear.row_order == "as stored":
        return rows
    heads = int(file.metadata[f"{architecture.name}.attention.head_count"])
    if linear.row_order == "interleaved k":
        heads = int(file.metadata.get(f"{architecture.name}.attention.head_count_kv", heads))
    stored = np.empty_like(rows)
    stored[stored_rows(heads, rows.shape[0] // heads)] = rows
    return stored
