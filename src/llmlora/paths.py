"""Where things lie on the disk.

LLMLORA_HOME/            default: the platform's user data directory
  llmlora.db             jobs, data sets, events, chats (unless PostgreSQL has them)
  token                  the secret of this installation
  runner.lock            held by the one runner of this directory
  samples/               sample models assembled from their packages
  adapters/NAME/         adapters that were imported
  datasets/ID/vN/        a version of a data set: its file as it was sent, and its rows
  jobs/ID/aEPOCH/        an attempt at a job, an output directory as below; a later attempt continues a copy
  jobs/ID/exports/       what has been exported from the job's adapter

OUT/                     one run, `--out`
  recipe.yaml            what was asked, written first
  plan.json              what was chosen: dtype, threads, micro-batch, recompute
  events.jsonl           what happened, one object a line
  checkpoints/checkpoint-N/
  final_model/           the artefact
  ollama.json            what became of it in Ollama, once it was registered
  certificate.json       the proof that what was trained is what answers; certificate.html is the same for people
  log                    what the process of a job printed
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

    @property
    def database(self) -> Path:
        return self.root / "llmlora.db"

    @property
    def token(self) -> Path:
        return self.root / "token"

    @property
    def runner_lock(self) -> Path:
        return self.root / "runner.lock"

    @property
    def adapters(self) -> Path:
        return self.root / "adapters"

    @property
    def datasets(self) -> Path:
        return self.root / "datasets"

    def job(self, job_id: str) -> Path:
        return self.root / "jobs" / job_id

    def attempt(self, job_id: str, epoch: int) -> Path:
        return self.job(job_id) / f"a{epoch}"

    def exports(self, job_id: str) -> Path:
        return self.job(job_id) / "exports"


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

    @property
    def registered(self) -> Path:
        return self.root / "ollama.json"

    @property
    def certificate(self) -> Path:
        return self.root / "certificate.json"

    @property
    def log(self) -> Path:
        return self.root / "log"
