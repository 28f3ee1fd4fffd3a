"""A run on a blob of an Ollama store, as someone makes who fine-tunes what Ollama serves."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from llmlora.model.source import Base, resolve
from llmlora.paths import Home
from llmlora.train.run import train
from tests.ollama_store import OllamaStore
from tests.small_run import small_recipe
from tests.tiny import tiny_gguf

NAME = "tiny:latest"
TEMPLATE = b"{{- range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}<|im_start|>assistant\n"
PARAMETERS, LICENSE = b'{"stop":["<|im_end|>"],"top_k":7}', b"Tiny Licence\nno warranty"


@dataclass(frozen=True)
class BlobRun:
    """A finished run, and the store with its base."""

    out: Path
    store: Path
    home: Home

    @property
    def base(self) -> Base:
        return resolve(f"ollama:{NAME}", self.home, [self.store])

    def copy(self, directory: Path) -> Self:
        """The run and its store once more, for a test that changes them."""
        for path in (self.out, self.store):
            shutil.copytree(path, directory / path.name)
        return replace(self, out=directory / self.out.name, store=directory / self.store.name)


def blob_run(directory: Path, architecture: str = "llama", **recipe: object) -> BlobRun:
    """Train on a tiny model in a store below `directory`."""
    store, run = OllamaStore(directory / "store"), BlobRun(directory / "out", directory / "store", Home(directory))
    model = tiny_gguf(directory / "tiny.gguf", architecture)
    config = {"model_format": "gguf", "model_family": architecture}
    name = "registry.ollama.ai/library/tiny/latest"
    store.add(name, model.read_bytes(), config, template=TEMPLATE, params=PARAMETERS, license=LICENSE)
    how = {"template": "ollama", "learning_rate": 0.01, "steps": 4, "save_every": 4}
    values = {"model": f"ollama:{NAME}", **how, **recipe}
    train(small_recipe(directory, **values), run.out, run.home, [run.store])
    return run
