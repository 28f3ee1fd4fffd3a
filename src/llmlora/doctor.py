"""What this machine has of what llmlora needs: a list of findings, each with its facts.

The words are in the catalogue under `doctor.<code>`: `text`, and `mend` for what is not as it should be.
"""

import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

import psutil
from sqlalchemy.engine import make_url

from llmlora.errors import MissingExtra, OllamaFailed, OllamaUnreachable, StoreUnreadable, StoreUnusable
from llmlora.model.describe import describe_all
from llmlora.ollama import client
from llmlora.ollama.store import names
from llmlora.settings import Settings
from llmlora.store.database import Database
from llmlora.text.catalogue import Language, say

Status = Literal["ok", "warn", "fail"]
GB = 10**9
LOW_MEMORY, LOW_DISK, NO_DISK = 2 * GB, 5 * GB, GB // 2
SAFE_OLLAMA = (0, 35, 0)  # CVE-2026-103663: before it, a download could write anywhere
CPU_FEATURES = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "bf16")
TOOL_SECONDS, ENGINE_SECONDS = 10.0, 60.0


@dataclass(frozen=True)
class Finding:
    """What a check found. The facts are ready for JSON."""

    code: str
    status: Status = "ok"
    facts: dict[str, Any] = field(default_factory=dict)

    def text(self, language: Language) -> str:
        """What was found."""
        return say(language, f"doctor.{self.code}.text", **self.facts)

    def mend(self, language: Language) -> str:
        """What to do about it; empty when nothing need be done."""
        return "" if self.status == "ok" else say(language, f"doctor.{self.code}.mend", **self.facts)


def examine(settings: Settings) -> list[Finding]:
    """Every check, in the order in which people care."""
    checks: tuple[Callable[[Settings], Finding], ...] = (
        *(_python, _cpu, _memory, _disk, _gpu),
        *(_engine, _models, _ollama, _ollama_store, _database, _node),
    )
    return [check(settings) for check in checks]


def _python(_: Settings) -> Finding:
    return Finding("python", facts={"version": platform.python_version(), "system": platform.system()})


def _cpu(_: Settings) -> Finding:
    """Without AVX2, an x86 processor trains several times slower."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        said = set(Path("/proc/cpuinfo").read_text("utf-8", "replace").split())
    except OSError:  # not Linux
        said = set()
    facts = {"cores": cores, "features": [one for one in CPU_FEATURES if one in said] or ["–"]}
    old = "sse2" in said and "avx2" not in said
    return Finding("cpu_old", "warn", facts) if old else Finding("cpu", facts=facts)


def _memory(_: Settings) -> Finding:
    memory = psutil.virtual_memory()
    facts = {"free_gb": round(memory.available / GB, 1), "total_gb": round(memory.total / GB, 1)}
    return Finding("memory_low", "warn", facts) if memory.available < LOW_MEMORY else Finding("memory", facts=facts)


def _disk(settings: Settings) -> Finding:
    root = settings.home.root
    there = next(path for path in (root, *root.parents) if path.exists())
    free = shutil.disk_usage(there).free
    facts = {"path": str(root), "free_gb": round(free / GB, 1)}
    if free < NO_DISK:
        return Finding("disk_full", "fail", facts)
    return Finding("disk_low", "warn", facts) if free < LOW_DISK else Finding("disk", facts=facts)


def _gpu(_: Settings) -> Finding:
    said = _said("nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader")
    return Finding("gpu", facts={"names": said.splitlines()}) if said else Finding("gpu_none")


def _engine(_: Settings) -> Finding:
    problem = _engine_problem()
    if problem is not None:
        return Finding("engine_broken", "fail", {"problem": problem})
    return Finding("engine", facts={"version": importlib.metadata.version("xllamacpp")})


@cache
def _engine_problem() -> str | None:
    """Why llama.cpp cannot be loaded: asked in a child, which native code may end."""
    command = [sys.executable, "-I", "-c", "import xllamacpp"]
    try:
        subprocess.run(command, env={}, capture_output=True, text=True, check=True, timeout=ENGINE_SECONDS)
    except subprocess.CalledProcessError as error:
        return str(error.stderr.strip() or f"exit code {error.returncode}").splitlines()[-1][:300]
    except subprocess.TimeoutExpired:
        return f"not loaded within {ENGINE_SECONDS:g} s"
    return None


def _models(settings: Settings) -> Finding:
    found = list(describe_all(settings.home, settings.ollama_stores))
    samples = [one.name for one in found if one.name.startswith("sample:") and one.path]
    facts = {"trainable": sum(one.trainable for one in found), "total": len(found), "samples": samples or ["–"]}
    return Finding("models", facts=facts) if facts["trainable"] else Finding("models_none", "fail", facts)


def _ollama(settings: Settings) -> Finding:
    facts: dict[str, Any] = {"address": settings.ollama_address}
    try:
        facts["version"] = client.version(settings.ollama_address)
    except OllamaUnreachable:
        return Finding("ollama_absent", "warn", facts)
    except OllamaFailed as error:
        return Finding("ollama_odd", "warn", facts | {"problem": error.problem})
    numbers = re.match(r"(\d+)\.(\d+)\.(\d+)", facts["version"])
    old = numbers is not None and tuple(map(int, numbers.groups())) < SAFE_OLLAMA
    return Finding("ollama_old", "warn", facts) if old else Finding("ollama", facts=facts)


def _ollama_store(settings: Settings) -> Finding:
    places = [str(path) for path in settings.ollama_stores]
    try:
        found = {path: names(path) for path in settings.ollama_stores if path.exists()}
    except StoreUnreadable as error:
        return Finding("ollama_store_unreadable", "warn", {"path": str(error.path)})
    except OSError:  # not even its directory may be looked at
        return Finding("ollama_store_unreadable", "warn", {"path": places})
    if not found:
        return Finding("ollama_store_none", "warn", {"path": places})
    facts = {"path": [str(path) for path in found], "count": sum(map(len, found.values()))}
    return Finding("ollama_store", facts=facts)


def _database(settings: Settings) -> Finding:
    try:
        Database(settings.database_url).close()
    except (StoreUnusable, MissingExtra, OSError) as error:  # the last: no place for a file
        return Finding("database_unusable", "fail", {"problem": str(error)})
    url = make_url(settings.database_url)
    kind = "SQLite" if url.get_backend_name() == "sqlite" else "PostgreSQL"
    return Finding("database", facts={"kind": kind, "where": url.render_as_string(hide_password=True)})


def _node(_: Settings) -> Finding:
    version = _said("node", "--version")
    return Finding("node", facts={"version": version}) if version else Finding("node_absent", "warn")


def _said(program: str, *arguments: str) -> str:
    """What a tool prints; nothing when it is missing or fails."""
    path = shutil.which(program)
    if path is None:
        return ""
    try:
        ran = subprocess.run(
            [path, *arguments], capture_output=True, text=True, check=True, timeout=TOOL_SECONDS, errors="replace"
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return ran.stdout.strip()
