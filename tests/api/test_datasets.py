"""Data sets by API: what people send is checked, kept under names of ours, and shown as the model will see it."""

import json
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from llmlora.api import datasets, rows
from llmlora.store import jobs, tables
from tests.api.app import app_of

BYTES = {"content-type": "application/octet-stream"}
CSV = "質問,回答\n日本の首都は?,東京です。\n空の色は?,青です。\n"
SMOL = "sample:smollm2-135m"


@pytest.fixture
def client(here):
    with TestClient(app_of(here, datasets.router, rows.router), headers={"accept-language": "en"}) as running:
        yield running


def lines(count: int) -> bytes:
    return "\n".join(json.dumps({"instruction": f"q{n}", "output": f"a{n}"}) for n in range(count)).encode()


def upload(client: TestClient, content: bytes, name: str = "mine") -> dict:
    response = client.post("/api/datasets/upload", params={"name": name}, content=content, headers=BYTES)
    assert response.status_code == 201, response.text
    return response.json()


def files_below(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


def test_an_uploaded_file_is_checked_and_listed(client):
    made = upload(client, lines(3))

    assert (made["name"], made["version"], made["rows"], made["problems"]) == ("mine", 1, 3, 0)
    assert made["report"]["format"] == "jsonl"
    assert [one["id"] for one in client.get("/api/datasets").json()] == [made["id"]]
    assert client.get(f"/api/datasets/{made['id']}").json() == made


def test_of_many_problems_of_a_kind_the_first_are_listed_and_all_are_counted(client):
    report = upload(client, b"{}\n" * 150 + (lines(2) + b"\n") * 101 + b"7")["report"]

    assert (report["errors_count"], report["errors_by_code"]) == (151, {"unknown_shape": 150, "not_an_object": 1})
    assert len(report["errors"]) == 101
    assert report["errors"][-1]["code"] == "not_an_object"
    assert report["warnings_by_code"] == {"duplicate": report["warnings_count"]}


def test_a_parquet_file_has_no_encoding_and_its_columns_are_guessed(client):
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"質問": ["春は"], "回答": ["あけぼの"], "番号": [1]}), sink)

    report = upload(client, sink.getvalue().to_pybytes())["report"]

    assert (report["format"], report["encoding"], report["rows"]) == ("parquet", None, 1)
    assert report["columns"] == {"instruction": "質問", "output": "回答"}
    assert "files" not in report


def test_what_is_wrong_with_a_file_is_said_in_the_readers_language(client):
    headers = {**BYTES, "accept-language": "ja"}

    response = client.post("/api/datasets/upload", params={"name": "x"}, content=b"GGUF", headers=headers)

    assert "データではなくモデルです" in response.json()["error"]["message"]


def test_errors_call_a_file_by_its_name_and_never_by_its_place(client, here):
    refused = client.post("/api/datasets/upload", params={"name": "猫.csv"}, content=b"GGUF", headers=BYTES).json()

    assert refused["error"]["message"].startswith("猫.csv cannot be read")
    assert str(here.settings.home.root) not in json.dumps(refused)


def test_the_sample_is_there_for_the_asking(client):
    made = client.post("/api/datasets/sample", headers={"accept-language": "ja"}).json()

    assert (made["name"], made["rows"], made["problems"]) == ("ござるのサンプル（5 行）", 5, 0)
    page = client.get(f"/api/datasets/{made['id']}/rows").json()
    assert all(row["turns"][-1]["content"].endswith("でござる。") for row in page["rows"])


def test_rows_in_the_request_become_a_data_set(client):
    rows = [{"prompt": "春は", "completion": "あけぼの"}]

    made = client.post("/api/datasets", json={"name": "rows", "rows": rows}).json()

    page = client.get(f"/api/datasets/{made['id']}/rows").json()
    assert page["total"] == 1
    assert [turn["content"] for turn in page["rows"][0]["turns"]] == ["春は", "あけぼの"]


def test_rows_come_in_pages(client):
    made = upload(client, lines(7))

    page = client.get(f"/api/datasets/{made['id']}/rows", params={"offset": 5, "limit": 5}).json()

    assert (page["offset"], [row["row"] for row in page["rows"]]) == (5, [6, 7])


def test_a_page_begins_at_a_row_or_the_next_that_can_be_used(client):
    made = upload(client, lines(2) + b"\n{}\n" + lines(2))

    pages = [client.get(f"/api/datasets/{made['id']}/rows", params={"row": row}).json() for row in (2, 3, 9)]

    assert [[row["row"] for row in page["rows"]] for page in pages] == [[2, 4, 5], [4, 5], []]
    assert [page["offset"] for page in pages] == [1, 2, 4]


