"""What a plan says of memory and time, beside what the run then takes; and the constants that fit best.

    python benchmarks/predictions.py [--only PART]

Six models in several ways, each run a process of its own. Promised: within 10 % of the peak and 20 % of the time. The fit
is what `estimate.COSTS` and `estimate.RUNTIME_BYTES` would be, had they been taken from these runs alone.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from llmlora.estimate import COSTS, LIBRARY_BYTES, MB, RUNTIME_BYTES, Way, Work, work_of
from llmlora.model.device import probe_machine
from llmlora.recipe import Recipe, make_recipe
from llmlora.settings import Settings, read_settings
from llmlora.train.prepare import draft
from random_model import RandomShape, sample_tokenizer, write_random
from watched import Watched, train_watched

SHAPES = {
    "deep": RandomShape(32, 512, 1408, 8, 2, 32000, "Q8_0"),
    "flat": RandomShape(6, 2048, 5632, 16, 16, 49152, "Q4_K"),
    "half": RandomShape(24, 1024, 2816, 16, 8, 32000, "Q4_K", "Q6_K"),
    "1b": RandomShape(16, 2048, 8192, 32, 8, 32000, "Q4_0", "Q6_K"),
}
WAYS: dict[str, dict[str, Any]] = {
    "as planned": {"batch_size": 2, "max_length": 512},
    "lean": {"batch_size": 2, "max_length": 512, "recompute": "always", "unpack": "never", "pass_tokens": 512},
    "short rows": {"batch_size": 8, "max_length": 128, "recompute": "never", "unpack": "never", "pass_tokens": 256},
    "long rows": {"batch_size": 1, "max_length": 1536, "recompute": "always", "unpack": "always"},
}
EXACT = {"batch_size": 2, "max_length": 256, "dtype": "float32", "unpack": "never"}
STEPS = 4
ROW = "The quick brown fox jumps over the lazy dog; 一匹の狐が犬を飛び越える。 "


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="", help="cases whose name has this in it")
    only = parser.parse_args().only
    settings = read_settings()
    seen: list[tuple[str, Work, int, Watched]] = []
    print(f"{'model, way':28} {'peak MB':>8} {'ratio':>6} {'s/step':>7} {'ratio':>6}   way")
    with tempfile.TemporaryDirectory(prefix="llmlora-predictions-") as directory:
        for number, (name, recipe) in enumerate(cases(Path(directory), settings, only)):
            run = train_watched(recipe, Path(directory) / f"out{number}")
            if run.status:
                sys.exit(f"{name}: {run.log}")
            seen.append((run.plan["dtype"], *told(recipe, run, settings), run))
            print_line(name, run)
    print_fit(seen)


def cases(directory: Path, settings: Settings, only: str) -> Iterator[tuple[str, Recipe]]:
    """Name and recipe of each; the random models are written when their turn comes, and deleted after it."""
    rows = directory / "rows.jsonl"
    rows.write_text("\n".join(json.dumps({"instruction": f"{n}?", "output": ROW * 100}) for n in range(8)), "utf-8")
    models = {"smollm2": None, "gemma3": None, **SHAPES}
    for model, shape in models.items():
        ways = WAYS | ({"exact": EXACT} if model in {"smollm2", "deep"} else {})
        names = [way for way in ways if only in f"{model}, {way}"]
        path = directory / f"{model}.gguf"
        if names and shape:
            write_random(path, shape, sample_tokenizer(settings.home))
        base = f"gguf:{path}" if shape else {"smollm2": "sample:smollm2-135m", "gemma3": "sample:gemma3-270m"}[model]
        common = {"model": base, "data": str(rows), "rank": 8, "alpha": 16, "steps": STEPS, "eval_split": 0.0}
        for way in names:
            yield f"{model}, {way}", make_recipe({**common, "gradient_accumulation": 1, **ways[way]})
        path.unlink(missing_ok=True)


def told(recipe: Recipe, run: Watched, settings: Settings) -> tuple[Work, int]:
    """The work of a step, for the fit, and the threads it was done with."""
    made = draft(recipe, settings.home, ())
    plan, machine = run.plan, probe_machine()
    way = Way(plan["dtype"], plan["threads"], plan["pass_tokens"], plan["recompute"], plan["unpacked"])
    rows = recipe.batch_size * recipe.gradient_accumulation
    return work_of(made.shape, made.tokens, way, machine, rows), plan["threads"]


def print_line(name: str, run: Watched) -> None:
    memory, took, plan = run.most["VmHWM"], run.per_step, run.plan
    way = f"{plan['dtype']}, ≤ {plan['pass_tokens']} tokens{', recompute' * plan['recompute']}{', unpacked' * plan['unpacked']}"
    ratios = plan["memory"] / memory, run.predicted_per_step / took
    print(f"{name:28} {memory / MB:8,.0f} {ratios[0]:6.2f} {took:7.2f} {ratios[1]:6.2f}   {way}", flush=True)


def print_fit(seen: Sequence[tuple[str, Work, int, Watched]]) -> None:
    """Relative least squares, no constant below nothing."""
    names = [one.name for one in fields(Work)]
    for dtype in sorted({dtype for dtype, *_ in seen}):
        some = [(work, threads, run.per_step) for one, work, threads, run in seen if one == dtype]
        alone = {"products", "layers"}
        table = np.array(
            [
                [getattr(work, name) / (1 if name in alone else threads) / took for name in names]
                for work, threads, took in some
            ]
        )
        kept = list(range(len(names)))
        while True:
            found, *_ = np.linalg.lstsq(table[:, kept], np.ones(len(table)), rcond=None)
            if (found >= 0).all():
                break
            kept.pop(int(found.argmin()))
        fit = dict.fromkeys(names, 0.0) | {names[at]: value for at, value in zip(kept, found.tolist(), strict=True)}
        print(f"{dtype}: " + ", ".join(f"{name} {value:.2e}" for name, value in fit.items()))
        print(
            f"{'now':>{len(dtype)}}: "
            + ", ".join(f"{n} {v:.2e}" for n, v in zip(names, astuple(COSTS[dtype]), strict=True))
        )
    spare = [run.most["VmHWM"] - run.plan["memory"] for *_, run in seen]
    print(f"runtime: {(LIBRARY_BYTES + RUNTIME_BYTES + float(np.median(spare))) / MB:.0f} MB, libraries included")


if __name__ == "__main__":
    main()
