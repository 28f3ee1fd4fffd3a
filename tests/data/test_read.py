"""Files of every kind become conversations, or say by row why not."""

import json
import os
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmlora.data import json_rows, parse, textfile
from llmlora.data.conversation import Turn
from llmlora.data.read import Reading, collect, read_conversations
from llmlora.data.shapes import RowError, interpret
from llmlora.errors import DataUnreadable, InvalidRows

QUESTION, ANSWER = Turn("user", "日本の首都は？"), Turn("assistant", "東京です。")
ROW = {"instruction": QUESTION.content, "output": ANSWER.content}
U, A = {"role": "user", "content": "a"}, {"role": "assistant", "content": "c", "tool_calls": None, "weight": None}
HUMAN = {"from": "human", "value": "a"}
LINE = json.dumps(ROW, ensure_ascii=False)


def in_process(*paths: Path, **given: str) -> Reading:
    """What the child does, here: quick, and its limits can be lowered."""
    return collect(paths, parse.parse(paths, given))


@pytest.fixture
def reading(tmp_path: Path):
    def read_this(content: str | bytes, name: str = "rows") -> Reading:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return in_process(path)

    return read_this


def codes(found: Reading) -> dict[int, str]:
    return {problem.row: problem.code for problem in found.problems}


@pytest.mark.parametrize(
    ("row", "shape", "turns"),
    [
        ({"instruction": "a", "input": "b", "output": "c"}, "instruction", (("user", "a\n\nb"), ("assistant", "c"))),
        ({"instruction": "a", "input": "", "output": "c"}, "instruction", (("user", "a"), ("assistant", "c"))),
        (
            {"instruction": "a", "output": "c", "system": "s"},
            "instruction",
            (("system", "s"), ("user", "a"), ("assistant", "c")),
        ),
        ({"prompt": "a", "completion": "c"}, "prompt-completion", (("user", "a"), ("assistant", "c"))),
        ({"prompt": "a", "response": "c"}, "prompt-completion", (("user", "a"), ("assistant", "c"))),
        ({"question": "a", "answer": "c"}, "prompt-completion", (("user", "a"), ("assistant", "c"))),
        (
            {"messages": [{"role": r, "content": c} for r, c in (("system", "s"), ("user", "a"), ("assistant", "c"))]},
            "messages",
            (("system", "s"), ("user", "a"), ("assistant", "c")),
        ),
        ({"text": "a"}, "text", (("text", "a"),)),
        (
            {"conversations": [{"from": f, "value": v} for f, v in (("system", "s"), ("human", "a"), ("gpt", "c"))]},
            "sharegpt",
            (("system", "s"), ("user", "a"), ("assistant", "c")),
        ),
        (
            {"system": "s", "conversations": [{"from": f, "value": v} for f, v in (("user", "a"), ("assistant", "c"))]},
            "sharegpt",
            (("system", "s"), ("user", "a"), ("assistant", "c")),
        ),
        (
            {"messages": [{"role": r, "content": c} for r, c in (("developer", "s"), ("user", "a"), ("model", "c"))]},
            "messages",
            (("system", "s"), ("user", "a"), ("assistant", "c")),
        ),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
                    A,
                ]
            },
            "messages",
            (("user", "ab"), ("assistant", "c")),
        ),
        (
            {"messages": [U, A, U, A], "tools": [], "functions": None},
            "messages",
            (("user", "a"), ("assistant", "c"), ("user", "a"), ("assistant", "c")),
        ),
    ],
)
def test_every_shape_of_row_becomes_turns(row, shape, turns):
    found = interpret(row)

    assert found.shape == shape
    assert found.turns == tuple(Turn(role, content) for role, content in turns)


