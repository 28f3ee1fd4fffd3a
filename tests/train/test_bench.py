"""What training is measured by: the steps that are taken, the work they do, and the command that tells it."""

import json
import subprocess
import sys
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from llmlora.cli.main import run
from llmlora.data.examples import Example
from llmlora.data.packing import pack
from llmlora.estimate import Shape
from llmlora.train.bench import Figures, Work, bench_recipe, cut, peak_flops, work_of
from llmlora.train.prepare import draft, prepare
from tests.small_run import EXACT, home, on_machine, rows_file
from tests.tiny import tiny_gguf

KEYS = {
    *("model", "digest", "plan", "work", "seconds", "losses", "start_seconds", "peak_memory", "peak_anonymous_memory"),
    *("peak_dtype", "peak_flops", "left_out", "tokens_per_second", "supervised_tokens_per_second", "utilisation"),
}


def example(length: int, learned: int) -> Example:
    return Example(0, np.arange(length, dtype=np.int32), np.arange(length) >= length - learned, cut=0)


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    on_machine(monkeypatch, EXACT)
    monkeypatch.setattr("llmlora.train.bench.probe_machine", lambda: EXACT)
    monkeypatch.setattr("llmlora.train.bench.PEAK_SIZE", 64)
    model, data = tiny_gguf(tmp_path / "m.gguf"), rows_file(tmp_path / "rows.jsonl")
    return ["bench", "--model", f"gguf:{model}", "--data", str(data), "--steps", "4"]


def test_one_document_tells_all_of_it_and_nothing_is_left_behind(words, tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*.*"))

    assert run([*words, "--json"]) == 0

    told = json.loads(capsys.readouterr().out)
    assert told.keys() == KEYS
    assert [len(told[key]) for key in ("work", "seconds", "losses")] == [4, 4, 4]
    rates = [work["tokens"] / took for work, took in zip(told["work"], told["seconds"], strict=True)]
    assert told["tokens_per_second"] == pytest.approx(sum(rates[2:]) / 2)
    assert told["supervised_tokens_per_second"] < told["tokens_per_second"]
    assert told["losses"][-1] < told["losses"][0]
    assert told["utilisation"] > 0
    assert 0 < told["peak_anonymous_memory"] <= told["peak_memory"]
    assert sorted(tmp_path.rglob("*.*")) == before


@pytest.mark.parametrize(("language", "share"), [("en", "Useful share"), ("ja", "有効に使えた割合")])
def test_people_read_a_table(words, monkeypatch, capsys, language: str, share: str):
    monkeypatch.setenv("LLMLORA_LANG", language)
    monkeypatch.setenv("COLUMNS", "160")

    assert run(words) == 0

    told = capsys.readouterr().out
    assert share in told
    assert "float32" in told


def test_fewer_steps_than_can_count_are_the_users_mistake(words):
    assert run([*words[:-1], "2"]) == 2


def test_the_losses_are_those_of_training(words, tmp_path: Path, capsys):
    recipe = bench_recipe(words[2], [words[4]], 3)
    run([*words[:-1], "3", "--json"])
    told = json.loads(capsys.readouterr().out)
    prepared = prepare(recipe, home(tmp_path), ())

    from llmlora.train.loop import take_gradient
    from llmlora.train.optimise import Optimiser

    optimiser, losses = Optimiser(prepared.parameters, 0.0), []
    for batches in islice(cut(prepared.train, 512), 3):  # a pack a pass: the step is the same
        losses.append(take_gradient(prepared.base_model, batches))
        optimiser.step(prepared.learning_rate)

    assert prepared.recipe.learning_rate is not None
    np.testing.assert_allclose(told["losses"], losses, rtol=1e-5)


def test_a_step_is_two_packs_of_the_rows_nearly_in_their_order():
    rows = [example(length, 1) for length in (200, 200, 500, 20, 100, 150)]

    together, apart = (list(islice(cut(rows, tokens), 2)) for tokens in (1024, 512))

    lengths = [[np.diff(batch.boundaries).tolist() for batch in step] for step in apart]
    # behind the second, 500 is too long, and of those behind it 100 fills best
    assert lengths[0] == [[200, 200, 100], [500]]
    assert [np.diff(batch.boundaries).tolist() for batch in together[0]] == [[200, 200, 100, 500]]
    assert sum(map(sum, lengths[1])) <= 1024


def test_useful_work_is_what_one_counts_by_hand():
    # one layer, width 2: q, k, v, o of 2 × 2 and an MLP of 3 × (2 × 3) make 34 weights; rank 1 on q alone is 2 + 2
    shape = Shape(
        layers=1,
        hidden=2,
        intermediate=3,
        query=2,
        key_value=2,
        vocabulary=5,
        body_parameters=34,
        adapter_parameters=4,
        targets=1,
        adapted=2,
        file_bytes=0,
    )

    work = work_of(shape, [pack([example(3, 2), example(1, 0)]), pack([example(2, 1)])])

    # 6 tokens, 3 of them learned; pairs of a token and one it sees: 6 + 1 + 3
    assert work == Work(tokens=6, supervised=3, flops=4 * 34 * 6 + 6 * 4 * 6 + 4 * 5 * 2 * 3 + 12 * 2 * 10)


def test_the_first_two_steps_do_not_count(words, tmp_path: Path):
    plan = draft(bench_recipe(words[2], [words[4]], 5), home(tmp_path), ()).plan()
    work = [Work(tokens, tokens // 2, 100 * tokens) for tokens in (1000, 1000, 10, 20, 40)]
    figures = Figures("m", "d", plan, work, [9.0, 9.0, 1.0, 1.0, 1.0], [1.0] * 5, 0, 0, 0, "float32", 4000.0)

    assert figures.tokens_per_second() == 20
    assert figures.supervised_tokens_per_second() == 10
    assert figures.utilisation() == pytest.approx(0.5)


def test_the_peak_is_a_rate_of_this_machine():
    assert 1e7 < peak_flops("float32", size=128) < 1e15


def test_memory_that_is_given_back_is_still_in_the_peak():
    probe = "from llmlora.train.footprint import Footprint\nimport numpy as np\n"
    probe += "with Footprint() as seen:\n    numbers = np.ones(2**25)\n"
    probe += "    while seen.anonymous < 2**28: pass\n    del numbers\n"
    probe += "print(seen.resident, seen.anonymous)"

    told = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True, timeout=60).stdout

    resident, anonymous = map(int, told.split())
    assert 2**28 <= anonymous <= resident < 2**30


def test_a_loss_that_is_no_number_ends_it(words, monkeypatch, capsys):
    monkeypatch.setattr("llmlora.train.bench.take_gradient", lambda *_: float("nan"))

    assert run([*words, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "diverged"
