"""The proof that what was trained is what answers."""

import time
from datetime import UTC, datetime
from pathlib import Path

from llmlora import __version__
from llmlora.adapter import WEIGHTS, check_base, read_adapter
from llmlora.certify.certificate import Answer, Certificate
from llmlora.certify.compare import Bench, Comparison, OnPhase, Phase, compare
from llmlora.certify.rows import Material, material_of
from llmlora.certify.served import Asked, Served, ask
from llmlora.export.mapping import open_gguf
from llmlora.export.registered import last_registered
from llmlora.model.source import Base, digest_of


def ignore(_phase: Phase, _done: int, _total: int) -> None:
    """The `on_progress` of someone who does not watch."""


def certify(
    adapter_path: Path, base: Base, workshop: Path, address: str | None = None, on_progress: OnPhase = ignore
) -> Certificate:
    """Compare, and with `address` ask the model there that the adapter was registered as, if it was.

    GGUF files are made in `workshop`, a directory that exists.

    Raises:
        NotAnAdapter, AdapterMismatch, NoGguf: as `export_adapter`.
        EngineFailed: llama.cpp refuses a file.
    """
    began = time.monotonic()
    with open_gguf(base):
        pass
    adapter = read_adapter(adapter_path)
    check_base(adapter, base)
    bench = Bench(adapter_path, adapter, base, material_of(adapter_path, base), workshop, on_progress)
    made, said = compare(bench), Asked([])
    registered = last_registered(adapter_path) if address else None
    if address and registered:
        side = made.beside if registered.route == "adapter" else made.merged
        said = ask(Served(address, registered.name), bench.material, side, made.plain, on_progress)
    return Certificate(
        base=base.name,
        base_digest=base.digest,
        adapter_digest=digest_of(adapter.path / WEIGHTS),
        rows=len(bench.material.rows),
        tokens=bench.material.tokens,
        origin=bench.material.origin,
        registered=registered,
        lines=[*said.lines, *made.lines],
        prompts=said.prompts,
        merged=made.report.to_json() if made.report else None,
        answers=_answers(bench.material, made, said),
        llmlora=__version__,
        seconds=time.monotonic() - began,
        at=datetime.now(UTC),
    )


def _answers(material: Material, made: Comparison, said: Asked) -> list[Answer]:
    nothing: list[str | None] = [None] * len(material.prompts)
    # without room for the merged file nothing of ours speaks as a DoRA adapter does
    tuned, served = made.tuned_answers or nothing, said.answers or nothing
    return [
        Answer(question=turns[-1].content, base=base, tuned=own, served=theirs)
        for turns, base, own, theirs in zip(material.questions, made.base_answers, tuned, served, strict=True)
    ]
