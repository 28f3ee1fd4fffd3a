"""Chat through an Ollama server: the model that people will get, with the prompt that Ollama writes.

The test of what is served, so nothing is done for Ollama here: it gets the turns, writes the prompt, applies the
model's own parameters and cuts what its context has no room for. It is asked for no thinking, since none was trained;
what it thinks nevertheless stands before the answer, between <think> and </think>, as llama.cpp shows it too.
"""

from collections.abc import Collection, Generator
from contextlib import closing
from dataclasses import dataclass
from typing import Literal

from llmlora.chat.dialogue import Dialogue
from llmlora.chat.engine import Sampling
from llmlora.data.conversation import Turn
from llmlora.errors import EngineUnavailable, OllamaCutOff, OllamaFailed, OllamaUnreachable
from llmlora.model.source import Base
from llmlora.ollama import client
from llmlora.ollama.names import Name
from llmlora.text.catalogue import Words

OLLAMA, LLAMA_CPP = "Ollama", "llama.cpp"
Choice = Literal["auto", "ollama", "llama.cpp"]
Side = Literal["tuned", "base"]
THINKING, THOUGHT = "<think>\n", "\n</think>\n\n"


@dataclass(frozen=True)
class Made:
    """What an adapter became in Ollama: a model's name, and its digest when it was made, `sha256:<64 hex>`."""

    name: str
    digest: str


@dataclass(frozen=True)
class Wanted:
    """Which sides shall answer: a base, what an adapter became in Ollama (None: nothing), or both."""

    base: Base
    made: Made | None
    sides: Collection[Side]


class Served(Dialogue):
    """Turns so far, and models of an Ollama server that continue them. Memory is the server's own affair."""

    def __init__(self, address: str, version: str, names: dict[Side, str], system: str | None = None) -> None:
        super().__init__(system)
        self.address, self.version, self.names = address, version, names
        self._written = 0  # tokens of the last answer

    def engine_name(self, adapted: bool = True) -> str:
        """`Ollama 0.36.1 (my-model:latest)`."""
        return f"{self.server_name} ({self._name(adapted)})"

    @property
    def server_name(self) -> str:
        """`Ollama 0.36.1`."""
        return f"{OLLAMA} {self.version}"

    def write(self, turns: tuple[Turn, ...], sampling: Sampling, adapted: bool) -> Generator[str]:
        """The next turn, as Ollama streams it. Closing it ends Ollama's writing.

        Raises:
            OllamaUnreachable, OllamaFailed: the server is gone, or refuses.
            OllamaCutOff: it went away in the middle of its answer.
        """
        self._written, thinking = 0, False
        with closing(self._pieces(turns, sampling, adapted)) as pieces:
            for piece in pieces:
                self._written = piece.tokens or self._written + bool(piece.text or piece.thinking)
                if piece.thinking:
                    yield ("" if thinking else THINKING) + piece.thinking
                    thinking = True
                if piece.text:
                    yield (THOUGHT if thinking else "") + piece.text
                    thinking = False

    def tokens_of(self, text: str) -> int:  # noqa: ARG002 - the server has counted
        """As Ollama counts; of an answer that was ended, its pieces."""
        return self._written

    def loaded(self) -> bool:
        """Whether all that may answer is in the server's memory."""
        memory = client.running(self.address)
        return all(any(_same(one.name, name) for one in memory) for name in self.names.values())

    def close(self) -> None:
        """Nothing is held."""

    def _pieces(self, turns: tuple[Turn, ...], sampling: Sampling, adapted: bool) -> Generator[client.Piece]:
        name, last = self._name(adapted), None
        try:
            with closing(client.chat(self.address, name, _messages(turns), _options(sampling))) as pieces:
                for last in pieces:
                    yield last
        except OllamaUnreachable:
            if last is None:
                raise
            raise OllamaCutOff(self.address) from None
        if last is None or not last.done:
            raise OllamaCutOff(self.address)

    def _name(self, adapted: bool) -> str:
        return self.names["tuned" if adapted and "tuned" in self.names else "base"]


def find_served(address: str, wanted: Wanted, choice: Choice = "auto", system: str | None = None) -> Served | None:
    """A conversation with the server at `address`, where it can be had and is wanted; None: the embedded engine.

    Raises:
        EngineUnavailable, OllamaUnreachable, OllamaFailed: the engine that was chosen cannot answer.
    """
    if choice == LLAMA_CPP:
        if not wanted.base.is_gguf:
            raise EngineUnavailable(LLAMA_CPP, Words("chat.unavailable.no_gguf"))
        return None
    try:
        return served(address, wanted, system)
    except (EngineUnavailable, OllamaUnreachable, OllamaFailed):
        if choice == "ollama":
            raise
        return None


def served(address: str, wanted: Wanted, system: str | None = None) -> Served:
    """A conversation with the server at `address`, if it has all that shall answer, byte for byte.

    Raises:
        EngineUnavailable: it has not; the reason says what is missing.
        OllamaUnreachable, OllamaFailed: it does not answer, or refuses.
    """
    names: dict[Side, str] = {}
    if "tuned" in wanted.sides and wanted.made is None:
        raise EngineUnavailable(OLLAMA, Words("chat.unavailable.not_registered"))
    if "base" in wanted.sides and not wanted.base.name.startswith("ollama:"):
        raise EngineUnavailable(OLLAMA, Words("chat.unavailable.other_source", {"name": wanted.base.name}))
    version = client.version(address)
    if "tuned" in wanted.sides and wanted.made:
        names["tuned"] = _tuned(address, wanted.made)
    if "base" in wanted.sides:
        names["base"] = _base(address, wanted.base)
    return Served(address, version, names, system)


def _tuned(address: str, made: Made) -> str:
    digests = {f"sha256:{tag.digest}" for tag in client.models(address) if _same(tag.name, made.name)}
    if made.digest in digests:
        return made.name
    reason = "chat.unavailable.replaced" if digests else "chat.unavailable.gone"
    raise EngineUnavailable(OLLAMA, Words(reason, {"name": made.name}))


def _base(address: str, base: Base) -> str:
    name = base.name.removeprefix("ollama:")
    try:
        files = client.show(address, name).commands("FROM")
    except OllamaFailed as error:
        reason = Words("chat.unavailable.unknown", {"name": name, "problem": error.problem})
        raise EngineUnavailable(OLLAMA, reason) from None
    if not files or base.digest.removeprefix("sha256:") not in files[0]:
        raise EngineUnavailable(OLLAMA, Words("chat.unavailable.other_bytes", {"name": name}))
    return name


def _messages(turns: tuple[Turn, ...]) -> list[dict[str, str]]:
    return [{"role": turn.role, "content": turn.content} for turn in turns]


def _options(sampling: Sampling) -> dict[str, float]:
    """Under Ollama's names; `stop` is not there, for it would put that of the model out of force."""
    return {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "seed": sampling.seed,
        "num_predict": sampling.max_tokens,
    }


def _same(one: str, other: str) -> bool:
    names = Name.parse(one), Name.parse(other)
    return names[0] is not None and names[1] is not None and names[0].same(names[1])
