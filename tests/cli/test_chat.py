"""`llmlora chat` and `compare` as a person meets them: the conversation, Ctrl-C on a real terminal, narrow windows."""

import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from llmlora.cli.main import run
from llmlora.export.ollama import Wish, register
from tests.blob_run import NAME, BlobRun, blob_run
from tests.chat.test_engine import random_adapter
from tests.ollama.standin.faults import Cut
from tests.ollama.standin.server import StandIn, ollama_standin

MODEL = ["--model", "sample:smollm2-135m", "--temperature", "0", "--max-tokens", "8"]


def typed(monkeypatch: pytest.MonkeyPatch, *lines: str | BaseException) -> None:
    """What `input` returns, line by line; then the end of the input."""
    rest = iter([*lines, EOFError()])

    def read(prompt: str) -> str:
        line = next(rest)
        if isinstance(line, BaseException):
            raise line
        return line

    monkeypatch.setattr("builtins.input", read)


@pytest.fixture
def _samples(monkeypatch: pytest.MonkeyPatch, sample_home) -> None:
    monkeypatch.setenv("LLMLORA_HOME", str(sample_home.root))


@pytest.mark.usefixtures("_samples")
def test_a_reset_conversation_answers_as_at_first(monkeypatch, capsys):
    typed(monkeypatch, "What is a cat?", "", "/reset", "What is a cat?", "/exit", "never read")

    assert run(["chat", *MODEL]) == 0

    first, second = capsys.readouterr().out.splitlines()
    assert first == second != ""


@pytest.mark.usefixtures("_samples")
@pytest.mark.parametrize("end", [EOFError(), KeyboardInterrupt()])
def test_the_end_of_the_input_and_ctrl_c_at_the_prompt_leave(monkeypatch, end):
    typed(monkeypatch, end)

    assert run(["chat", *MODEL]) == 0


@pytest.mark.parametrize(
    "wrong", [["--seed", "-1"], ["--seed", "4294967295"], ["--max-tokens", "0"], ["--temperature", "-1"]]
)
@pytest.mark.parametrize("command", ["chat", "compare"])
def test_numbers_that_llama_cpp_would_understand_otherwise_are_refused(command: str, wrong: list[str], tmp_path: Path):
    assert run([command, "--adapter", str(tmp_path), "--prompt", "hi", *wrong]) == 2


