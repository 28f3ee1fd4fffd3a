"""llama.cpp in its child process: it streams, switches the adapter, fails in words, and never outlives us."""

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest

from llmlora.chat.engine import Engine, EngineOptions, Sampling
from llmlora.errors import EngineFailed
from llmlora.ggml import BY_NAME
from llmlora.gguf.reader import STRING, GgufFile
from llmlora.gguf.writer import TensorPlan, write_gguf
from llmlora.openmp import BRIEF

PROMPT = [1, 9690, 198, 2683, 359, 253, 5356, 5646]
GREEDY = Sampling(max_tokens=24, temperature=0)
SMALL = EngineOptions(context=512)
FLOAT32 = 6


def random_adapter(base: Path, target: Path, architecture: str = "llama", size: float = 0.05) -> Path:
    """An adapter on every q projection that changes what the base says."""
    random, plans = np.random.default_rng(0), []
    with GgufFile(base) as file:
        for name, info in file.tensors.items():
            if name.endswith("attn_q.weight"):
                rows, columns = info.shape
                for half, shape in (("lora_a", (8, columns)), ("lora_b", (rows, 8))):
                    values = (random.standard_normal(shape) * size).astype(np.float32)
                    plans.append(TensorPlan(f"{name}.{half}", BY_NAME["F32"], shape, values.tobytes))
    metadata = [("general.architecture", STRING, architecture), ("general.type", STRING, "adapter")]
    metadata += [("adapter.type", STRING, "lora"), ("adapter.lora.alpha", FLOAT32, 16.0)]
    write_gguf(target, metadata, plans)
    return target


@pytest.fixture(scope="module")
def engine(smollm2_path: Path, tmp_path_factory: pytest.TempPathFactory):
    adapter = random_adapter(smollm2_path, tmp_path_factory.mktemp("adapter") / "a.gguf")
    with Engine(smollm2_path, adapter, SMALL) as running:
        yield running


def test_the_pieces_of_a_stream_are_the_whole_answer(engine: Engine):
    pieces = list(engine.stream(PROMPT, GREEDY))

    assert len(pieces) > 5
    assert "".join(pieces) == engine.complete(PROMPT, GREEDY)


def test_an_engine_outlives_the_thread_that_started_it(smollm2_path: Path):
    """A server's threads come and go, and Linux would end the child with the one that started it."""
    with ThreadPoolExecutor(1) as thread:
        started = thread.submit(Engine, smollm2_path, None, SMALL).result()

    with started:
        assert started.complete(PROMPT, GREEDY)


def test_the_same_seed_gives_the_same_answer_and_another_another(engine: Engine):
    def answer(seed: int) -> str:
        return engine.complete(PROMPT, Sampling(max_tokens=24, temperature=1.0, seed=seed))

    assert answer(3) == answer(3)
    assert len({answer(seed) for seed in (3, 4, 5)}) > 1


def test_the_adapter_can_be_switched_off_for_an_answer(engine: Engine, smollm2_path: Path):
    with Engine(smollm2_path, None, SMALL) as plain:
        base = plain.log_probabilities(PROMPT, top=5)

    assert engine.log_probabilities(PROMPT, top=5, adapted=False) == base
    assert engine.log_probabilities(PROMPT, top=5) != base


def test_the_likeliest_token_is_what_greedy_decoding_takes(engine: Engine):
    table = engine.log_probabilities(PROMPT, top=3)

    assert len(table) == len(PROMPT)
    likeliest = max(table[-1], key=table[-1].__getitem__)
    with_it = engine.complete([*PROMPT, likeliest], Sampling(max_tokens=4, temperature=0))
    assert engine.complete(PROMPT, Sampling(max_tokens=5, temperature=0)).endswith(with_it)


def test_an_abandoned_answer_does_not_leak_into_the_next(engine: Engine):
    wanted = engine.complete(PROMPT, GREEDY)
    stream = engine.stream(PROMPT, Sampling(max_tokens=400, temperature=0))
    next(stream)
    stream.close()

    assert engine.complete(PROMPT, GREEDY) == wanted