@pytest.mark.parametrize(
    ("row", "code", "detail"),
    [
        (5, "not_an_object", "int"),
        ({"foo": 1, "bar": 2}, "unknown_shape", "foo, bar"),
        ({"instruction": "a"}, "missing", "output"),
        ({"instruction": "a", "output": " \n"}, "empty_answer", "output"),
        ({"prompt": "a"}, "unknown_shape", "prompt"),
        ({"prompt": "a", "completion": 3}, "not_text", "completion: int"),
        ({"prompt": None, "completion": "a"}, "not_text", "prompt: NoneType"),
        ({"text": "\ud800"}, "lone_surrogate", "text"),
        ({"\ud800": 1}, "unknown_shape", "\\ud800"),
        ({"messages": []}, "messages_not_a_list", "list"),
        ({"messages": ["hi"]}, "message_not_an_object", "str"),
        ({"messages": [{"role": "user", "content": "a"}]}, "no_answer", "user"),
        ({"messages": [{"role": "user", "content": "a"}] * 2}, "roles_do_not_alternate", "user → user"),
        ({"messages": [{"role": "bot", "content": "a"}]}, "unknown_role", "'bot'"),
        ({"messages": [{"role": "assistant", "tool_calls": [{}]}]}, "tool_calls", "assistant"),
        ({"messages": [{"role": "tool", "content": "a"}]}, "tool_calls", "tool"),
        (
            {"messages": [U, {"role": "assistant", "content": None, "function_call": {"name": "f"}}]},
            "tool_calls",
            "assistant",
        ),
        ({"messages": [U, A], "tools": [{"type": "function"}]}, "tool_calls", "tools"),
        ({"messages": [U, A], "functions": [{"name": "f"}]}, "tool_calls", "functions"),
        (
            {"conversations": [{"from": "human", "value": "a"}, {"from": "function_call", "value": "f"}]},
            "tool_calls",
            "function_call",
        ),
        ({"conversations": [{"from": "observation", "value": "a"}]}, "tool_calls", "observation"),
        ({"conversations": [{"from": "alien", "value": "a"}]}, "unknown_role", "'alien'"),
        ({"conversations": [{"from": ["human"], "value": "a"}]}, "unknown_role", "['human']"),
        (
            {"conversations": [{"from": "gpt", "value": "a"}, {"from": "human", "value": "b"}]},
            "roles_do_not_alternate",
            "assistant → user",
        ),
        ({"messages": [U, {**A, "weight": 0.5}]}, "unknown_weight", "0.5"),
        ({"messages": [U, {**A, "weight": "0"}]}, "unknown_weight", "'0'"),
        ({"messages": [U, {**A, "weight": 0}]}, "nothing_weighted", "weight: 0"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}, A]}, "not_text", "content: image_url"),
        ({"messages": [{"role": "user", "content": ["a"]}, A]}, "not_text", "content: str"),
        ({"system": "\ud800", "prompt": "a", "completion": "b"}, "lone_surrogate", "system"),
        (
            {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": ""}]},
            "empty_answer",
            "content",
        ),
    ],
)
def test_every_wrong_row_says_what_is_wrong(row, code, detail):
    with pytest.raises(RowError) as caught:
        interpret(row)

    assert (caught.value.code, caught.value.detail) == (code, detail)


def test_an_answer_of_weight_0_is_context_only():
    turns = interpret({"messages": [U, {**A, "weight": 0}, U, {**A, "weight": 1}]}).turns

    assert [turn.trained for turn in turns if turn.role == "assistant"] == [False, True]


KEYS = [
    "conversations",
    "from",
    "value",
    "weight",
    "tools",
    "質問",
    "回答",
    "messages",
    "role",
    "content",
    "instruction",
    "input",
    "output",
    "prompt",
    "completion",
    "text",
    "system",
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS) | st.text(), inner, max_size=5),
)


@given(JSON)
@settings(deadline=None, max_examples=200)
def test_no_row_breaks_the_interpreter(value):
    try:
        turns = interpret(value).turns
    except RowError as error:
        turns = (error.code,)

    assert turns


