"""Real workers, a real runner and a real PostgreSQL, killed: jobs end in the same bytes, and nothing is lost."""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from llmlora.jobs.runner import Runner
from llmlora.jobs.supervised import Terms
from llmlora.paths import Home
from llmlora.recipe import Recipe
from llmlora.settings import Settings, read_settings
from llmlora.store import events, jobs
from llmlora.store.database import Database
from llmlora.store.jobs import FINAL, Job, Request
from llmlora.train.run import train
from tests.jobs.test_runner import run_to_state, run_until, told
from tests.postgres_server import start as start_postgres
from tests.small_run import adapter_bytes, small_recipe

PATIENCE = 120.0
STEPS = 400
PROMPT = Terms(retry=0.01)
CHANCE = random.Random(20261124)


@pytest.fixture
def settings() -> Settings:
    return read_settings()


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    opened = Database(settings.database_url)
    yield opened
    opened.close()


def recipe_of(directory: Path, **values) -> Recipe:
    return small_recipe(directory, **{"steps": STEPS, "save_every": 10, "eval_every": 40, **values})


def submit(database: Database, directory: Path, **values) -> Job:
    recipe = recipe_of(directory, **values)
    return jobs.submit(database, Request("train", "a job", {"recipe": recipe.model_dump(mode="json")}))


def fetch(database: Database, one: Job) -> Job:
    with database.reading() as connection:
        return jobs.fetch(connection, one.id)


def adapter(settings: Settings, one: Job) -> bytes:
    return adapter_bytes(settings.home.attempt(one.id, one.epoch))


def lines_of(settings: Settings, one: Job) -> int:
    path = settings.home.attempt(one.id, one.epoch) / "events.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def kill_after(database: Database, settings: Settings, runner: Runner, one: Job, lines: int) -> None:
    """SIGKILL the worker once its attempt has told so many events, unless the job is over before that."""
    run_until(runner, lambda: runner.running or fetch(database, one).state in FINAL)
    for supervised in list(runner.running.values()):
        process = supervised.process
        wait_for(lambda: lines_of(settings, fetch(database, one)) >= lines or process.code() is not None)  # noqa: B023
        process.signal(signal.SIGKILL)
    run_until(runner, lambda: not runner.running)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The adapter of a run that is nobody's job and that nobody disturbs."""
    directory = tmp_path_factory.mktemp("whole")
    train(recipe_of(directory), directory / "out", Home(directory / "home"))
    return adapter_bytes(directory / "out")


def kill_often(database: Database, settings: Settings, directory: Path, kills: int) -> Job:
    """A job whose worker is killed at random moments, each after a new checkpoint or before the first."""
    one, runner = submit(database, directory), Runner(database, settings, PROMPT)
    for number in range(kills):
        kill_after(database, settings, runner, one, CHANCE.randint(64 * number + 1, 64 * number + 64))
    return run_to_state(runner, one, *FINAL)


def test_rel_01_a_job_killed_at_random_ends_in_the_same_bytes(
    database: Database, settings: Settings, tmp_path: Path, whole: bytes
):
    landed = 0
    while landed < 5:  # a job may be done before all of its kills: then the next one takes the rest
        killed = kill_often(database, settings, tmp_path / "x", kills=5 - landed)
        landed += killed.epoch - 1

        assert killed.state == "succeeded"
        assert adapter(settings, killed) == whole
        assert told(database, killed, "step") == list(range(1, STEPS + 1))


@pytest.mark.slow
@pytest.mark.parametrize("number", range(50))
def test_two_hundred_kills_each_end_in_the_same_bytes(
    database: Database, settings: Settings, tmp_path: Path, whole: bytes, number: int
):
    killed = kill_often(database, settings, tmp_path / "x", kills=4)

    assert adapter(settings, killed) == whole


@contextmanager
def runner_process() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-I", "-m", "llmlora.jobs.runner"]) as process:
        yield process
        process.terminate()


def wait_for(condition) -> None:
    limit = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < limit, "it did not happen"
        time.sleep(0.01)


@contextmanager
def small_disk(directory: Path, megabytes: int) -> Iterator[None]:
    """A file system of its own in `directory`, in memory."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(directory)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("only root may mount a small disk")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


def fill(path: Path) -> None:
    """Leave no byte free on the disk of `path`."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(path.parent).free)
        while file.write(bytes(4096)):
            pass