def test_an_answer_that_is_not_to_be_learned_shows_as_such(client):
    said = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "weight": 0}]
    rows = [{"messages": [*said, {"role": "user", "content": "c"}, {"role": "assistant", "content": "d"}]}]
    made = client.post("/api/datasets", json={"name": "x", "rows": rows}).json()

    (row,) = client.get(f"/api/datasets/{made['id']}/rows").json()["rows"]

    assert [turn["trained"] for turn in row["turns"]] == [True, False, True, True]


def test_the_tokens_of_a_row_are_shown_with_what_is_trained(client):
    made = upload(client, lines(2))

    page = client.get(f"/api/datasets/{made['id']}/tokens", params={"model": SMOL, "limit": 1}).json()

    (row,) = page["rows"]
    trained = "".join(piece for piece, learned in zip(row["pieces"], row["trained"], strict=True) if learned)
    assert trained == "a0<|im_end|>"
    assert len(row["ids"]) == len(row["pieces"]) == row["length"]
    special = {piece for piece, marker in zip(row["pieces"], row["special"], strict=True) if marker}
    assert special == {"<|im_start|>", "<|im_end|>"}


def test_of_a_row_that_is_cut_the_whole_length_is_told(client):
    made = upload(client, lines(2))
    facts = {"model": SMOL, "row": 2}

    (whole,) = client.get(f"/api/datasets/{made['id']}/tokens", params=facts).json()["rows"]
    (cut,) = client.get(f"/api/datasets/{made['id']}/tokens", params={**facts, "max_length": 8}).json()["rows"]

    assert (cut["row"], cut["length"], len(cut["ids"])) == (2, whole["length"], 8)
    assert cut["ids"] == whole["ids"][:8]


def test_the_check_with_a_model_counts_tokens(client):
    made = upload(client, lines(4))

    report = client.get(f"/api/datasets/{made['id']}/check", params={"model": SMOL}).json()

    assert report["tokens"]["rows"] == 4
    assert made["report"]["tokens"] is None


def test_a_new_version_takes_the_place_of_the_old_and_both_files_stay(client, here):
    made = upload(client, lines(2))

    newer = client.put(f"/api/datasets/{made['id']}/file", content=lines(5), headers=BYTES).json()

    assert (newer["version"], newer["rows"], newer["name"]) == (2, 5, "mine")
    assert len(files_below(here.settings.home.datasets)) == 2


def test_the_file_comes_back_as_it_was_sent(client):
    made = upload(client, lines(2), "日本語 / 名前")

    response = client.get(f"/api/datasets/{made['id']}/file")

    assert response.content == lines(2)
    assert quote("日本語 _ 名前.jsonl") in response.headers["content-disposition"]


@pytest.mark.parametrize("content", [b"", b"\0\1\2\3" * 100, b"no,rows\n"])
def test_what_is_no_data_is_refused_and_forgotten(client, here, content: bytes):
    response = client.post("/api/datasets/upload", params={"name": "x"}, content=content, headers=BYTES)

    assert response.status_code == 422
    assert response.json()["error"]["code"] == "data_unreadable"
    assert files_below(here.settings.home.datasets) == []
    assert client.get("/api/datasets").json() == []


def test_a_refused_new_version_leaves_the_old_one(client):
    made = upload(client, lines(2))

    refused = client.put(f"/api/datasets/{made['id']}/file", content=b"\0\0", headers=BYTES)

    assert refused.status_code == 422
    assert client.get(f"/api/datasets/{made['id']}").json() == made


def test_sec_07_an_upload_that_is_too_large_stops_at_the_limit(client, here, monkeypatch):
    monkeypatch.setattr(datasets, "MAX_UPLOAD_MB", 1)

    response = client.post("/api/datasets/upload", params={"name": "x"}, content=b"x" * (2**20 + 1), headers=BYTES)

    assert response.status_code == 413
    assert response.json()["error"]["code"] == "too_large"
    assert files_below(here.settings.home.datasets) == []


def test_a_full_disk_is_said_and_leaves_nothing(client, here, monkeypatch):
    monkeypatch.setattr(datasets, "RESERVE_BYTES", 2**60)

    response = client.post("/api/datasets/upload", params={"name": "x"}, content=lines(2), headers=BYTES)

    assert response.status_code == 507
    assert response.json()["error"]["code"] == "disk_full"
    assert files_below(here.settings.home.datasets) == []


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.one_of(
        st.sampled_from(
            ["../../x", "..\\x", "%2e%2e%2f", "//etc/passwd", "C:x", "CON", "a\0b", "a" * 300, "\u202egnp"]
        ),
        st.text(),
    )
)
def test_sec_08_a_name_is_only_a_label(client, here, name: str):
    response = client.post("/api/datasets", json={"name": name, "rows": [{"text": "x"}]})

    assert response.status_code in (201, 422)
    assert {path.name for path in files_below(here.settings.home.datasets)} <= {"rows"}


