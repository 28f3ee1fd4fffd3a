"""Our numbers beside llama.cpp's, on this machine: the same weights computed twice.

    weights     ours in float32 against the engine on an F32 copy of the same weights, with a float32 cache: at most
                0.02 apart anywhere. This compares the arithmetic, the names and the order of rows.
    engine      ours against the engine on the file as it is served: a mean of at most 1.1 × its noise
    noise       on quantised weights the engine rounds activations to 8 bits: its mean distance from its own F32 copy

both for base + adapter and for the merged file, of which the share of the update that survived is told as well.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from shutil import disk_usage
from typing import Literal

import psutil
import torch
from torch import Tensor

from llmlora.adapter import Adapter
from llmlora.certify.certificate import Line, judged, skipped
from llmlora.certify.numbers import LIKELY, Values, dense_bytes, distance, float_copy, our_tables
from llmlora.certify.rows import Material
from llmlora.chat.engine import Engine, EngineOptions, Sampling
from llmlora.errors import DiskFull
from llmlora.export.adapter import export_adapter
from llmlora.export.merged import LEAST_KEPT, MOST_ERROR, MergeReport, kept_merged
from llmlora.gguf.reader import GgufFile
from llmlora.model.source import Base
from llmlora.text.catalogue import Words

LIMIT, NOISE_FACTOR = 0.02, 1.1
FLOOR = 0.002  # nats of mean difference that two float computations may have: a file of F32 makes no noise
ANSWER = Sampling(max_tokens=48, temperature=0)
CONTEXT = 512
SHARE = 0.8  # of the free disk and memory that an F32 copy may take

Phase = Literal["ours", "engine", "copying", "merging", "served", "answers"]
OnPhase = Callable[[Phase, int, int], None]  # done of all: tensors while merging, tokens elsewhere; 0 of 0: unknown


@dataclass(frozen=True)
class Side:
    """One of the two ways the tuned model can be served, in numbers: after each prefix of the rows."""

    ours: Tensor  # [tokens, vocabulary]
    engine: list[Values]  # of the file as it is served
    exact: list[Values] | None  # of its F32 copy


@dataclass
class Comparison:
    """Everything that was compared here. Answers are those to the material's prompts."""

    plain: Tensor  # the base alone, as we compute it: [tokens, vocabulary]
    lines: list[Line] = field(default_factory=list)
    beside: Side | None = None  # None: DoRA has no such route
    merged: Side | None = None  # None: there was no room for it
    report: MergeReport | None = None
    base_answers: list[str] = field(default_factory=list)
    tuned_answers: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Bench:
    """What is compared, and where files are made."""

    path: Path  # of the adapter
    adapter: Adapter
    base: Base
    material: Material
    workshop: Path
    tell: OnPhase


def compare(bench: Bench) -> Comparison:
    """Make all comparisons that this machine has room for.

    Raises:
        EngineFailed: llama.cpp refuses one of the files, in its words.
    """
    plain, tuned = our_tables(
        bench.base.path, bench.material.rows, bench.adapter, on_row=lambda: bench.tell("ours", 0, 0)
    )
    made = Comparison(plain)
    effect = distance(tuned, [_likely(row) for row in plain])
    made.lines.append(judged("effect", "mean", effect.mean, compared=effect.compared))
    _base_and_adapter(bench, made, tuned)
    try:
        _merged(bench, made, tuned)
    except DiskFull as error:
        reason = Words("certificate.no_room", {"needed": error.needed_mb, "free": error.free_mb})
        made.lines += skipped(reason, "kept", "error", "weights_merged", "engine_merged")
    return made


def engine_lines(what: str, side: Side) -> list[Line]:
    """What an engine computes from the file as it is served, held against its own noise."""
    found = distance(side.ours, side.engine)
    if side.exact is None:
        return [judged(what, "mean", found.mean, compared=found.compared)]
    noise = distance(side.ours, side.engine, instead=side.exact)
    limit = max(NOISE_FACTOR * noise.mean, FLOOR)
    return [
        judged(what, "mean", found.mean, limit, found.compared),
        judged(f"{what}_noise", "mean", noise.mean, compared=noise.compared),
    ]


