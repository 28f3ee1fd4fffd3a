"""The same prompt in training and serving: what Ollama writes for a base, held against what training writes.

Compared are the prompts of a few conversations, byte for byte, as the tokenizer gets them: the token that a text begins
with is left out on both sides, for both add it. Ollama is asked, where it answers and has the very file; or else its Go
template is run here. A base's prompts can also be followed: training then uses that Go template itself.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from llmlora.data.conversation import Turn
from llmlora.data.ollama_rendering import Rendering, release, rendering_of
from llmlora.data.render import Renderer
from llmlora.data.template import TEMPLATE_KEY, ChatTemplate
from llmlora.data.tokenizer import Tokenizer
from llmlora.errors import OllamaFailed, OllamaUnreachable, TemplateFailed, TemplateNotFollowed
from llmlora.gguf.reader import GgufFile
from llmlora.model.source import Base
from llmlora.ollama import client, store
from llmlora.ollama.names import Name
from llmlora.ollama.store import StoredModel
from llmlora.ollama.transport import SILENCE_SECONDS
from llmlora.text.catalogue import Words
from llmlora.text.visible import diff

SHOWS_PROMPT_SINCE = (0, 11, 5)
SHOWN_BOS = "<bos>"  # Ollama takes this one off a prompt that would get a second
CODE = "```python\ndef add(a, b):\n\treturn a + b\n```\nWhat does it do?"
PROBES: dict[str, tuple[Turn, ...]] = {
    "system": (Turn("system", "Be brief."), Turn("user", "What is a fox?")),
    "user": (Turn("user", "What is a fox?"),),
    "turns": (Turn("user", "Hello!"), Turn("assistant", "Hello. How can I help?"), Turn("user", "What is a fox?")),
    "japanese": (Turn("system", "日本語で答えて。"), Turn("user", "狐とは何ですか。")),
    "code": (Turn("user", CODE),),
    "spaces": (Turn("user", "  two before, one behind \n"),),
}


@dataclass(frozen=True)
class Comparison:
    """Whether training and Ollama write the same. `by` says who wrote Ollama's side, `reason` why it is not known."""

    rendering: Rendering
    verdict: Literal["same", "different", "unknown"]
    by: Literal["ollama", "interpreter"] | None = None
    reason: Words | None = None
    diff: str = ""  # of the first conversation that differs, white space made visible
    follows: bool = False  # training uses Ollama's template already

    @property
    def can_follow(self) -> bool:
        """Whether there is a template of Ollama's that training can use instead."""
        return self.rendering.kind == "go" and not self.follows

    def words(self) -> Words:
        """It in a sentence, with the diff and the way to follow where there is one."""
        if self.verdict != "different":
            return self.summary()
        return Words("prompt.shown", {"said": self.summary(), "diff": self.diff, "way": self.way()})

    def summary(self) -> Words:
        """It in a sentence."""
        facts = {
            "rendering": self.rendering.words(),
            "reason": self.reason,
            "by": self.by and Words(f"prompt.by_{self.by}"),
        }
        return Words(f"prompt.{self.verdict}", facts)

    def way(self) -> Words:
        """What to do about a difference."""
        return Words("prompt.follow" if self.can_follow else "prompt.no_way")


@dataclass(frozen=True)
class Server:
    """A server that has the very file: its version, what it says the model is made of, and the template in force."""

    address: str
    name: str
    version: str
    modelfile: str
    template: str


def stored_model(base: Base, stores: Sequence[Path]) -> StoredModel | None:
    """What Ollama's store says of a base that comes from there."""
    name = Name.parse(base.name.removeprefix("ollama:")) if base.name.startswith("ollama:") else None
    return store.find(name, stores) if name else None


def rendering_in_force(base: Base, stores: Sequence[Path], address: str | None = None) -> Rendering | None:
    """How Ollama writes the prompts of a base; None where it is no model of Ollama's. With `address`, it is asked."""
    model = stored_model(base, stores)
    return _rendering(base, model, _server(base, model, address)) if model else None


def followed(base: Base, stores: Sequence[Path], own: ChatTemplate) -> ChatTemplate:
    """The Go template that Ollama uses for a base, to be trained with in place of `own`.

    Raises:
        TemplateNotFollowed: it does not use one, or that is not certain.
    """
    model = stored_model(base, stores)
    if model is None:
        raise TemplateNotFollowed(base.name, Words("follow.not_ollama"))
    rendering = _rendering(base, model, None)
    if rendering.kind != "go":
        raise TemplateNotFollowed(base.name, Words("follow.other", {"rendering": rendering.words()}))
    if model.begins_with_messages():
        raise TemplateNotFollowed(base.name, Words("follow.messages"))
    return _as_template(rendering, own)


