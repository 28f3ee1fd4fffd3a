"""Training jobs by API: planned, started, followed, steered, and their results fetched."""

import io
import json
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from itertools import accumulate
from pathlib import Path

import pytest
import yaml
from fastapi.testclient import TestClient

from llmlora.api import artefacts, datasets, jobs, records, rows
from llmlora.api.records import add_up, thin
from llmlora.jobs.runner import Runner
from llmlora.paths import Run
from llmlora.store import events
from llmlora.store import jobs as queue
from llmlora.store.events import Line
from tests.api.app import app_of, context_at
from tests.ollama.standin.server import ollama_standin
from tests.ollama_store import OllamaStore
from tests.peft_adapter import peft_adapter
from tests.tiny import tiny_gguf


@pytest.fixture
def client(here):
    app = app_of(here, datasets.router, jobs.router, records.router, artefacts.router)
    with TestClient(app, headers={"accept-language": "en"}) as running:
        yield running


@pytest.fixture
def asked(client, tmp_path: Path) -> dict:
    """A request for a short run of a tiny model."""
    tiny_gguf(tmp_path / "tiny.gguf", "llama")
    rows = [{"instruction": f"What is {n}?", "output": f"It is {n}."} for n in range(12)]
    dataset = client.post("/api/datasets", json={"name": "rows", "rows": rows}).json()
    recipe = {"model": f"gguf:{tmp_path}/tiny.gguf", "rank": 4, "steps": 4, "max_length": 64, "save_every": 2}
    return {"name": "tiny", "dataset_id": dataset["id"], "recipe": recipe}


def run_to_end(here, job_id: str) -> None:
    runner = Runner(here.database, here.settings)
    while True:
        runner.tick()
        with here.database.reading() as connection:
            if queue.fetch(connection, job_id).state in queue.FINAL:
                return
        time.sleep(0.01)  # the worker needs the core more


def tokens_of_steps(here, job_id: str) -> list[int]:
    with here.database.reading() as connection:
        return [step["tokens"] for step in events.of_job(connection, job_id, "step")]


def test_a_plan_says_what_a_run_will_need_and_which_rules_were_applied(client, asked):
    plan = client.post("/api/training/plan", json={name: asked[name] for name in ("dataset_id", "recipe")}).json()

    assert plan["plan"]["total_steps"] == 4
    assert plan["recipe"]["learning_rate"] > 0
    assert plan["recipe"]["alpha"] == 8
    assert "data" not in plan["recipe"]
    assert plan["rows"] + plan["eval_rows"] == 12


def test_a_job_may_start_from_an_adapter_and_takes_over_what_it_is(client, here, asked, tmp_path: Path):
    start = peft_adapter(tmp_path / "start", tmp_path / "tiny.gguf", rank=3)
    recipe = {name: value for name, value in asked["recipe"].items() if name != "rank"} | {"init_adapter": str(start)}

    plan = client.post("/api/training/plan", json={"dataset_id": asked["dataset_id"], "recipe": recipe}).json()
    job_id = client.post("/api/training/jobs", json={**asked, "recipe": recipe}).json()["id"]
    run_to_end(here, job_id)

    assert (plan["recipe"]["rank"], plan["recipe"]["target_modules"]) == (3, ["q_proj", "down_proj"])
    assert client.get(f"/api/training/jobs/{job_id}").json()["progress"]["state"] == "succeeded"
    written = yaml.safe_load(Run(here.settings.home.attempt(job_id, 1)).recipe.read_text())
    assert written["rank"] == 3


def test_a_plan_says_why_in_the_readers_language_and_does_what_the_recipe_says(client, asked):
    body = {"dataset_id": asked["dataset_id"], "recipe": {**asked["recipe"], "recompute": "always", "threads": 1}}
    english, japanese = (
        client.post("/api/training/plan", json=body, headers={"accept-language": language}).json()
        for language in ("en", "ja")
    )

    assert (english["plan"]["recompute"], english["plan"]["threads"]) == (True, 1)
    assert "Activations are computed again, because the recipe says so." in english["reasons"]
    assert "レシピの指定どおり、活性を計算し直します。" in japanese["reasons"]
    assert len(english["reasons"]) == len(japanese["reasons"]) == 5


