"""The adapter as a GGUF file that llama.cpp adds to its base while it runs.

Keys and tensor names are those `llama_adapter_lora_init_impl` (src/llama-adapter.cpp of llama.cpp) reads. It computes
y += (alpha / rank) · B(A x); `alpha` is written so that this is PEFT's scaling, rank-stabilised or not.
"""

from pathlib import Path

import numpy as np

from llmlora.adapter import check_base, read_adapter
from llmlora.errors import DoraNeedsMerging
from llmlora.export.mapping import Placed, open_gguf, place
from llmlora.export.modelfile import keep_template, write_modelfile
from llmlora.ggml import BY_NAME
from llmlora.gguf.reader import STRING
from llmlora.gguf.writer import TensorPlan, write_gguf
from llmlora.model.source import Base

FLOAT = 6  # GGUF value type of a float32


def export_adapter(adapter_path: Path, base: Base, target: Path) -> int:
    """Write the adapter in `adapter_path` as a GGUF adapter for `base`; returns the number of adapted tensors.

    Raises:
        NotAnAdapter, AdapterMismatch: it is none, or not one for this base.
        DoraNeedsMerging: it is DoRA, whose magnitudes have no place in such a file.
        NoGguf: the base is a Hugging Face directory.
        DiskFull: `target` is not written.
    """
    adapter = read_adapter(adapter_path)
    if adapter.dora:
        raise DoraNeedsMerging(adapter_path)
    check_base(adapter, base)
    with open_gguf(base) as file:
        placed = place(adapter, file)
        first = placed[0].pair
        metadata = [
            ("general.architecture", STRING, str(file.metadata["general.architecture"])),
            ("general.type", STRING, "adapter"),
            ("general.name", STRING, adapter_path.resolve().name),
            ("adapter.type", STRING, "lora"),
            ("adapter.lora.alpha", FLOAT, first.scaling * first.rank),
        ]
        write_gguf(target, metadata, [plan for one in placed for plan in _halves(one)])
    write_modelfile(target, base, is_adapter=True)
    keep_template(target, adapter.path)
    return len(placed)


def _halves(placed: Placed) -> list[TensorPlan]:
    halves = (("lora_a", placed.pair.a), ("lora_b", placed.pair.b))
    return [
        TensorPlan(f"{placed.tensor}.{half}", BY_NAME["F32"], matrix.shape, np.ascontiguousarray(matrix).tobytes)
        for half, matrix in halves
    ]
