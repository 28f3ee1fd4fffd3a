"""`llmlora serve`: what it refuses, and what it survives."""

import resource
import socket
import subprocess
import sys
import time
from contextlib import suppress
from itertools import pairwise

import psutil
import pytest

from llmlora.cli import serve
from llmlora.cli.main import run
from tests.api.server import PATIENCE, serving, told, until

EVERYWHERE = "0.0.0.0"  # noqa: S104 - what is refused
API, RUNNER = "llmlora.api", "llmlora.jobs.runner"


def test_another_host_needs_a_name_before_any_socket_opens(monkeypatch, capsys):
    monkeypatch.setattr(socket, "create_server", lambda *_, **__: pytest.fail("a socket was opened"))

    assert run(["serve", "--host", EVERYWHERE]) == 2
    assert "--allowed-host" in capsys.readouterr().err


def test_a_port_that_is_taken_is_named_with_what_to_do(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run(["serve", "--port", str(port)]) == 2

    said = capsys.readouterr().err
    assert f"127.0.0.1:{port}" in said
    assert "--port" in said


def test_a_host_that_does_not_exist_is_named(capsys):
    assert run(["serve", "--host", "nowhere.invalid", "--allowed-host", "x"]) == 2
    assert "nowhere.invalid" in capsys.readouterr().err


def test_it_listens_on_loopback_only_and_the_printed_token_opens_it(tmp_path):
    with serving(tmp_path / "home") as server:
        listening = {
            entry.laddr
            for entry in psutil.Process(server.process.pid).net_connections()
            if entry.status == psutil.CONN_LISTEN
        }

        assert listening == {("127.0.0.1", server.port)}
        assert server.status("/api/datasets") == 200
        assert (tmp_path / "home" / "token").read_text().strip() == server.token


def test_the_name_that_others_use_is_printed_and_answered(tmp_path):
    with serving(tmp_path / "home", "--host", EVERYWHERE, "--allowed-host", "Box.example") as server:
        assert server.name == "Box.example"
        with server.ask("/healthz", host=f"box.example:{server.port}") as answer:
            assert answer.status == 200
        with server.ask("/healthz", host=f"0.0.0.0:{server.port}") as answer:
            assert answer.status == 400


def test_streams_are_not_bounded_by_a_shells_limit_of_files(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        with serving(tmp_path / "home") as server:
            assert server.status("/healthz") == 200
            assert server.child(API).rlimit(psutil.RLIMIT_NOFILE)[0] >= min(hard, 4000)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_killed_web_process_is_replaced_and_the_runner_goes_on(tmp_path):
    with serving(tmp_path / "home") as server:
        until(lambda: server.status("/healthz") == 200)
        runner, api = until(lambda: server.child(RUNNER)), server.child(API)

        api.kill()
        began = time.monotonic()
        assert until(lambda: not api.is_running() and server.status("/healthz") == 200)

        assert time.monotonic() - began < 5
        assert server.child(RUNNER) == runner
        assert server.child(API) != api


def test_a_killed_runner_is_replaced(tmp_path):
    with serving(tmp_path / "home") as server:
        runner = until(lambda: server.child(RUNNER))
        runner.kill()

        assert until(lambda: (fresh := server.child(RUNNER)) and fresh != runner)


def test_sigterm_ends_everything_at_once_also_with_open_streams(tmp_path):
    with serving(tmp_path / "home") as server:
        with server.ask("/api/events") as first, server.ask("/api/events") as second:
            events = told(first), told(second)
            assert [next(stream).kind for stream in events] == ["hello", "hello"]
            everyone = psutil.Process(server.process.pid).children(recursive=True)
            began = time.monotonic()
            server.process.terminate()
            assert [list(stream) for stream in events] == [[], []]

            assert server.process.wait(PATIENCE) == 0
        assert time.monotonic() - began < 5
        assert not [child for child in everyone if child.is_running()]


@pytest.mark.parametrize("settled", [True, False], ids=["later", "at once"])
def test_nobody_outlives_a_killed_parent(tmp_path, settled):
    with serving(tmp_path / "home") as server:
        until(lambda: server.child(RUNNER) and server.child(API))
        if settled:
            assert server.status("/healthz") == 200
        everyone = psutil.Process(server.process.pid).children(recursive=True)
        server.process.kill()

        until(lambda: not [child for child in everyone if _lives(child)])


def _lives(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.status() != psutil.STATUS_ZOMBIE
    return False


def test_who_keeps_dying_is_started_less_and_less_often(monkeypatch):
    now, started = [0.0], []
    monkeypatch.setattr(serve.time, "monotonic", lambda: now[0])

    class Dead:
        def __init__(self, *_, **__):
            started.append(now[0])

        def poll(self):
            return 1 if now[0] - started[-1] > lives else None

    monkeypatch.setattr(serve.subprocess, "Popen", Dead)
    child, lives = serve.Child(["x"]), 0

    def until_started(count: int) -> list[float]:
        while len(started) < count:
            child.tick()
            now[0] += 0.01
        return [round(later - earlier, 1) for earlier, later in pairwise(started)]

    assert until_started(9) == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]
    lives = serve.HEALTHY_SECONDS + 1
    until_started(10)
    assert until_started(11)[-1] == pytest.approx(lives + serve.FIRST_WAIT, abs=0.1)


def test_the_web_process_loads_nothing_heavy():
    heavy = ("torch", "transformers", "peft", "ray", "pyarrow", "numba", "pandas")
    script = f"import llmlora.api.__main__, sys; print([name for name in {heavy} if name in sys.modules])"

    found = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True)

    assert found.stdout.strip() == "[]"
