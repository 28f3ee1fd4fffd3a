"""PyTorch in its child process, for Hugging Face directories: it says what the trained model says."""

import shutil
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file

from llmlora.chat.engine import Engine, Sampling
from llmlora.chat.serving import Cancelled, Refused
from llmlora.chat.session import Session
from llmlora.chat.torch_worker import Worker, draw
from llmlora.data.hf_text import read_hf_tokenizer
from llmlora.errors import EngineFailed
from llmlora.model.device import DTYPES, probe_machine
from llmlora.model.hf import HfDirectory
from llmlora.model.hf_load import load_hf
from llmlora.model.lora import add_lora, load_adapter_state
from llmlora.model.opened import open_base
from llmlora.model.source import resolve
from llmlora.paths import Home
from llmlora.recipe import make_recipe
from llmlora.train.evaluate import greedy_answer
from tests.tiny_hf import edit_json, random_adapter, tiny_hf

PROMPT = list(range(40, 100))
GREEDY = Sampling(max_tokens=24, temperature=0)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_hf(tmp_path_factory.mktemp("base") / "gpt2", "gpt2", template=None)


@pytest.fixture(scope="module")
def adapter(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_adapter(base, tmp_path_factory.mktemp("adapter") / "out")


@pytest.fixture(scope="module")
def session(base: Path, adapter: Path):
    with Session(base, adapter) as running:
        yield running


@pytest.fixture
def engine(session: Session) -> Engine:
    return session.engine


def test_it_says_what_the_model_says_with_the_adapter_and_without(engine: Engine, base: Path, adapter: Path):
    tokenizer, directory = read_hf_tokenizer(base), HfDirectory.open(base)
    model = load_hf(directory, DTYPES[probe_machine().dtype])
    ends, length = tokenizer.eot_ids, GREEDY.max_tokens
    plainly = tokenizer.decode(greedy_answer(model, PROMPT, ends, length))
    tuned = PeftModel.from_pretrained(model, adapter).get_base_model()

    assert engine.name == "PyTorch"
    assert engine.complete(PROMPT, GREEDY, adapted=False) == plainly
    assert engine.complete(PROMPT, GREEDY) == tokenizer.decode(greedy_answer(tuned, PROMPT, ends, length)) != plainly


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_dora_is_computed_as_it_was_trained(kind: str, tmp_path: Path):
    base = tiny_hf(tmp_path / kind, kind)
    adapter = random_adapter(base, tmp_path / "out", dora=True)
    worker, replies = Worker({"model": str(base), "adapter": str(adapter), "threads": 1}, Cancelled()), list[dict]()
    layers = list(open_base(resolve(f"hf:{base}", Home(tmp_path), ())).linears)
    recipe = make_recipe({"model": "x", "data": "y", "rank": 4, "dora": True})
    tuned = add_lora(load_hf(HfDirectory.open(base), worker.model.dtype), recipe, layers)
    load_adapter_state(tuned, load_file(adapter / "adapter_model.safetensors"))

    ask = {"prompt": PROMPT, "n_predict": 12, "temperature": 0, "top_p": 1.0, "seed": 0}
    worker.answer({"id": 1, "complete": ask, "adapted": True}, replies.append)

    expected = greedy_answer(tuned.get_base_model(), PROMPT, worker.tokenizer.eot_ids, 12)
    assert "".join(reply.get("text", "") for reply in replies) == worker.tokenizer.decode(expected)


def test_the_pieces_of_a_stream_are_the_whole_answer(engine: Engine):
    pieces = list(engine.stream(PROMPT, GREEDY))

    assert len(pieces) > 1
    assert "".join(pieces) == engine.complete(PROMPT, GREEDY)


def test_the_same_seed_gives_the_same_answer_and_another_another(engine: Engine):
    def answer(seed: int) -> str:
        return engine.complete(PROMPT, Sampling(max_tokens=24, temperature=1.0, seed=seed))

    assert answer(3) == answer(3)
    assert len({answer(seed) for seed in (3, 4, 5)}) > 1


def test_an_abandoned_answer_ends_and_does_not_leak_into_the_next(engine: Engine):
    wanted = engine.complete(PROMPT, GREEDY)
    stream = engine.stream(PROMPT, Sampling(max_tokens=400, temperature=1.0))
    next(stream)
    stream.close()

    assert engine.complete(PROMPT, GREEDY) == wanted


def test_a_prompt_beyond_the_context_is_refused_in_words(engine: Engine):
    with pytest.raises(EngineFailed, match="600 tokens; its context holds 512"):
        engine.complete([1] * 600, GREEDY)


def test_a_conversation_goes_by_the_familys_template(session: Session):
    session.reset()
    answer = "".join(session.ask("Hi", GREEDY))

    assert session.engine.options.context == 512
    assert session.template.name == "dialogpt"
    assert [turn.content for turn in session.turns] == ["Hi", answer]


def test_an_adapter_of_another_model_is_refused_in_words(base: Path, adapter: Path, tmp_path: Path):
    shallow = shutil.copytree(base, tmp_path / "shallow")
    edit_json(shallow / "config.json", n_layer=1)

    with pytest.raises(Refused, match=r"there is no transformer\.h\.1"):
        Worker({"model": str(shallow), "adapter": str(adapter)}, Cancelled())


def test_a_broken_base_is_refused_in_words(base: Path, tmp_path: Path):
    broken = shutil.copytree(base, tmp_path / "broken")
    edit_json(broken / "config.json", n_embd=128)

    with pytest.raises(Refused, match="cannot be used"):
        Worker({"model": str(broken), "adapter": None}, Cancelled())


def test_drawing_follows_the_chances():
    logits, random = torch.tensor([2.0, 5.0, 4.0, -9.0]), torch.Generator().manual_seed(0)

    assert draw(logits, 0, 1.0, random) == 1
    assert {draw(logits, 1.0, 0.5, random) for _ in range(50)} == {1}
    assert {draw(logits, 1.0, 0.9, random) for _ in range(200)} == {1, 2}
    shares = torch.bincount(torch.tensor([draw(logits, 2.0, 1.0, random) for _ in range(4000)]), minlength=4) / 4000
    torch.testing.assert_close(shares, torch.softmax(logits / 2, 0), rtol=0, atol=0.03)
