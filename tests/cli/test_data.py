"""`llmlora data` shows a file to people and prints one JSON document for machines."""

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from rich.console import Console

from llmlora.cli.data import row_ranges, tokens_text
from llmlora.cli.main import run
from llmlora.model.source import Base
from llmlora.text.visible import visible
from tests.ollama_store import OllamaStore
from tests.tiny import tiny_gguf

ROWS = [
    {"prompt": "日本？", "completion": "はい\u3000です"},
    {"prompt": "esc \x1b[31m", "completion": "b"},
    {"prompt": "esc \x1b[31m", "completion": "b"},
]
BAD = [{"foo": "[red]x"}, {"text": ""}]


@pytest.fixture
def rows(tmp_path: Path):
    def write(*rows: dict[str, str]) -> str:
        path = tmp_path / "rows.jsonl"
        path.write_text("\n".join(json.dumps(row) for row in rows))
        return str(path)

    return write


@pytest.fixture(autouse=True)
def _tiny_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = Base("ollama:tiny:latest", tiny_gguf(tmp_path / "tiny.gguf"), "sha256:00", None)
    monkeypatch.setattr("llmlora.model.source.resolve", lambda name, home, stores: base)


def test_check_lists_every_error_by_its_row_and_exits_2(rows, capsys):
    code = run(["data", "check", rows(*ROWS, *BAD)])

    shown = capsys.readouterr().out
    assert code == 2
    assert "row 4: no shape we know in its keys (foo)" in shown
    assert "row 5: the answer (“text”) is empty" in shown
    assert "the same as an earlier row (1): 3" in shown
    assert "prompt-completion × 3" in shown
    assert "Tokens" not in shown


def test_check_of_a_sound_file_exits_0_and_counts_tokens_of_a_model(rows, capsys):
    code = run(["data", "check", rows(*ROWS), "--model", "tiny", "--max-length", "8"])

    shown = capsys.readouterr().out
    assert code == 0
    assert "Tokens of ollama:tiny:latest" in shown
    assert "Chat template: the model's own" in shown
    assert "cut at the maximum length (3): 1–3" in shown
    assert re.search(r"\n *\d+–\d+ +█+ ", shown)


def test_check_shows_what_it_took_from_where_and_how_to_say_otherwise(tmp_path, capsys):
    path = tmp_path / "faq.csv"
    path.write_text("質問,回答,模範解答\nあ,い,う\n", "utf-16")

    run(["data", "check", str(path)])
    guessed = capsys.readouterr().out
    code = run(["data", "check", str(path), "--map", "output=模範解答", "--json"])

    assert "instruction = 質問, output = 回答 (change it with --map PART=COLUMN)" in guessed
    assert "CSV, UTF-16, 1 rows" in guessed
    assert "模範解答 × 1" in guessed
    document = json.loads(capsys.readouterr().out)
    assert code == 0
    assert document["columns"] == {"instruction": "質問", "output": "模範解答"}
    assert document["files"] == [{"path": str(path), "format": "csv", "encoding": "utf-16", "rows": 1}]


@pytest.mark.parametrize("pair", ["output", "output=", "answer=x", "=x"])
@pytest.mark.parametrize("command", [["data", "check"], ["train", "--out", "x", "--model", "m", "--data"]])
def test_a_mapping_that_is_none_is_the_users_mistake(rows, capsys, pair, command):
    code = run([*command, rows(*ROWS), "--map", pair])

    assert code == 2
    assert f"--map {pair} is not PART=COLUMN; the parts are messages, instruction" in capsys.readouterr().err


def test_rows_of_several_files_are_named_with_their_file(rows, tmp_path, capsys):
    other = tmp_path / "other.jsonl"
    other.write_text('{"text": "ok"}\n\n{"text": ""}\n')
    first = rows(*ROWS)

    code = run(["data", "check", first, str(other)])

    shown = capsys.readouterr().out
    assert code == 2
    assert f"{other}, row 3: the answer (“text”) is empty" in shown
    assert f"invisible control characters (2): {first} 2–3" in shown
    assert "5, 4 usable" in shown


def test_preview_of_several_files_says_which_and_takes_a_mapping(rows, tmp_path, capsys):
    other = tmp_path / "other.jsonl"
    other.write_text('{"x": "zz", "completion": "b"}\n')

    code = run(["data", "preview", rows(*ROWS[:1]), str(other), "--model", "tiny", "--map", "instruction=x"])

    shown = capsys.readouterr().out
    assert code == 0
    assert f"{other}  Row 1: " in shown
    assert "z|z" in shown


