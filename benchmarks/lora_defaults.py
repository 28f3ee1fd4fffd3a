"""Are the defaults of rank, alpha, learning rate and targets good ones? A sweep around them, one thing at a time.

    python benchmarks/lora_defaults.py [--model sample:smollm2-135m] [--steps 60] [--seeds 2] [--only rank]

Rows are those of `loss_curve.py`; every run sees the same rows in the same order. What counts is the loss on held-out
rows at the end, the mean over seeds. The last line holds the default against the settings of PEFT's own benchmark
(method_comparison/MetaMathQA, lora/llama-3.2-3B-rank32); exits 1 when the default is worse.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from statistics import mean

from llmlora.model.opened import open_base
from llmlora.model.source import resolve
from llmlora.recipe import learning_rate_for, make_recipe
from llmlora.settings import read_settings
from llmlora.train.events import Evaluated
from llmlora.train.run import train
from loss_curve import rows

PEFTS = {
    "rank": 32,
    "alpha": 64,
    "target_modules": ["q_proj", "v_proj"],
    "learning_rate": 1e-4,
    "weight_decay": 0.1,
}
QV, ATTENTION = ["q_proj", "v_proj"], ["q_proj", "k_proj", "v_proj", "o_proj"]


def variants(rate: float) -> dict[str, dict[str, object]]:
    """What is tried, by what it changes."""
    rates = {f"learning rate {factor:g} x": {"learning_rate": rate * factor} for factor in (0.25, 0.5, 2, 4)}
    ranks = {f"rank {rank}": {"rank": rank} for rank in (4, 8, 32, 64)}
    alphas = {f"alpha {factor:g} x rank": {"alpha": 16 * factor} for factor in (0.5, 1, 4)}
    return {
        "default": {},
        **rates,
        **ranks,
        **alphas,
        "attention alone": {"target_modules": ATTENTION},
        "q and v alone": {"target_modules": QV},
        "rsLoRA": {"rslora": True},
        "PEFT's benchmark": PEFTS,
    }


def held_out_loss(model: str, data: Path, steps: int, values: dict[str, object], seed: int) -> float:
    """Of one run, at its end."""
    losses: list[float] = []
    recipe = {"model": model, "data": str(data), "steps": steps, "max_length": 256, "eval_split": 0.06}
    often = {"eval_every": steps, "save_every": steps, "seed": seed}
    with tempfile.TemporaryDirectory() as directory:
        settings = read_settings()
        train(
            make_recipe(recipe | often | values),
            Path(directory) / "out",
            settings.home,
            settings.ollama_stores,
            lambda event: losses.append(event.loss) if isinstance(event, Evaluated) else None,
        )
    return losses[-1]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="sample:smollm2-135m")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--only", default="", help="beside the default and PEFT's, what has this in its name")
    options = parser.parse_args()
    settings = read_settings()
    base = open_base(resolve(options.model, settings.home, settings.ollama_stores))
    rate, found = learning_rate_for(base.config.hidden_size), {}
    material = rows()
    print(
        f"{options.model}, {len(material)} rows, {options.steps} steps of 8 rows, {options.seeds} seeds, rate {rate:g}"
    )
    with tempfile.TemporaryDirectory() as directory:
        data = Path(directory) / "rows.jsonl"
        data.write_text("\n".join(json.dumps(row) for row in material), "utf-8")
        for name, values in variants(rate).items():
            if options.only not in name and values not in ({}, PEFTS):
                continue
            losses = [held_out_loss(options.model, data, options.steps, values, seed) for seed in range(options.seeds)]
            found[name] = mean(losses)
            each = " ".join(f"{loss:.4f}" for loss in losses)
            print(f"  {name:22} {found[name]:.4f}  ({each})  {found[name] - found['default']:+.4f}", flush=True)
    best = min(found, key=lambda name: found[name])
    ours, pefts = found["default"], found["PEFT's benchmark"]
    print(f"best: {best}; default {ours:.4f}, PEFT's benchmark {pefts:.4f}, difference {ours - pefts:+.4f}")
    return 0 if ours <= pefts else 1


if __name__ == "__main__":
    sys.exit(main())