def _base_and_adapter(bench: Bench, made: Comparison, tuned: Tensor) -> None:
    file = None
    if not bench.adapter.dora:
        file = bench.workshop / "adapter.gguf"
        export_adapter(bench.path, bench.base, file)
    exact: list[list[Values]] = []
    with _exact_copy(bench, bench.base.path) as copy:
        if isinstance(copy, Path):
            with Engine(copy, file, EngineOptions(context=CONTEXT, exact=True)) as engine:
                exact = [_values(bench, engine, adapted) for adapted in (False, True) if file or not adapted]
        else:
            made.lines += skipped(copy, "weights_base", *(["weights_tuned"] if file else []), measure="most")
    for what, ours, values in zip(("weights_base", "weights_tuned"), (made.plain, tuned), exact, strict=False):
        made.lines.append(_weights(what, ours, values))
    with Engine(bench.base.path, file, EngineOptions(context=CONTEXT)) as engine:
        made.base_answers = _answers(bench, engine, adapted=False)
        if file:
            made.tuned_answers = _answers(bench, engine, adapted=True)
            made.beside = Side(tuned, _values(bench, engine, adapted=True), exact[1] if exact else None)
            made.lines += engine_lines("engine", made.beside)


def _merged(bench: Bench, made: Comparison, tuned: Tensor) -> None:
    path, made.report = kept_merged(
        bench.path, bench.base, bench.workshop, lambda done, total: bench.tell("merging", done, total)
    )
    tensors = made.report.tensors
    made.lines.append(judged("kept", "least", min(one.kept for one in tensors), LEAST_KEPT, len(tensors)))
    made.lines.append(judged("error", "most", max(one.error for one in tensors), MOST_ERROR, len(tensors)))
    (ours,) = our_tables(path, bench.material.rows, on_row=lambda: bench.tell("ours", 0, 0))
    exact = None
    with _exact_copy(bench, path) as copy:
        if isinstance(copy, Path):
            with Engine(copy, None, EngineOptions(context=CONTEXT, exact=True)) as engine:
                exact = _values(bench, engine)
            made.lines.append(_weights("weights_merged", ours, exact))
        else:
            made.lines += skipped(copy, "weights_merged", measure="most")
    with Engine(path, None, EngineOptions(context=CONTEXT)) as engine:
        made.tuned_answers = made.tuned_answers or _answers(bench, engine)
        made.merged = Side(ours, _values(bench, engine), exact)
    made.lines += engine_lines("engine_merged", made.merged)
    apart = distance(tuned, exact or made.merged.engine)
    made.lines.append(judged("merged_apart", "mean", apart.mean, compared=apart.compared))


def _weights(what: str, ours: Tensor, exact: list[Values]) -> Line:
    found = distance(ours, exact)
    return judged(what, "most", found.most, LIMIT, found.compared)


@contextmanager
def _exact_copy(bench: Bench, path: Path) -> Iterator[Path | Words]:
    """An F32 copy of a file, for as long as it is needed; or why there is none."""
    with GgufFile(path) as file:
        size = dense_bytes(file)
    free, memory = disk_usage(bench.workshop).free, psutil.virtual_memory().available
    if size > SHARE * min(free, memory):
        gigabytes = {"needed": size / 1e9, "disk": free / 1e9, "memory": memory / 1e9}
        yield Words("certificate.no_copy", {name: f"{value:.1f}" for name, value in gigabytes.items()})
        return
    bench.tell("copying", 0, 0)
    target = bench.workshop / "exact.gguf"
    try:
        float_copy(path, target)
        yield target
    finally:
        target.unlink(missing_ok=True)


def _values(bench: Bench, engine: Engine, adapted: bool = True) -> list[Values]:
    found: list[Values] = []
    for row in bench.material.rows:
        bench.tell("engine", len(found), bench.material.tokens)
        found += engine.log_probabilities(row, adapted=adapted)
    return found


def _answers(bench: Bench, engine: Engine, adapted: bool = True) -> list[str]:
    bench.tell("answers", 0, 0)
    return [
        engine.complete(bench.material.tokenizer.encode(prompt), ANSWER, adapted) for prompt in bench.material.prompts
    ]


def _likely(row: Tensor) -> Values:
    (places,) = torch.where(row > LIKELY)
    return dict(zip(places.tolist(), row[places].tolist(), strict=True))
