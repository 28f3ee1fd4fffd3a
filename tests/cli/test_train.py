"""`llmlora train` and `export`, as typed."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from llmlora.cli.main import COMMANDS, run
from llmlora.cli.options import given_values
from llmlora.cli.train import command as train
from llmlora.errors import NotEnoughMemory
from llmlora.recipe import Recipe, make_recipe
from tests.ollama_store import OllamaStore
from tests.small_run import EXACT, events, on_machine, rows_file
from tests.tiny import tiny_gguf


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The options of a small run."""
    on_machine(monkeypatch, EXACT)
    model, data = tiny_gguf(tmp_path / "m.gguf"), rows_file(tmp_path / "rows.jsonl")
    return ["--model", f"gguf:{model}", "--data", str(data), "--rank", "4", "--steps", "4", "--max-length", "128"]


def document(capsys: pytest.CaptureFixture[str]) -> dict:
    return json.loads(capsys.readouterr().out)


def test_training_ends_in_an_artefact_and_one_json_document(words, tmp_path: Path, capsys):
    out = tmp_path / "out"

    code = run(["train", *words, "--out", str(out), "--json"])

    told = document(capsys)
    assert code == 0
    assert (told["status"], told["step"]) == ("finished", 4)
    assert [event["step"] for event in events(out) if event["event"] == "step"] == [1, 2, 3, 4]
    names = {path.name for path in (out / "final_model").iterdir()}
    assert names >= {
        "adapter_model.safetensors",
        "adapter_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "chat_template.jinja",
        "recipe.yaml",
        "README.md",
    }
    card = (out / "final_model" / "README.md").read_text()
    assert "sha256:" in card
    assert "rows.jsonl" in card


def test_progress_goes_to_standard_error_as_lines(words, tmp_path: Path, capfd):
    run(["train", *words, "--out", str(tmp_path / "out")])

    captured = capfd.readouterr()
    assert "final_model" in captured.out
    assert "step 4/4" in captured.err
    assert "Trained / all weights" in captured.err


def test_a_recipe_file_is_overridden_by_options(words, tmp_path: Path, capsys):
    (tmp_path / "r.yaml").write_text("rank: 2\nseed: 9\nsteps: 4\n")
    start = ["train", *[word for word in words if word not in ("--rank", "4")][:4], "--max-length", "128"]

    run([*start, "--recipe", str(tmp_path / "r.yaml"), "--rank", "3", "--out", str(tmp_path / "out")])

    recipe = (tmp_path / "out" / "recipe.yaml").read_text()
    assert "rank: 3" in recipe
    assert "seed: 9" in recipe


def test_a_preset_is_a_recipe_by_its_name(words, tmp_path: Path):
    run(["train", *words, "--recipe", "quick", "--out", str(tmp_path / "out")])

    assert "schedule: constant" in (tmp_path / "out" / "recipe.yaml").read_text()


def test_several_files_with_a_mapping_train_and_are_recorded(words, tmp_path: Path, capsys):
    other = tmp_path / "rows.csv"
    other.write_text("x,y\nWhat is 3?,It is three.\n" * 2)
    out = tmp_path / "out"

    mapped = ["--data", str(other), "--map", "instruction=x", "--map", "output=y"]
    code = run(["train", *words, *mapped, "--out", str(out)])

    recipe = yaml.safe_load((out / "recipe.yaml").read_text())
    assert code == 0
    assert recipe["data"] == [str(tmp_path / "rows.jsonl"), str(other)]
    assert recipe["mapping"] == {"instruction": "x", "output": "y"}
    assert "`rows.jsonl, rows.csv`, 16 rows" in (out / "final_model" / "README.md").read_text()
    capsys.readouterr()
    assert run(["export", str(out), "--gguf", str(tmp_path / "m.gguf")]) == 0
    assert str(other) in "".join(capsys.readouterr().out.split())  # a narrow terminal breaks long paths


def test_a_recipe_tells_the_options_that_make_it(words, tmp_path: Path):
    given = ["--map", "output=回答", "--targets", "q_proj", "--targets", "v_proj", "--rslora", "--seed", "7"]
    asked = [*words, *given, "--sample-prompt", "-a b", "--sample-prompt", "c"]
    recipe = make_recipe(given_values(train.make_context("train", asked).params))

    again = train.make_context("train", recipe.to_flags())

    assert make_recipe(given_values(again.params)) == recipe
    assert "--dropout" not in recipe.to_flags()