def compare_prompts(
    template: ChatTemplate,
    tokenizer: Tokenizer,
    base: Base,
    stores: Sequence[Path],
    address: str,
    seconds: float = SILENCE_SECONDS,
) -> Comparison | None:
    """Training's prompts held against Ollama's; None where the base is no model of Ollama's.

    Ollama loads it to tell, for at most so many seconds.
    """
    model = stored_model(base, stores)
    if model is None:
        return None
    server = _server(base, model, address)
    rendering = _rendering(base, model, server)
    unknown = Comparison(rendering, "unknown")
    reason = server if isinstance(server, Words) else Words("prompt.too_old", {"version": server.version})
    try:
        with Renderer(template) as renderer:
            ours = [_effective(renderer.prompt(turns), tokenizer) for turns in PROBES.values()]
        if isinstance(server, Server) and release(server.version) >= SHOWS_PROMPT_SINCE:
            found = _held_against(ours, _told(server, seconds), rendering, tokenizer, "ollama")
            return replace(found, follows=template.origin == "ollama")
    except TemplateFailed as error:
        return replace(unknown, reason=error.problem)
    except (OllamaUnreachable, OllamaFailed) as error:
        reason = Words("prompt.says", {"reason": str(error)})
    if rendering.kind != "go" or model.begins_with_messages():
        return replace(unknown, reason=reason)
    try:
        with Renderer(_as_template(rendering, template)) as renderer:
            theirs = [renderer.prompt(turns) for turns in PROBES.values()]
    except TemplateFailed as error:
        return replace(unknown, reason=error.problem)
    return _held_against(ours, theirs, rendering, tokenizer, "interpreter")


def _held_against(
    ours: Sequence[str],
    theirs: Sequence[str],
    rendering: Rendering,
    tokenizer: Tokenizer,
    by: Literal["ollama", "interpreter"],
) -> Comparison:
    for name, own, other in zip(PROBES, ours, theirs, strict=True):
        told = other.removeprefix(SHOWN_BOS) if tokenizer.add_bos else other
        if told != own:
            shown = diff(own, told, f"training ({name})", f"Ollama ({name})")
            return Comparison(rendering, "different", by, diff=shown)
    return Comparison(rendering, "same", by)


def _effective(text: str, tokenizer: Tokenizer) -> str:
    """Without the token that `Tokenizer.encode` does not write twice."""
    return text.removeprefix(tokenizer.special.get("bos_token", "")) if tokenizer.add_bos else text


@lru_cache(maxsize=8)
def _told(server: Server, seconds: float) -> tuple[str, ...]:
    """What it writes for each conversation; asked once, for it loads the model."""
    prompts = []
    with _left_as_it_was(server):
        for turns in PROBES.values():
            told = [{"role": turn.role, "content": turn.content} for turn in turns]
            prompt = client.render(server.address, server.name, told, seconds)
            if prompt is None:
                raise OllamaFailed(f"version {server.version} does not show prompts")
            prompts.append(prompt)
    return tuple(prompts)


def _rendering(base: Base, model: StoredModel, server: "Server | Words | None") -> Rendering:
    with GgufFile(base.path) as file:
        jinja: Any = file.metadata.get(TEMPLATE_KEY)
    told = (server.version, server.template) if isinstance(server, Server) else ()
    return rendering_of(model, jinja if isinstance(jinja, str) else "", *told)


def _as_template(rendering: Rendering, own: ChatTemplate) -> ChatTemplate:
    return replace(own, source=rendering.source, origin="ollama", name="ollama", language="go", system=rendering.system)


def _server(base: Base, model: StoredModel, address: str | None) -> Server | Words:
    """The server, or why it cannot be asked."""
    name = str(model.name)
    try:
        version = client.version(address) if address else None
        shown = client.show(address, name) if address else None
    except OllamaUnreachable:
        version = shown = None
    except OllamaFailed as error:
        return Words("prompt.says", {"reason": str(error)})
    if address is None or version is None or shown is None:
        return Words("prompt.start_ollama")
    if base.digest.removeprefix("sha256:") not in shown.modelfile:
        return Words("prompt.other_bytes", {"address": address})
    return Server(address, name, version, shown.modelfile, shown.template)


@contextmanager
def _left_as_it_was(server: Server) -> Iterator[None]:
    """A model that is loaded only to be asked leaves Ollama's memory again: training may need it."""
    name = Name.parse(server.name)
    loaded = [Name.parse(one.name) for one in client.running(server.address)]
    try:
        yield
    finally:
        if not any(one and name and one.same(name) for one in loaded):
            with suppress(OllamaUnreachable, OllamaFailed):
                client.unload(server.address, server.name)
