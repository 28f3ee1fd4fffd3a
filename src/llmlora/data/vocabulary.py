"""The vocabulary in a GGUF file, and a `tokenizers` backend that cuts text into it as llama.cpp does.

    gpt2    byte-level BPE: patterns cut the text into words, the file's merges build tokens inside each
    llama   SentencePiece: no words; of all neighbours that make a token, those with the best score join first

Transformers converts both kinds as well, but not to the letter: it takes word patterns it does not know for GPT-2's,
loses Gemma's tokens of several spaces, and ignores that Llama 3 keeps known words whole. What counts is what the
engine feeds the model, so the source is llama.cpp's src/llama-vocab.cpp; the tests compare the two.
"""

import re
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import BPE

from llmlora.errors import GgufError, NotTrainable
from llmlora.gguf.reader import GgufFile
from llmlora.text.catalogue import Words

PREFIX = "tokenizer.ggml."
UNKNOWN, CONTROL, USER_DEFINED = 2, 3, 4  # token types: found whole wherever they stand in a text
ROLES = {"bos_token": "bos", "eos_token": "eos", "unk_token": "unknown", "pad_token": "padding"}
# tokens that end a turn whatever the file says, as llama.cpp has them
ENDS_OF_TURN = (
    *("<|eot_id|>", "<|eom_id|>", "<|im_end|>", "<|end|>", "<|end_of_text|>", "<|endoftext|>"),
    *("<end_of_turn>", "</s>", "<eos>", "<EOT>"),
)
MAX_PIECE = 256  # characters of a SentencePiece token; Gemma's longest has 31
SPACE = "▁"

