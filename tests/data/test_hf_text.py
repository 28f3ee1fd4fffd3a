"""Tokenizers and chat templates of Hugging Face directories, held against Transformers' own reading of them."""

import json
from pathlib import Path

import pytest
from tokenizers import processors
from transformers import AutoTokenizer, GPT2Tokenizer

from llmlora.data.base_text import template_and_tokenizer
from llmlora.data.conversation import Conversation, Turn
from llmlora.data.examples import make_example
from llmlora.data.hf_text import read_hf_template, read_hf_tokenizer
from llmlora.data.render import Renderer
from llmlora.errors import HfError
from tests.tiny import CHATML, byte_tokens
from tests.tiny_hf import byte_tokenizer, edit_json

TEXTS = ["Hello  world", " 東京は日本の首都です。🇯🇵", "<|im_start|>user\nhi<|im_end|>\n", "", "a\r\n\tb  <|endoftext|>"]
TALK = Conversation(1, (Turn("user", "Hi"), Turn("assistant", "Yes."), Turn("user", "Bye"), Turn("assistant", "No.")))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """No weights: text needs none."""
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama", "vocab_size": 260, "eos_token_id": 259}))
    (tmp_path / "tokenizer.json").write_text(byte_tokenizer().to_str(), "utf-8")
    settings = {"bos_token": "<|endoftext|>", "tokenizer_class": "PreTrainedTokenizerFast"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings), "utf-8")
    return tmp_path


