"""What the peers train on: the very tokens, weights and adapter that llmlora begins with, in files any of them reads.

What is in them is told in `common.py`.
"""

import json
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from tests.twin import write_twin

from llmlora.gguf.reader import GgufFile
from llmlora.model.lora import add_lora, save_adapter
from llmlora.paths import Home
from llmlora.recipe import Recipe
from llmlora.train.bench import PACK_TOKENS, packs_of
from llmlora.train.prepare import draft

MASKED = -100


@dataclass(frozen=True)
class Data:
    """What rows they are."""

    rows: int
    mean: float
    supervised: float
    longest: int


def write_material(recipe: Recipe, home: Home, directory: Path) -> Data:
    """Write the material of what `llmlora bench` measures with this recipe; returns what its rows are like."""
    made = draft(recipe, home, ())
    places = {id(example): place for place, example in enumerate(made.train)}
    enough = sum(len(example.ids) for example in made.train) // PACK_TOKENS
    packs = [[places[id(example)] for example in pack] for pack in islice(packs_of(made.train), enough)]
    rows = [
        {
            "input_ids": example.ids.tolist(),
            "labels": [
                token if learned else MASKED
                for token, learned in zip(example.ids.tolist(), example.trained, strict=True)
            ],
        }
        for example in made.train
    ]
    directory.mkdir(parents=True, exist_ok=True)
    told = {"rows": rows, "packs": packs, "learning_rate": made.recipe.learning_rate, "threads": made.plan().threads}
    (directory / "rows.json").write_text(json.dumps(told), "utf-8")
    for part in ("twin", "start"):
        (directory / part).mkdir(exist_ok=True)
    with GgufFile(made.base.path) as file:
        write_twin(file, directory / "twin")
    made.tokenizer.save(directory / "twin")
    save_adapter(add_lora(made.opened.load(torch.bfloat16), made.recipe, made.targets), directory / "start")
    lengths = [len(example.ids) for example in made.train]
    supervised = sum(int(example.trained.sum()) for example in made.train)
    return Data(len(rows), sum(lengths) / len(rows), supervised / sum(lengths), max(lengths))
