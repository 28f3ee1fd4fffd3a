"""Where things lie on the disk.

LLMLORA_HOME/            default: the platform's user data directory
  samples/               sample models assembled from their packages

OUT/                     one run, `--out`
  recipe.yaml            what was asked, written first
  plan.json              what was chosen: dtype, threads, micro-batch, recompute
  events.jsonl           what happened, one object a line
  checkpoints/checkpoint-N/
  final_model/           the artefact
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Home:
    """The data directory."""

    root: Path

    @property
    def samples(self) -> Path:
        return self.root / "samples"


@dataclass(frozen=True)
class Run:
    """An output directory."""

    root: Path

    @property
    def recipe(self) -> Path:
        return self.root / "recipe.yaml"

    @property
    def plan(self) -> Path:
        return self.root / "plan.json"

    @property
    def events(self) -> Path:
        return self.root / "events.jsonl"

    @property
    def checkpoints(self) -> Path:
        return self.root / "checkpoints"

    @property
    def final_model(self) -> Path:
        return self.root / "final_model"