def test_a_plan_keeps_to_the_limit_that_jobs_have(client, here, asked):
    here.settings = replace(here.settings, memory_limit_mb=300)

    answer = client.post("/api/training/plan", json={name: asked[name] for name in ("dataset_id", "recipe")})

    assert answer.json()["error"]["code"] == "not_enough_memory"
    assert "300 MB are free" in answer.json()["error"]["message"]


def test_a_plan_warns_of_what_may_disappoint(client, asked):
    def warnings(**recipe: object) -> str:
        body = {"dataset_id": asked["dataset_id"], "recipe": {**asked["recipe"], **recipe}}
        return " ".join(client.post("/api/training/plan", json=body).json()["warnings"])

    assert "Only 4 steps" in warnings()
    assert "12 rows, that share holds out none" in warnings(eval_split=0.05)
    assert warnings(steps=20, eval_split=0) == ""
    assert "2 rows are longer than 40 tokens" in warnings(steps=20, eval_split=0, max_length=40)


def test_a_plan_tells_how_to_make_the_run_elsewhere(client, asked):
    renamed = {"name": "my rows", "mapping": {"output": "output"}}
    client.patch(f"/api/datasets/{asked['dataset_id']}", json=renamed)
    asked["recipe"] |= {"sample_prompts": ["It's?"], "alpha": None}

    plan = client.post("/api/training/plan", json={name: asked[name] for name in ("dataset_id", "recipe")}).json()

    written = yaml.safe_load(plan["yaml"])
    assert {**plan["recipe"], "data": ["my rows.jsonl"], "mapping": {"output": "output"}} == written
    assert plan["command"].startswith(
        f"llmlora train --model {asked['recipe']['model']} --data 'my rows.jsonl' --map output=output"
    )
    assert plan["command"].endswith("""--sample-prompt 'It'"'"'s?' --out out""")
    assert "--alpha" not in plan["command"]
    assert plan["free_memory"] > plan["plan"]["memory"]


def test_a_job_from_the_request_to_the_adapter(client, here, asked):
    made = client.post("/api/training/jobs", json=asked)
    assert made.status_code == 201, made.text
    job_id = made.json()["id"]
    assert made.json()["progress"]["state"] == "queued"
    assert client.get(f"/api/training/jobs/{job_id}/artefacts").json()["error"]["code"] == "job_conflict"
    waiting = client.get(f"/api/training/jobs/{job_id}/recipe").json()
    assert (waiting["resolved"], waiting["recipe"]["learning_rate"]) == (False, None)

    run_to_end(here, job_id)

    begun = client.get(f"/api/training/jobs/{job_id}/recipe").json()
    assert begun["resolved"]
    assert begun["recipe"]["learning_rate"] > 0  # which a rule gave
    assert yaml.safe_load(begun["yaml"]) == begun["recipe"]
    assert not {"data", "mapping"} & begun["recipe"].keys()  # places of this machine
    job = client.get(f"/api/training/jobs/{job_id}").json()
    assert job["progress"]["state"] == "succeeded", job
    assert job["result"]["step"] == job["progress"]["step"] == 4
    assert client.get(f"/api/training/jobs/{job_id}/progress").json() == job["progress"]
    metrics = client.get(f"/api/training/jobs/{job_id}/metrics").json()
    assert [point["step"] for point in metrics["steps"]] == [1, 2, 3, 4]
    assert metrics["seq"] == job["progress"]["seq"]
    assert [point["tokens"] for point in metrics["steps"]] == list(accumulate(tokens_of_steps(here, job_id)))
    stretch = client.get(f"/api/training/jobs/{job_id}/metrics", params={"first": 2, "last": 3}).json()
    assert [point["step"] for point in stretch["steps"]] == [2, 3]
    assert stretch["steps"] == metrics["steps"][1:3]
    assert [point["step"] for point in client.get(f"/api/training/jobs/{job_id}/checkpoints").json()] == [2, 4]
    archive = zipfile.ZipFile(io.BytesIO(client.get(f"/api/training/jobs/{job_id}/artefacts/adapter.zip").content))
    assert "adapter_model.safetensors" in archive.namelist()
    assert client.get(f"/api/training/jobs/{job_id}/artefacts/adapter.gguf").content[:4] == b"GGUF"
    assert client.get(f"/api/training/jobs/{job_id}/artefacts/merged.gguf").status_code == 404

    export = client.post(f"/api/training/jobs/{job_id}/exports").json()
    assert client.post(f"/api/training/jobs/{job_id}/exports").json()["id"] == export["id"]
    run_to_end(here, export["id"])

    (done,) = client.get(f"/api/training/jobs/{job_id}/exports").json()
    assert done["state"] == "succeeded", done
    assert done["done"] == done["total"] == len(done["report"]["tensors"])
    assert client.get(f"/api/training/jobs/{job_id}/artefacts/merged.gguf").content[:4] == b"GGUF"
    assert all(one["bytes"] for one in client.get(f"/api/training/jobs/{job_id}/artefacts").json())

    assert client.delete(f"/api/training/jobs/{job_id}").status_code == 204
    assert not here.settings.home.job(job_id).exists()


