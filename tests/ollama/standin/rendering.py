"""Which rendering is in force for a model, and what templates can do.

Source: server/images.go of Ollama (`chatTemplateCapabilities`, `goTemplateCapabilities`, `shouldPreferChatTemplate`).
What a Go template can do is told by the fields it mentions, where Ollama looks into its tree.
"""

import re

from tests.ollama.standin.generations import Generation
from tests.ollama.standin.model import DEFAULT_TEMPLATE, Model

ROLE_TOOL = re.compile(r"""role['"]\] == ['"]tool|message\.role == ['"]tool""")


def uses_jinja(model: Model, generation: Generation) -> bool:
    """Whether prompts are written by the GGUF file's own template."""
    if not generation.jinja or not model.jinja or any(model.config.get(key) for key in ("renderer", "parser")):
        return False
    go = model.text("template")
    return go is None or _outvoted(go, model.jinja)


def template(model: Model, generation: Generation) -> str:
    """The one in force, Go's or Jinja's."""
    return model.jinja if uses_jinja(model, generation) else model.text("template") or DEFAULT_TEMPLATE


def capabilities(model: Model, generation: Generation) -> list[str]:
    """What the model can do."""
    chosen = template(model, generation)
    return ["completion", *sorted(_of_jinja(chosen) if uses_jinja(model, generation) else _of_go(chosen))]


def _outvoted(go: str, jinja: str) -> bool:
    theirs, own = _of_go(go), _of_jinja(jinja)
    go_returns = "toolcalls" in go.lower() and (
        'eq .Role "tool"' in go or "tool_response" in go or "TOOL_RESULTS" in go
    )
    jinja_returns = "tool_calls" in jinja and bool(
        ROLE_TOOL.search(jinja) or any(word in jinja for word in ("tool_response", "tool_results", "ipython"))
    )
    if len(own) > len(theirs):
        return not go_returns or jinja_returns
    return own == theirs and "tools" in own and jinja_returns and not go_returns


def _of_jinja(text: str) -> set[str]:
    found = {"tools": "tools" in text or "tool_call" in text, "thinking": "<think>" in text and "</think>" in text}
    return {name for name, is_so in found.items() if is_so}


def _of_go(text: str) -> set[str]:
    fields = {"tools": "Tools", "insert": "Suffix", "thinking": "Thinking"}
    return {name for name, one in fields.items() if re.search(rf"[.$]{one}\b", text)}
