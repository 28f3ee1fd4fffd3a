"""A Hugging Face directory as Transformers' own model, dense in the number format it computes in.

The class is chosen by us from the model type and built from the numbers of the config alone; attention is ours (see
`attention`), as for GGUF files, so that rows packed end to end do not see each other. The base's own dropout is turned
off: it is frozen, and what drops out while an adapter is trained is the recipe's to say.
"""

from math import prod
from typing import Any

import torch
import transformers
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.utils.logging import disable_progress_bar

from llmlora.data.hf_architectures import HF_ARCHITECTURES
from llmlora.data.hf_text import CONFIG
from llmlora.errors import HfError
from llmlora.model import attention
from llmlora.model.head import Head
from llmlora.model.hf import TRUST_REMOTE_CODE, WEIGHTS, HfDirectory
from llmlora.text.catalogue import Words

# what a config may say and we do not hear: number format, and names of code to compute attention or experts with
UNHEARD = ("dtype", "torch_dtype", "attn_implementation", "experts_implementation", "use_kernels", "use_cache")


def hf_config(directory: HfDirectory) -> PreTrainedConfig:
    """The Transformers configuration of a directory.

    Raises:
        HfError: its numbers are impossible.
    """
    said = {key: value for key, value in directory.config.items() if key not in UNHEARD and not key.startswith("_")}
    try:
        config: PreTrainedConfig = _class(directory).config_class.from_dict({**said, "use_cache": False})
    except Exception as error:  # configurations check themselves in many ways
        raise HfError(directory.path, _damaged(CONFIG, error)) from None
    config._attn_implementation = attention.NAME
    return config


def hf_skeleton(directory: HfDirectory) -> PreTrainedModel:
    """The model without numbers, which takes no memory.

    Raises:
        HfError: see `hf_config`.
    """
    attention.register()
    config = hf_config(directory)
    try:
        with torch.device("meta"):
            model: PreTrainedModel = _class(directory)(config)
            return model
    except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise HfError(directory.path, _damaged(CONFIG, error)) from None


def load_hf(directory: HfDirectory, dtype: torch.dtype) -> PreTrainedModel:
    """The model, computing in `dtype` (float32 or bfloat16), every weight frozen.

    Raises:
        HfError: a tensor is missing or has another shape than the config says.
    """
    model: PreTrainedModel
    promised = sum(weight.numel() for weight in hf_skeleton(directory).parameters())
    if promised > (held := sum(prod(tensor.shape) for tensor in directory.tensors.values())):
        # said before memory is taken for what is not there
        raise HfError(directory.path, _damaged(WEIGHTS, f"{held:,} of {promised:,} numbers"))
    disable_progress_bar()  # type: ignore[no-untyped-call]  # a second or two; people see their own progress
    try:
        model, told = _class(directory).from_pretrained(
            directory.path,
            config=hf_config(directory),
            dtype=dtype,
            attn_implementation=attention.NAME,
            use_safetensors=True,
            trust_remote_code=TRUST_REMOTE_CODE,
            local_files_only=True,
            output_loading_info=True,
        )
    except (RuntimeError, ValueError, OSError, KeyError) as error:
        raise HfError(directory.path, _damaged(WEIGHTS, error)) from None
    if missing := sorted(told["missing_keys"]):
        raise HfError(directory.path, Words("hf.tensor_missing", {"found": missing[0]}))
    model.lm_head = Head.of(model.lm_head, model.config)
    _be_still(model)
    return model


def _class(directory: HfDirectory) -> Any:
    return getattr(transformers, HF_ARCHITECTURES[directory.model_type].model)


def _be_still(model: PreTrainedModel) -> None:
    """No weight learns, and nothing is left to chance. (Dropout of attention is not passed on by ours.)"""
    model.requires_grad_(False)
    model.train(False)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0


def _damaged(file: str, error: Any) -> Words:
    first, *_ = str(error).strip().splitlines() or [type(error).__name__]
    return Words("hf.damaged", {"file": file, "reason": first[:200]})
