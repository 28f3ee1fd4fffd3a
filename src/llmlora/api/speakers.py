"""Who answers a chat: a model of the Ollama server, or an engine of ours with the same files."""

from collections.abc import AsyncIterator, Collection
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from llmlora.adapter import check_base, read_adapter
from llmlora.api.artefacts import succeeded, tuned_gguf
from llmlora.api.context import Context
from llmlora.api.engines import Engines, Outlook
from llmlora.chat.dialogue import Dialogue
from llmlora.chat.served import Choice, Made, Served, Side, Wanted, find_served, served
from llmlora.chat.session import embedded_name
from llmlora.export.registered import still_registered
from llmlora.failure import LlmloraError
from llmlora.model.source import Base
from llmlora.store.chats import Chat
from llmlora.text.catalogue import Language


class EngineBody(BaseModel):
    """An engine, by the word that chooses it, and its name; why it cannot answer, where it cannot."""

    engine: Literal["ollama", "llama.cpp"]
    name: str
    reason: str | None = None


@dataclass(frozen=True)
class Embedded:
    """An engine of ours, from the pool."""

    pool: Engines
    base: Base
    adapter: Path | None

    @property
    def name(self) -> str:
        """As people are told."""
        return embedded_name(self.base.path)

    async def outlook(self) -> Outlook:
        """What who asks now waits for."""
        return await self.pool.outlook(self.base, self.adapter)

    def using(self) -> AbstractAsyncContextManager[Dialogue]:
        """The engine, for us alone until the block ends."""
        return self.pool.using(self.base, self.adapter)


@dataclass(frozen=True)
class AtOllama:
    """Ollama: it keeps models in memory as it sees fit, and who asks meanwhile waits there; nothing is pooled."""

    served: Served

    @property
    def name(self) -> str:
        """As people are told."""
        return self.served.server_name

    async def outlook(self) -> Outlook:
        """What who asks now waits for. Whether Ollama is busy, it does not tell."""
        return "ready" if await run_in_threadpool(self.served.loaded) else "loading"

    @asynccontextmanager
    async def using(self) -> AsyncIterator[Dialogue]:
        """The conversation; there is nothing to let go of."""
        yield self.served


Speaker = Embedded | AtOllama


def speaker_for(here: Context, pool: Engines, chat: Chat, sides: Collection[Side], choice: Choice) -> Speaker:
    """Who answers these sides of a chat.

    Raises:
        EngineUnavailable, OllamaUnreachable, OllamaFailed: the engine that was chosen cannot.
        AdapterMismatch: the base's name means other bytes by now.
        DoraNeedsMerging: our engine needs the merged model, and it is not made yet.
    """
    wanted = _wanted(here, chat.model, chat.job_id, sides)
    if found := find_served(here.settings.ollama_address, wanted, choice):
        return AtOllama(found)
    return Embedded(pool, wanted.base, _adapter(here, wanted.base, chat.job_id))


def engines_for(
    here: Context, reader: Language, model: str, job_id: str | None, sides: Collection[Side]
) -> list[EngineBody]:
    """What can answer, first the one that is taken where none is chosen."""
    wanted = _wanted(here, model, job_id, sides)
    ours = EngineBody(engine="llama.cpp", name=embedded_name(wanted.base.path))
    try:
        return [EngineBody(engine="ollama", name=served(here.settings.ollama_address, wanted).server_name), ours]
    except LlmloraError as error:
        return [ours, EngineBody(engine="ollama", name="Ollama", reason=error.message(reader))]


def _wanted(here: Context, model: str, job_id: str | None, sides: Collection[Side]) -> Wanted:
    base = here.base(model)
    if job_id is None:
        return Wanted(base, None, sides)
    job = succeeded(here, job_id)
    out = here.settings.home.attempt(job.id, job.epoch)
    check_base(read_adapter(out), base)
    done = still_registered(out)
    return Wanted(base, Made(done.name, done.digest) if done else None, sides)


def _adapter(here: Context, base: Base, job_id: str | None) -> Path | None:
    """As GGUF or, for a Hugging Face directory, as PEFT's."""
    if job_id is None:
        return None
    job = succeeded(here, job_id)
    out = here.settings.home.attempt(job.id, job.epoch)
    return tuned_gguf(here, job) if base.is_gguf else read_adapter(out).path