def test_a_data_set_that_a_job_needs_stays(client, here):
    made = upload(client, lines(2))
    job = jobs.submit(here.database, jobs.Request("train", "hungry", {"recipe": {}}, made["id"]))

    refused = client.delete(f"/api/datasets/{made['id']}")

    assert refused.status_code == 409
    assert "hungry" in refused.json()["error"]["message"]
    with here.database.writing() as connection:
        jobs.want(connection, job.id, "cancel")
    assert client.delete(f"/api/datasets/{made['id']}").status_code == 204
    assert client.get(f"/api/datasets/{made['id']}").json()["error"]["code"] == "not_found"
    assert files_below(here.settings.home.datasets) == []


def test_renaming_changes_the_name_alone(client):
    made = upload(client, lines(2))

    renamed = client.patch(f"/api/datasets/{made['id']}", json={"name": "　新しい名前 "}).json()

    assert renamed["name"] == "新しい名前"
    assert renamed["sha256"] == made["sha256"]


def test_a_report_from_before_there_were_counts_by_code_is_still_shown(client, here):
    made = upload(client, b'{"text": "a"}\n')
    report = {name: value for name, value in made["report"].items() if not name.endswith("_by_code")}
    with here.database.writing() as connection:
        connection.execute(update(tables.dataset).values(report=report))

    shown = client.get(f"/api/datasets/{made['id']}").json()

    assert shown["report"] == {**report, "errors_by_code": {}, "warnings_by_code": {}}


@pytest.mark.parametrize("path", ["", "/rows", "/file", "/check", "/columns", "/tokens?model=x"])
def test_unknown_ids_are_not_found(client, path: str):
    assert client.get(f"/api/datasets/nosuch{path}").status_code == 404


def test_columns_of_other_names_are_mapped_and_the_mapping_goes_with_the_rows(client, here):
    content = b"foo,bar,baz\nq,a,b\n"
    refused = client.post("/api/datasets/upload", params={"name": "x"}, content=content, headers=BYTES)
    assert "foo" in refused.json()["error"]["message"]
    assert [field["field"] for field in refused.json()["error"]["fields"]] == ["map"]
    looked = client.post("/api/datasets/columns", params={"name": "x"}, content=content, headers=BYTES).json()
    assert (looked["format"], looked["encoding"], looked["names"]) == ("csv", "utf-8", ["foo", "bar", "baz"])
    assert looked["rows"] == [{"row": 1, "cells": ["q", "a", "b"]}]
    assert files_below(here.settings.home.datasets) == []

    said = {"name": "x", "map": ["instruction=foo", "output=bar"]}
    made = client.post("/api/datasets/upload", params=said, content=content, headers=BYTES)
    changed = client.patch(
        f"/api/datasets/{made.json()['id']}", json={"mapping": {"instruction": "foo", "output": "baz"}}
    )

    assert made.json()["report"]["columns"] == {"instruction": "foo", "output": "bar"}
    assert changed.json()["mapping"] == {"instruction": "foo", "output": "baz"}
    (row,) = client.get(f"/api/datasets/{made.json()['id']}/rows").json()["rows"]
    assert [turn["content"] for turn in row["turns"]] == ["q", "b"]


def test_a_mapping_to_nowhere_changes_nothing(client):
    made = upload(client, lines(2))

    refused = client.patch(f"/api/datasets/{made['id']}", json={"mapping": {"output": "nowhere"}})

    assert refused.status_code == 422
    assert client.get(f"/api/datasets/{made['id']}").json() == made


def test_columns_are_shown_as_they_are_whatever_is_mapped(client):
    rows = [{"質問": "q1", "答え": "a1", "n": {"x": [1]}}, {"質問": "q2", "答え": "a2", "new": True}]
    made = client.post("/api/datasets", json={"name": "x", "rows": rows, "mapping": {"output": "質問"}}).json()

    looked = client.get(f"/api/datasets/{made['id']}/columns").json()

    assert looked["names"] == ["質問", "答え", "n", "new"]
    assert looked["guessed"] == {"instruction": "質問", "output": "答え"}
    assert [row["cells"] for row in looked["rows"]] == [["q1", "a1", '{"x": [1]}', ""], ["q2", "a2", "", "true"]]


def test_a_file_without_columns_is_not_looked_at(client, here):
    response = client.post("/api/datasets/columns", params={"name": "model"}, content=b"GGUF", headers=BYTES)

    assert response.json()["error"]["code"] == "data_unreadable"
    assert files_below(here.settings.home.datasets) == []
