"""The report names what is wrong, what is odd, and how long everything is."""

import json
import re
from itertools import combinations, pairwise
from pathlib import Path
from random import Random

import numpy as np
import pytest

from llmlora.data import render, similar
from llmlora.data.check import MOJIBAKE, Report, check, count_tokens, tokenise
from llmlora.data.conversation import Conversation, Turn
from llmlora.data.examples import Example
from llmlora.data.read import read_conversations
from llmlora.data.render import Renderer
from llmlora.data.similar import near_duplicates
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
    examples = [Example(1, np.zeros(n, np.int32), np.ones(n, np.bool_), 0) for n in lengths]

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
    assert [len(example.ids) for example in examples][1:] == [50, 50]
    lengths = sorted(len(example.ids) + example.cut for example in examples)
    counts = report.tokens
    assert (counts.min, counts.p50, counts.max) == tuple(lengths)
    assert lengths[1] > 50
    assert (counts.histogram[0].least, counts.histogram[-1].most) == (lengths[0], lengths[2])
    assert counts.total == sum(len(example.ids) for example in examples)
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


def test_every_code_has_words_in_both_languages_and_every_word_a_code():
    sources = Path(check.__code__.co_filename).parent.glob("*.py")
    text = "".join(path.read_text() for path in sources)
    refused = set(re.findall(r'refuse\(\s*(?:path, )?"(\w+)"', text))

    for language in LANGUAGES:
        known = catalogue(language)
        for section in ("problems", "warnings", "unreadable"):
            assert all(f'"{code}"' in text for code in known[section])
        assert refused <= set(known["unreadable"])
        assert set(re.findall(r'(?:RowError|fail)\("(\w+)"', text)) <= set(known["problems"])
        assert set(re.findall(r'_warning\(\w+, "(\w+)"', text)) == set(known["warnings"])
    assert len(refused) > 20


ANSWER = "お問い合わせありがとうございます。ご注文の品は三日以内に発送いたします。"


def near(*answers: str) -> list[tuple[int, int]]:
    rows = [
        Conversation(number, (Turn("system", "丁寧に" * 50), Turn("user", "いつ届きますか"), Turn("assistant", answer)))
        for number, answer in enumerate(answers, 1)
    ]
    return [(row.row, earlier.row) for row, earlier in near_duplicates(rows)]


def test_rows_that_nearly_repeat_an_earlier_one_are_found():
    other = "返品は商品の到着から八日以内に、窓口へ電話でお知らせください。"

    assert near(ANSWER, other, ANSWER.replace("三日", "四日"), ANSWER + "！") == [(3, 1), (4, 1)]
    assert near(ANSWER, ANSWER.replace("ご注文の品は三日以内に発送", "代金は前もってお振り込みをお願い")) == []


def test_width_case_and_spaces_make_no_row_another():
    one = "ＬｏＲＡ は ベースモデルに小さな行列を足して学習します。"

    assert near(one, "lora はベースモデルに小さな行列を足して学習します。") == [(2, 1)]


def test_short_rows_are_too_short_to_tell():
    assert near("はい", "はい！") == []


def test_near_duplicates_are_those_that_all_pairs_would_give():
    random = Random(0)
    texts = ["".join(random.choices("あいうえおかきくけこ、。", k=60)) for _ in range(60)]
    for text in texts[:30]:
        letters = list(text)
        for place in random.sample(range(60), random.choice((1, 2, 8))):
            letters[place] = "ん"
        texts.append("".join(letters))
    rows = [Conversation(number, (Turn("text", text),)) for number, text in enumerate(texts)]

    def alike(one: str, other: str) -> float:
        sets = [{text[at : at + 3] for at in range(len(text) - 2)} for text in (one, other)]
        return len(sets[0] & sets[1]) / len(sets[0] | sets[1])

    expected = {(b, a) for a, b in combinations(range(len(texts)), 2) if alike(texts[a], texts[b]) >= 0.8}
    found = {(row.row, earlier.row) for row, earlier in near_duplicates(rows)}

    assert found <= expected
    assert len(expected) > 10
    assert len(found) >= 0.9 * len(expected)
    assert found == {(row.row, earlier.row) for row, earlier in near_duplicates(rows)}


def test_near_duplicates_do_not_depend_on_how_much_is_hashed_at_once(monkeypatch):
    answers = [
        ANSWER,
        *(f"{number}番の答えは、それぞれの事情により異なります。" for number in range(40)),
        ANSWER + "。",
    ]
    whole = near(*answers)
    for block in (1, 100, 1000):
        monkeypatch.setattr(similar, "BLOCK", block)
        assert near(*answers) == whole
    assert (42, 1) in whole


def test_the_report_says_where_a_row_is_repeated_or_nearly_so(file):
    path = file(pair("いつ届きますか", ANSWER), pair("いつ届きますか", ANSWER + "！"), pair("いつ届きますか", ANSWER))

    report = check(read_conversations([path, path]))

    assert [(one.file, one.row, one.code, one.detail) for one in report.warnings] == [
        (0, 2, "near_duplicate", "1"),
        (0, 3, "duplicate", "1"),
        (1, 1, "duplicate", "0:1"),
        (1, 2, "duplicate", "0:2"),
        (1, 3, "duplicate", "0:1"),
    ]


@pytest.mark.parametrize(
    ("answer", "codes"),
    [
        ("ｶﾀｶﾅ", ["half_width_katakana"]),
        ("１２３円", ["width_mix"]),
        ("か\u3099き", ["decomposed"]),
        ("カタカナ、がぎぐ、①㈱～", []),
        ("はい、そうです".encode("euc_jp").decode("cp932", "replace"), ["mojibake"]),
    ],
)
def test_japanese_oddities_are_warned_of(file, answer, codes):
    report = check(read_conversations(file(pair("abc 123", "ok"), pair("q", answer))))

    assert [code for row, code in warned(report) if row == 2] == codes


def test_full_width_digits_alone_are_no_mixture(file):
    assert warned(check(read_conversations(file(pair("何個", "１２個"), pair("何円", "３円"))))) == []


def test_tokens_of_each_character_are_counted_in_answers_that_are_whole(file, tokenizer, tmp_path):
    path = file(pair("a", "b" * 60), pair("a", "あ" * 60), pair("a", "あ" * 500), pair("あ" * 60, "b"))
    reading = read_conversations(path)
    with GgufFile(tmp_path / "m") as gguf, Renderer(choose_template(gguf)) as renderer:
        examples, _ = tokenise(reading, tokenizer, renderer, 400)

    report = check(reading, examples, 400)

    rates = {one.row: one.detail for one in report.warnings if one.code == "many_tokens"}
    trained = [int(one.trained.sum()) for one in examples]
    assert rates == {2: f"{trained[1] / 60:.2f}"}
    assert report.tokens is not None
    assert report.tokens.per_character == round((trained[0] + trained[1] + trained[3]) / 121, 2)


def test_several_files_are_counted_each(file, tmp_path):
    one = file(pair("a", "b"), {"foo": "x"})
    other = tmp_path / "other.csv"
    other.write_text("質問,回答\nは,い\n")

    report = check(read_conversations([one, other]))

    assert [(found.path, found.format, found.rows) for found in report.files] == [
        (str(one), "jsonl", 2),
        (str(other), "csv", 1),
    ]
    assert (report.rows, report.usable) == (3, 2)
    assert report.columns == {"instruction": "prompt", "output": "completion"}