def with_bos(directory: Path) -> Path:
    tokenizer = byte_tokenizer()
    tokenizer.post_processor = processors.Sequence(
        [
            processors.ByteLevel(trim_offsets=True),
            processors.TemplateProcessing(single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", 257)]),
        ]
    )
    tokenizer.enable_truncation(3)
    tokenizer.enable_padding(length=9)
    (directory / "tokenizer.json").write_text(tokenizer.to_str(), "utf-8")
    return directory


def test_the_same_text_gives_the_tokens_that_transformers_makes_of_it(directory: Path):
    ours, theirs = read_hf_tokenizer(directory), AutoTokenizer.from_pretrained(directory)

    assert [ours.encode(text) for text in TEXTS] == [theirs(text)["input_ids"] for text in TEXTS]
    assert not ours.add_bos


def test_a_post_processor_tells_of_bos_and_moves_no_border(directory: Path):
    """Nor does it cut or fill up rows; that is ours to do."""
    plain, ours = read_hf_tokenizer(directory), read_hf_tokenizer(with_bos(directory))

    assert ours.add_bos
    assert [ours.encode(text) for text in TEXTS] == [[257, *plain.encode(text)] for text in TEXTS]
    assert ours.encode_spans("a  b").spans == [(0, 0), (0, 1), (1, 2), (2, 3), (3, 4)]


def test_what_is_saved_is_read_by_transformers_as_the_same(directory: Path, tmp_path: Path):
    saved = tmp_path / "saved"
    saved.mkdir()
    ours = read_hf_tokenizer(with_bos(directory))

    ours.save(saved)

    theirs = AutoTokenizer.from_pretrained(saved)
    assert [theirs(text)["input_ids"] for text in TEXTS] == [ours.encode(text) for text in TEXTS]
    assert (theirs.bos_token_id, theirs.eos_token_id) == (257, 259)


def test_roles_are_those_of_the_tokenizer_or_else_of_the_model(directory: Path):
    tokenizer = read_hf_tokenizer(directory)

    assert tokenizer.special == {"bos_token": "<|endoftext|>", "eos_token": "<|im_end|>"}
    edit_json(directory / "tokenizer_config.json", eos_token={"content": "<|im_start|>"})
    assert read_hf_tokenizer(directory).eos_id == 258


def test_gpt_2_is_read_from_vocab_and_merges(directory: Path):
    tokens = [*byte_tokens(), "ĠĠ", "<|endoftext|>"]
    (directory / "tokenizer.json").unlink()
    (directory / "config.json").write_text(json.dumps({"model_type": "gpt2", "vocab_size": 258, "eos_token_id": 257}))
    (directory / "vocab.json").write_text(json.dumps({token: number for number, token in enumerate(tokens)}), "utf-8")
    (directory / "merges.txt").write_text("#version: 0.2\nĠ Ġ\n", "utf-8")

    ours, theirs = read_hf_tokenizer(directory), GPT2Tokenizer.from_pretrained(directory)

    texts = ["Hello   world's 12", "<|endoftext|>x", "東京"]
    assert [ours.encode(text) for text in texts] == [theirs(text)["input_ids"] for text in texts]
    assert [ours.decode(ours.encode(text)) for text in texts] == ["Hello   world's 12", "x", "東京"]
    assert ours.eos_id == 257


def test_a_token_the_model_has_no_row_for_is_text(directory: Path):
    """As Gemma 3's for images."""
    tokenizer = byte_tokenizer()
    tokenizer.add_special_tokens(["<image>"])
    (directory / "tokenizer.json").write_text(tokenizer.to_str(), "utf-8")

    assert max(read_hf_tokenizer(directory).encode("<image>")) < 260


def test_a_template_is_the_models_own_wherever_it_lies(directory: Path):
    edit_json(directory / "tokenizer_config.json", chat_template=[{"name": "default", "template": "A{{ bos_token }}"}])
    listed = read_hf_template(directory)
    edit_json(directory / "tokenizer_config.json", chat_template="B")
    single = read_hf_template(directory)
    (directory / "chat_template.jinja").write_text(CHATML, "utf-8")
    beside = read_hf_template(directory)

    assert [one.source for one in (listed, single, beside)] == ["A{{ bos_token }}", "B", CHATML]
    assert {one.origin for one in (listed, single, beside)} == {"model"}
    assert (listed.bos, listed.eos) == ("<|endoftext|>", "<|im_end|>")


@pytest.mark.parametrize(
    ("kind", "family"), [("gpt2", "dialogpt"), ("gpt_neox", "dialogpt"), ("llama", "chatml"), ("gemma3_text", "gemma")]
)
def test_a_model_without_one_gets_its_familys(directory: Path, kind: str, family: str):
    edit_json(directory / "config.json", model_type=kind)

    template = read_hf_template(directory)

    assert (template.origin, template.name) == ("family", family)


def test_dialogpts_turns_end_in_eos_and_its_answers_with_theirs_are_learned(directory: Path):
    edit_json(directory / "config.json", model_type="gpt2")
    template, tokenizer = template_and_tokenizer(directory)

    with Renderer(template) as renderer:
        example = make_example(TALK, tokenizer, renderer, 100)
        asked = renderer.prompt(TALK.turns[:3])

    end = "<|im_end|>"
    assert "".join(tokenizer.pieces(example.ids.tolist())) == f"Hi{end}Yes.{end}Bye{end}No.{end}"
    assert "".join(tokenizer.pieces(example.ids[example.trained].tolist())) == f"Yes.{end}No.{end}"
    assert asked == f"Hi{end}Yes.{end}Bye{end}"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("tokenizer.json", b"{", "tokenizer.json cannot be used"),
        ("tokenizer.json", b'{"model": 1}', "tokenizer.json cannot be used"),
        ("tokenizer_config.json", b"[]", "tokenizer_config.json cannot be used"),
        ("tokenizer_config.json", b"[" * 200_000, "tokenizer_config.json cannot be used"),
        ("config.json", b"\xff", "config.json cannot be used"),
        ("tokenizer.json", None, "no tokenizer.json"),
    ],
)
def test_a_damaged_file_is_named(directory: Path, name: str, content: bytes | None, words: str):
    (directory / name).unlink()
    if content is not None:
        (directory / name).write_bytes(content)

    with pytest.raises(HfError) as caught:
        read_hf_tokenizer(directory)

    assert words in str(caught.value)
    assert len(str(caught.value)) < 500


def test_a_file_larger_than_any_is_not_read(directory: Path):
    with (directory / "tokenizer.json").open("wb") as file:
        file.truncate(64 * 2**20 + 1)

    with pytest.raises(HfError, match="larger than 64 MB"):
        read_hf_tokenizer(directory)
