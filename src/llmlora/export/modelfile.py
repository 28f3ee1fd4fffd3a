"""A Modelfile beside an exported GGUF, for `ollama create NAME -f FILE`."""

from pathlib import Path

from llmlora.files import write_text
from llmlora.model.source import Base


def write_modelfile(target: Path, base: Base, *, is_adapter: bool) -> Path:
    """Write `<target stem>.Modelfile` beside `target`; returns its path."""
    own = target.with_suffix(".Modelfile")
    source = base.name.removeprefix("ollama:") if base.name.startswith("ollama:") else str(base.path)
    lines = [f"FROM {source}", f"ADAPTER ./{target.name}"] if is_adapter else [f"FROM ./{target.name}"]
    write_text(own, "\n".join(lines) + "\n")
    return own