def test_rel_13_one_key_makes_one_job_and_another_body_is_refused(client, asked):
    def submit(_: int) -> str:
        return client.post("/api/training/jobs", json=asked, headers={"idempotency-key": "k"}).json()["id"]

    with ThreadPoolExecutor(20) as pool:
        assert len(set(pool.map(submit, range(20)))) == 1
    other = client.post("/api/training/jobs", json={**asked, "name": "other"}, headers={"idempotency-key": "k"})
    assert (other.status_code, other.json()["error"]["code"]) == (422, "key_reused")


def test_jobs_are_steered(client, asked):
    job_id = client.post("/api/training/jobs", json=asked).json()["id"]

    states = [
        client.post(f"/api/training/jobs/{job_id}/{wish}").json()["progress"]["state"]
        for wish in ("pause", "resume", "cancel", "cancel", "retry")
    ]

    assert states == ["paused", "queued", "cancelled", "cancelled", "queued"]


@pytest.mark.parametrize(
    ("wrong", "status", "code"),
    [
        ({"recipe": {"model": "sample:nosuch"}}, 404, "model_not_found"),
        ({"recipe": {"model": "gguf:/etc/passwd"}}, 422, "gguf_error"),
        ({"recipe": {"rank": 8}}, 422, "invalid_request"),
        ({"recipe": {"model": "x", "rank": 100_000}}, 422, "invalid_request"),
        ({"recipe": {"model": "x", "data": "/etc/passwd"}}, 422, "invalid_request"),
        ({"recipe": {"model": "x", "trust_remote_code": True}}, 422, "invalid_request"),
        ({"recipe": {"model": "x", "modules_to_save": ["lm_head"]}}, 422, "only_lora"),
        ({"dataset_id": "nosuch"}, 404, "not_found"),
        ({"name": "a\u202eb"}, 422, "invalid_request"),
    ],
)
def test_sec_17_what_is_not_a_recipe_is_refused(client, asked, wrong: dict, status: int, code: str):
    response = client.post("/api/training/jobs", json={**asked, **wrong})

    assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    assert client.get("/api/training/jobs").json() == []


@pytest.mark.parametrize(
    ("wrong", "english", "japanese"),
    [
        ({"rank": 513}, "must be 512 or less", "512 以下にしてください"),
        ({"epochs": "x"}, "must be a whole number", "整数を入れてください"),
        ({"learning_rate": 0}, "must be more than 0", "0 より大きくしてください"),
        ({"max_length": 600}, "600 is more than the model's context of 512", "コンテキスト 512"),
        ({"schedule": "never"}, "must be 'cosine', 'linear' or 'constant'", "のどれかにしてください"),
    ],
)
def test_what_is_wrong_with_a_field_is_said_in_the_readers_language(client, asked, wrong, english, japanese):
    body = {"dataset_id": asked["dataset_id"], "recipe": {**asked["recipe"], **wrong}}
    for language, words in (("en", english), ("ja", japanese)):
        answer = client.post("/api/training/plan", json=body, headers={"accept-language": language})
        (field,) = answer.json()["error"]["fields"]

        assert field["field"] == f"recipe.{next(iter(wrong))}"
        assert words in field["problem"]