def test_a_workbook_is_refused_with_the_way_out(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("LLMLORA_LANG", "ja")
    path = tmp_path / "rows.csv"
    with zipfile.ZipFile(path, "w") as book:
        book.writestr("[Content_Types].xml", "")
        book.writestr("xl/workbook.xml", "")

    assert run(["data", "check", str(path)]) == 2
    assert "Excel ブックです。Excel で「CSV UTF-8（コンマ区切り）」として保存してください" in capsys.readouterr().err


def test_check_as_json_is_one_document(rows, capsys):
    code = run(["data", "check", rows(*ROWS, *BAD), "--model", "tiny", "--json"])

    document = json.loads(capsys.readouterr().out)
    assert code == 2
    assert [error["row"] for error in document["errors"]] == [4, 5]
    assert [(warning["row"], warning["code"]) for warning in document["warnings"]] == [
        (2, "control_character"),
        (3, "duplicate"),
        (3, "control_character"),
    ]
    assert sum(part["rows"] for part in document["tokens"]["histogram"]) == 3
    assert document["tokens"]["rows"] == 3
    assert document["max_length"] == 1024
    assert document["model"]["template"] == {"origin": "model", "name": "model"}


def test_preview_shows_what_is_trained_and_lets_nothing_steer_the_terminal(rows, capsys):
    code = run(["data", "preview", rows(*ROWS, *BAD), "--model", "tiny", "--rows", "2"])

    shown = capsys.readouterr()
    assert code == 0
    assert "Row 1: " in shown.out
    assert "Row 3: " not in shown.out
    assert "【◦|◦|は" in shown.out
    assert "□" in shown.out
    assert "‹U+001B›" in shown.out
    assert "\x1b" not in shown.out
    assert "2 rows have errors" in shown.err


def test_preview_says_where_a_row_is_cut(rows, capsys):
    run(["data", "preview", rows(*ROWS), "--model", "tiny", "--max-length", "16"])

    assert capsys.readouterr().out.count("cut at 16 tokens") == 3


def test_preview_as_json_gives_every_token(rows, capsys):
    run(["data", "preview", rows(*ROWS), "--model", "tiny", "--rows", "1", "--json"])

    document = json.loads(capsys.readouterr().out)
    (row,) = document["rows"]
    trained = "".join(token["text"] for token in row["tokens"] if token["trained"])
    assert trained == "はい\u3000です<|im_end|>"
    assert (row["count"], row["trained"]) == (len(row["tokens"]), sum(token["trained"] for token in row["tokens"]))


def test_preview_of_a_file_without_a_usable_row_is_the_users_mistake(rows, capsys):
    code = run(["data", "preview", rows(*BAD), "--model", "tiny", "--json"])

    document = json.loads(capsys.readouterr().out)
    assert code == 2
    assert document["error"]["code"] == "invalid_rows"


def test_japanese_is_spoken_when_asked_for(rows, capsys, monkeypatch):
    monkeypatch.setenv("LLMLORA_LANG", "ja")

    run(["data", "check", rows(*ROWS, *BAD)])

    shown = capsys.readouterr().out
    assert "5 行目: 答え（text）が空です" in shown
    assert "前の行と同じ内容です（1 件）: 3" in shown


def test_a_terminal_gets_colours_and_no_brackets():
    text = tokens_text(["a", "", "い"], [False, True, True], colour=True)

    console = Console(force_terminal=True, color_system="standard", width=80)
    with console.capture() as shown:
        console.print(text)
    assert text.plain == "a◦い"
    assert "\x1b[30;42m" in shown.get()
    assert "\x1b[2m" in shown.get()


def test_without_colours_brackets_tell_trained_from_masked():
    assert tokens_text(["a", "b", "c", "d"], [True, False, True, True], colour=False).plain == "【a】|b【c|d】"


def test_invisible_characters_are_made_visible():
    assert visible("a b\n\t\u202e\ufeff\u3000") == "a␣b↵\n⇥‹U+202E›‹U+FEFF›□"


def test_rows_are_listed_in_ranges():
    assert row_ranges([1, 2, 3, 7, 9, 10]) == "1–3, 7, 9–10"
    assert row_ranges([]) == ""


def test_checking_a_file_for_a_model_loads_no_torch(rows, smollm2_path):
    code = (
        "import sys; from llmlora.cli.main import run; result = run(sys.argv[1:]);"
        "sys.exit(any(name in sys.modules for name in ('torch', 'transformers')) or result)"
    )
    arguments = ["data", "check", rows(*ROWS), "--model", f"gguf:{smollm2_path}"]

    done = subprocess.run([sys.executable, "-c", code, *arguments], check=False, capture_output=True, timeout=60)

    assert done.returncode == 0
    assert b"SmolLM2" in done.stdout or b"smollm2" in done.stdout


def test_rows_are_shown_as_ollama_would_write_them(rows, tmp_path, monkeypatch, capsys):
    store = OllamaStore(tmp_path / "store")
    weights = (tmp_path / "tiny.gguf").read_bytes()
    store.add("registry.ollama.ai/library/tiny/latest", weights, template=b"<{{ .Prompt }}>{{ .Response }}<|im_end|>")
    monkeypatch.setenv("OLLAMA_MODELS", str(store.root))

    assert run(["data", "preview", rows(ROWS[0]), "--model", "tiny", "--template", "ollama", "--json"]) == 0

    told = json.loads(capsys.readouterr().out)
    assert "".join(token["text"] for token in told["rows"][0]["tokens"]) == "<日本？>はい\u3000です<|im_end|>"
    assert told["model"]["template"] == {"origin": "ollama", "name": "ollama"}
    assert run(["data", "check", rows(*ROWS), "--model", "tiny", "--template", "ollama"]) == 0
    assert "Ollama's own, in Go" in capsys.readouterr().out
