"""Which column holds what is guessed from its name, and can be said instead."""

import json
from pathlib import Path

import pytest

from llmlora.data.columns import NAMES, SHAPES, choose_columns, plain
from llmlora.data.conversation import Turn
from llmlora.data.parse import parse
from llmlora.data.read import Reading, collect
from llmlora.data.shapes import interpret
from llmlora.errors import DataUnreadable


@pytest.fixture
def reading(tmp_path: Path):
    def read_this(content: str, **given: str) -> Reading:
        path = tmp_path / "rows"
        path.write_text(content, "utf-8")
        return collect([path], parse([path], given))

    return read_this


@pytest.mark.parametrize(
    ("names", "columns"),
    [
        ("質問 回答", {"instruction": "質問", "output": "回答"}),
        ("指示 入力 出力", {"instruction": "指示", "output": "出力", "input": "入力"}),
        ("入力 出力", {"instruction": "入力", "output": "出力"}),
        ("システム プロンプト 応答", {"instruction": "プロンプト", "output": "応答", "system": "システム"}),
        ("ﾌﾟﾛﾝﾌﾟﾄ Ｒｅｓｐｏｎｓｅ", {"instruction": "ﾌﾟﾛﾝﾌﾟﾄ", "output": "Ｒｅｓｐｏｎｓｅ"}),
        ("Q A", {"instruction": "Q", "output": "A"}),
        (
            "instruction context response category",
            {"instruction": "instruction", "output": "response", "input": "context"},
        ),
        ("System-Prompt Question Answer", {"instruction": "Question", "output": "Answer", "system": "System-Prompt"}),
        ("system conversations tools", {"messages": "conversations", "system": "system"}),
        ("会話", {"messages": "会話"}),
        ("本文 日付", {"text": "本文"}),
        ("text prompt completion", {"instruction": "prompt", "output": "completion"}),
        ("question prompt answer", {"instruction": "prompt", "output": "answer"}),
        ("質問", {}),
        ("名前 年齢", {}),
    ],
)
def test_names_tell_what_columns_hold(names, columns):
    assert choose_columns(names.split(), {}) == columns


@pytest.mark.parametrize(
    ("names", "given", "columns"),
    [
        ("列1 列2", {"instruction": "列1", "output": "列2"}, {"instruction": "列1", "output": "列2"}),
        ("質問 回答 模範", {"output": "模範"}, {"instruction": "質問", "output": "模範"}),
        ("質問 回答 text", {"text": "text"}, {"text": "text"}),
        ("質問 回答 log", {"messages": "log"}, {"messages": "log"}),
        ("質問 回答 注", {"input": "注"}, {"instruction": "質問", "output": "回答", "input": "注"}),
        ("質問 回答", {"output": "答え"}, {"instruction": "質問", "output": "回答"}),
        ("回答 質問", {"instruction": "回答", "output": "質問"}, {"instruction": "回答", "output": "質問"}),
    ],
)
def test_what_is_said_goes_before_what_is_guessed(names, given, columns):
    assert choose_columns(names.split(), given) == columns


def test_no_name_stands_for_two_things_and_each_is_written_plainly():
    names = [name for known in NAMES.values() for name in known.split()]

    assert len(set(names)) == len(names)
    assert all(plain(name) == name for name in names)
    assert {part for needed, other in SHAPES.items() for part in (*needed, *other)} == set(NAMES)


def test_the_guess_and_what_is_left_over_are_told(reading):
    found = reading("質問,回答,番号\nあ,い,1\n")

    assert found.conversations[0].turns == (Turn("user", "あ"), Turn("assistant", "い"))
    assert found.columns == {"instruction": "質問", "output": "回答"}
    assert found.unused == {"番号": 1}


def test_a_mapping_reads_tables_and_objects_whose_names_tell_nothing(reading):
    rows = ("x;y\na;b\n", '{"x": "a", "y": "b"}\n', json.dumps({"rows": [{"x": "a", "y": "b"}]}))
    for content in rows:
        found = reading(content, instruction="x", output="y")

        assert [one.turns for one in found.conversations] == [(Turn("user", "a"), Turn("assistant", "b"))]


def test_a_mapped_column_of_messages_holds_json_in_csv(reading):
    cell = json.dumps([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]).replace('"', '""')

    assert len(reading(f'log\n"{cell}"\n', messages="log").conversations) == 1


def test_a_column_that_is_nowhere_is_the_users_mistake(reading):
    with pytest.raises(DataUnreadable, match="no row has the column 解答; there are 質問, 回答"):
        reading("質問,回答\nあ,い\n", output="解答")
    with pytest.raises(DataUnreadable, match="no row has the column a"):
        reading('{"x": 1}\n', instruction="a")


def test_a_column_need_not_be_in_every_row(reading):
    found = reading('{"prompt": "a", "答": "b"}\n{"prompt": "a", "completion": "c"}\n', output="答")

    assert [one.turns[1].content for one in found.conversations] == ["b", "c"]


def test_one_row_has_a_thousand_keys_at_most(reading):
    wide = {"text": "a", **{f"k{number}": 1 for number in range(1000)}}

    found = reading(json.dumps(wide) + "\n" + json.dumps({"text": "b"}))

    assert [(one.code, one.detail) for one in found.problems] == [("too_many_keys", "1,001 > 1,000")]


def test_the_names_of_unused_keys_are_bounded(reading):
    lines = "".join(f'{{"text": "a", "{"k" * 200}{number}": 1, "n{number}": 2}}\n' for number in range(1500))

    unused = reading(lines).unused

    assert len(unused) == 1000
    assert unused["k" * 80] == 1500


def test_a_question_may_be_an_instruction_with_a_context():
    assert interpret({"instruction": "a", "context": "b", "response": "c"}).turns[0] == Turn("user", "a\n\nb")
