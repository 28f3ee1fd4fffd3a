"""Chat through Ollama: what is asked there, whose answer it is, and what happens when it goes away."""

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from llmlora.chat.dialogue import until
from llmlora.chat.engine import Sampling
from llmlora.chat.served import Made, Served, Wanted, find_served
from llmlora.data.conversation import Turn
from llmlora.errors import EngineUnavailable, OllamaCutOff, OllamaFailed, OllamaUnreachable
from llmlora.export.ollama import Wish, register
from llmlora.export.registered import still_registered
from llmlora.model.source import Base
from llmlora.ollama import client
from tests.blob_run import BlobRun, blob_run
from tests.ollama.standin.engines import Engine
from tests.ollama.standin.faults import PATIENCE, Answer, Cut, Hang
from tests.ollama.standin.server import StandIn, ollama_standin
from tests.tiny_hf import tiny_hf

GREEDY = Sampling(max_tokens=8, temperature=0)
HELLO = (Turn("system", "Be kind."), Turn("user", "Hello"))
NOBODY = "http://127.0.0.1:1"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> BlobRun:
    return blob_run(tmp_path_factory.mktemp("run"), learning_rate=0.1)


@pytest.fixture(scope="module")
def ollama(run: BlobRun) -> Iterator[StandIn]:
    """A server that has the base, and the run's adapter as `mine`."""
    with ollama_standin(run.store, "adapters") as server:
        register(run.out, run.base, Wish("mine"), server.address, run.out / "shop")
        yield server


@pytest.fixture(scope="module")
def made(ollama: StandIn, run: BlobRun) -> Made:
    done = still_registered(run.out)
    return Made(done.name, done.digest)


@pytest.fixture
def both(ollama: StandIn, run: BlobRun, made: Made) -> Served:
    return find_served(ollama.address, Wanted(run.base, made, ("tuned", "base")))


def test_ollama_gets_the_turns_and_the_options_and_writes_the_prompt(ollama: StandIn, both: Served):
    sampling = Sampling(max_tokens=8, temperature=0.5, top_p=0.8, seed=7, stop=("never",))

    said = "".join(both.answer(HELLO, sampling))

    asked = ollama.seen[-1]
    assert (asked.path, asked.json["model"], asked.json["think"]) == ("/api/chat", "mine:latest", False)
    assert asked.json["messages"] == [{"role": turn.role, "content": turn.content} for turn in HELLO]
    assert asked.json["options"] == {"temperature": 0.5, "top_p": 0.8, "seed": 7, "num_predict": 8}
    pieces = list(client.chat(ollama.address, "mine", asked.json["messages"], asked.json["options"]))
    assert said == "".join(piece.text for piece in pieces)
    assert both.tokens_of(said) == pieces[-1].tokens > 0


def test_both_sides_answer_and_each_says_what_it_is(both: Served):
    tuned, base = ("".join(both.answer(HELLO, GREEDY, adapted)) for adapted in (True, False))

    assert tuned != base
    assert both.engine_name(adapted=True) == "Ollama 0.33.0 (mine:latest)"
    assert both.engine_name(adapted=False) == "Ollama 0.33.0 (tiny:latest)"


def test_what_was_said_is_part_of_the_next_question(ollama: StandIn, both: Served):
    first = "".join(both.ask("one", GREEDY))
    list(both.ask("two", GREEDY))

    contents = [message["content"] for message in ollama.seen[-1].json["messages"]]
    assert contents == ["one", first, "two"]


def test_what_is_in_its_memory_is_known(ollama: StandIn, both: Served):
    list(both.answer(HELLO, GREEDY))
    list(both.answer(HELLO, GREEDY, adapted=False))
    assert both.loaded()

    client.unload(ollama.address, "tiny")
    assert not both.loaded()


def test_who_has_not_the_very_model_is_not_asked(ollama: StandIn, run: BlobRun, made: Made):
    other = replace(run.base, digest="sha256:" + "0" * 64)
    cases = {
        "not_registered": Wanted(run.base, None, ("tuned",)),
        "gone": Wanted(run.base, Made("nobody", made.digest), ("tuned",)),
        "replaced": Wanted(run.base, replace(made, digest="sha256:" + "0" * 64), ("tuned",)),
        "other_source": Wanted(replace(run.base, name="sample:tiny"), made, ("tuned", "base")),
        "other_bytes": Wanted(other, None, ("base",)),
        "unknown": Wanted(replace(run.base, name="ollama:nobody"), None, ("base",)),
    }
    for reason, wanted in cases.items():
        assert find_served(ollama.address, wanted) is None
        with pytest.raises(EngineUnavailable) as refused:
            find_served(ollama.address, wanted, "ollama")
        assert refused.value.reason.key == f"chat.unavailable.{reason}"


