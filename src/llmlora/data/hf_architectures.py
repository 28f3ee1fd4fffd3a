"""The models of Hugging Face that can be trained, one row a `model_type`. Most are twins of an architecture that GGUF
files have: their layers and the template of their family are told there.
"""

from dataclasses import dataclass

from llmlora.gguf.architectures import ARCHITECTURES


@dataclass(frozen=True)
class HfArchitecture:
    """One `model_type`."""

    model: str  # Transformers' class
    modules: tuple[str, ...]  # the linear layers of block `{}`, in its order
    template: str | None  # of chat, of the family; None: told by a marker token
    gguf: str | None = None  # what llama.cpp's converter makes of it

    @property
    def targets(self) -> list[str]:
        """The short names LoRA can be put on."""
        return list(dict.fromkeys(module.rpartition(".")[2] for module in self.modules))


def _twin(gguf: str, model: str | None = None) -> HfArchitecture:
    other = ARCHITECTURES[gguf]
    return HfArchitecture(model or other.model, tuple(other.modules), other.template, gguf)


def _joined_by_eos(model: str, block: str, *names: str) -> HfArchitecture:
    """One that old Transformers talked to by turns joined by EOS, as DialoGPT was trained."""
    return HfArchitecture(model, tuple(f"{block}.{{}}.{name}" for name in names), "dialogpt")


HF_ARCHITECTURES = {
    "gpt2": _joined_by_eos(
        *("GPT2LMHeadModel", "transformer.h"),
        *("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"),
    ),
    "gpt_neox": _joined_by_eos(
        *("GPTNeoXForCausalLM", "gpt_neox.layers"),
        *("attention.query_key_value", "attention.dense", "mlp.dense_h_to_4h", "mlp.dense_4h_to_h"),
    ),
    "llama": _twin("llama"),
    "mistral": _twin("llama", "MistralForCausalLM"),
    "qwen2": _twin("qwen2"),
    "qwen3": _twin("qwen3"),
    "gemma2": _twin("gemma2"),
    "gemma3_text": _twin("gemma3"),
    "phi3": _twin("phi3"),
}