def test_a_failed_job_says_why_in_the_readers_language(client, here, asked):
    here.settings.home.datasets.joinpath(asked["dataset_id"], "v1", "rows").write_text('{"instruction": "no answer"}')
    job_id = client.post("/api/training/jobs", json=asked).json()["id"]

    run_to_end(here, job_id)

    problem = client.get(f"/api/training/jobs/{job_id}").json()["progress"]["error"]
    japanese = client.get(f"/api/training/jobs/{job_id}", headers={"accept-language": "ja"}).json()["progress"]["error"]
    assert problem["code"] == japanese["code"] == "invalid_rows"
    assert problem["message"] != japanese["message"]


def test_rel_10_a_job_without_memory_fails_with_the_knobs_to_turn(client, here, asked):
    here.settings = replace(here.settings, memory_limit_mb=300)
    job_id = client.post("/api/training/jobs", json=asked).json()["id"]

    run_to_end(here, job_id)

    problem = client.get(f"/api/training/jobs/{job_id}").json()["progress"]["error"]
    assert problem["code"] == "out_of_memory"
    assert "batch size" in problem["hint"]


def test_long_curves_keep_their_peaks():
    steps = [{"step": n, "loss": 100.0 if n == 5003 else float(n % 7)} for n in range(10_000)]

    thinned = thin(steps, 100)

    assert len(thinned) <= 100
    assert 100.0 in [step["loss"] for step in thinned]
    assert (thinned[0]["step"], thinned[-1]["step"]) == (0, 9999)
    assert [step["step"] for step in thinned] == sorted(step["step"] for step in thinned)


def test_seconds_go_on_where_another_attempt_begins_its_clock_anew():
    steps = [{"seconds": seconds, "tokens": 10} for seconds in (1.0, 2.5, 0.5, 1.0)]

    assert add_up(steps) == 2.5
    assert [(step["seconds"], step["tokens"]) for step in steps] == [(1.0, 10), (2.5, 20), (3.0, 30), (3.5, 40)]


def test_a_job_shows_its_rows_as_its_model_reads_them(client, here, asked):
    job_id = client.post("/api/training/jobs", json=asked).json()["id"]
    dataset = f"/api/datasets/{asked['dataset_id']}"
    client.put(f"{dataset}/file", content='{"instruction": "new", "output": "rows"}')

    page = client.get(f"/api/training/jobs/{job_id}/tokens", params={"offset": 3, "limit": 2}).json()

    assert page["total"] == 12  # the version that it was started with
    assert ["What is 3?" in "".join(row["pieces"]) for row in page["rows"]] == [True, False]
    assert all(True in row["trained"] and len(row["ids"]) <= 64 for row in page["rows"])
    client.post(f"/api/training/jobs/{job_id}/cancel")
    client.delete(dataset)
    assert client.get(f"/api/training/jobs/{job_id}/tokens").json()["error"]["code"] == "not_found"


def test_the_log_and_the_samples_are_shown(client, here, asked):
    job_id = client.post("/api/training/jobs", json=asked).json()["id"]
    assert client.get(f"/api/training/jobs/{job_id}/log").json() == {"text": "", "truncated": False}
    body = json.dumps({"event": "sampled", "step": 2, "seconds": 1.0, "prompt": "p", "answer": "a"})
    with here.database.writing() as connection:
        events.append(connection, job_id, [Line("sampled", 2, body)])

    assert client.get(f"/api/training/jobs/{job_id}/samples").json() == [{"step": 2, "prompt": "p", "answer": "a"}]


GO = "{{ range .Messages }}[{{ .Role }}] {{ .Content }}<|im_end|>\n{{ end }}[assistant] "


