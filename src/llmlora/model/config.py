"""From the form of a file to the configuration Transformers' model code runs with."""

from typing import Any

import transformers
from transformers import PreTrainedConfig

from llmlora.model.form import FULL, Form


def model_class(form: Form) -> Any:
    """Transformers' class for the form's architecture."""
    return getattr(transformers, form.architecture.model)


def config_of(form: Form) -> PreTrainedConfig:
    """The Transformers configuration of a form.

    RoPE is told in its plain form: `model.rotary` computes it, and takes the place of Transformers' own.
    """
    architecture = form.architecture
    values: dict[str, Any] = {
        "vocab_size": form.vocabulary,
        "hidden_size": form.hidden,
        "intermediate_size": form.intermediate,
        "num_hidden_layers": form.layers,
        "num_attention_heads": form.heads,
        "num_key_value_heads": form.key_value_heads,
        "head_dim": form.head_dim,
        "max_position_embeddings": form.context,
        "attention_dropout": 0.0,
        **dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id")),  # the tokenizer's affair
        "tie_word_embeddings": True,  # the loader puts the head in place itself, tied or not
        "use_cache": False,
        "rope_parameters": _rope(form),
        **form.numbers,
        **architecture.fixed,
    }
    if architecture.windows is not None:
        # Transformers wants a window even where no layer has one
        values |= {"sliding_window": form.window or form.context, "layer_types": list(form.layer_types)}
    if architecture.scores_by_hidden:
        wide = form.layers == architecture.scores_by_hidden
        values["query_pre_attn_scalar"] = form.hidden // form.heads if wide else form.head_dim
    if values.get("attention_multiplier") == 0:  # granite without the key: as everywhere else
        values["attention_multiplier"] = form.head_dim**-0.5
    for off_at_zero in ("final_logit_softcapping", "attn_logit_softcapping"):
        if values.get(off_at_zero) == 0:
            values[off_at_zero] = None
    config: PreTrainedConfig = model_class(form).config_class(**values)
    if form.temperature is not None:  # Transformers checks the keys of RoPE when it is made, and knows not these
        temperature = {"llama_4_scaling_beta": form.temperature}
        config.rope_parameters |= temperature | {"original_max_position_embeddings": form.original_context}
    return config


def _rope(form: Form) -> dict[str, Any]:
    plain = {name: {"rope_type": "default", "rope_theta": one.base} for name, one in form.rotations.items()}
    windows = form.architecture.windows
    if windows is not None and windows.rope != "shared":
        return plain
    partial = {"partial_rotary_factor": form.rotated / form.head_dim} if form.architecture.partial_rotary else {}
    return plain[FULL] | partial
