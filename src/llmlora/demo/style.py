"""The style the demo teaches, and how an answer is judged: its last sentence ends in 〜でござる."""

import json
import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

ENDING = re.compile(r"でござる[。！!…」』）)\s]*$")


@dataclass(frozen=True)
class Material:
    """The files of the demo, all written for it (CC0)."""

    rows: Path
    ordinary: Path
    tuning_prompts: tuple[str, ...]
    test_prompts: tuple[str, ...]


def material() -> Material:
    """Where the rows lie, and the prompts: 20 it was tuned on, 20 others it is tested on."""
    directory = Path(str(files("llmlora.demo")))
    prompts = json.loads((directory / "prompts.json").read_text("utf-8"))
    return Material(
        directory / "rows.jsonl", directory / "ordinary.jsonl", tuple(prompts["tuning"]), tuple(prompts["test"])
    )


def in_style(answer: str) -> bool:
    """Whether an answer ends in the style."""
    return bool(ENDING.search(answer))