@pytest.mark.parametrize("rank", ["0", "513", "many"])
def test_an_impossible_rank_is_the_users_mistake(words, tmp_path: Path, capsys, rank):
    code = run(["train", *words, "--rank", rank, "--out", str(tmp_path / "out"), "--json"])

    assert code == 2
    assert document(capsys)["error"]["code"] == "invalid_recipe"
    assert not (tmp_path / "out").exists()


def test_an_unknown_target_is_answered_with_those_there_are(words, tmp_path: Path, capsys):
    code = run(["train", *words, "--targets", "q_proj,w_pack", "--out", str(tmp_path / "out")])

    message = capsys.readouterr().err
    assert code == 2
    assert "w_pack" in message
    assert "down_proj" in message
    assert not (tmp_path / "out").exists()


def test_targets_are_the_modules_that_train(words, tmp_path: Path, capsys):
    run(["train", *words, "--targets", "q_proj,down_proj", "--out", str(tmp_path / "out")])

    config = json.loads((tmp_path / "out" / "final_model" / "adapter_config.json").read_text())
    assert config["target_modules"] == ["down_proj", "q_proj"]


def test_targets_may_be_layers(words, tmp_path: Path, capsys):
    run(["train", *words, "--targets", "layers.1.q_proj,mlp.up_proj", "--out", str(tmp_path / "out")])

    config = json.loads((tmp_path / "out" / "final_model" / "adapter_config.json").read_text())
    assert config["target_modules"] == ["model.layers.1.self_attn.q_proj", "up_proj"]


def test_a_run_may_start_from_an_adapter_and_says_so(words, tmp_path: Path, capsys):
    run(["train", *words, "--out", str(tmp_path / "one")])
    capsys.readouterr()

    rest = [*words[:4], "--steps", "2", "--max-length", "128"]  # without its rank
    code = run(["train", *rest, "--init-adapter", str(tmp_path / "one"), "--out", str(tmp_path / "two")])

    told = "".join(capsys.readouterr().err.split())  # a narrow terminal breaks long paths
    assert code == 0
    assert f"Startsfrom{tmp_path / 'one'}(itsrank4,alpha8,targets)" in told


def test_modules_to_save_is_refused_with_the_reason(words, tmp_path: Path, capsys):
    (tmp_path / "r.yaml").write_text("modules_to_save: [lm_head]")

    assert run(["train", *words, "--recipe", str(tmp_path / "r.yaml"), "--out", str(tmp_path / "out"), "--json"]) == 2
    told = document(capsys)["error"]
    assert told["code"] == "only_lora"
    assert "lm_head" in told["message"]
    assert "target_modules" in told["hint"]


def test_a_dora_adapter_is_merged_before_it_is_talked_to(words, tmp_path: Path, capsys):
    run(["train", *words, "--dora", "--lr", "0.05", "--out", str(tmp_path / "out")])
    assert run(["export", str(tmp_path / "out"), "--gguf-adapter", str(tmp_path / "a.gguf")]) == 2
    assert "--gguf merged.gguf" in capsys.readouterr().err
    ask = ["--adapter", str(tmp_path / "out"), "--prompt", "What is 3?", "--temperature", "0", "--max-tokens", "8"]

    assert run(["compare", *ask, "--json"]) == 0
    captured = capsys.readouterr()
    (both,) = json.loads(captured.out)["answers"]
    assert run(["chat", *ask, "--json"]) == 0
    tuned = document(capsys)["answer"]
    model = words[words.index("--model") + 1]
    assert run(["chat", "--model", model, *ask[2:], "--json"]) == 0

    assert "DoRA" in captured.err
    assert both["tuned"] == tuned != both["base"] == document(capsys)["answer"]