@pytest.fixture
def served(tmp_path: Path):
    """An API whose Ollama serves the model `m` with a template of its own."""
    store = OllamaStore(tmp_path / "store")
    store.add("registry.ollama.ai/library/m/latest", tiny_gguf(tmp_path / "m.gguf").read_bytes(), template=GO.encode())
    with (
        ollama_standin(store.root) as server,
        closing(context_at(tmp_path, ollama=server.address, stores=(store.root,))) as context,
        TestClient(app_of(context, datasets.router, jobs.router, records.router, rows.router)) as running,
    ):
        yield running, server, store, context


def test_a_plan_warns_where_ollama_writes_other_prompts_and_a_recipe_may_follow(served):
    client, server, *_ = served
    made = client.post("/api/datasets", json={"name": "r", "rows": [{"instruction": "q", "output": "a"}] * 9}).json()
    recipe = {"model": "ollama:m", "rank": 4, "steps": 20, "eval_split": 0, "max_length": 64}

    def plan(**values: object) -> dict:
        body = {"dataset_id": made["id"], "recipe": {**recipe, **values}}
        return client.post("/api/training/plan", json=body).json()

    told = plan()
    prompts = told["prompts"]
    assert told["warnings"] == []
    assert (prompts["verdict"], prompts["can_follow"]) == ("different", True)
    assert "Go" in prompts["text"]
    assert "-<|im_start|>user↵" in prompts["diff"]
    assert "+[user]␣What␣is␣a␣fox?<|im_end|>↵" in prompts["diff"]
    assert "template: ollama" in prompts["way"]
    assert plan(rank=2)["prompts"] == prompts
    followed = plan(template="ollama")
    assert (followed["prompts"]["verdict"], followed["prompts"]["can_follow"]) == ("same", False)
    assert followed["recipe"]["template"] == "ollama"
    assert "--template ollama" in followed["command"]
    assert sum(one.path == "/api/chat" for one in server.seen) == 6  # a model is not loaded at every change of a form


def test_tokens_are_shown_as_the_recipe_has_them_written(served):
    client, *_ = served
    made = client.post("/api/datasets", json={"name": "r", "rows": [{"instruction": "q", "output": "a"}]}).json()
    facts = {"model": "ollama:m", "template": "ollama"}

    (row,) = client.get(f"/api/datasets/{made['id']}/tokens", params=facts).json()["rows"]
    report = client.get(f"/api/datasets/{made['id']}/check", params=facts).json()

    assert "".join(row["pieces"]) == "[user] q<|im_end|>\n[assistant] a<|im_end|>"
    assert report["tokens"]["total"] == len(row["ids"])
    refused = client.get(f"/api/datasets/{made['id']}/tokens", params={**facts, "model": "sample:smollm2-135m"})
    assert refused.json()["error"]["code"] == "template_not_followed"


def test_a_job_shows_the_tokens_of_the_template_it_began_with(served, tmp_path: Path):
    client, _, store, context = served
    made = client.post("/api/datasets", json={"name": "r", "rows": [{"instruction": "q", "output": "a"}] * 2}).json()
    recipe = {"model": "ollama:m", "rank": 4, "steps": 1, "max_length": 64, "eval_split": 0, "template": "ollama"}
    job_id = client.post("/api/training/jobs", json={"name": "j", "dataset_id": made["id"], "recipe": recipe}).json()[
        "id"
    ]

    def shown() -> str:
        page = client.get(f"/api/training/jobs/{job_id}/tokens", params={"limit": 1}).json()
        return "".join(page["rows"][0]["pieces"])

    assert shown() == "[user] q<|im_end|>\n[assistant] a<|im_end|>"
    run_to_end(context, job_id)
    other = b"{{ .Prompt }}{{ .Response }}<|im_end|>"
    store.add("registry.ollama.ai/library/m/latest", (tmp_path / "m.gguf").read_bytes(), template=other)
    assert shown() == "[user] q<|im_end|>\n[assistant] a<|im_end|>"
