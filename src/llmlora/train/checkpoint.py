"""Checkpoints of a run: `checkpoints/checkpoint-N`, committed by a rename, kept by step number.

    adapter_model.safetensors, adapter_config.json    the adapter as PEFT reads it
    optimizer.safetensors                             AdamW's moments
    MANIFEST.json                                     size and SHA-256 of each, and where the run stood

Nothing random is stored: shuffle and dropout are functions of (seed, step).
"""

from dataclasses import asdict, dataclass
from pathlib import Path

from peft import PeftModel
from safetensors.torch import load_file, save_file

from llmlora.model.lora import load_adapter_state, save_adapter
from llmlora.train.commit import commit_directory, remove_directory, sweep, verified_manifest
from llmlora.train.optimise import Optimiser

KEEP = 2
PREFIX = "checkpoint-"


@dataclass(frozen=True)
class Progress:
    """Where a run stands after `step` steps."""

    step: int = 0
    loss: float = float("nan")
    eval_loss: float | None = None
    best_loss: float | None = None
    best_step: int = 0
    worse_evaluations: int = 0  # in a row, for early stopping


@dataclass(frozen=True)
class Checkpoint:
    """A committed checkpoint whose files are as they were written."""

    path: Path
    progress: Progress

    def load(self, model: PeftModel, optimiser: Optimiser) -> None:
        """Put weights and moments back."""
        load_adapter_state(model, load_file(self.path / "adapter_model.safetensors"))
        optimiser.load(load_file(self.path / "optimizer.safetensors"))


class Checkpoints:
    """The checkpoints directory of one run."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def save(self, progress: Progress, model: PeftModel, optimiser: Optimiser) -> Path:
        """Commit the state after `progress.step` and drop what is no longer needed.

        Raises:
            DiskFull: earlier checkpoints are intact.
        """
        nbytes = 3 * optimiser.nbytes
        target = self.directory / f"{PREFIX}{progress.step}"

        def write(staging: Path) -> None:
            save_adapter(model, staging)
            save_file(optimiser.state(), staging / "optimizer.safetensors")

        commit_directory(target, {"progress": asdict(progress)}, nbytes, write)
        self._rotate(progress)
        return target

    def newest(self) -> tuple[Checkpoint | None, list[Path]]:
        """The newest checkpoint that verifies, and the newer ones that do not."""
        if not self.directory.is_dir():
            return None, []
        sweep(self.directory)
        broken: list[Path] = []
        for path in reversed(self._paths()):
            manifest = verified_manifest(path)
            if manifest is not None:
                return Checkpoint(path, Progress(**manifest["progress"])), broken
            broken.append(path)
        return None, broken

    def _paths(self) -> list[Path]:
        """By step, not by name or time: a clock that was set back must not decide what is newest."""
        found = [path for path in self.directory.glob(f"{PREFIX}*") if path.name[len(PREFIX) :].isdigit()]
        return sorted(found, key=_step_of)

    def _rotate(self, progress: Progress) -> None:
        for path in self._paths()[:-KEEP]:
            if _step_of(path) != progress.best_step:
                remove_directory(path)


def _step_of(path: Path) -> int:
    return int(path.name[len(PREFIX) :])