@pytest.mark.trip
def test_rel_04_a_disk_that_is_really_full_costs_only_the_time_until_there_is_room(tmp_path: Path, monkeypatch):
    directory = tmp_path / "disk"
    directory.mkdir()
    with small_disk(directory, 200):
        monkeypatch.setenv("LLMLORA_HOME", str(directory / "home"))
        settings = read_settings()
        settings.home.root.mkdir()
        with closing(Database(settings.database_url)) as database:
            runner = Runner(database, settings, PROMPT)
            one = submit(database, tmp_path / "x")
            run_until(runner, lambda: fetch(database, one).checkpoint_step)
            (supervised,) = runner.running.values()
            fill(directory / "rest")
            wait_for(lambda: supervised.process.code() is not None)
            runner.tick()  # the store has no room either: what happened is told later

            (directory / "rest").unlink()
            paused = run_to_state(runner, one, "paused", *FINAL)
            with database.writing() as connection:
                jobs.want(connection, one.id, "run")
            done = run_to_state(runner, one, *FINAL)

            assert (paused.state, paused.error["code"], done.state) == ("paused", "disk_full", "succeeded")
            assert told(database, one, "step")[-1] == STEPS


def test_rel_06_a_killed_runner_takes_its_worker_along_and_the_next_one_goes_on(
    database: Database, settings: Settings, tmp_path: Path
):
    one = submit(database, tmp_path / "x", steps=400, save_every=5, eval_every=200)
    with runner_process() as first:
        wait_for(lambda: fetch(database, one).checkpoint_step >= 5)
        (worker,) = psutil.Process(first.pid).children()
        first.kill()
        wait_for(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE)
    with runner_process():
        began = time.monotonic()
        wait_for(lambda: fetch(database, one).epoch == 2)
        assert time.monotonic() - began < 5, "a dead owner on this machine is noticed at once"
        wait_for(lambda: fetch(database, one).state == "running" and fetch(database, one).step > 5)
        with database.writing() as connection:
            jobs.want(connection, one.id, "cancel")
        asked = time.monotonic()
        wait_for(lambda: fetch(database, one).state in FINAL)

    assert time.monotonic() - asked < 10
    steps = told(database, one, "step")
    assert steps == list(range(1, len(steps) + 1))


def test_rel_07_a_killed_postgresql_loses_nothing_and_the_job_goes_on(settings: Settings, monkeypatch):
    monkeypatch.setattr("llmlora.jobs.attempt.WORKER", (sys.executable, str(Path(__file__).with_name("actor.py"))))
    directory = Path(tempfile.mkdtemp(prefix="llmlora-pg-")) / "data"
    server = start_postgres(directory, cleanup=None)
    database = Database(server.get_uri())
    runner = Runner(database, replace(settings, database_url=server.get_uri()), PROMPT)
    one = jobs.submit(database, Request("train", "x", {"act": ["step", "wait", "step", "save"], "total": 2}))
    while fetch(database, one).step < 1:
        runner.tick()

    postmaster = psutil.Process(int((directory / "postmaster.pid").read_text().split()[0]))
    family = [postmaster, *postmaster.children(recursive=True)]
    postmaster.kill()
    (supervised,) = runner.running.values()
    (settings.home.attempt(one.id, 1) / "go").touch()
    while supervised.process.code() is None:
        runner.tick()  # says that the database is away, and goes on
    psutil.wait_procs(family, PATIENCE)
    (directory / "postmaster.pid").unlink()
    again = start_postgres(directory)

    try:
        assert run_to_state(runner, one, *FINAL).state == "succeeded"
        assert told(database, one, "step") == [1, 2]
    finally:
        database.close()
        again.cleanup()
        shutil.rmtree(directory.parent, ignore_errors=True)


def test_rel_22_a_data_directory_that_cannot_be_written_fails_the_job_and_not_the_runner(
    database: Database, settings: Settings, tmp_path: Path
):
    one, runner = submit(database, tmp_path / "x"), Runner(database, settings, PROMPT)
    (settings.home.root / "jobs").write_text("a file where a directory should be")

    failed = run_to_state(runner, one, *FINAL)

    assert (failed.state, failed.error["code"]) == ("failed", "worker_died")
    with database.reading() as connection:
        assert events.newest(connection) > 0
