"""What lies beside an exported GGUF: a Modelfile, for `ollama create NAME -f FILE`, and the template it was trained
with where that is not its base's own.
"""

from pathlib import Path

from llmlora.adapter import template_beside, template_of, written_template
from llmlora.files import write_text
from llmlora.model.source import Base


def write_modelfile(target: Path, base: Base, *, is_adapter: bool) -> Path:
    """Write `<target stem>.Modelfile` beside `target`; returns its path."""
    own = target.with_suffix(".Modelfile")
    source = base.name.removeprefix("ollama:") if base.name.startswith("ollama:") else str(base.path)
    lines = [f"FROM {source}", f"ADAPTER ./{target.name}"] if is_adapter else [f"FROM ./{target.name}"]
    write_text(own, "\n".join(lines) + "\n")
    return own


def keep_template(target: Path, adapter: Path) -> None:
    """Write the template of an adapter beside `target`, where `template_of` finds it; or nothing, and nothing stays."""
    template = template_of(adapter)
    if template and template.origin == "ollama":
        write_text(template_beside(target), written_template(template))
    else:
        template_beside(target).unlink(missing_ok=True)
