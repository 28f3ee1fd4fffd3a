"""A Modelfile beside an exported GGUF, for `ollama create NAME -f FILE`."""

from pathlib import Path

from llmlora.model.source import Base
from llmlora.train.commit import write_file


def write_modelfile(target: Path, base: Base, *, is_adapter: bool) -> Path:
    """Write `<target stem>.Modelfile` beside `target`; returns its path."""
    own = target.with_suffix(".Modelfile")
    source = base.name.removeprefix("ollama:") if base.name.startswith("ollama:") else str(base.path)
    lines = [f"FROM {source}", f"ADAPTER ./{target.name}"] if is_adapter else [f"FROM ./{target.name}"]
    write_file(own, "\n".join(lines) + "\n")
    return own
