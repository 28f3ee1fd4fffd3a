"""Models in Ollama that we made: what is noted about them, and which names they may have. No torch."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from llmlora.adapter import WEIGHTS, adapter_directory
from llmlora.errors import BadModelName, ModelNameTaken
from llmlora.model.source import digest_of
from llmlora.ollama import client
from llmlora.ollama.client import Tag
from llmlora.ollama.names import Name
from llmlora.paths import Run
from llmlora.text.catalogue import Words

UNFINISHED = "llmlora-unfinished"  # the namespace of models that have not proved to load


class Registered(BaseModel):
    """What was done. Digests are `sha256:<64 hex>`."""

    name: str
    route: Literal["adapter", "merged"]
    version: str  # of the server
    why: Words | None  # the adapter is not beside its base
    digest: str  # of the model in Ollama
    base: str
    base_digest: str
    adapter_digest: str  # of its weights
    seconds: float
    at: datetime


def last_registered(adapter_path: Path) -> Registered | None:
    """What was noted when the adapter was last registered."""
    try:
        return Registered.model_validate_json(Run(adapter_path).registered.read_text("utf-8"))
    except (OSError, ValueError):
        return None


def still_registered(adapter_path: Path) -> Registered | None:
    """What the adapter was registered as, if it has the same weights still.

    Raises:
        NotAnAdapter: there is none.
    """
    done = last_registered(adapter_path)
    same = done and done.adapter_digest == digest_of(adapter_directory(adapter_path) / WEIGHTS)
    return done if same else None


def name_of(text: str) -> Name:
    """The name that `text` is.

    Raises:
        BadModelName: none, or one of those of models that are not finished.
    """
    name = Name.parse(text)
    if name is None or name.namespace.lower() == UNFINISHED:
        raise BadModelName(text)
    return name


def need_free(address: str, name: Name, *, force: bool) -> None:
    """Raises ModelNameTaken when a model that is not ours is called so, unless by force."""
    if not force and called(client.models(address), name) and not is_ours(address, name):
        raise ModelNameTaken(str(name))


def is_ours(address: str, name: Name) -> bool:
    """Whether we made the model that is called so. A copy under another name is somebody else's."""
    return mark_of(name) in client.show(address, str(name)).license.splitlines()


def mark_of(name: Name) -> str:
    """The line among its licences by which we know a model of ours again."""
    return f"Made with llmlora as {str(name).lower()}"


def called(tags: Iterable[Tag], name: Name) -> Tag | None:
    """The model that is called so."""
    return next((tag for tag in tags if (own := Name.parse(tag.name)) and own.same(name)), None)
