"""A Hugging Face directory by API: described, planned, previewed, queued, talked to, and refused as GGUF."""

import json
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from llmlora.api import artefacts, chats, datasets, models
from llmlora.api import jobs as job_routes
from llmlora.api import rows as row_routes
from llmlora.store import jobs
from tests.api.app import app_of
from tests.tiny_hf import edit_json, random_adapter, tiny_hf


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_hf(tmp_path_factory.mktemp("base") / "gpt2", "gpt2", template=None)


@pytest.fixture
def client(here):
    modules = (artefacts, chats, datasets, row_routes, job_routes, models)
    with TestClient(app_of(here, *(module.router for module in modules)), headers={"accept-language": "en"}) as running:
        yield running


def rows(client: TestClient) -> str:
    made = [{"instruction": f"What is {n}?", "output": f"It is {n}."} for n in range(12)]
    return client.post("/api/datasets", json={"name": "rows", "rows": made}).json()["id"]


def finished_job(here, base: Path) -> str:
    job = jobs.submit(here.database, jobs.Request("train", "my job", {"recipe": {"model": f"hf:{base}"}}))
    with here.database.writing() as connection:
        job = jobs.claim(connection, "me", ["train"]) or job
        jobs.write(connection, job.id, job.epoch, state="succeeded")
    random_adapter(base, here.settings.home.attempt(job.id, job.epoch) / "final_model")
    return job.id


def test_it_is_described_from_inside(client, gpt2: Path):
    found = client.get(f"/api/models/hf:{gpt2}").json()

    assert (found["trainable"], found["architecture"], found["layers"]) == (True, "gpt2", 2)
    assert found["targets"] == ["c_attn", "c_proj", "c_fc"]
    assert (found["chat_template"], "eos_token" in found["template"]) == ("family: dialogpt", True)


def test_a_run_is_planned_and_queued_and_its_tokens_are_shown(client, gpt2: Path):
    dataset, recipe = rows(client), {"model": f"hf:{gpt2}", "rank": 2, "steps": 3, "max_length": 64}

    plan = client.post("/api/training/plan", json={"dataset_id": dataset, "recipe": recipe}).json()
    shown = client.get(f"/api/datasets/{dataset}/tokens", params={"model": f"hf:{gpt2}", "limit": 1}).json()
    job = client.post("/api/training/jobs", json={"name": "j", "dataset_id": dataset, "recipe": recipe})

    assert plan["plan"]["total_steps"] == 3 and plan["trainable_parameters"] > 0
    assert "".join(shown["rows"][0]["pieces"]) == "What is 0?<|im_end|>It is 0.<|im_end|>"
    assert job.status_code == 201


def test_one_that_cannot_be_trained_is_refused_at_once(client, tmp_path: Path):
    coded = tiny_hf(tmp_path / "coded", "gpt2")
    edit_json(coded / "config.json", auto_map={"AutoModel": "x.Y"})
    recipe = {"model": f"hf:{coded}"}

    refused = client.post("/api/training/jobs", json={"name": "j", "dataset_id": rows(client), "recipe": recipe})
    silent = client.post("/api/chats", json={"model": f"hf:{coded}"})

    assert {one.json()["error"]["code"] for one in (refused, silent)} == {"not_trainable"}
    assert "auto_map" in refused.json()["error"]["message"]


def test_nothing_is_downloaded_while_someone_waits(client):
    refused = client.post("/api/chats", json={"model": "hf:org/name"})
    checked = client.get("/api/models/check/hf:org/name").json()

    assert refused.json()["error"]["code"] == "not_downloaded"
    assert "hf download org/name" in refused.json()["error"]["hint"]
    assert (checked["trainable"], "not on this machine" in checked["reason"]) == (False, True)


def test_a_chat_with_and_without_the_adapter_says_that_pytorch_answers(client, here, gpt2: Path):
    chat = client.post("/api/chats", json={"job_id": finished_job(here, gpt2)}).json()
    ask = {"content": "Hi", "temperature": 0, "max_tokens": 8, "compare": True}

    answer = client.post(f"/api/chats/{chat['id']}/messages", json=ask)

    done = json.loads(answer.text.strip().split("\n\n")[-1].split("data: ")[1])
    tuned, base = done["answers"]
    assert [tuned["engine"], base["engine"]] == ["PyTorch (embedded)"] * 2
    assert tuned["text"] != base["text"]


def test_its_artefacts_are_pefts_alone(client, here, gpt2: Path):
    job = finished_job(here, gpt2)

    listed = client.get(f"/api/training/jobs/{job}/artefacts").json()
    gguf = client.get(f"/api/training/jobs/{job}/artefacts/adapter.gguf")
    merged = client.post(f"/api/training/jobs/{job}/exports")

    assert [one["name"] for one in listed] == ["adapter.zip"]
    assert client.get(f"/api/training/jobs/{job}/artefacts/adapter.zip").status_code == 200
    assert {one.json()["error"]["code"] for one in (gguf, merged)} == {"no_gguf"}