def test_a_prompt_beyond_the_context_is_refused_in_words(engine: Engine):
    with pytest.raises(EngineFailed, match="600 tokens; its context holds 512"):
        engine.complete([1] * 600, GREEDY)

    assert engine.complete(PROMPT, GREEDY)


def test_a_child_killed_while_answering_is_an_error_not_a_hang(smollm2_path: Path):
    with Engine(smollm2_path, None, SMALL) as engine:
        stream = engine.stream(PROMPT, Sampling(max_tokens=400, temperature=0))
        next(stream)
        os.kill(engine.pid, signal.SIGKILL)

        with pytest.raises(EngineFailed):
            list(stream)


def test_a_child_killed_between_two_answers_is_an_error_too(smollm2_path: Path):
    with Engine(smollm2_path, None, SMALL) as engine:
        engine.complete(PROMPT, GREEDY)
        child = psutil.Process(engine.pid)
        child.kill()
        while child.status() != psutil.STATUS_ZOMBIE:  # its pipes are closed from then on
            os.sched_yield()

        with pytest.raises(EngineFailed):
            engine.complete(PROMPT, GREEDY)


def test_what_cannot_be_loaded_is_refused_in_llama_cpps_words(smollm2_path: Path, tmp_path: Path):
    cut, junk = tmp_path / "cut.gguf", tmp_path / "junk.gguf"
    cut.write_bytes(smollm2_path.read_bytes()[:1_000_000])
    junk.write_bytes(b"no model")
    wrong = random_adapter(smollm2_path, tmp_path / "wrong.gguf", architecture="gemma3")

    for model, adapter, words in (
        (tmp_path / "none.gguf", None, "No such file"),
        (cut, None, "failed to read"),
        (junk, None, "invalid magic"),
        (smollm2_path, wrong, "arch mismatch"),
    ):
        with pytest.raises(EngineFailed, match=words):
            Engine(model, adapter, SMALL)


def test_late_answers_to_a_request_that_timed_out_are_passed_over(engine: Engine, monkeypatch):
    wanted = engine.complete(PROMPT, GREEDY)

    with monkeypatch.context() as patch:
        patch.setattr("llmlora.chat.engine.TOKEN_SECONDS", 0)
        patch.setattr("llmlora.chat.engine.TABLE_SECONDS", 0)
        with pytest.raises(EngineFailed, match="no answer within"):
            engine.complete(PROMPT[::-1], GREEDY)
        with pytest.raises(EngineFailed, match="no answer within"):
            engine.log_probabilities(PROMPT[::-1])

    assert engine.complete(PROMPT, GREEDY) == wanted


def test_ctrl_c_on_the_terminal_is_not_for_the_child(engine: Engine):
    wanted = engine.complete(PROMPT, GREEDY)
    stream = engine.stream(PROMPT, GREEDY)
    first = next(stream)

    os.kill(engine.pid, signal.SIGINT)

    assert first + "".join(stream) == wanted


def test_a_closed_engine_says_so(smollm2_path: Path):
    with Engine(smollm2_path, None, SMALL) as engine:
        stream = engine.stream(PROMPT, GREEDY)
        next(stream)

    stream.close()
    with pytest.raises(EngineFailed, match="closed"):
        engine.complete(PROMPT, GREEDY)


