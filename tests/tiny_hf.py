"""Small Hugging Face models, made in a moment: directories as `save_pretrained` writes them, and a byte tokenizer."""

import json
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE

from llmlora.model.lora import add_lora, save_adapter, trainable
from llmlora.model.opened import open_base
from llmlora.model.source import resolve
from llmlora.model.targets import peft_names
from llmlora.paths import Home
from llmlora.recipe import make_recipe
from tests.tiny import CHATML, HEAD_DIM, HEADS, HIDDEN, KV_HEADS, LAYERS, SPECIALS, VOCABULARY, WIDE, byte_tokens

COMMON = {
    "vocab_size": VOCABULARY,
    "bos_token_id": 257,
    "eos_token_id": 259,
    "pad_token_id": 257,
    "initializer_range": 0.2,
}
NEW = {
    "hidden_size": HIDDEN,
    "intermediate_size": WIDE,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "num_key_value_heads": KV_HEADS,
    "head_dim": HEAD_DIM,
    "max_position_embeddings": 512,
}
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "gpt2": ("GPT2", {"n_embd": HIDDEN, "n_layer": LAYERS, "n_head": HEADS, "n_positions": 512}),
    "gpt_neox": (
        "GPTNeoX",
        {key: value for key, value in NEW.items() if key not in ("num_key_value_heads", "head_dim")},
    ),
    "llama": ("Llama", NEW),
    "mistral": ("Mistral", {**NEW, "sliding_window": 8}),
    "qwen2": ("Qwen2", NEW),
    "qwen3": ("Qwen3", NEW),
    "gemma2": (
        "Gemma2",
        {**NEW, "sliding_window": 8, "query_pre_attn_scalar": HEAD_DIM, "final_logit_softcapping": 5.0},
    ),
    "gemma3_text": ("Gemma3Text", {**NEW, "sliding_window": 8, "query_pre_attn_scalar": HEAD_DIM}),
    "phi3": ("Phi3", {key: value for key, value in NEW.items() if key != "head_dim"}),
}


def tiny_hf(
    directory: Path,
    kind: str = "llama",
    *,
    seed: int = 0,
    template: str | None = CHATML,
    dtype: str = "float32",
    **more: Any,
) -> Path:
    """Write a model of two layers with its tokenizer."""
    torch.manual_seed(seed)
    name, values = KINDS[kind]
    config = getattr(transformers, f"{name}Config")(**COMMON, **values, **more)
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=getattr(torch, dtype))
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 1:  # norms and biases, which would all be the same
                weight.add_(0.1 * torch.randn_like(weight))
    model.save_pretrained(directory)
    (directory / "tokenizer.json").write_text(byte_tokenizer().to_str(), "utf-8")
    settings = {"bos_token": SPECIALS[0], "eos_token": SPECIALS[2], "tokenizer_class": "PreTrainedTokenizerFast"}
    (directory / "tokenizer_config.json").write_text(json.dumps(settings), "utf-8")
    if template is not None:
        (directory / "chat_template.jinja").write_text(template, "utf-8")
    return directory


def random_adapter(directory: Path, target: Path, **how: Any) -> Path:
    """A PEFT adapter of a base, as a run leaves it, that changes what the base says."""
    base = resolve(f"hf:{directory}", Home(target), ())
    opened = open_base(base)
    recipe = make_recipe({"model": base.name, "data": "none", "rank": 4, **how})
    tuned = add_lora(opened.load(torch.float32), recipe, peft_names(list(opened.linears), list(opened.linears)))
    random = torch.Generator().manual_seed(1)
    for name, weight in trainable(tuned).items():
        if "lora_B" in name:
            weight.data.normal_(0, 0.5, generator=random)
        elif "magnitude" in name:
            weight.data.mul_(torch.rand(weight.shape, generator=random) + 0.5)
    target.mkdir(parents=True)
    save_adapter(tuned, target)
    (target / "recipe.yaml").write_text(recipe.to_yaml(), "utf-8")
    manifest = {"base": {"name": base.name, "digest": base.digest}}
    (target / "MANIFEST.json").write_text(json.dumps(manifest), "utf-8")
    return target


def byte_tokenizer() -> Tokenizer:
    """The vocabulary of `tests.tiny`: every byte, two spaces, the markers."""
    vocabulary = {token: number for number, token in enumerate([*byte_tokens(), "ĠĠ"])}
    tokenizer = Tokenizer(BPE(vocab=vocabulary, merges=[("Ġ", "Ġ")]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(SPECIALS))
    return tokenizer


def edit_json(path: Path, **values: Any) -> None:
    """Change values of a JSON file; None removes one."""
    told = {**json.loads(path.read_text("utf-8")), **values}
    path.write_text(json.dumps({key: value for key, value in told.items() if value is not None}), "utf-8")
