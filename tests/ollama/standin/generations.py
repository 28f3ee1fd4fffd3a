"""The ways servers of Ollama differ that matter to us: what each does with an adapter, and how it says that it failed.

Source: server/create.go, server/routes.go and fs/ggml/ggml.go of Ollama at the versions named.
"""

from dataclasses import dataclass
from typing import Literal

# what the "Ollama engine" of 0.24 runs itself, and cannot add an adapter to (`OllamaEngineRequired`)
OLLAMA_ENGINE = frozenset(
    (
        *("bert", "deepseek2", "deepseekocr", "gemma3", "gemma3n", "gemma4", "gptoss"),
        *("gpt-oss", "laguna", "llama4", "mistral3", "mllama", "nemotron_h", "nemotron_h_moe"),
        *("nemotron_h_omni", "nomic-bert", "olmo3", "qwen25vl", "qwen3", "qwen3moe", "qwen35"),
        *("qwen35moe", "qwen3next", "qwen3vl", "qwen3vlmoe", "glm4moelite", "glmocr", "lfm2"),
        *("lfm2moe",),
    )
)

# and that of 0.12.5
OLDER_ENGINE = frozenset(
    ("gemma3", "gemma3n", "mistral3", "qwen3moe", "llama4", "mllama", "qwen25vl", "gptoss", "gpt-oss"),
)


@dataclass(frozen=True)
class Generation:
    """A range of versions that behave alike, and one of them."""

    name: str
    version: str
    adapters: Literal["created", "refused"] = "created"
    no_adapters_for: frozenset[str] = frozenset()  # architectures whose adapters are created, and fail at load
    jinja: bool = True  # or else prompts are written by a Go template or a renderer only, as before 0.30
    validates: bool = False  # says that it checks a GGUF file that was uploaded
    stops_at_errors: bool = True  # a stream ends with its error line, as since 0.12.6
    logprobs: bool = True  # since 0.12.11
    shows_prompt: bool = True  # `_debug_render_only`, since 0.11.5


GENERATIONS = {
    one.name: one
    for one in (
        # The real one passes an uploaded GGUF file through `llama-quantize COPY`, so its digest may change.
        Generation("adapters", "0.33.0", validates=True),
        Generation("fails-at-load", "0.24.0", no_adapters_for=OLLAMA_ENGINE, jinja=False),
        Generation("refuses", "0.36.1", adapters="refused"),
        Generation(
            "stream-errors",
            "0.12.5",
            no_adapters_for=OLDER_ENGINE,
            jinja=False,
            stops_at_errors=False,
            logprobs=False,
        ),
    )
}
NEWEST = "refuses"