def test_a_directory_that_holds_something_is_left_alone(words, tmp_path: Path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")

    code = run(["train", *words, "--out", str(tmp_path / "out")])

    assert code == 2
    assert "--resume" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_a_finished_run_resumes_to_success(words, tmp_path: Path, capsys):
    out = str(tmp_path / "out")
    run(["train", *words, "--out", out])
    capsys.readouterr()

    assert run(["train", "--resume", out, "--json"]) == 0
    assert document(capsys)["status"] == "already finished"


def test_resume_of_nothing_is_the_users_mistake(tmp_path: Path, capsys):
    assert run(["train", "--resume", str(tmp_path)]) == 2


def test_changed_rows_are_noticed_at_resume(words, tmp_path: Path, monkeypatch, capsys):
    out = tmp_path / "out"
    monkeypatch.setattr("llmlora.train.loop.Loop.run", lambda self: False)
    run(["train", *words, "--out", str(out)])
    monkeypatch.undo()
    rows_file(tmp_path / "rows.jsonl", rows=14)
    capsys.readouterr()

    assert run(["train", "--resume", str(out), "--json"]) == 2
    assert document(capsys)["error"]["code"] == "run_changed"


def test_rows_that_cannot_be_used_are_named_before_anything_is_written(words, tmp_path: Path, capsys):
    with (tmp_path / "rows.jsonl").open("a") as rows:
        rows.write('\n{"instruction": "a question without an answer"}\n')

    assert run(["train", *words, "--out", str(tmp_path / "out"), "--json"]) == 2
    told = document(capsys)["error"]
    assert told["code"] == "invalid_rows"
    assert "14" in told["message"]
    assert not (tmp_path / "out").exists()


def test_a_plan_alone_is_told_and_starts_nothing(words, tmp_path: Path, capsys):
    assert run(["train", *words, "--plan", "--unpack", "always", "--json"]) == 0
    told = document(capsys)

    assert told["plan"]["unpacked"]
    assert "The base is dequantised once, because the recipe says so." in told["plan"]["reasons"]
    assert told["recipe"]["unpack"] == "always"
    assert run(["train", *words, "--plan"]) == 0
    assert "float32: products run at 100 GFLOP/s" in " ".join(capsys.readouterr().out.split())
    assert run(["train", *words, "--plan", "--out", str(tmp_path / "out")]) == 2
    assert not (tmp_path / "out").exists()


def test_too_little_memory_is_said_with_three_knobs(words, tmp_path: Path, monkeypatch, capsys):
    def refuse(*_: object) -> None:
        raise NotEnoughMemory(9000, 100, 128, 4, 14)

    monkeypatch.setattr("llmlora.train.prepare.make_plan", refuse)

    assert run(["train", *words, "--out", str(tmp_path / "out")]) == 2
    message = capsys.readouterr().err
    assert all(
        knob in message for knob in ("--max-length (now 128)", "--rank (now 4)", "--targets (LoRA is on 14 layers now)")
    )


def test_a_loss_that_is_not_a_number_ends_the_run_with_its_checkpoints(words, tmp_path: Path, monkeypatch, capsys):
    from llmlora.train import loop

    honest, calls = loop.batch_loss, iter(range(100))

    def broken(model, batch):
        loss = honest(model, batch)
        return loss * float("nan") if next(calls) >= 2 else loss

    monkeypatch.setattr(loop, "batch_loss", broken)

    code = run(["train", *words, "--save-every", "1", "--out", str(tmp_path / "out")])

    assert code == 1
    assert "--lr" in capsys.readouterr().err
    assert events(tmp_path / "out")[-1]["event"] == "failed"
    assert list((tmp_path / "out" / "checkpoints").iterdir())


def test_a_full_disk_stops_the_run_and_keeps_what_was_saved(words, tmp_path: Path, monkeypatch, capsys):
    from llmlora.errors import DiskFull
    from llmlora.train import commit

    room, calls = commit.need_room, iter(range(100))

    def little(path: Path, nbytes: int) -> None:
        if next(calls) >= 1:
            raise DiskFull(path, 9, 0)
        room(path, nbytes)

    monkeypatch.setattr(commit, "need_room", little)
    out = tmp_path / "out"

    assert run(["train", *words, "--save-every", "1", "--out", str(out)]) == 1
    assert "--resume" in capsys.readouterr().err
    assert [path.name for path in (out / "checkpoints").iterdir()] == ["checkpoint-1"]
    monkeypatch.undo()
    assert run(["train", "--resume", str(out)]) == 0


def test_interrupted_training_saves_and_exits_130(tmp_path: Path):
    model, data = tiny_gguf(tmp_path / "m.gguf"), rows_file(tmp_path / "rows.jsonl")
    command = [sys.executable, "-m", "llmlora", "train", "--model", f"gguf:{model}", "--data", str(data)]
    command += ["--out", str(tmp_path / "out"), "--steps", "100000", "--max-length", "128", "--save-every", "100000"]
    child = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=dict(os.environ))
    for line in child.stderr:
        if line.startswith("step 3/"):
            child.send_signal(signal.SIGINT)
            break
    told, _ = child.communicate(timeout=60)

    assert child.returncode == 130
    assert f"llmlora train --resume {tmp_path / 'out'}" in told
    assert list((tmp_path / "out" / "checkpoints").glob("checkpoint-*"))


