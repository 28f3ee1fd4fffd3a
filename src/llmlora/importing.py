"""Adapters that people bring along: PEFT's, from a directory or a ZIP archive, become artefacts of ours.

Nothing is copied as it came. Weights and configuration are read by `adapter`, held against the layers of a base on this
machine, and written anew; keys that mean nothing to us are dropped and reported. What the adapter says about its base
is shown beside the one that was chosen, never loaded. An archive with anything else in it than the files of an adapter
is refused whole; three of its members are read, and no name in it is ever used as a path.
"""

import json
import re
import stat
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors.numpy import save_file

from llmlora.adapter import (
    CONFIG,
    PICKLES,
    TEMPLATE,
    WEIGHTS,
    Adapter,
    check_base,
    check_layers,
    read_adapter,
    template_of,
    written_template,
)
from llmlora.data.template import ChatTemplate
from llmlora.errors import NotAnAdapter, OutputNotEmpty, WhichBase
from llmlora.model.lora import named_for_others
from llmlora.model.opened import open_base
from llmlora.model.source import Base, list_names, resolve
from llmlora.model.targets import peft_names
from llmlora.paths import Home
from llmlora.text.catalogue import Words
from llmlora.train.commit import commit_directory

MAX_MEMBERS, MAX_UNPACKED, MAX_RATIO = 32, 4 * 2**30, 20
# what may lie beside an adapter's two files in an archive, and is not read
BESIDE = re.compile(
    r"README\.md|chat_template\.jinja|recipe\.yaml|MANIFEST\.json|merges\.txt|tokenizer\.model"
    r"|(tokenizer|tokenizer_config|special_tokens_map|added_tokens|vocab)\.json"
)


@dataclass(frozen=True)
class Imported:
    """What came of an import."""

    path: Path
    base: str
    said_base: str | None  # what the adapter calls its base
    rank: int
    alpha: float
    rslora: bool
    dora: bool
    layers: int
    dropped: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"path": str(self.path)}


def import_adapter(source: Path, model: str | None, name: str | None, home: Home, stores: Sequence[Path]) -> Imported:
    """Bring the adapter in `source` to `LLMLORA_HOME/adapters/NAME`, for the base that `model` names.

    Raises:
        NotAnAdapter, OnlyLora: it is none, or none that can be used exactly.
        WhichBase: no `model` is given, and the adapter names none there is here.
        AdapterMismatch: its layers are not those of the base, or it belongs to other bytes.
        OutputNotEmpty: there is one of this name.
    """
    with _opened(source) as directory:
        adapter, template = read_adapter(directory), template_of(directory)
    base = resolve(model or _named_base(adapter, source, home, stores), home, stores)
    check_base(adapter, base)
    available = open_base(base).linears
    check_layers(adapter, available, base.name)
    target = home.adapters / (name or _name_of(source))
    if target.exists():
        raise OutputNotEmpty(target)
    _write(target, adapter, template, base, peft_names(list(adapter.pairs), list(available)))
    return Imported(
        path=target,
        base=base.name,
        said_base=adapter.base_name,
        rank=adapter.rank,
        alpha=adapter.alpha,
        rslora=adapter.rslora,
        dora=adapter.dora,
        layers=len(adapter.pairs),
        dropped=adapter.dropped,
    )


@contextmanager
def _opened(source: Path) -> Iterator[Path]:
    """The directory that holds the adapter: `source`, or a private one with what is needed of an archive."""
    if source.is_dir():
        yield source
        return
    if source.suffix in PICKLES:
        raise NotAnAdapter(source, Words("not_adapter.pickle", {"files": source.name}))
    with tempfile.TemporaryDirectory(prefix="llmlora-import-") as private:
        try:
            with zipfile.ZipFile(source) as archive:
                _check_members(source, archive.infolist())
                for name in (CONFIG, WEIGHTS, TEMPLATE):
                    if name in archive.namelist():
                        (Path(private) / name).write_bytes(archive.read(name))
        except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
            raise NotAnAdapter(source, Words("not_adapter.not_archive", {"reason": str(error)})) from None
        try:
            yield Path(private)
        except NotAnAdapter as error:  # said of what the user gave
            raise NotAnAdapter(source, error.problem) from None


def _check_members(source: Path, members: Sequence[zipfile.ZipInfo]) -> None:
    seen: set[str] = set()
    strange = []
    for member in members:
        regular = stat.S_IFMT(member.external_attr >> 16) in (0, stat.S_IFREG)
        if member.filename in seen or not regular or not _belongs(member.filename):
            strange.append(ascii(member.filename)[:80])
        seen.add(member.filename)
    if strange or len(members) > MAX_MEMBERS:
        raise NotAnAdapter(source, Words("not_adapter.archive", {"members": strange[:5] or f"> {MAX_MEMBERS}"}))
    unpacked, packed = (sum(getattr(one, size) for one in members) for size in ("file_size", "compress_size"))
    if unpacked > min(MAX_UNPACKED, MAX_RATIO * packed):
        raise NotAnAdapter(source, Words("not_adapter.archive_size", {"size": f"{unpacked / 1e6:,.0f} MB"}))


def _belongs(name: str) -> bool:
    return name in (CONFIG, WEIGHTS, TEMPLATE) or BESIDE.fullmatch(name) is not None


def _named_base(adapter: Adapter, source: Path, home: Home, stores: Sequence[Path]) -> str:
    """The base an adapter names, if that is one of the models here. A path is not taken from it."""
    here = list_names(home, stores)
    if adapter.base_name in here:
        return adapter.base_name
    raise WhichBase(source, ascii(adapter.base_name)[1:81] if adapter.base_name else "-", here)


def _name_of(source: Path) -> str:
    """`out/final_model` → `out`, `my adapter.zip` → `my-adapter`."""
    path = source.resolve()
    stem = path.parent.name if path.name == "final_model" else path.stem if path.is_file() else path.name
    found = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._")
    return found[:64] or "adapter"


def _write(target: Path, adapter: Adapter, template: ChatTemplate | None, base: Base, targets: list[str]) -> None:
    name, revision = named_for_others(base.name)
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": name,
        "revision": revision,
        "r": adapter.rank,
        "lora_alpha": adapter.alpha,
        "use_rslora": adapter.rslora,
        "use_dora": adapter.dora,
        "target_modules": sorted(targets),
        "bias": "none",
        "inference_mode": True,
    }

    def write(staging: Path) -> None:
        save_file(adapter.state(), staging / WEIGHTS, metadata={"format": "pt"})
        (staging / CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True), "utf-8")
        if template:
            (staging / TEMPLATE).write_text(written_template(template), "utf-8")

    facts = {
        "base": {"name": base.name, "digest": base.digest},
        "imported": {"said_base": adapter.base_name, "dropped": adapter.dropped},
    }
    commit_directory(target, facts, sum(tensor.nbytes for tensor in adapter.state().values()), write)
