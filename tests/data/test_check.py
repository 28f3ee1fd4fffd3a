"""The report names what is wrong, what is odd, and how long everything is."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from llmlora.data import render
from llmlora.data.check import MOJIBAKE, Report, check, count_tokens, tokenise
from llmlora.data.examples import Example
from llmlora.data.read import read_conversations
from llmlora.data.render import Renderer
from llmlora.data.template import ChatTemplate, choose_template
from llmlora.data.tokenizer import load_tokenizer
from llmlora.errors import TemplateFailed
from llmlora.gguf.reader import GgufFile
from llmlora.text.catalogue import LANGUAGES, catalogue
from tests.tiny import tiny_gguf

FUSSY = "{% if messages[0].content == 'bad' %}{{ raise_exception('bad') }}{% endif %}{{ messages[0].content }}"


@pytest.fixture
def file(tmp_path: Path):
    def write(*rows: dict[str, str]) -> Path:
        path = tmp_path / "rows.jsonl"
        path.write_text("\n".join(json.dumps(row) for row in rows))
        return path

    return write


@pytest.fixture
def tokenizer(tmp_path):
    with GgufFile(tiny_gguf(tmp_path / "m")) as gguf:
        yield load_tokenizer(gguf)


def pair(question: str, answer: str) -> dict[str, str]:
    return {"prompt": question, "completion": answer}


def warned(report: Report) -> list[tuple[int, str]]:
    return [(warning.row, warning.code) for warning in report.warnings]


def test_odd_rows_are_warned_of(file):
    path = file(pair("a", "b"), pair("a", "b"), pair(" ", "b"), pair("a", "ã\x81‚ã\x81„"), pair("a", ""), {"text": "x"})

    report = check(read_conversations(path))

    assert (report.rows, report.usable) == (6, 5)
    assert [(error.row, error.code) for error in report.errors] == [(5, "empty_answer")]
    assert warned(report) == [(2, "duplicate"), (3, "empty"), (4, "mojibake")]
    assert report.shapes == {"prompt-completion": 4, "text": 1}
    assert report.tokens is None


@pytest.mark.parametrize(
    "garbled",
    [
        "これは日本語".encode().decode("cp932", "replace"),
        "あとで".encode().decode("latin-1"),
        "It’s".encode().decode("cp1252"),
        "café".encode().decode("latin-1"),
        "こんにちは".encode("cp932").decode("cp1252", "replace"),
        "broken \ufffd",
        "はい、そうです".encode("euc_jp").decode("cp932", "replace"),
        "カタカナ".encode("euc_jp").decode("cp932", "replace"),
    ],
)
def test_garbled_text_is_noticed(garbled):
    assert MOJIBAKE.search(garbled)


@pytest.mark.parametrize(
    "sound",
    ["これは日本語です。糸が縺れる。", "café, naïve, Ünïcödé, São Paulo, ƒ(x)", "„Zitat“ – 5 €", "ｶﾀｶﾅ･ﾃﾞｰﾀ､ﾊﾝｶｸ｡", ""],
)
def test_sound_text_is_not(sound):
    assert not MOJIBAKE.search(sound)


def test_control_characters_are_warned_of_but_not_white_space(file):
    report = check(read_conversations(file(pair("a\t\r\nb", "c"), pair("a", "\x1b[31mb"), pair("\x7f", "b"))))

    assert [(one.row, one.code, one.detail) for one in report.warnings] == [
        (2, "control_character", "U+001B"),
        (3, "control_character", "U+007F"),
    ]


@pytest.mark.parametrize("lengths", [[5], [5, 5], [1, 8], [1, 9, 9, 3], [2, 1000, 31, 500, 501]])
def test_the_histogram_holds_every_row_once(lengths):
    examples = [Example(1, np.zeros(n, np.int32), np.ones(n, np.bool_), False) for n in lengths]

    bins = count_tokens(examples).histogram

    assert [one.rows for one in bins] == [sum(one.least <= n <= one.most for n in lengths) for one in bins]
    assert sum(one.rows for one in bins) == len(lengths)
    assert all(one.most + 1 == other.least for one, other in pairwise(bins))
    assert len(bins) <= 8
    assert (bins[0].least, bins[-1].most) == (min(lengths), max(lengths))


def test_lengths_are_counted_as_the_model_sees_them(file, tokenizer, tmp_path):
    reading = read_conversations(file(pair("a", "bc"), pair("a", "b" * 100), pair("x" * 100, "b")))
    with GgufFile(tmp_path / "m") as gguf, Renderer(choose_template(gguf)) as renderer:
        examples, problems = tokenise(reading, tokenizer, renderer, 50)

    report = check(reading, examples, 50, problems)

    assert report.tokens is not None
    lengths = [len(example.ids) for example in examples]
    assert lengths[1:] == [50, 50]
    assert (report.tokens.min, report.tokens.p50, report.tokens.max, report.tokens.total) == (
        lengths[0],
        50,
        50,
        sum(lengths),
    )
    assert report.tokens.supervised == sum(example.trained.sum() for example in examples)
    assert report.tokens.supervised_share == round(report.tokens.supervised / report.tokens.total, 4)
    assert warned(report) == [(2, "truncated"), (3, "truncated"), (3, "nothing_supervised")]
    assert json.loads(json.dumps(report.to_json()))["tokens"]["truncated"] == 2


def test_rows_the_template_cannot_write_are_errors_of_theirs(file, tokenizer):
    reading = read_conversations(file(pair("a", "b"), pair("bad", "b"), {"foo": "a"}))

    with Renderer(ChatTemplate(FUSSY, "model", "model", "", "")) as renderer:
        examples, problems = tokenise(reading, tokenizer, renderer, 50)
    report = check(reading, examples, 50, problems)

    assert [(error.row, error.code) for error in report.errors] == [(2, "template"), (3, "unknown_shape")]
    assert report.usable == 1


def test_a_template_that_loops_is_no_fault_of_a_row(file, tokenizer, monkeypatch):
    monkeypatch.setattr(render, "ANSWER_SECONDS", 0.3)
    loop = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"

    with Renderer(ChatTemplate(loop, "model", "model", "", "")) as renderer, pytest.raises(TemplateFailed):
        tokenise(read_conversations(file(pair("a", "b"))), tokenizer, renderer, 50)


def test_every_code_has_words_in_both_languages():
    sources = Path(check.__code__.co_filename).parent.glob("*.py")
    text = "".join(path.read_text() for path in sources)

    for language in LANGUAGES:
        known = catalogue(language)
        assert all(f'"{code}"' in text for section in ("problems", "warnings") for code in known[section])
        assert {"truncated", "control_character", "mojibake", "duplicate", "empty", "nothing_supervised"} == set(
            known["warnings"]
        )
