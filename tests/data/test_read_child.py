"""Files are parsed by a process with limits; whatever happens to it is said, and nothing of it happens here."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from llmlora.child import JsonChild
from llmlora.data import read
from llmlora.data.parse import parse
from llmlora.data.read import collect, read_conversations
from llmlora.errors import DataUnreadable

LINES = "\n".join(
    json.dumps(row)
    for row in (
        {"質問": "首都は？", "回答": "東京", "番号": 1},
        {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "weight": 1}]},
        {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b\u2028\x7f"}]},
        {"text": "\U0001f600", "x\ud800": 1},
        {"\ud800": "\udfff"},
        {"text": "\ud800"},
        7,
    )
)
NESTED = "[" + ",".join(["[]"] * 8_000_000) + "]"


@pytest.fixture
def file(tmp_path: Path):
    def write(content: bytes | str, name: str = "rows") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def problem_of(*paths: Path) -> str:
    with pytest.raises(DataUnreadable) as caught:
        read_conversations(paths)
    return caught.value.problem.key


def test_the_child_reads_what_would_be_read_here(file):
    paths = [file(LINES), file("prompt,completion,x\na,b,1\na,b\n", "ロウ.csv")]

    found = read_conversations(paths)

    assert found == collect(paths, parse(paths, {}))
    assert [(one.file, one.row) for one in found.conversations] == [(0, 1), (0, 2), (0, 3), (0, 4), (1, 1)]
    assert [(one.file, one.row, one.code) for one in found.problems] == [
        (0, 5, "unknown_shape"),
        (0, 6, "lone_surrogate"),
        (0, 7, "not_an_object"),
        (1, 2, "wrong_field_count"),
    ]
    assert [one.format for one in found.files] == ["jsonl", "csv"]
    assert found.unused == {"番号": 1, "x\\ud800": 1, "x": 1}


def test_more_rows_than_a_message_holds_arrive_in_order(file):
    path = file("".join(f'{{"text": "{number}"}}\n' for number in range(25_000)))

    found = read_conversations(path)

    assert [one.turns[0].content for one in found.conversations] == [str(number) for number in range(25_000)]


def test_the_second_of_two_files_is_named_when_it_cannot_be_read(file):
    good, bad = file('{"text": "a"}'), file(b"\0\1\2\3", "bad")

    with pytest.raises(DataUnreadable) as caught:
        read_conversations([good, bad])

    assert caught.value.path == bad


@pytest.mark.skipif(sys.platform != "linux", reason="limits are tested where they are certain")
def test_a_file_that_takes_too_much_memory_is_refused_with_words(file, monkeypatch):
    monkeypatch.setattr(read, "MEMORY_BYTES", 64 * 2**20)

    assert problem_of(file('{"messages": ' + NESTED + "}")) == "unreadable.memory"
    assert len(read_conversations(file('{"text": "a"}')).conversations) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="limits are tested where they are certain")
def test_a_file_that_takes_too_long_is_refused_with_words(file, monkeypatch):
    monkeypatch.setattr(read, "CPU_SECONDS", 1)
    monkeypatch.setattr(read, "SECONDS_PER_MIB", 0)

    assert problem_of(file('{"text": "abcdefgh"}\n' * 600_000)) == "unreadable.processor_time"


def test_a_reader_that_says_nothing_is_ended(file, monkeypatch):
    monkeypatch.setattr(read, "SILENT_SECONDS", 0.0)

    assert problem_of(file('{"text": "a"}')) == "unreadable.silent"


def test_a_reader_that_dies_is_told_of(file, monkeypatch):
    class Killed(JsonChild):
        def send(self, message):
            os.kill(self.pid, signal.SIGKILL)

    monkeypatch.setattr(read, "JsonChild", Killed)

    assert problem_of(file('{"text": "a"}')) == "unreadable.child_died"


PROBE = """
import json, os, resource, sys
from llmlora.data import read_child
from llmlora.data.parse import parse
def probe(paths, given):
    limits = [resource.getrlimit(getattr(resource, "RLIMIT_" + name))[0] for name in ("AS", "CPU", "FSIZE", "NOFILE")]
    try:
        open(paths[0], "wb").write(b"x" * 100_000)
        wrote = True
    except OSError:
        wrote = False
    yield {"limits": limits, "wrote": wrote, "environment": dict(os.environ)}
read_child.parse = probe
read_child.main()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits are tested where they are certain")
def test_memory_time_files_and_writing_are_limited(file):
    request = {"paths": [str(file("", "canary"))], "given": {}, "memory": 2**28, "seconds": 7}

    done = subprocess.run(
        [sys.executable, "-c", PROBE], input=json.dumps(request), env={}, capture_output=True, text=True, check=True
    )

    told = json.loads(done.stdout)
    memory, seconds, written, opened = told["limits"]
    assert 2**28 < memory < 2**33
    assert seconds in (7, 8)
    assert (written, opened) == (65536, 32)
    assert not told["wrote"]


def test_the_child_sees_none_of_our_environment(monkeypatch):
    monkeypatch.setenv("LLMLORA_SECRET", "token")

    child = JsonChild("llmlora.data.read_child")
    try:
        assert b"LLMLORA_SECRET" not in Path(f"/proc/{child.pid}/environ").read_bytes()
    finally:
        child.close()


def test_the_child_outlives_the_thread_that_wanted_it(file):
    def begin() -> JsonChild:
        child = JsonChild("llmlora.data.read_child")
        child.send({"paths": [str(file('{"text": "a"}\n' * 100_000))], "given": {}, "memory": 2**30, "seconds": 60})
        child.receive(20)
        return child

    with ThreadPoolExecutor(1) as pool:
        child = pool.submit(begin).result()
    try:
        for _ in range(20):
            child.send({})

            assert "rows" in child.receive(20)
    finally:
        child.close()


@pytest.mark.skipif(sys.platform != "linux", reason="as elsewhere, but only after its next message")
def test_the_child_dies_with_its_parent(file):
    """It waits here for leave to send on, with a parent that is killed and can close nothing."""
    code = (
        "import sys, time; from llmlora.child import JsonChild; child = JsonChild('llmlora.data.read_child');"
        "child.send({'paths': [sys.argv[1]], 'given': {}, 'memory': 2**30, 'seconds': 60}); child.receive(20);"
        "print(child.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(file('{"text": "a"}\n' * 100_000))], stdout=subprocess.PIPE, text=True
    )
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()

    deadline = time.monotonic() + 10
    while _alive(pid) and time.monotonic() < deadline:
        pass

    assert not _alive(pid)


def _alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_reading_loads_no_pyarrow_here(file):
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = file("", "rows.parquet")
    pq.write_table(pa.table({"text": ["a"]}), path)
    code = (
        "import sys; from pathlib import Path; from llmlora.data.read import read_conversations;"
        "rows = read_conversations(Path(sys.argv[1])).conversations;"
        "sys.exit('pyarrow' in sys.modules or 'torch' in sys.modules or len(rows) != 1)"
    )

    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False, timeout=60).returncode == 0


@pytest.mark.skipif(sys.platform != "linux", reason="limits are tested where they are certain")
def test_the_file_at_hand_is_named_when_memory_ends(file, monkeypatch):
    monkeypatch.setattr(read, "MEMORY_BYTES", 64 * 2**20)
    good, bomb = file('{"text": "a"}'), file('{"messages": ' + NESTED + "}", "bomb")

    with pytest.raises(DataUnreadable) as caught:
        read_conversations([good, bomb])

    assert (caught.value.path, caught.value.problem.key) == (bomb, "unreadable.memory")
