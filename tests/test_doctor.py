"""The doctor: each check finds what is there, names what is not, and knows how to mend it."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from llmlora import doctor
from llmlora.cli.main import run
from llmlora.doctor import Finding, examine
from llmlora.paths import Home
from llmlora.settings import Settings, read_settings
from llmlora.text.catalogue import LANGUAGES, catalogue
from tests.ollama.scripted import ollama_server
from tests.ollama_store import OllamaStore
from tests.tiny import tiny_gguf


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A machine where everything is in order."""
    monkeypatch.setattr("llmlora.model.source.SAMPLES", {})
    monkeypatch.setattr(doctor, "_said", lambda program, *_: {"node": "v22.1.0"}.get(program, ""))
    store = OllamaStore(tmp_path / "store")
    store.add("registry.ollama.ai/library/tiny/latest", tiny_gguf(tmp_path / "tiny.gguf").read_bytes())
    return replace(
        read_settings(),
        home=Home(tmp_path),
        database_url=f"sqlite:///{tmp_path / 'test.db'}",
        ollama_stores=(store.root,),
        ollama_address="http://127.0.0.1:1",
    )


def found(settings: Settings) -> dict[str, Finding]:
    return {one.code: one for one in examine(settings)}


def test_what_is_in_order_is_found(settings, tmp_path):
    with ollama_server() as ollama:
        seen = found(replace(settings, ollama_address=ollama.address))

    assert {one.status for one in seen.values()} == {"ok"}
    assert seen["ollama"].facts["version"] == "0.36.1"
    assert seen["ollama_store"].facts["count"] == 1
    assert (seen["models"].facts["trainable"], seen["models"].facts["total"]) == (1, 1)
    assert seen["database"].facts["kind"] == "SQLite"
    assert seen["cpu"].facts["cores"] == len(os.sched_getaffinity(0))
    assert seen["node"].facts["version"] == "v22.1.0"
    assert {"python", "memory", "disk", "gpu_none", "engine"} <= set(seen)


def test_every_finding_can_be_told_and_mended_in_both_languages(settings):
    for language in LANGUAGES:
        words = catalogue(language)["doctor"]
        assert all(set(entry) <= {"text", "mend"} and entry["text"] for entry in words.values())
        for one in examine(settings):
            assert one.text(language)
            assert bool(one.mend(language)) == (one.status != "ok")


@pytest.mark.parametrize(("version", "code"), [("0.34.9", "ollama_old"), ("0.35.0", "ollama"), ("dev", "ollama")])
def test_an_ollama_with_known_holes_is_named(settings, version, code):
    with ollama_server() as ollama:
        ollama.version = json.dumps({"version": version}).encode()
        seen = found(replace(settings, ollama_address=ollama.address))

    assert code in seen
    assert seen[code].status == ("warn" if code == "ollama_old" else "ok")


def test_an_ollama_that_is_away_or_something_else_is_a_warning(settings):
    with ollama_server() as other:
        other.version = b"<html>"
        odd = found(replace(settings, ollama_address=other.address))

    assert found(settings)["ollama_absent"].status == "warn"
    assert odd["ollama_odd"].status == "warn"


def test_a_store_that_is_missing_or_may_not_be_read_is_a_warning(settings, tmp_path, monkeypatch):
    def closed(path):
        raise PermissionError

    assert found(replace(settings, ollama_stores=(tmp_path / "none",)))["ollama_store_none"].status == "warn"
    monkeypatch.setattr("llmlora.ollama.store.os.scandir", closed)
    assert found(settings)["ollama_store_unreadable"].status == "warn"
    monkeypatch.setattr(Path, "exists", lambda self: closed(self) if self in settings.ollama_stores else True)
    assert doctor._ollama_store(settings).code == "ollama_store_unreadable"


def test_nothing_to_train_is_a_failure(settings):
    assert found(replace(settings, ollama_stores=()))["models_none"].status == "fail"


