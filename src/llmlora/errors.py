"""Everything that can go wrong, as types.

LlmloraError                      exit 1   something failed that is not the user's doing
├── EngineFailed                           llmlora's chat child (llama.cpp or PyTorch) died or refused
├── DiskFull                               a save found no room; everything committed is intact
├── Diverged                               the loss became NaN or infinite
├── OutOfMemory                            a job's process got no more memory; three knobs to turn
├── WorkerDied                             a job's process ended without a word, three times
├── Stalled                                a job made no step for too long
├── OwnerGone                              the runner that had a job is gone
├── InspectionFailed                       looking into data or a plan took too long, or too much
├── OllamaUnreachable                      no Ollama server answers at the configured address
├── OllamaFailed                           Ollama answers, and refuses
├── OllamaCutOff                           Ollama went away in the middle of an answer
├── CertificateFailed                      what answers is not what was trained, or not closely enough
└── UserError                     exit 2   the user can mend it; `hint` says how
    ├── ModelNotFound                      a name that resolves to nothing
    ├── SampleMissing                      a sample model whose packages are not installed
    ├── StoreUnreadable                    Ollama's store exists but may not be read
    ├── DigestMismatch                     bytes are not the bytes their name promises
    ├── GgufError                          a malformed or hostile GGUF file
    ├── HfError                            a Hugging Face directory that is incomplete, damaged or hostile
    ├── HubNotFound                        the Hugging Face hub has no such model or revision
    ├── HubGated                           a model of the hub that one must log in for
    ├── HubUnreachable                     the hub does not answer, and the model is not in the cache
    ├── NotDownloaded                      a model of the hub where nothing is downloaded, as in the interface
    ├── NoGguf                             a GGUF export of an adapter whose base is no GGUF file
    ├── UnsupportedArchitecture            a model whose architecture cannot be trained yet
    ├── UnsupportedTensorType              a quantisation without a dequantiser
    ├── NotTrainable                       any other reason a base cannot be trained
    ├── UnknownTarget                      a target module the model does not have
    ├── OnlyLora                           `modules_to_save`: whole layers, of a base that stays as it is
    ├── StartDiffers                       `init_adapter` names an adapter of another kind than the recipe asks for
    ├── InvalidRecipe                      every wrong value of a recipe at once
    ├── DataUnreadable                     a file that is missing, empty, binary, in no known encoding …
    ├── InvalidRows                        rows that cannot become conversations, all of them, by number
    ├── NothingToTrain                     no token is left to learn from
    ├── TemplateFailed                     a chat template that raises, loops or explodes
    ├── TemplateNotFollowed                `template: ollama` where Ollama uses no Go template, or it is not certain
    ├── NotEnoughMemory                    the plan does not fit; three knobs to turn
    ├── OutputNotEmpty                     `train` into a directory that holds something
    ├── NothingToResume                    `--resume` of a directory that is not a run
    ├── RunChanged                         data or base changed since the run began
    ├── StoreUnusable                      the database cannot be reached, or not be used safely
    ├── PortTaken                          the server cannot listen where it was told to
    ├── MissingExtra                       a feature whose libraries are not installed
    ├── NotFound                           no data set, job or chat has this id
    ├── JobConflict                        a job is in a state that does not allow it
    ├── KeyReused                          an idempotency key came with another request
    ├── DatasetInUse                       a data set that unfinished jobs still need
    ├── TooLarge                           more bytes than are accepted
    ├── EngineUnavailable                  a chat engine was chosen that cannot answer this
    ├── NotAnAdapter                       a directory or file that is not an adapter of ours or PEFT's
    ├── WhichBase                          an adapter to import that names no base there is here
    ├── BadModelName                       what cannot be the name of a model in Ollama
    ├── ModelNameTaken                     a model in Ollama that is not ours has the name
    ├── DoraNeedsMerging                   a DoRA adapter asked for as a GGUF adapter, which cannot hold it
    └── AdapterMismatch                    an adapter for another base

A class names its typed facts; its words live in `text/{en,ja}.toml` under `errors.<code>`.
The two edges (`cli/main.py`, `api/errors.py`) translate; nobody else prints.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from llmlora.failure import LlmloraError
from llmlora.text.catalogue import Language, Words, say


@dataclass(eq=False)
class EngineFailed(LlmloraError):
    problem: str


@dataclass(eq=False)
class DiskFull(LlmloraError):
    path: Path
    needed_mb: int
    free_mb: int


@dataclass(eq=False)
class Diverged(LlmloraError):
    step: int
    learning_rate: float


@dataclass(eq=False)
class OutOfMemory(LlmloraError):
    needed_mb: int
    available_mb: int
    batch_size: int
    max_length: int
    rank: int


@dataclass(eq=False)
class WorkerDied(LlmloraError):
    how: str


@dataclass(eq=False)
class Stalled(LlmloraError):
    step: int
    seconds: int


@dataclass(eq=False)
class OwnerGone(LlmloraError):
    pass


@dataclass(eq=False)
class InspectionFailed(LlmloraError):
    problem: str


@dataclass(eq=False)
class OllamaUnreachable(LlmloraError):
    address: str


@dataclass(eq=False)
class OllamaFailed(LlmloraError):
    problem: str


@dataclass(eq=False)
class CertificateFailed(LlmloraError):
    path: Path
    broken: Sequence[Words]


@dataclass(eq=False)
class OllamaCutOff(LlmloraError):
    address: str


@dataclass(eq=False)
class UserError(LlmloraError):
    exit_code: ClassVar[int] = 2


@dataclass(eq=False)
class ModelNotFound(UserError):
    name: str
    available: Sequence[str]


@dataclass(eq=False)
class SampleMissing(UserError):
    name: str
    command: str


@dataclass(eq=False)
class StoreUnreadable(UserError):
    path: Path


@dataclass(eq=False)
class DigestMismatch(UserError):
    path: Path
    expected: str
    found: str


@dataclass(eq=False)
class GgufError(UserError):
    path: Path
    problem: str


@dataclass(eq=False)
class HfError(UserError):
    path: Path
    problem: Words


@dataclass(eq=False)
class HubNotFound(UserError):
    name: str
    address: str


@dataclass(eq=False)
class HubGated(UserError):
    name: str
    page: str


@dataclass(eq=False)
class HubUnreachable(UserError):
    name: str
    address: str
    problem: str


@dataclass(eq=False)
class NotDownloaded(UserError):
    name: str
    command: str


@dataclass(eq=False)
class NoGguf(UserError):
    name: str
    way: Words


@dataclass(eq=False)
class UnsupportedArchitecture(UserError):
    architecture: str
    supported: Sequence[str]


@dataclass(eq=False)
class UnsupportedTensorType(UserError):
    tensor: str
    tensor_type: str
    supported: Sequence[str]


@dataclass(eq=False)
class NotTrainable(UserError):
    name: str
    reason: Words


@dataclass(eq=False)
class UnknownTarget(UserError):
    targets: Sequence[str]
    available: Sequence[str]
    last_layer: int


@dataclass(eq=False)
class OnlyLora(UserError):
    modules: Sequence[str]


@dataclass(eq=False)
class StartDiffers(UserError):
    path: Path
    differences: Sequence[str]


@dataclass(eq=False)
class InvalidRecipe(UserError):
    problems: Sequence[str | Words]


@dataclass(eq=False)
class DataUnreadable(UserError):
    path: Path
    problem: Words


@dataclass(eq=False)
class InvalidRows(UserError):
    path: Path
    count: int
    examples: Sequence[Words]


@dataclass(eq=False)
class NothingToTrain(UserError):
    path: str
    max_length: int


@dataclass(eq=False)
class TemplateFailed(UserError):
    problem: Words


@dataclass(eq=False)
class TemplateNotFollowed(UserError):
    name: str
    reason: Words


@dataclass(eq=False)
class NotEnoughMemory(UserError):
    needed_mb: int
    available_mb: int
    max_length: int
    rank: int
    layers: int  # that get LoRA


@dataclass(eq=False)
class OutputNotEmpty(UserError):
    path: Path


@dataclass(eq=False)
class NothingToResume(UserError):
    path: Path


@dataclass(eq=False)
class RunChanged(UserError):
    what: str
    expected: str
    found: str


@dataclass(eq=False)
class EngineUnavailable(UserError):
    engine: str
    reason: Words


@dataclass(eq=False)
class NotAnAdapter(UserError):
    path: Path
    problem: Words


@dataclass(eq=False)
class WhichBase(UserError):
    path: Path
    said: str
    available: Sequence[str]


@dataclass(eq=False)
class BadModelName(UserError):
    name: str


@dataclass(eq=False)
class ModelNameTaken(UserError):
    name: str


@dataclass(eq=False)
class DoraNeedsMerging(UserError):
    path: Path


@dataclass(eq=False)
class AdapterMismatch(UserError):
    expected: str
    found: str


@dataclass(eq=False)
class StoreUnusable(UserError):
    where: str
    problem: str


@dataclass(eq=False)
class PortTaken(UserError):
    host: str
    port: int
    problem: str


@dataclass(eq=False)
class MissingExtra(UserError):
    what: str
    extra: str
    command: str


@dataclass(eq=False)
class NotFound(UserError):
    what: Literal["artefact", "certificate", "chat", "dataset", "job"]
    name: str

    def message(self, language: Language = "en") -> str:
        return say(language, "errors.not_found.message", what=Words(f"nouns.{self.what}"), name=self.name)


@dataclass(eq=False)
class JobConflict(UserError):
    name: str
    state: str


@dataclass(eq=False)
class KeyReused(UserError):
    used: str


@dataclass(eq=False)
class DatasetInUse(UserError):
    name: str
    jobs: Sequence[str]


@dataclass(eq=False)
class TooLarge(UserError):
    limit_mb: int