@pytest.mark.parametrize(
    ("content", "kind", "rows"),
    [
        (LINE + "\n\n" + LINE, "jsonl", [1, 3]),
        (LINE, "jsonl", [1]),
        (LINE + "\r\n" + LINE + "\r\n", "jsonl", [1, 2]),
        (f"[{LINE}, {LINE}]\n", "json", [1, 2]),
        ("\n" + json.dumps([ROW] * 3, indent=1, ensure_ascii=False), "json", [1, 2, 3]),
        (json.dumps(ROW, indent=1, ensure_ascii=False), "json", [1]),
        (json.dumps({"data": [ROW, ROW]}, ensure_ascii=False), "json", [1, 2]),
        (json.dumps({"version": 1, "data": [ROW, ROW]}, indent=2, ensure_ascii=False), "json", [1, 2]),
        ("instruction,output\n日本の首都は？,東京です。\n\n日本の首都は？,東京です。\n", "csv", [1, 2]),
        ("instruction\toutput\n日本の首都は？\t東京です。", "csv", [1]),
        ("instruction;output\n日本の首都は？;東京です。", "csv", [1]),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp932", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_file_is_judged_by_its_content(reading, content, kind, rows, encoding):
    found = reading(content.encode(encoding))

    assert (found.files[0].format, found.files[0].encoding) == (kind, encoding.removesuffix("-sig"))
    assert not found.problems
    assert [one.row for one in found.conversations] == rows
    assert all(one.turns == (QUESTION, ANSWER) for one in found.conversations)


def test_utf16_is_read_in_either_order_with_and_without_its_mark(reading):
    text = "質問\t回答\r\n" + "　刀の　切\t斬れ味は一\n" * 200  # U+3000, U+5200 and U+4E00 have zero bytes too

    for content in (
        b"\xff\xfe" + text.encode("utf-16-le"),
        b"\xfe\xff" + text.encode("utf-16-be"),
        text.encode("utf-16-le"),
        text.encode("utf-16-be"),
    ):
        found = reading(content)
        assert [one.row for one in found.conversations] == list(range(1, 201))
        assert found.conversations[7].turns == (Turn("user", "　刀の　切"), Turn("assistant", "斬れ味は一"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xff\xfet\0e\0x\0t\0\n\0\0\xd8\n\0", "damaged"),
        (b"\xff\xfet\0e\0x\0t\0\n\0a", "damaged"),
        ("text\na\0b\n".encode("utf-16"), "binary"),
        ("text\n".encode("utf-32"), "binary"),
        (b"\0\0a\0\0b" * 100, "binary"),
        ("text\nあ\n".encode("utf-16-le") + b"\0", "binary"),
        (bytes(range(256)) * 16, "binary"),
        (b'{"text":"abc\0de"}', "binary"),
    ],
)
def test_what_only_looks_like_utf16_is_refused(reading, content, words):
    with pytest.raises(DataUnreadable, match=words):
        reading(content)


def test_lines_too_long_are_passed_over_in_utf16_too(reading, monkeypatch):
    monkeypatch.setattr(textfile, "MAX_LINE", 100)

    found = reading(('{"text":"a"}\n{"text":"' + "長" * 500 + '"}\n{"text":"b"}\n').encode("utf-16"))

    assert codes(found) == {2: "line_too_long"}
    assert [one.row for one in found.conversations] == [1, 3]


def test_several_files_are_one_data_set_with_rows_of_their_own(reading, tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text('{"text": "a"}\n5\n')
    other.write_text("text\nb\n")

    found = in_process(one, other)

    assert [(row.file, row.row, row.turns[0].content) for row in found.conversations] == [(0, 1, "a"), (1, 1, "b")]
    assert [(row.file, row.row) for row in found.problems] == [(0, 2)]
    assert [(file.path, file.format) for file in found.files] == [(one, "jsonl"), (other, "csv")]
    with pytest.raises(InvalidRows) as caught:
        found.need_sound()
    assert (caught.value.path, caught.value.count) == (one, 1)
    assert "2 行目" in caught.value.message("ja")


def test_what_is_wrong_with_a_file_is_said_in_japanese(reading):
    with pytest.raises(DataUnreadable) as caught:
        reading('[{"text":"a"} {"text":"b"}]')

    said = caught.value.message("ja")
    assert "2 番目の要素で JSON として読めなくなります: { の前にカンマか ] がありません" in said


def test_a_field_of_csv_may_hold_delimiters_quotes_and_lines(reading):
    found = reading('prompt;completion\n"a, b";"say ""hi""\nagain"\n')

    assert found.conversations[0].turns == (Turn("user", "a, b"), Turn("assistant", 'say "hi"\nagain'))


def test_rows_of_mixed_shapes_are_each_read_and_counted(reading):
    found = reading('{"text":"a","id":1}\n{"prompt":"a","completion":"b","id":2}\n{"text":"c","tag":""}\n')

    assert found.shapes == {"text": 2, "prompt-completion": 1}
    assert found.unused == {"id": 2, "tag": 1}


MESSAGES = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b, c"}]


def test_a_column_of_messages_holds_json(reading):
    cell = json.dumps(MESSAGES).replace('"', '""')

    found = reading(f'messages,id\n"{cell}",1\n[,2\n3,3\n')

    assert [one.turns[1].content for one in found.conversations] == ["b, c"]
    assert codes(found) == {2: "not_json", 3: "messages_not_a_list"}


@pytest.mark.parametrize("line", ["sep=;\r\n", "\ufeffSEP=;\n\n", "\n"])
def test_excels_separator_line_is_no_header(reading, line):
    found = reading(line + "prompt;completion\na,b;c\n")

    assert [(one.row, one.turns[0].content) for one in found.conversations] == [(1, "a,b")]


def test_the_separator_line_decides(reading):
    assert [one.turns[0].content for one in reading("sep=|\nid|text\n1|a\n").conversations] == ["a"]
    with pytest.raises(DataUnreadable, match="a column we know"):
        reading("sep=|\nid;text\n1;a\n")


def test_columns_without_a_name_count_where_they_are_filled(reading):
    found = reading("text,,\na,,\nb,,x\n")

    assert [one.turns[0].content for one in found.conversations] == ["a", "b"]
    assert found.unused == {"": 1}


def test_characters_only_windows_has_are_read(reading):
    text = "①髙﨑Ⅲ㈱～ｶﾅ"

    assert reading(f"text\n{text}\n".encode("cp932")).conversations[0].turns[0].content == text


def test_a_number_with_too_many_digits_costs_its_row_only(reading):
    rows = '{"text": "a", "n": ' + "9" * 100_000 + '}, {"text": "b", "n": 99999999999999999999}'

    for content in (f"[{rows}]", rows.replace("}, ", "}\n")):
        found = reading(content)
        assert [one.row for one in found.conversations] == [2]
        assert found.problems[0].detail == "100,000"


def test_a_first_line_that_breaks_off_costs_its_row_only(reading):
    found = reading('{"text": "a\n{"text": "b"}\n{"text": "c"}\n')

    assert codes(found) == {1: "not_json"}
    assert found.problems[0].detail == '10 …{"text": "a…'
    assert [one.row for one in found.conversations] == [2, 3]
    # whereas these begin an object over several lines
    assert len(reading('{"data": [\n{"text": "a"}\n]}').conversations) == 1
    assert len(reading('{"data": [{"text": "b"},\n{"text": "a"}]}').conversations) == 2


def test_a_conversation_may_have_500_messages_and_no_more():
    assert len(interpret({"messages": MESSAGES * 250}).turns) == 500
    with pytest.raises(RowError) as caught:
        interpret({"messages": MESSAGES * 251})
    assert (caught.value.code, caught.value.detail) == ("too_many_turns", "502 > 500")


def test_every_bad_row_is_named_and_the_good_ones_remain(reading):
    bad = ["{", '{"text":NaN}', '{"text":"a","x":[-Infinity]}', '{"text":"a","x":1e999}', '{"text":"a","text":"b"}']
    bad += ["[1]", '{"text":"\\ud800"}', '{"text":"a","x":' + "9" * 5000 + "}", '{"text":1}']

    found = reading("\n".join(['{"text":"good"}', *bad, '{"text":"good"}']))

    assert [one.row for one in found.conversations] == [1, 11]
    expected = ["not_json", "not_a_number", "not_a_number", "not_a_number", "duplicate_key"]
    expected += ["not_an_object", "lone_surrogate", "number_too_long", "not_text"]
    assert list(codes(found).values()) == expected
    assert list(codes(found)) == list(range(2, 11))


def test_a_list_names_its_bad_items_too(reading):
    found = reading('[{"text":"a","x":NaN}, {"text":"b"}, {"text":"c","text":"d"}, 7]')

    assert codes(found) == {1: "not_a_number", 3: "duplicate_key", 4: "not_an_object"}
    assert [one.row for one in found.conversations] == [2]


@pytest.mark.parametrize("depth", [100, 100_000])
def test_rows_nested_deeply_are_refused_one_by_one(reading, depth):
    deep = '{"text":"a","x":' + "[" * depth + "]" * depth + "}"

    found = reading(f'{deep}\n{{"text":"ok"}}\n')

    assert codes(found) == {1: "nested_too_deeply"}
    assert [one.row for one in found.conversations] == [2]


def test_wrong_records_of_csv_are_named(reading):
    content = 'text,id\nok,1\nshort\n"a" b,2\n"' + "x" * 200_000 + '",3\nok,4\nlong,5,6\n'

    found = reading(content)

    assert codes(found) == {2: "wrong_field_count", 3: "not_csv", 4: "field_too_long", 6: "wrong_field_count"}
    assert [one.row for one in found.conversations] == [1, 5]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"\xef\xbb\xbf \n", "empty"),
        ("\r\n\u3000\n".encode(), "empty"),
        (b'{"text":"' + b"a" * 2**21 + b"\0", "binary"),
        ("text\nこんにちは\n".encode("iso2022_jp"), "ISO-2022-JP"),
        (b"prompt,completion\ra,b\r", "carriage return"),
        (bytes(range(256)), "binary"),
        (b"PK\x03\x04 and so on xl/workbook.xml", "Excel"),
        (b"\xd0\xcf\x11\xe0 and so on", "Excel"),
        (b"PK\x03\x04 and so on", "ZIP"),
        (b"\x1f\x8b and so on", "compressed"),
        (b"GGUF and so on", "a model"),
        (b"PAR1....", "Parquet"),
        (b"text\nok\ncaf\xe9\n", "see line 3"),
        (b"[]", "no rows"),
        (b'{"data": []}', "no rows"),
        (b"name,age\na,3\n", "a column we know"),
        (b"text,text\na,b\n", "twice"),
        ("ただの文章です。\n".encode(), "neither JSON nor a table"),
        (b'[{"text":"a"}, {"text":"b', "item 2"),
        (b'[{"text":"a"},]', "item 2"),
        (b'[{"text":"a"}', "ends within the list"),
        (b'[{"text":"a"} {"text":"b"}]', "comma"),
        (b'[{"text":"a"}]\n[]', "follows the list"),
        (b'{\n "data": [\n  {"text":"a"},\n', "4:1"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(reading, content, words):
    with pytest.raises(DataUnreadable, match=words):
        reading(content)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in this file system")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(DataUnreadable, match="not a regular file"):
        read_conversations(tmp_path / "pipe")


def test_one_object_around_all_rows_may_not_be_huge(reading, monkeypatch):
    monkeypatch.setattr(json_rows, "MAX_OBJECT_BYTES", 2**20)

    with pytest.raises(DataUnreadable, match="larger than 1 MiB"):
        reading('{\n"data": [' + '{"text": "a"},' * 100_000 + "]}")


def test_a_missing_file_and_a_directory_are_told_apart(tmp_path):
    with pytest.raises(DataUnreadable, match="no such file"):
        read_conversations(tmp_path / "none")
    with pytest.raises(DataUnreadable, match="directory"):
        read_conversations(tmp_path)
    with pytest.raises(DataUnreadable):
        read_conversations(tmp_path / "\0")


@pytest.mark.parametrize(
    ("beginning", "words"), [(b'{"text":"', None), (b'text\n"', "line 2 is longer"), (b'[{"text":"', "item 1")]
)
def test_an_endless_line_is_refused_without_being_held(tmp_path, beginning, words):
    path = tmp_path / "endless"
    with path.open("wb") as file:
        file.write(beginning)
        for _ in range(96):
            file.write(b"a" * 2**20)

    tracemalloc.start()
    if words is None:
        assert codes(in_process(path)) == {1: "line_too_long"}
    else:
        with pytest.raises(DataUnreadable, match=words):
            in_process(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 64 * 2**20


def test_rows_after_a_line_too_long_are_still_read(reading, monkeypatch):
    monkeypatch.setattr(textfile, "MAX_LINE", 100)

    found = reading('{"text":"a"}\n{"text":"' + "x" * 500 + '"}\n{"text":"b"}\n')

    assert codes(found) == {2: "line_too_long"}
    assert [one.row for one in found.conversations] == [1, 3]


def test_files_and_counts_have_an_upper_bound(reading, monkeypatch):
    monkeypatch.setattr(parse, "MAX_ROWS", 2)
    with pytest.raises(DataUnreadable, match="more than 2 rows"):
        reading('{"text":"a"}\n' * 3)

    monkeypatch.setattr(textfile, "MAX_FILE_BYTES", 10)
    with pytest.raises(DataUnreadable, match="larger than"):
        reading('{"text":"a"}\n')


def test_a_list_is_read_across_the_borders_of_its_pieces(reading, monkeypatch):
    rows = [{"text": "x" * (place % 7) + 'é\\"', "n": place * 1000, "m": -1.5e10} for place in range(300)]
    for chunk in (1, 2, 3, 7, 64):
        monkeypatch.setattr("llmlora.data.json_rows.CHUNK", chunk)

        found = reading(json.dumps(rows, ensure_ascii=False))

        assert [one.turns[0].content for one in found.conversations] == [row["text"] for row in rows]
        assert codes(reading("[123456789, -1.25e10]")) == {1: "not_an_object", 2: "not_an_object"}


TEXTS = st.text('{}[]",:\n;ab12\\textprompt質問回答', max_size=80)


@given(
    st.binary(max_size=200) | st.builds(str.encode, TEXTS, st.sampled_from(["utf-8", "cp932", "utf-16", "utf-16-le"]))
)
@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_read_or_refused(tmp_path, content):
    path = tmp_path / "any"
    path.write_bytes(content)

    try:
        found = in_process(path)
        said = found.conversations or found.problems
    except DataUnreadable as error:
        said = error.problem

    assert said
