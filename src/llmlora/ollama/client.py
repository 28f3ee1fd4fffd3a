"""Ollama's API, as much of it as we need.

Source: api/types.go and server/routes.go of Ollama. A stream that began with status 200 can hold an error line, and is
a success only when its last line says so. Every call raises

    OllamaUnreachable   nobody answers, or the connection broke
    OllamaFailed        Ollama refuses, in its words; or what answers is no Ollama
"""

import re
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import AwareDatetime, BaseModel, Field

from llmlora.errors import OllamaFailed
from llmlora.ollama.transport import SILENCE_SECONDS, Asked, OnBytes, exists, fetch, lines, parsed, short

# text of several lines in a Modelfile, some of which may look like commands: parser/parser.go (`quote`)
QUOTED = re.compile(r'^(?:MESSAGE \w+|PARAMETER \w+|[A-Z]+) (?:"""[\s\S]*?"""|"[^"]*\n[^"]*")$', re.MULTILINE)


class Tag(BaseModel):
    """A model as Ollama lists it."""

    name: str = Field(max_length=1000)
    size: int = Field(0, ge=0)
    digest: str = Field("", max_length=100)  # of its manifest, without "sha256:"
    modified_at: AwareDatetime | None = None


class Shown(BaseModel):
    """What Ollama tells of one model. `template` is the one in force: Go's or Jinja's."""

    modelfile: str = ""
    template: str = ""
    license: str = ""  # all of them, one below the other
    capabilities: list[str] = []

    def commands(self, keyword: str) -> list[str]:
        """The arguments of a command of the Modelfile that fit on one line: FROM, ADAPTER, RENDERER, PARSER."""
        bare = QUOTED.sub("", self.modelfile)
        return re.findall(rf"^{keyword} (.+)$", bare, re.MULTILINE)


class Running(BaseModel):
    """A model in Ollama's memory; `size` in bytes."""

    name: str = Field(max_length=1000)
    size: int = Field(0, ge=0)


@dataclass(frozen=True)
class Progress:
    """A line of a download or a creation: what is being done, and bytes done of bytes in all, 0 of 0 where there are
    none.
    """

    status: str
    completed: int
    total: int


class Likely(BaseModel):
    """A token as text, and its log probability."""

    token: str
    logprob: float


class Position(Likely):
    """The token that was written, and the likeliest in its place (at most 20)."""

    top_logprobs: list[Likely] = []


class Piece(BaseModel):
    """A piece of an answer; the last has the reason why it ends."""

    text: str = ""
    thinking: str = ""
    done: bool = False
    done_reason: str = ""
    prompt_tokens: int = Field(0, alias="prompt_eval_count")
    tokens: int = Field(0, alias="eval_count")  # of the whole answer, said at its end
    logprobs: list[Position] = []


class _Version(BaseModel):
    version: str = Field(max_length=100)


class _Tags(BaseModel):
    models: list[Tag]


class _Loaded(BaseModel):
    models: list[Running]


class _Status(BaseModel):
    status: str = ""
    completed: int = 0
    total: int = 0


class _Message(BaseModel):
    content: str = ""
    thinking: str = ""


class _Chatted(Piece):
    message: _Message = _Message()


class _Generated(Piece):
    response: str = ""


class _Debug(BaseModel):
    rendered_template: str


class _Rendered(BaseModel):
    debug: _Debug | None = Field(None, alias="_debug_info")


def version(address: str) -> str:
    """The version of the server."""
    return parsed(_Version, fetch(address, Asked("GET", "/api/version"))).version


def models(address: str) -> list[Tag]:
    """The models it has."""
    return parsed(_Tags, fetch(address, Asked("GET", "/api/tags"))).models


def show(address: str, name: str) -> Shown:
    """All about a model."""
    return parsed(Shown, fetch(address, Asked("POST", "/api/show", {"model": name})))


