"""The base with the adapter worked into its weights, as one GGUF file.

Writing a merged matrix back in the base's own 4 bits erases the adapter: values that sit on the grid round straight
back to it (measured: 1 % of a 1 %-norm update survives Q4_K). So each touched tensor takes the first of Q8_0, F16, F32
that keeps the update: `kept` = ⟨got, Δ⟩/⟨Δ, Δ⟩ at least 0.95, and on activations x of real rows `error` =
‖(got − Δ)x‖/‖Δx‖ at most 0.2. All other tensors are copied byte for byte. The activations come from one forward pass
of the base, in which each adapted layer decides for itself when its input passes by.
"""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from llmlora.adapter import WEIGHTS, adapter_directory, check_base, read_adapter
from llmlora.data.packing import pack
from llmlora.data.template import TEMPLATE_KEY
from llmlora.export.activations import calibration_examples
from llmlora.export.mapping import Placed, open_gguf, place
from llmlora.export.modelfile import keep_template, write_modelfile
from llmlora.export.quantise import pack_as
from llmlora.files import write_text
from llmlora.ggml import BY_NAME, TensorType
from llmlora.gguf.reader import STRING, GgufFile
from llmlora.gguf.writer import TensorPlan, copy_metadata, copy_tensor, write_gguf
from llmlora.kernels.dequantise import PackedMatrix
from llmlora.model.load import load_model
from llmlora.model.source import Base, digest_of
from llmlora.train.evaluate import hidden_states

MERGED = "merged.gguf"
CANDIDATES = ("Q8_0", "F16", "F32")
LEAST_KEPT, MOST_ERROR = 0.95, 0.2


@dataclass(frozen=True)
class Merged:
    """What became of one touched tensor."""

    tensor: str
    before: str
    after: str
    update: float  # ‖Δ‖ / ‖W‖
    kept: float
    error: float


@dataclass(frozen=True)
class MergeReport:
    """The whole merge: where the activations came from, and each touched tensor."""

    activations: str
    tensors: list[Merged]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of_json(cls, told: dict[str, Any]) -> Self:
        """What `to_json` has written down."""
        return cls(told["activations"], [Merged(**one) for one in told["tensors"]])


def ignore(_done: int, _total: int) -> None:
    """The `on_tensor` of someone who does not watch."""


def export_merged(
    adapter_path: Path, base: Base, target: Path, on_tensor: Callable[[int, int], None] = ignore
) -> MergeReport:
    """Write base + adapter to `target`; `on_tensor` is told tensors decided and tensors in all.

    Raises:
        NotAnAdapter, AdapterMismatch: there is no adapter, or not one for this base.
        NoGguf: the base is a Hugging Face directory.
        DiskFull: `target` is not written.
    """
    adapter = read_adapter(adapter_path)
    check_base(adapter, base)
    with open_gguf(base) as file:
        placed = {one.module: one for one in place(adapter, file)}
        examples, origin, template = calibration_examples(adapter.path, file)
        decided = _decide(file, placed, lambda model: hidden_states(model, pack(examples)), on_tensor)
        touched = {merged.tensor: (placed[module], merged) for module, merged in decided.items()}
        metadata = list(copy_metadata(file))
        if TEMPLATE_KEY not in file.metadata:
            metadata.append((TEMPLATE_KEY, STRING, template))
        write_gguf(target, metadata, _tensors(file, touched), alignment=file.alignment)
    write_modelfile(target, base, is_adapter=False)
    keep_template(target, adapter.path)
    return MergeReport(origin, list(decided.values()))


def kept_merged(
    adapter_path: Path, base: Base, directory: Path, on_tensor: Callable[[int, int], None] = ignore
) -> tuple[Path, MergeReport]:
    """`directory/merged.gguf` and its report, made unless they are there for this adapter and this base."""
    target, note = directory / MERGED, directory / f"{MERGED}.json"
    of = {"base": base.digest, "adapter": digest_of(adapter_directory(adapter_path) / WEIGHTS)}
    with suppress(OSError, ValueError, KeyError, TypeError):
        kept = json.loads(note.read_text("utf-8"))
        if target.is_file() and kept["of"] == of:
            return target, MergeReport.of_json(kept["report"])
    report = export_merged(adapter_path, base, target, on_tensor)
    write_text(note, json.dumps({"of": of, "report": report.to_json()}))
    return target, report


def update_of(placed: Placed, weight: Tensor) -> Tensor:
    """What is added to W [out, in], float32, rows in the file's order: scaling · B A, or what DoRA makes of it."""
    pair = placed.pair
    update: Tensor = pair.scaling * (torch.from_numpy(pair.b) @ torch.from_numpy(pair.a))
    if pair.magnitude is None:
        return update
    tuned = weight + update
    norms: Tensor = tuned.norm(dim=1).clamp_min(torch.finfo(tuned.dtype).tiny)
    return tuned * (torch.from_numpy(pair.magnitude) / norms)[:, None] - weight


def _decide(
    file: GgufFile,
    placed: dict[str, Placed],
    forward: Callable[[Any], Tensor],
    on_tensor: Callable[[int, int], None],
) -> dict[str, Merged]:
    model = load_model(file, torch.float32)
    decided: dict[str, Merged] = {}

    def watch(module: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def hook(_: nn.Module, inputs: tuple[Tensor, ...], __: Tensor) -> None:
            decided[module] = _merge(file, placed[module], inputs[0].reshape(-1, inputs[0].shape[-1]))
            on_tensor(len(decided), len(placed))

        return hook

    for module in placed:
        model.get_submodule(module).register_forward_hook(watch(module))
    with torch.no_grad():
        forward(model)
    return decided


def _merge(file: GgufFile, placed: Placed, x: Tensor) -> Merged:
    kind = file.tensors[placed.tensor].kind
    weight = _dense(file, placed.tensor)
    update = update_of(placed, weight)
    size, output = float(update.square().sum()), x @ update.T
    for name in CANDIDATES:
        if weight.shape[1] % BY_NAME[name].block_size:
            continue
        got = _unpacked(pack_as(weight + update, BY_NAME[name]), BY_NAME[name]) - weight
        kept = float((got * update).sum()) / size if size else 1.0
        error = _ratio(x @ got.T - output, output)
        if (kept >= LEAST_KEPT and error <= MOST_ERROR) or name == CANDIDATES[-1]:
            break
    return Merged(placed.tensor, kind.name, name, _ratio(update, weight), kept, error)


def _ratio(part: Tensor, whole: Tensor) -> float:
    norm = float(whole.norm())
    return float(part.norm()) / norm if norm else 0.0


def _tensors(file: GgufFile, touched: dict[str, tuple[Placed, Merged]]) -> Sequence[TensorPlan]:
    def merged_bytes(placed: Placed, kind: TensorType) -> Callable[[], np.ndarray]:
        return lambda: pack_as(tuned(placed), kind)

    def tuned(placed: Placed) -> Tensor:
        weight = _dense(file, placed.tensor)
        return weight + update_of(placed, weight)

    plans = []
    for name, info in file.tensors.items():
        if name in touched:
            placed, merged = touched[name]
            kind = BY_NAME[merged.after]
            plans.append(TensorPlan(name, kind, info.shape, merged_bytes(placed, kind)))
        else:
            plans.append(copy_tensor(file, name))
    return plans


def _dense(file: GgufFile, name: str) -> Tensor:
    return PackedMatrix(file.packed(name), file.tensors[name].kind, None).dense(torch.float32)


def _unpacked(blocks: np.ndarray, kind: TensorType) -> Tensor:
    return PackedMatrix(blocks, kind, None).dense(torch.float32)