def test_export_writes_both_kinds_and_one_json_document(words, tmp_path: Path, capsys):
    run(["train", *words, "--out", str(tmp_path / "out")])
    capsys.readouterr()
    files = ["--gguf-adapter", str(tmp_path / "a.gguf"), "--gguf", str(tmp_path / "m.gguf")]

    assert run(["export", str(tmp_path / "out"), *files, "--json"]) == 0

    told = document(capsys)
    assert told["adapter"]["tensors"] == len(told["merged"]["tensors"]) == 14
    assert (tmp_path / "a.gguf").exists()
    assert (tmp_path / "m.gguf").exists()


def test_export_of_an_unfinished_run_says_so(words, tmp_path: Path, monkeypatch, capsys):
    monkeypatch.setattr("llmlora.train.loop.Loop.run", lambda self: False)
    run(["train", *words, "--out", str(tmp_path / "out")])

    assert run(["export", str(tmp_path / "out"), "--gguf", str(tmp_path / "m.gguf")]) == 2
    assert "not finished" in capsys.readouterr().err


def test_every_recipe_field_is_an_option(capsys):
    run(["train", "--help"])

    told = capsys.readouterr().out
    assert all(f"--{name.replace('_', '-')}" in told for name in Recipe.model_fields)
    assert all(f"--{short}" in told for short in ("lr", "targets", "grad-accum", "map"))


@pytest.mark.parametrize("language", ["en", "ja"])
def test_help_lists_every_command(monkeypatch, capsys, language):
    monkeypatch.setenv("LLMLORA_LANG", language)

    assert run(["--help"]) == 0
    told = capsys.readouterr().out
    assert all(command in told for command in COMMANDS)


def test_help_and_the_package_load_no_torch():
    probe = "import sys, llmlora; from llmlora.cli.main import run; run(['--help']); run(['train', '--help']);"
    probe += "sys.exit(any(name in sys.modules for name in ('torch', 'transformers', 'peft', 'numba')))"

    assert subprocess.run([sys.executable, "-c", probe], capture_output=True, check=False).returncode == 0


def test_help_answers_at_once():
    import time

    def seconds() -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "llmlora", "--help"], capture_output=True, check=True)
        return time.perf_counter() - start

    assert min(seconds() for _ in range(3)) < 0.6


def test_an_unknown_command_is_the_users_mistake(capsys):
    assert run(["trian"]) == 2


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]) -> list[str]:
    """The options of a small run on a model of Ollama's, whose template is not the model's own."""
    store = OllamaStore(tmp_path / "store")
    template = b"{{ range .Messages }}[{{ .Role }}] {{ .Content }}<|im_end|>\n{{ end }}[assistant] "
    store.add("registry.ollama.ai/library/m/latest", (tmp_path / "m.gguf").read_bytes(), template=template)
    monkeypatch.setenv("OLLAMA_MODELS", str(store.root))
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:1")
    return ["--model", "ollama:m", *words[2:]]


def test_a_mismatch_with_ollama_is_told_before_training(served, tmp_path: Path, capfd):
    assert run(["train", *served, "--out", str(tmp_path / "out")]) == 0

    told = capfd.readouterr().err
    assert "+[system]␣Be␣brief.<|im_end|>↵" in told
    assert told.index("--template ollama") < told.index("Learning rate")


def test_a_run_that_follows_ollama_says_so(served, tmp_path: Path, capfd):
    assert run(["train", *served, "--template", "ollama", "--out", str(tmp_path / "out")]) == 0

    told = capfd.readouterr().err
    assert "Ollama writes the same prompts" in told
    assert "Ollama's own, in Go (template: ollama)" in told