def test_where_nobody_answers_the_choice_decides(run: BlobRun):
    wanted = Wanted(run.base, None, ("base",))

    assert find_served(NOBODY, wanted) is None
    assert find_served(NOBODY, wanted, "llama.cpp") is None
    with pytest.raises(OllamaUnreachable):
        find_served(NOBODY, wanted, "ollama")


def test_llama_cpp_is_not_replaced_either(tmp_path: Path):
    directory = tiny_hf(tmp_path / "gpt2", "gpt2")
    base = Base(f"hf:{directory}", directory, "sha256:" + "0" * 64, None)

    with pytest.raises(EngineUnavailable, match="PyTorch"):
        find_served(NOBODY, Wanted(base, None, ("base",)), "llama.cpp")


def test_llama_cpp_that_was_chosen_is_taken_though_ollama_is_there(ollama: StandIn, run: BlobRun):
    asked = len(ollama.seen)

    assert find_served(ollama.address, Wanted(run.base, None, ("base",)), "llama.cpp") is None
    assert len(ollama.seen) == asked


def test_a_server_that_goes_away_in_the_middle_leaves_what_it_said(ollama: StandIn, both: Served):
    whole = "".join(both.answer(HELLO, GREEDY))
    ollama.faults.append(Cut(path="/api/chat", lines=3))
    both.turns, said = (), []

    with pytest.raises(OllamaCutOff, match="went away in the middle"):
        said.extend(both.ask("Hello", GREEDY))

    assert len(said) == 3
    assert both.turns == (Turn("user", "Hello"), Turn("assistant", "".join(said)))
    assert whole  # and the next question is answered
    assert "".join(both.answer(HELLO, GREEDY)) == whole


def lines(*messages: dict[str, str], done: bool = True) -> Answer:
    told = [{"message": {"role": "assistant", "content": "", **one}, "done": False} for one in messages]
    end = [{"message": {"role": "assistant", "content": ""}, "done": True, "eval_count": 9}] if done else []
    return Answer(path="/api/chat", body=b"".join(json.dumps(one).encode() + b"\n" for one in [*told, *end]))


def test_an_answer_that_does_not_end_is_no_whole_answer(ollama: StandIn, both: Served):
    ollama.faults.append(lines({"content": "Go"}, done=False))

    with pytest.raises(OllamaCutOff):
        list(both.answer(HELLO, GREEDY))


def test_a_refusal_in_the_middle_of_an_answer_is_one(ollama: StandIn, both: Served):
    ollama.faults.append(Answer(path="/api/chat", body=b'{"message":{"content":"Go"}}\n{"error":"out of memory"}\n'))

    with pytest.raises(OllamaFailed, match="out of memory"):
        list(both.answer(HELLO, GREEDY))


def test_what_a_model_thinks_unasked_stands_before_its_answer(ollama: StandIn, both: Served):
    ollama.faults.append(lines({"thinking": "Hm"}, {"thinking": "m."}, {"content": "Yes"}, {"content": "."}))
    thought = "".join(both.answer(HELLO, GREEDY))
    ollama.faults.append(lines({"content": "Yes"}))

    assert thought == "<think>\nHmm.\n</think>\n\nYes."
    assert "".join(both.answer(HELLO, GREEDY)) == "Yes"


def test_who_stops_listening_ends_the_writing(ollama: StandIn, both: Served, monkeypatch: pytest.MonkeyPatch):
    ended, completion = threading.Event(), Engine.completion

    def watched(self, body):
        try:
            yield from completion(self, body)
        except GeneratorExit:
            ended.set()
            raise

    monkeypatch.setattr(Engine, "completion", watched)
    ollama.faults.append(hang := Hang(path="/api/chat", lines=1))
    with closing(both.answer(HELLO, GREEDY)) as pieces:
        assert next(pieces)
        assert not ended.is_set()
    hang.released.set()

    assert ended.wait(PATIENCE)


def test_another_adapter_in_the_same_place_is_not_what_was_registered(ollama: StandIn, run: BlobRun, tmp_path: Path):
    out = shutil.copytree(run.out, tmp_path / "out")
    assert still_registered(out)

    weights = out / "final_model" / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\1")
    assert still_registered(out) is None


@pytest.mark.parametrize(
    ("stop", "said"),
    [
        ((), "one two three"),
        (("four",), "one two three"),
        (("two",), "one "),
        (("two t", "two th"), "one "),
        (("three!",), "one two three"),
        (("o",), ""),
        (("e t", "e"), "on"),
    ],
)
def test_a_stop_word_ends_an_answer_however_it_is_cut(stop: tuple[str, ...], said: str):
    text = "one two three"
    for size in range(1, len(text) + 1):
        pieces = (text[at : at + size] for at in range(0, len(text), size))
        assert "".join(until(pieces, stop)) == said


def test_only_what_may_become_a_stop_word_is_held_back():
    pieces = until((piece for piece in ("wait ", "st", "art")), ("stop",))

    assert [next(pieces), next(pieces)] == ["wait ", "start"]