_CONTRACTIONS = "'(?:[sS]|[tT]|[rR][eE]|[vV][eE]|[mM]|[lL][lL]|[dD])"
_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)"
_REST = r"\s*[\r\n]+|\s+(?!\S)|\s+"
_LATER = _CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|%s| ?[^\s\p{L}\p{N}]+[\r\n]*|" + _REST
_UPPER, _LOWER = r"(?:(?=\p{L})[^a-z])", r"(?:(?=\p{L})[^A-Z])"
_CASED = rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+|[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*"
_CASED_CONTRACTED = _CASED.replace("|", rf"(?:{_CONTRACTIONS})?|") + rf"(?:{_CONTRACTIONS})?"


@dataclass(frozen=True)
class Splitting:
    """How byte-level BPE finds words: each pattern cuts what the one before has left."""

    patterns: tuple[str, ...]
    keeps_words: bool = False  # a word that is a token is not built by merges
    add_bos: bool = False  # where the file does not say


_BY_NAME = (
    (Splitting((_WORDS,)), "gpt-2 phi-2 jina-es jina-de gigachat a.x-4.0 mellum exaone4 mpt olmo jais trillion"),
    (Splitting((r"\p{N}", _WORDS)), "smollm starcoder refact command-r codeshell exaone minerva-7b mellum2"),
    (
        Splitting((_LATER % r"\p{N}{1,3}",), keeps_words=True, add_bos=True),
        "llama3 llama-v3 llama-bpe falcon3 midm-2.0",
    ),
    (Splitting((_LATER % r"\p{N}{1,3}",)), "dbrx smaug-bpe chatglm-bpe"),
    (Splitting((_LATER % r"\p{N}",)), "qwen2 deepseek-r1-qwen kormo megrez stablelm2 hunyuan"),
    (
        Splitting((_CASED + r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|" + _REST,), keeps_words=True, add_bos=True),
        "tekken",
    ),
    (
        Splitting((_CASED_CONTRACTED + r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|" + _REST,)),
        "gpt-4o llama4 kanana2",
    ),
    (Splitting((_LATER % r"\p{N}{1,3}",), keeps_words=True), "glm4"),
    (Splitting((r"[\p{P}$+<=>^~|]+", _WORDS, r"\p{N}+", "[0-9][0-9][0-9]")), "default"),
)
SPLITTINGS = {name: splitting for splitting, names in _BY_NAME for name in names.split()}


@dataclass(frozen=True)
class Vocabulary:
    """The tokens by their numbers, and which of them have a role."""

    tokens: list[str]
    special: dict[str, int]  # "bos_token", "eos_token", … → id
    add_bos: bool
    byte_level: bool  # tokens are written in GPT-2's letters for bytes


@dataclass(frozen=True)
class GgufVocabulary(Vocabulary):
    """What the `tokenizer.ggml.*` keys say, checked."""

    types: list[int]
    scores: np.ndarray[Any, np.dtype[np.float32]]
    merges: list[str]
    splitting: Splitting
    space_prefix: bool


def read_vocabulary(file: GgufFile) -> GgufVocabulary:
    """The vocabulary of a file.

    Raises:
        GgufError: its parts do not fit together.
        NotTrainable: a kind of tokenizer, or a way to find words, that would only be guessed at.
    """
    keys = [key for key in file.metadata if key.startswith(PREFIX) and key != f"{PREFIX}tokens"]
    values = {key.removeprefix(PREFIX): file.metadata[key] for key in keys}
    kind, pre = str(values.get("model")), str(values.get("pre", "default"))
    if kind not in ("gpt2", "llama"):
        raise NotTrainable(str(file.path), Words("not_trainable.tokenizer", {"found": kind}))
    if kind == "gpt2" and pre not in SPLITTINGS:
        raise NotTrainable(str(file.path), Words("not_trainable.word_rule", {"found": pre}))
    splitting = SPLITTINGS[pre] if kind == "gpt2" else Splitting((), add_bos=True)
    tokens = read_tokens(file)
    return GgufVocabulary(
        byte_level=kind == "gpt2",
        tokens=tokens,
        types=_numbers(file, values, "token_type", len(tokens)).tolist(),
        scores=_numbers(file, values, "scores", len(tokens)).astype(np.float32),
        merges=_strings(file, values.get("merges", []), "merges"),
        splitting=splitting,
        special=special_ids(file, len(tokens)),
        add_bos=bool(values.get("add_bos_token", splitting.add_bos)),
        space_prefix=bool(values.get("add_space_prefix", True)) and kind == "llama",
    )


def read_tokens(file: GgufFile) -> list[str]:
    """The tokens by their numbers.

    Raises:
        GgufError: there are none, or one of them twice.
    """
    strings = _strings(file, file.metadata.get(f"{PREFIX}tokens"), "tokens")
    tokens = [token or f"[EMPTY_{number}]" for number, token in enumerate(strings)]
    if not tokens:
        _refuse(file, "its vocabulary is empty")
    if len(set(tokens)) != len(tokens):
        _refuse(file, "its vocabulary names a token twice")
    return tokens


def special_ids(file: GgufFile, count: int) -> dict[str, int]:
    """The tokens with a role that lie within the vocabulary: "bos_token", "eos_token", … → number."""
    found = {name: file.metadata.get(f"{PREFIX}{key}_token_id") for name, key in ROLES.items()}
    return {name: number for name, number in found.items() if type(number) is int and 0 <= number < count}


def build_backend(file: GgufFile, vocabulary: GgufVocabulary) -> Tokenizer:
    """The tokenizer itself.

    Raises:
        GgufError: the merges speak of tokens that are not there.
    """
    backend = (_byte_level if vocabulary.byte_level else _sentence_piece)(file, vocabulary)
    whole = (UNKNOWN, CONTROL, USER_DEFINED)
    marked = [(token, kind) for token, kind in zip(vocabulary.tokens, vocabulary.types, strict=True) if kind in whole]
    backend.add_special_tokens([_added(token) for token, kind in marked if kind != USER_DEFINED])
    backend.add_tokens([_added(token) for token, kind in marked if kind == USER_DEFINED])
    return backend


def byte_letters() -> dict[str, int]:
    """GPT-2 writes bytes as printable letters: those that are printable as themselves, the others from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(0x100 + place): byte for place, byte in enumerate(hidden)}


def _added(token: str) -> AddedToken:
    return AddedToken(token, normalized=False)


def _byte_level(file: GgufFile, vocabulary: GgufVocabulary) -> Tokenizer:
    numbers = {token: number for number, token in enumerate(vocabulary.tokens)}
    # a space parts the two sides, and each side may begin with one only where it is nothing else
    merges = [(merge[:cut], merge[cut + 1 :]) for merge in vocabulary.merges if (cut := merge.find(" ", 1)) > 0]
    for left, right in merges:
        if left not in numbers or right not in numbers or left + right not in numbers:
            _refuse(file, f"its merges speak of tokens it does not have ({left!r} {right!r})")
    backend = Tokenizer(BPE(vocab=numbers, merges=merges, ignore_merges=vocabulary.splitting.keeps_words))
    cuts = [pre_tokenizers.Split(Regex(pattern), behavior="isolated") for pattern in vocabulary.splitting.patterns]
    letters = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    # bytes that are no token are lost either way, but the backend would then merge across them
    lacking = "|".join(re.escape(letter) for letter in byte_letters() if letter not in numbers)
    gaps = [pre_tokenizers.Split(Regex(lacking), behavior="isolated")] if lacking else []
    backend.pre_tokenizer = pre_tokenizers.Sequence([*cuts, letters, *gaps])
    backend.decoder = decoders.ByteLevel()
    return backend


def _sentence_piece(file: GgufFile, vocabulary: GgufVocabulary) -> Tokenizer:
    numbers = {token: number for number, token in enumerate(vocabulary.tokens)}
    if max(map(len, vocabulary.tokens)) > MAX_PIECE:
        _refuse(file, f"a token has more than {MAX_PIECE} characters")
    if not all(f"<0x{byte:02X}>" in numbers for byte in range(256)):
        _refuse(file, "its vocabulary has no tokens for single bytes")
    backend = Tokenizer(BPE(vocab=numbers, merges=_joins(vocabulary), byte_fallback=True, fuse_unk=True))
    prefix = [normalizers.Prepend(SPACE)] if vocabulary.space_prefix else []
    backend.normalizer = normalizers.Sequence([*prefix, normalizers.Replace(" ", SPACE)])
    strip = [decoders.Strip(" ", 1, 0)] if vocabulary.space_prefix else []
    backend.decoder = decoders.Sequence(
        [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), *strip]
    )
    return backend


def _joins(vocabulary: GgufVocabulary) -> list[tuple[str, str]]:
    """Every pair of tokens that makes a token, the best score first: SentencePiece's algorithm as a list of merges."""
    known = set(vocabulary.tokens)
    pairs, made = [], []
    for number, token in enumerate(vocabulary.tokens):
        for cut in range(1, len(token)):
            if (left := token[:cut]) in known and (right := token[cut:]) in known:
                pairs.append((left, right))
                made.append(number)
    order = np.argsort(-vocabulary.scores[made], kind="stable")
    return [pairs[place] for place in order.tolist()]


def _strings(file: GgufFile, value: Any, name: str) -> list[str]:
    if not isinstance(value, list):
        _refuse(file, f"{PREFIX}{name} is not an array of strings")
    return value


def _numbers(file: GgufFile, values: dict[str, Any], name: str, length: int) -> np.ndarray[Any, Any]:
    value = values.get(name, np.zeros(length))
    if not isinstance(value, np.ndarray) or len(value) < length:
        _refuse(file, f"{PREFIX}{name} is not an array of {length} numbers")
    return value[:length]


def _refuse(file: GgufFile, problem: str) -> NoReturn:
    raise GgufError(file.path, problem)