def test_nothing_is_left_in_the_directory_of_temporary_files(smollm2_path: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    with Engine(smollm2_path, None, SMALL) as engine:
        assert engine.complete(PROMPT, GREEDY)
        # not even while it runs: nobody can reach its HTTP server
        assert list(tmp_path.iterdir()) == []
    with pytest.raises(EngineFailed):
        Engine(tmp_path / "none.gguf", None, SMALL)

    assert list(tmp_path.iterdir()) == []


def test_threads_of_the_child_do_not_spin_while_they_wait(engine: Engine):
    assert psutil.Process(engine.pid).environ().items() >= BRIEF.items()


def test_no_port_is_opened(smollm2_path: Path):
    with Engine(smollm2_path, None, SMALL) as engine:
        engine.complete(PROMPT, GREEDY)

        listening = [one for one in psutil.Process(engine.pid).net_connections("inet") if one.status == "LISTEN"]

        assert listening == []


def test_closing_ends_the_child(smollm2_path: Path):
    engine = Engine(smollm2_path, None, SMALL)
    pid = engine.pid

    engine.close()

    assert not psutil.pid_exists(pid)


def test_a_killed_parent_takes_the_child_with_it(smollm2_path: Path):
    script = (
        "import sys; from pathlib import Path; from llmlora.chat.engine import Engine, EngineOptions;"
        "engine = Engine(Path(sys.argv[1]), None, EngineOptions(context=512)); print(engine.pid, flush=True);"
        "sys.stdin.read()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(smollm2_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    child = psutil.Process(int(parent.stdout.readline()))

    parent.kill()
    parent.communicate()

    assert child.wait(timeout=20) is None or not child.is_running()


def test_the_parent_side_loads_no_torch():
    probe = "import sys, llmlora.chat.session; sys.exit(any(name in sys.modules for name in ('torch', 'numba')))"

    assert subprocess.run([sys.executable, "-c", probe], check=False).returncode == 0


def test_chat_and_compare_answer_in_one_json_document(smollm2_path: Path, tmp_path: Path, capsys):
    from llmlora.cli.main import run

    adapter = str(random_adapter(smollm2_path, tmp_path / "a.gguf", size=0.2))
    model = ["--model", "sample:smollm2-135m", "--temperature", "0", "--max-tokens", "8", "--json"]

    assert run(["chat", *model, "--prompt", "What is a cat?"]) == 0
    base = json.loads(capsys.readouterr().out)["answer"]
    assert run(["compare", *model, "--adapter", adapter, "--prompt", "What is a cat?"]) == 0
    (compared,) = json.loads(capsys.readouterr().out)["answers"]

    assert compared["base"] == base
    assert compared["tuned"] != base


def test_a_conversation_remembers_and_can_be_reset(smollm2_path: Path):
    from llmlora.chat.session import Session

    with Session(smollm2_path, system="Be brief.") as session:
        "".join(session.ask("My name is Taro.", GREEDY))
        assert [turn.role for turn in session.turns] == ["system", "user", "assistant"]

        session.reset()

        assert [turn.role for turn in session.turns] == ["system"]


def test_a_long_conversation_forgets_its_oldest_turns_but_not_the_system_prompt(smollm2_path: Path):
    from llmlora.chat.session import Session
    from llmlora.data.conversation import Turn

    short = Sampling(max_tokens=2, temperature=0)
    with Session(smollm2_path, system="Be brief.") as session:
        room = session.engine.options.context
        session.turns += (
            Turn("user", "old " * room),
            Turn("assistant", "yes"),
            Turn("user", "b"),
            Turn("assistant", "c"),
        )
        "".join(session.ask("d", short))

        assert [turn.content for turn in session.turns[:-1]] == ["Be brief.", "b", "c", "d"]

        with pytest.raises(EngineFailed, match="its context holds"):
            "".join(session.ask("long " * room, short))


def test_talking_needs_a_model_or_an_adapter(capsys):
    from llmlora.cli.main import run

    assert run(["chat", "--prompt", "hello"]) == 2


def test_an_adapter_of_another_base_is_refused(tmp_path: Path, monkeypatch, capsys):
    from llmlora.cli.main import run
    from llmlora.train.run import train
    from tests.small_run import EXACT, home, on_machine, small_recipe

    on_machine(monkeypatch, EXACT)
    train(small_recipe(tmp_path), tmp_path / "out", home(tmp_path))

    assert run(["compare", "--model", "sample:smollm2-135m", "--adapter", str(tmp_path / "out"), "--prompt", "hi"]) == 2
    assert "trained on" in capsys.readouterr().err
