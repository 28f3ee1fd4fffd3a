"""The process environment, read at the edges only and handed down as values.

LLMLORA_HOME    data directory
LLMLORA_LANG    `ja` or `en`; otherwise the locale decides
OLLAMA_MODELS   Ollama's store, when it is not in its usual place
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


def read_settings() -> Settings:
    """The settings of this process."""
    home = os.environ.get("LLMLORA_HOME") or platformdirs.user_data_dir("llmlora", appauthor=False)
    return Settings(Home(Path(home).expanduser()), read_language(), _ollama_stores())


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
