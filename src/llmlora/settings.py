"""The process environment, read at the edges only and handed down as values.

LLMLORA_HOME          data directory
LLMLORA_LANG          `ja` or `en`; otherwise the locale decides
LLMLORA_DATABASE_URL  postgresql://…; otherwise SQLite in the data directory
LLMLORA_MEMORY_LIMIT  most megabytes that a job's process may allocate; otherwise all there are
OLLAMA_MODELS         Ollama's store, when it is not in its usual place
OLLAMA_HOST           where Ollama listens, as Ollama itself reads it

These huggingface_hub reads, here as everywhere:

HF_HOME               where models of the Hugging Face hub are kept, and who is logged in
HF_TOKEN              opens private and gated models
HF_ENDPOINT           another hub
HF_HUB_OFFLINE        1: nothing is downloaded
"""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from llmlora.paths import Home
from llmlora.text.catalogue import Language


@dataclass(frozen=True)
class Settings:
    home: Home
    language: Language
    ollama_stores: tuple[Path, ...]
    ollama_address: str
    database_url: str
    memory_limit_mb: int | None


def read_settings() -> Settings:
    """The settings of this process."""
    home = os.environ.get("LLMLORA_HOME") or platformdirs.user_data_dir("llmlora", appauthor=False)
    root = Home(Path(home).expanduser().absolute())
    limit = os.environ.get("LLMLORA_MEMORY_LIMIT", "")
    return Settings(
        home=root,
        language=read_language(),
        ollama_stores=_ollama_stores(),
        ollama_address=_ollama_address(os.environ.get("OLLAMA_HOST", "")),
        database_url=os.environ.get("LLMLORA_DATABASE_URL") or f"sqlite:///{root.database}",
        memory_limit_mb=int(limit) if limit.isdecimal() else None,
    )


def read_language() -> Language:
    """`LLMLORA_LANG`, else the locale: Japanese for a Japanese one, English for the rest."""
    names = ("LLMLORA_LANG", "LC_ALL", "LC_MESSAGES", "LANG")
    chosen = next((os.environ[name] for name in names if os.environ.get(name)), "")
    return "ja" if chosen.lower().startswith("ja") else "en"


def _ollama_stores() -> tuple[Path, ...]:
    """`OLLAMA_MODELS` alone when set; else the platform's usual places, in order.

    Source: docs/faq.mdx of Ollama ("Where are models stored?").
    """
    if chosen := os.environ.get("OLLAMA_MODELS"):
        return (Path(chosen).expanduser(),)
    own = Path.home() / ".ollama" / "models"
    service = Path("/usr/share/ollama/.ollama/models")
    return (own, service) if sys.platform.startswith("linux") else (own,)


def _ollama_address(host: str) -> str:
    """`OLLAMA_HOST` as a URL; scheme and port may be missing, and 0.0.0.0 means this machine.

    Source: envconfig/config.go of Ollama (Host).
    """
    scheme, _, rest = host.strip().strip("\"'").rpartition("://")
    where, _, path = rest.partition("/")
    name, colon, port = where.rpartition(":") if not where.endswith("]") else (where, "", "")
    if not colon:
        name, port = where, {"http": "80", "https": "443"}.get(scheme, "11434")
    name = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(name, name)  # noqa: S104 - not a bind
    return f"{scheme or 'http'}://{name}:{port}{'/' + path if path else ''}".rstrip("/")
