"""How a Hugging Face model reads and writes text: `tokenizer.json`, and the chat template beside it. No torch.

The tokenizer is the file's own, as the `tokenizers` library reads it; GPT-2's first models came with `vocab.json` and
`merges.txt` instead, from which the same byte-level BPE is built. Roles (BOS, EOS, …) are those of
`tokenizer_config.json`, else `special_tokens_map.json`, else the numbers in `config.json`.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer as Backend
from tokenizers import decoders, pre_tokenizers
from tokenizers.models import BPE

from llmlora.data.hf_architectures import HF_ARCHITECTURES
from llmlora.data.template import ChatTemplate, family_template
from llmlora.data.tokenizer import Tokenizer, add_bos_for_others
from llmlora.data.vocabulary import ROLES, Vocabulary
from llmlora.errors import HfError
from llmlora.text.catalogue import Words

CONFIG, TOKENIZER, TOKENIZER_CONFIG, SPECIAL_TOKENS, TEMPLATE = (
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
)
VOCAB, MERGES = "vocab.json", "merges.txt"
# what is read of a directory to make text; a model is the same model only with the same text
TEXT_FILES = (TOKENIZER, TOKENIZER_CONFIG, SPECIAL_TOKENS, TEMPLATE, VOCAB, MERGES)
MOST_BYTES = 64 * 2**20  # Gemma's tokenizer.json, the largest around, has 33 MB


def read_text(directory: Path, name: str) -> str | None:
    """A file of the directory; None where it is not there.

    Raises:
        HfError: it is larger than any sound one, or not UTF-8.
    """
    path = directory / name
    try:
        if not path.is_file():
            return None
        if path.stat().st_size > MOST_BYTES:
            raise HfError(directory, Words("hf.too_large", {"file": name, "limit": f"{MOST_BYTES // 2**20} MB"}))
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise HfError(directory, _damaged(name, error)) from None


def read_json(directory: Path, name: str) -> dict[str, Any] | None:
    """A JSON object of the directory; None where it is not there.

    Raises:
        HfError: it is no JSON object, or see `read_text`.
    """
    text = read_text(directory, name)
    if text is None:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise HfError(directory, _damaged(name, error)) from None
    if not isinstance(value, dict):
        raise HfError(directory, _damaged(name, "not an object"))
    return value


def read_hf_tokenizer(directory: Path) -> Tokenizer:
    """The tokenizer of a Hugging Face directory.

    Raises:
        HfError: there is none of a kind we know, or it is damaged.
    """
    config = read_json(directory, CONFIG) or {}
    backend = _backend(directory, config)
    backend.no_truncation()
    backend.no_padding()
    tokens = _tokens(backend)
    special = _special(directory, config, tokens)
    bos = special.get("bos_token")
    add_bos = bos is not None and backend.encode("a").ids[:1] == [bos]
    # the original may trim spaces off the characters of a token; the borders between trained and masked need them
    add_bos_for_others(backend, tokens[bos] if add_bos and bos is not None else None)
    return Tokenizer(Vocabulary(tokens, special, add_bos, _is_byte_level(backend.decoder)), backend)


def read_hf_template(directory: Path) -> ChatTemplate:
    """The model's own chat template, or the documented one of its family.

    Raises:
        HfError: see `read_hf_tokenizer`.
    """
    config = read_json(directory, CONFIG) or {}
    tokens = _tokens(_backend(directory, config))
    roles = {name: tokens[number] for name, number in _special(directory, config, tokens).items()}
    bos, eos = roles.get("bos_token", ""), roles.get("eos_token", "")
    own = own_template(directory)
    if own:
        return ChatTemplate(own, "model", "model", bos, eos)
    kind = HF_ARCHITECTURES.get(str(config.get("model_type")))
    return family_template(kind.template if kind else None, tokens, bos, eos)


def own_template(directory: Path) -> str | None:
    """The template that came with the model: a file of its own, or a value of `tokenizer_config.json`."""
    own = read_text(directory, TEMPLATE)
    if own is not None:
        return own
    value = (read_json(directory, TOKENIZER_CONFIG) or {}).get("chat_template")
    if isinstance(value, list):  # several by name
        named = {one.get("name"): one.get("template") for one in value if isinstance(one, dict)}
        value = named.get("default")
    return value if isinstance(value, str) else None


def _backend(directory: Path, config: Mapping[str, Any]) -> Backend:
    text = read_text(directory, TOKENIZER)
    try:
        if text is not None:
            return Backend.from_str(_within(text, config.get("vocab_size")))
        if config.get("model_type") == "gpt2" and (directory / VOCAB).is_file() and (directory / MERGES).is_file():
            return _first_gpt2(directory)
    except HfError:
        raise
    except Exception as error:  # the library raises nothing more precise
        raise HfError(directory, _damaged(TOKENIZER, error)) from None
    raise HfError(directory, Words("hf.no_tokenizer"))


def _within(text: str, size: object) -> str:
    """Without added tokens that the model has no row for, as Gemma 3's for images."""
    described = json.loads(text)
    added = described.get("added_tokens") or []
    kept = [one for one in added if not isinstance(size, int) or one["id"] < size]
    return text if len(kept) == len(added) else json.dumps({**described, "added_tokens": kept})


def _first_gpt2(directory: Path) -> Backend:
    merges = [tuple(line.split(" ")) for line in (read_text(directory, MERGES) or "").splitlines()]
    pairs = [pair for pair in merges if len(pair) == 2 and pair[0] != "#version:"]
    backend = Backend(BPE(vocab=read_json(directory, VOCAB) or {}, merges=pairs))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens(["<|endoftext|>"])
    return backend


def _tokens(backend: Backend) -> list[str]:
    numbers: dict[str, int] = backend.get_vocab(with_added_tokens=True)
    tokens = [""] * (max(numbers.values(), default=-1) + 1)
    for token, number in numbers.items():
        tokens[number] = token
    return tokens


def _special(directory: Path, config: Mapping[str, Any], tokens: list[str]) -> dict[str, int]:
    numbers = {token: number for number, token in enumerate(tokens)}
    said = {**(read_json(directory, SPECIAL_TOKENS) or {}), **(read_json(directory, TOKENIZER_CONFIG) or {})}
    found = {}
    for role in ROLES:
        token = said.get(role)
        token = token.get("content") if isinstance(token, dict) else token
        number = numbers.get(token) if isinstance(token, str) else None
        if number is None and role not in said:
            number = _first(config.get(f"{role}_id"))
        if number is not None and 0 <= number < len(tokens):
            found[role] = number
    return found


def _first(value: object) -> int | None:
    value = value[0] if isinstance(value, list) and value else value
    return value if type(value) is int else None


def _is_byte_level(decoder: object) -> bool:
    return "ByteLevel" in repr(decoder)


def _damaged(name: str, error: object) -> Words:
    return Words("hf.damaged", {"file": name, "reason": str(error)[:200]})
