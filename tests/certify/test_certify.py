"""The certificate: it holds where what was trained is what answers, and says so loudly where it is not."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from llmlora.certify import compare
from llmlora.certify.certificate import Certificate, judged, last_certificate, need_passed
from llmlora.certify.page import keep, page_of
from llmlora.certify.proof import certify
from llmlora.errors import CertificateFailed
from llmlora.export.ollama import Wish, register
from llmlora.ollama import client
from tests.blob_run import NAME, BlobRun, blob_run
from tests.ollama.standin.faults import Leave
from tests.ollama.standin.generations import GENERATIONS
from tests.ollama.standin.server import StandIn, ollama_standin


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> BlobRun:
    return blob_run(tmp_path_factory.mktemp("gemma3"), "gemma3")


@pytest.fixture
def run(trained: BlobRun, tmp_path: Path) -> BlobRun:
    return trained.copy(tmp_path)


@pytest.fixture
def server(run: BlobRun) -> Iterator[StandIn]:
    with ollama_standin(run.store, "adapters") as running:
        yield running


def registered(run: BlobRun, server: StandIn) -> None:
    register(run.out, run.base, Wish("mine"), server.address, run.out.parent)


def certified(run: BlobRun, server: StandIn | None = None) -> Certificate:
    return certify(run.out, run.base, run.out.parent, server.address if server else None)


def verdicts(certificate: Certificate) -> dict[str, str]:
    return {line.what: line.verdict for line in certificate.lines}


HERE = {
    **dict.fromkeys(
        ("weights_base", "weights_tuned", "weights_merged", "engine", "engine_merged", "kept", "error"), "ok"
    ),
    **dict.fromkeys(("effect", "engine_noise", "engine_merged_noise", "merged_apart"), "reported"),
}


@pytest.mark.parametrize("generation", GENERATIONS)
def test_what_each_generation_serves_is_what_was_trained(generation: str, run: BlobRun):
    with ollama_standin(run.store, generation) as server:
        registered(run, server)
        certificate = certified(run, server)

    told = verdicts(certificate)
    assert certificate.passed
    assert {what: told[what] for what in HERE} == HERE
    if GENERATIONS[generation].logprobs:
        assert (told["served"], told["served_noise"], told["nearer"]) == ("ok", "reported", "ok")
    else:
        (line,) = [line for line in certificate.lines if line.what == "served"]
        assert (line.verdict, str(line.reason)) == ("skipped", "this Ollama tells no probabilities (0.12.11 does)")
    assert certificate.tokens > 60 and str(certificate.origin) == "held out from training"
    assert [answer.served for answer in certificate.answers] != [answer.base for answer in certificate.answers]


def test_a_model_that_is_not_what_was_trained_breaks_the_certificate(run: BlobRun, server: StandIn):
    registered(run, server)
    client.copy(server.address, NAME, "mine")

    certificate = certified(run, server)
    path = keep(certificate, run.out, "en")

    assert "nearer" in [line.what for line in certificate.broken]
    with pytest.raises(CertificateFailed, match="nearer to the tuned model"):
        need_passed(certificate, path)
    assert last_certificate(run.out) == certificate
    assert '"passed": false' in path.read_text()


def test_a_model_that_does_not_answer_is_broken_and_a_server_that_is_gone_is_not(run: BlobRun, server: StandIn):
    registered(run, server)
    client.delete(server.address, "mine")
    gone = certified(run, server)
    server.faults.append(Leave(path="/api/chat"))
    away = certified(run, server)

    assert [(line.what, line.verdict) for line in gone.lines[:1]] == [("served", "broken")]
    assert [(line.what, line.verdict) for line in away.lines[:1]] == [("served", "skipped")]
    assert "not found" in str(gone.lines[0].reason) and server.address in str(away.lines[0].reason)
    assert away.passed


def test_prompts_that_differ_break_it_and_both_are_shown(run: BlobRun, server: StandIn):
    registered(run, server)
    for _ in client.create(server.address, {"model": "mine", "from": "mine", "template": "Q: {{ .Prompt }}\nA: "}):
        pass

    certificate = certified(run, server)
    page = page_of(certificate, "en")

    assert verdicts(certificate)["prompt"] == "broken"
    assert certificate.prompts and certificate.prompts[1].startswith("Q: What is")
    assert "Q: What is" in page and "&lt;|im_start|&gt;user" in page


def test_rows_that_have_changed_are_not_called_held_out(run: BlobRun, trained: BlobRun):
    rows = trained.out.parent / "rows.jsonl"
    before = rows.read_bytes()
    rows.write_bytes(before.replace(b"plus", b"minus"))
    try:
        certificate = certified(run)
    finally:
        rows.write_bytes(before)

    assert str(certificate.origin).startswith("built-in rows")
    assert certificate.passed and certificate.rows == 3


def test_without_room_for_a_float_copy_nothing_is_judged_by_it(run: BlobRun, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(compare, "SHARE", 0.0)

    certificate = certified(run)

    told = verdicts(certificate)
    assert (told["weights_base"], told["weights_tuned"], told["engine"]) == ("skipped", "skipped", "reported")
    assert certificate.passed
    assert "a copy in 32-bit numbers takes" in str(certificate.lines[1].reason)


def test_dora_is_proved_by_its_merged_file(tmp_path: Path):
    run = blob_run(tmp_path, dora=True)

    certificate = certified(run)

    assert certificate.passed
    assert {"weights_merged", "engine_merged", "kept"} <= verdicts(certificate).keys()
    assert not {"engine", "weights_tuned"} & verdicts(certificate).keys()
    assert all(answer.tuned for answer in certificate.answers)


@pytest.mark.parametrize(
    ("measure", "measured", "limit", "verdict"),
    [
        ("mean", 0.2, 0.2, "ok"),
        ("most", 0.21, 0.2, "broken"),
        ("mean", float("nan"), 0.2, "broken"),
        ("least", 0.95, 0.95, "ok"),
        ("least", 0.94, 0.95, "broken"),
        ("least", float("nan"), 0.95, "broken"),
        ("same", 0.0, 1.0, "broken"),
        ("mean", 9.0, None, "reported"),
    ],
)
def test_limits_are_kept_or_broken(measure, measured, limit, verdict):
    assert judged("served", measure, measured, limit).verdict == verdict


def test_without_ollama_the_rest_is_proved_and_its_page_stands_alone_and_believes_nothing(run: BlobRun):
    certificate = certified(run)
    assert verdicts(certificate) == HERE
    evil = "<script>alert(1)</script><img src=http://evil.example>"
    answer = certificate.answers[0].model_copy(update={"question": evil, "base": evil, "served": evil})

    evil_one = certificate.model_copy(update={"base": evil, "answers": [answer]})
    for language in ("en", "ja"):
        page = page_of(evil_one, language)
        assert f'<html lang="{language}">' in page and "prefers-color-scheme: dark" in page
        assert "<script" not in page and "<img" not in page
        assert page.count("&lt;script&gt;") >= 4
        assert ("証明書" in page) == (language == "ja")