def pull(address: str, name: str) -> Generator[Progress]:
    """Have Ollama download a model; what was downloaded before is kept. Closing the iterator ends the download."""
    yield from _until_success(address, Asked("POST", "/api/pull", {"model": name}))


def create(address: str, request: Mapping[str, Any]) -> Generator[Progress]:
    """Make a model of what `request` says: `model`, `from` or `files`, `adapters`, `template`, `parameters` …"""
    yield from _until_success(address, Asked("POST", "/api/create", dict(request)))


def copy(address: str, source: str, destination: str) -> None:
    """Give a model a second name; a model that had it is replaced."""
    fetch(address, Asked("POST", "/api/copy", {"source": source, "destination": destination}))


def delete(address: str, name: str) -> None:
    """Remove a model, and the blobs no other model uses."""
    fetch(address, Asked("DELETE", "/api/delete", {"model": name}))


def has_blob(address: str, digest: str) -> bool:
    """Whether Ollama has the file with this digest, `sha256:<64 hex>`."""
    return exists(address, f"/api/blobs/{digest}")


def put_blob(address: str, digest: str, file: Path, on_bytes: OnBytes | None = None) -> None:
    """Upload a file, unless Ollama has it. It removes what no model uses when it starts, so make the model soon."""
    if not has_blob(address, digest):  # a server that has it answers before it has read it, and breaks the connection
        fetch(address, Asked("POST", f"/api/blobs/{digest}", file=file, on_bytes=on_bytes), SILENCE_SECONDS)


def chat(
    address: str, name: str, messages: Sequence[Mapping[str, str]], options: Mapping[str, Any]
) -> Generator[Piece]:
    """The model's next turn, piece by piece, without thinking; Ollama writes the prompt."""
    body = {"model": name, "messages": list(messages), "options": dict(options), "think": False}
    with closing(lines(address, Asked("POST", "/api/chat", body))) as told:
        for line in told:
            said = parsed(_Chatted, line)
            yield said.model_copy(update={"text": said.message.content, "thinking": said.message.thinking})


def generate(
    address: str, name: str, prompt: str, options: Mapping[str, Any], top_logprobs: int | None = None
) -> Generator[Piece]:
    """The continuation of a prompt as it stands; Ollama adds nothing but the token a text begins with."""
    body: dict[str, Any] = {"model": name, "prompt": prompt, "raw": True, "options": dict(options)}
    if top_logprobs is not None:
        body |= {"logprobs": True, "top_logprobs": top_logprobs}
    with closing(lines(address, Asked("POST", "/api/generate", body))) as told:
        for line in told:
            said = parsed(_Generated, line)
            yield said.model_copy(update={"text": said.response})


def render(
    address: str, name: str, messages: Sequence[Mapping[str, str]], seconds: float = SILENCE_SECONDS
) -> str | None:
    """The prompt that Ollama writes for these messages; None where the server is older than 0.11.5.

    It loads the model. The token that a text begins with is not shown.
    """
    body = {"model": name, "messages": list(messages), "think": False, "stream": False, "_debug_render_only": True}
    body["options"] = {"num_predict": 1}  # an old server answers, and shall be quick about it
    said = parsed(_Rendered, fetch(address, Asked("POST", "/api/chat", body), seconds, seconds=seconds))
    return said.debug.rendered_template if said.debug else None


def running(address: str) -> list[Running]:
    """The models in its memory."""
    return parsed(_Loaded, fetch(address, Asked("GET", "/api/ps"))).models


def unload(address: str, name: str) -> None:
    """Take a model out of its memory."""
    fetch(address, Asked("POST", "/api/generate", {"model": name, "keep_alive": 0, "stream": False}))


def _until_success(address: str, asked: Asked) -> Generator[Progress]:
    status = ""
    with closing(lines(address, asked)) as told:
        for line in told:
            said = parsed(_Status, line)
            status = said.status
            yield Progress(short(status), said.completed, said.total)
    if status != "success":
        raise OllamaFailed("its answer ended early")
