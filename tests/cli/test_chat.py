"""`llmlora chat` and `compare` as a person meets them: the conversation, Ctrl-C on a real terminal, narrow windows."""

import os
import select
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from llmlora.cli.main import run
from tests.chat.test_engine import random_adapter

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