@pytest.mark.usefixtures("_samples")
@pytest.mark.parametrize(("columns", "beside"), [("100", True), ("40", False)])
def test_answers_stand_side_by_side_where_there_is_room(columns, beside, smollm2_path, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", columns)
    adapter = random_adapter(smollm2_path, tmp_path / "a.gguf", size=0.2)

    assert run(["compare", *MODEL, "--adapter", str(adapter), "--prompt", "What is a cat?"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert any("base" in line and "tuned" in line for line in lines) == beside


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> BlobRun:
    return blob_run(tmp_path_factory.mktemp("run"), learning_rate=0.1)


@pytest.fixture
def ollama(trained: BlobRun, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    """An Ollama that has the base of a run."""
    with ollama_standin(trained.store, "adapters") as server:
        monkeypatch.setenv("OLLAMA_HOST", server.address)
        monkeypatch.setenv("OLLAMA_MODELS", str(trained.store))
        yield server


TINY = ["--model", f"ollama:{NAME}", "--prompt", "Hello", "--temperature", "0", "--max-tokens", "6"]


@pytest.mark.usefixtures("ollama")
@pytest.mark.parametrize(
    ("engine", "name"),
    [
        ([], f"Ollama 0.33.0 ({NAME})"),
        (["--engine", "ollama"], f"Ollama 0.33.0 ({NAME})"),
        (["--engine", "llama.cpp"], "llama.cpp (embedded)"),
    ],
)
def test_it_is_said_whether_ollama_answers_or_llama_cpp(engine: list[str], name: str, capsys):
    assert run(["chat", *TINY, *engine]) == 0
    said = capsys.readouterr()
    assert run(["chat", *TINY, *engine, "--json"]) == 0

    assert said.err == f"Answered by {name}.\n"
    document = json.loads(capsys.readouterr().out)
    assert (document["engine"], document["answer"]) == (name, said.out.removesuffix("\n"))


def test_base_and_tuned_are_compared_in_ollama_once_both_are_there(trained: BlobRun, ollama: StandIn, capsys):
    options = ["compare", "--adapter", str(trained.out), "--prompt", "Hello", "--temperature", "0", "--json"]
    assert run([*options, "--engine", "ollama"]) == 2
    refused = capsys.readouterr().err
    register(trained.out, trained.base, Wish("mine"), ollama.address, trained.out / "shop")

    assert run(options) == 0

    assert "not registered in Ollama yet" in refused
    compared = json.loads(capsys.readouterr().out)
    assert compared["engines"] == {"base": f"Ollama 0.33.0 ({NAME})", "tuned": "Ollama 0.33.0 (mine:latest)"}
    assert compared["answers"][0]["base"] != compared["answers"][0]["tuned"]


def test_an_ollama_that_goes_away_leaves_what_it_said_and_an_error(ollama: StandIn, capsys):
    ollama.faults.append(Cut(path="/api/chat", lines=3))

    assert run(["chat", *TINY]) == 1

    said = capsys.readouterr()
    assert len(said.out) > 1
    assert "went away in the middle" in said.err


@pytest.mark.usefixtures("_samples")
def test_the_engine_that_was_chosen_is_not_replaced(capsys, monkeypatch):
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:1")

    assert run(["chat", *MODEL, "--prompt", "Hi", "--engine", "ollama"]) == 2
    assert "sample:smollm2-135m does not come from Ollama" in capsys.readouterr().err


@pytest.mark.usefixtures("_samples")
def test_a_stop_word_ends_an_answer(capsys):
    assert run(["chat", *MODEL, "--prompt", "What is a cat?"]) == 0
    whole = capsys.readouterr().out

    assert run(["chat", *MODEL, "--prompt", "What is a cat?", "--stop", whole[4:7]]) == 0
    assert capsys.readouterr().out == whole[: whole.index(whole[4:7])] + "\n"


# the foreground program of the terminal that is its standard input, as a shell would start it
ON_A_TERMINAL = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); from llmlora.cli.main import main; main()"


class Terminal:
    """A real terminal with `llmlora` on it."""

    def __init__(self, *arguments: str) -> None:
        self.keys, screen = os.openpty()
        line = [sys.executable, "-c", ON_A_TERMINAL, *arguments]
        self.process = subprocess.Popen(line, stdin=screen, stdout=screen, stderr=screen, start_new_session=True)
        os.close(screen)

    def type(self, text: str) -> None:
        os.write(self.keys, text.encode())

    def read_until(self, wanted: str) -> str:
        """What appears up to and with `wanted`; less when the program ends or says nothing for a minute."""
        said = b""
        while wanted.encode() not in said and select.select([self.keys], [], [], 60)[0]:
            try:
                said += os.read(self.keys, 1)
            except OSError:  # nobody is there any more
                break
        return said.decode("utf-8", "replace")

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.keys)


@pytest.mark.usefixtures("_samples")
def test_ctrl_c_stops_an_answer_and_not_the_conversation():
    arguments = ["--model", "sample:smollm2-135m", "--temperature", "0", "--max-tokens", "2000"]
    with closing(Terminal("chat", *arguments)) as terminal:
        terminal.read_until("\n> ")
        for _ in range(2):
            terminal.type("Write a very long story about a cat.\n")
            terminal.read_until("\n")
            assert terminal.read_until("a").endswith("a")  # it has begun
            terminal.type("\x03")
            assert terminal.read_until("\n> ").endswith("…\r\n> ")
        terminal.type("\x04")

        assert terminal.process.wait(timeout=60) == 0
