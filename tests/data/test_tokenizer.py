"""Our tokenizers cut text exactly as llama.cpp does, whose opinion is asked in a process of its own."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

import gguf
from llmlora.data.tokenizer import Tokenizer, load_tokenizer
from llmlora.errors import GgufError, NotTrainable
from llmlora.gguf.reader import GgufFile
from tests.data.engine import engine_tokens, model_with
from tests.tiny import tiny_gguf

FIXED = [
    "Hello, world! I'll say it's DON'T we've.",
    "こんにちは、世界。日本語のテキスト：カタカナ、ひらがな、漢字、ｶﾀｶﾅ、ＡＢＣ１２３。",
    "👨‍👩‍👧‍👦 family 🇯🇵 🏳️‍🌈 ✨ e\u0301 é ﬁ ﷺ",
    "def f(x):\n\treturn x ** 2  # comment\n\n\n    indented\r\nCRLF\r",
    "1234567890 3.14159 1e-10 0xFF ½ Ⅷ ² ٣",
    "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n",
    "<start_of_turn>user\nhi<end_of_turn>\n<start_of_turn>model\n",
    "x<eos></s><|endoftext|><unk>[multimodal]<h1>",
    "\u200b\u200d\ufeff\u3000全角\u3000 a\u00a0b\u2028c\x85\x00\x7f",
    "नमस्ते สวัสดี مرحبا שלום",
    *(" " * n + "x" for n in (1, 2, 3, 15, 16, 31, 32, 33, 64, 100)),
    *("\n" * n + "x\t" for n in (1, 2, 3, 31, 32, 40)),
    *(letter * n for letter in "a=。ー！" for n in (2, 7, 33, 80)),
]
BORDERS = ((0x20, 0x7F), (0x3040, 0x3100), (0x4E00, 0x9FFF), (0xFF00, 0xFFEF), (0x1F300, 0x1F700), (0xA0, 0x2000))
POOLS = [
    *([chr(code) for code in range(*border)] for border in BORDERS),
    list(" \n\t\r"),
    list("0123456789"),
    ["<|im_end|>", "<end_of_turn>", "</s>", " the", "ing", "です", "ました"],
]


def corpus(count: int) -> list[str]:
    """Texts of all kinds, and random ones from a few kinds of characters each."""
    chance = random.Random(7)
    mixed = [chance.sample(POOLS, chance.randint(1, 4)) for _ in range(count)]
    return FIXED + [
        "".join(chance.choice(chance.choice(pools)) for _ in range(chance.randint(1, 50))) for pools in mixed
    ]


def differences(model: Path, texts: list[str], tokenizer: Tokenizer | None = None) -> list[str]:
    if tokenizer is None:
        with GgufFile(model) as file:
            tokenizer = load_tokenizer(file)
    theirs = engine_tokens(model, texts)
    return [text for text, ids in zip(texts, theirs, strict=True) if tokenizer.encode(text) != ids]


@pytest.mark.parametrize("name", ["smollm2", "gemma3"])
def test_the_samples_are_tokenised_as_llama_cpp_does(name, request):
    path, tokenizer = request.getfixturevalue(f"{name}_path"), request.getfixturevalue(name)

    assert differences(path, corpus(600), tokenizer) == []


def test_a_byte_that_is_no_token_parts_its_neighbours_as_in_llama_cpp(smollm2, smollm2_path):
    texts = [" \x04!", "a\x06b \x1d1", "\u2f88\U000524b1", "\u181e\U0008b9bc"]

    assert chr(0x104) not in smollm2.vocabulary.tokens  # the byte 0x04
    assert differences(smollm2_path, texts, smollm2) == []


@pytest.mark.parametrize(
    "rule", ["gpt-2", "smollm", "llama-bpe", "dbrx", "qwen2", "tekken", "gpt-4o", "glm4", "default"]
)
def test_every_rule_for_words_is_llama_cpps(rule, smollm2, tmp_path):
    known = smollm2.vocabulary
    more = {"merges": known.merges, "bos_token_id": 3, "eos_token_id": 2, "pre": rule}
    # a word no merges lead to, which some rules keep whole
    tokens = [*known.tokens, "ĠZzyzxville"]

    model = model_with(tmp_path / "m", "gpt2", tokens, [*known.types, 1], **more)

    assert differences(model, ["to Zzyzxville", *corpus(250)]) == []


@pytest.mark.parametrize("prefix", [True, False, None])
def test_sentence_piece_with_and_without_its_leading_space_is_llama_cpps(prefix, gemma3, tmp_path):
    known = gemma3.vocabulary
    rows = list(zip(known.tokens, known.types, known.scores.tolist(), strict=True))
    rows = [row for place, row in enumerate(rows) if place < 20_000 or len(row[0]) == 1 or row[1] != 1]
    tokens, types, scores = map(list, zip(*rows, strict=True))
    more = {"scores": scores, "bos_token_id": 2, "eos_token_id": 1}
    more |= {} if prefix is None else {"add_space_prefix": prefix}

    model = model_with(tmp_path / "m", "llama", tokens, types, **more)

    assert differences(model, corpus(250)) == []


@pytest.mark.parametrize("name", ["smollm2", "gemma3"])
def test_pieces_put_together_are_the_text(name, request):
    tokenizer = request.getfixturevalue(name)

    for text in corpus(200):
        ids = tokenizer.encode(text, add_bos=False)
        assert "".join(tokenizer.pieces(ids)) == text


def test_a_character_of_several_tokens_shows_at_its_last(smollm2):
    ids = smollm2.encode("🇯")

    assert len(ids) > 1
    assert smollm2.pieces(ids) == [*[""] * (len(ids) - 1), "🇯"]


def test_tokens_know_the_characters_they_came_from(gemma3):
    text = "東京 <end_of_turn>  x"

    encoded = gemma3.encode_spans(text)

    assert encoded.ids[0] == gemma3.bos_id
    assert encoded.spans[0] == (0, 0)
    assert [text[slice(*span)] for span in encoded.spans[1:]] == gemma3.pieces(encoded.ids[1:])


def test_bos_comes_once_and_only_where_the_file_wants_it(smollm2, gemma3):
    assert gemma3.encode("<bos>hi") == gemma3.encode("hi")
    assert gemma3.encode("hi", add_bos=False) == gemma3.encode("hi")[1:]
    assert smollm2.bos_id is not None
    assert smollm2.encode("hi")[0] != smollm2.bos_id


def test_decoding_leaves_markers_out(smollm2):
    assert smollm2.decode(smollm2.encode("<|im_start|>user\nはい  x<|im_end|>")) == "user\nはい  x"


def test_turns_end_where_llama_cpp_ends_them(smollm2, gemma3):
    assert {smollm2.backend.id_to_token(number) for number in smollm2.eot_ids} == {"<|im_end|>", "<|endoftext|>"}
    assert gemma3.backend.token_to_id("<end_of_turn>") in gemma3.eot_ids
    assert gemma3.eos_id in gemma3.eot_ids


@pytest.mark.parametrize("name", ["smollm2", "gemma3"])
def test_transformers_loads_what_is_saved_and_cuts_the_same(name, request, tmp_path):
    from transformers import AutoTokenizer

    tokenizer = request.getfixturevalue(name)
    tokenizer.save(tmp_path)

    loaded = AutoTokenizer.from_pretrained(tmp_path)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["tokenizer.json", "tokenizer_config.json"]
    assert all(loaded(text)["input_ids"] == tokenizer.encode(text) for text in FIXED)
    assert (loaded.bos_token_id, loaded.eos_token_id) == (tokenizer.bos_id, tokenizer.eos_id)


@pytest.mark.parametrize(
    ("kind", "more", "error", "words"),
    [
        ("bert", {}, NotTrainable, "bert"),
        ("gpt2", {"pre": "chameleon", "merges": ["a b"]}, NotTrainable, "chameleon"),
        ("gpt2", {"pre": "gpt-2", "merges": ["a nowhere"]}, GgufError, "tokens it does not have"),
        ("gpt2", {"pre": "gpt-2", "merges": 3}, GgufError, "merges is not an array"),
        ("gpt2", {"pre": ["gpt-2"], "merges": ["a b"]}, NotTrainable, "gpt-2"),
        ("llama", {"scores": [0.0, 0.0]}, GgufError, "scores is not an array"),
        ("llama", {"scores": 3}, GgufError, "scores is not an array"),
        ("llama", {}, GgufError, "single bytes"),
    ],
)
def test_a_vocabulary_that_would_be_guessed_at_is_refused(kind, more, error, words, tmp_path):
    model = model_with(tmp_path / "m", kind, ["a", "b", "ab"], [1, 1, 1], **more)

    with GgufFile(model) as file, pytest.raises(error, match=words):
        load_tokenizer(file)


@pytest.mark.parametrize(("tokens", "words"), [(["a", "a"], "twice"), (["a" * 300, "b"], "256 characters")])
def test_a_hostile_list_of_tokens_is_refused(tokens, words, tmp_path):
    model = model_with(tmp_path / "m", "llama", tokens, [1, 1])

    with GgufFile(model) as file, pytest.raises(GgufError, match=words):
        load_tokenizer(file)


def test_special_tokens_beyond_the_vocabulary_do_not_count(tmp_path):
    model = model_with(tmp_path / "m", "gpt2", ["a"], [1], pre="gpt-2", merges=[], bos_token_id=7, add_bos_token=True)

    with GgufFile(model) as file:
        tokenizer = load_tokenizer(file)

    assert tokenizer.bos_id is None
    assert tokenizer.encode("a") == [0]


def test_a_tiny_model_of_bytes_works(tmp_path):
    with GgufFile(tiny_gguf(tmp_path / "m", kind=gguf.GGMLQuantizationType.F32)) as file:
        tokenizer = load_tokenizer(file)

    assert tokenizer.decode(tokenizer.encode("あ  x")) == "あ  x"
    assert tokenizer.vocabulary_size == 260


def test_reading_data_loads_neither_torch_nor_transformers(smollm2_path):
    code = (
        "import sys; from pathlib import Path; from llmlora.gguf.reader import GgufFile;"
        "import llmlora.data.check, llmlora.data.packing, llmlora.data.template;"
        "from llmlora.data.tokenizer import Tokenizer, load_tokenizer; load_tokenizer(GgufFile(Path(sys.argv[1])));"
        "sys.exit(any(name in sys.modules for name in ('torch', 'transformers', 'click', 'rich')))"
    )

    assert subprocess.run([sys.executable, "-c", code, smollm2_path], check=False).returncode == 0