@pytest.mark.parametrize(
    "url", ["mysql://x", "nonsense", "sqlite:////proc/nowhere/test.db", "postgresql://u:pw@127.0.0.1:1/x"]
)
def test_a_database_that_cannot_be_used_is_a_failure_that_tells_no_password(settings, url):
    one = found(replace(settings, database_url=url))["database_unusable"]

    assert one.status == "fail"
    assert "pw" not in one.text("en")


@pytest.mark.parametrize(("free", "code"), [(10**8, "disk_full"), (10**9, "disk_low"), (10**11, "disk")])
def test_a_disk_that_fills_up_is_noticed(settings, monkeypatch, free, code):
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: SimpleNamespace(free=free))

    assert doctor._disk(replace(settings, home=Home(settings.home.root / "not" / "yet"))).code == code


def test_little_memory_is_noticed(settings, monkeypatch):
    monkeypatch.setattr(doctor.psutil, "virtual_memory", lambda: SimpleNamespace(available=10**9, total=10**10))

    assert doctor._memory(settings) == Finding("memory_low", "warn", {"free_gb": 1.0, "total_gb": 10.0})


def test_an_old_processor_is_noticed(settings, monkeypatch):
    monkeypatch.setattr(Path, "read_text", lambda *_: "flags : sse2 ssse3")
    assert doctor._cpu(settings).code == "cpu_old"

    monkeypatch.setattr(Path, "read_text", lambda *_: "flags : sse2 avx2")
    assert doctor._cpu(settings).facts["features"] == ["avx2"]


def test_a_gpu_is_named_and_node_is_only_missed(settings, monkeypatch):
    monkeypatch.setattr(doctor, "_said", lambda program, *_: "NVIDIA H200, 143771 MiB" * (program == "nvidia-smi"))

    assert doctor._gpu(settings) == Finding("gpu", facts={"names": ["NVIDIA H200, 143771 MiB"]})
    assert doctor._node(settings) == Finding("node_absent", "warn")


def test_an_engine_that_cannot_be_loaded_is_a_failure_in_its_words(settings, monkeypatch):
    def broken(command, **_):
        raise subprocess.CalledProcessError(1, command, stderr="Traceback\nImportError: no libgomp")

    monkeypatch.setattr(doctor.subprocess, "run", broken)
    doctor._engine_problem.cache_clear()
    try:
        assert doctor._engine(settings) == Finding("engine_broken", "fail", {"problem": "ImportError: no libgomp"})
    finally:
        doctor._engine_problem.cache_clear()


@pytest.mark.parametrize(("script", "said"), [("echo v1", "v1"), ("exit 3", ""), ("kill -9 $$", "")])
def test_tools_that_fail_say_nothing(tmp_path, monkeypatch, script, said):
    tool = tmp_path / "tool"
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")

    assert doctor._said("tool") == said
    assert doctor._said("no-such-tool") == ""


def test_the_command_tells_everything_and_its_exit_code_by_result(settings, monkeypatch, capsys):
    monkeypatch.setattr("llmlora.cli.doctor.read_settings", lambda: settings)
    assert run(["doctor"]) == 0
    people = capsys.readouterr().out
    assert run(["doctor", "--json"]) == 0
    machine = json.loads(capsys.readouterr().out)

    monkeypatch.setattr("llmlora.cli.doctor.read_settings", lambda: replace(settings, ollama_stores=()))
    assert run(["doctor", "--json"]) == 1
    failed = json.loads(capsys.readouterr().out)

    assert "✓ Python" in people
    assert "ollama serve" in people
    assert machine["ok"] is True
    assert {"code", "status", "facts", "text", "mend"} == set(machine["findings"][0])
    assert failed["ok"] is False


def test_it_loads_no_torch():
    probe = (
        "import sys, llmlora.doctor; sys.exit(any(name in sys.modules for name in ('torch', 'numba', 'transformers')))"
    )

    assert subprocess.run([sys.executable, "-c", probe], check=False).returncode == 0
