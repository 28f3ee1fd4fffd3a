"""Does it learn from real rows? `python benchmarks/loss_curve.py [--steps 60]`; exits 1 when held-out loss does not fall.

Rows are the documentation strings of the standard library: "What does shutil.copytree do?" and its first paragraph.
"""

import argparse
import importlib
import inspect
import json
import sys
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

from llmlora.cli.view import sparkline
from llmlora.recipe import make_recipe
from llmlora.settings import read_settings
from llmlora.train.events import Evaluated, Event, Step
from llmlora.train.run import train

LEAST_ROWS = 1000
AVOIDED = ("test", "idlelib", "turtle", "antigravity", "this", "lib2to3", "msilib", "tkinter")


def rows() -> list[dict[str, str]]:
    """Question and answer for each documented function and class of the standard library: its first paragraph."""
    texts = ((name, text.split("\n\n")[0].strip()) for name, text in documentation() if name.count(".") == 1)
    return questions((name, text) for name, text in texts if 30 < len(text) < 600)


def questions(texts: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    """A row for each text, the first time it is met."""
    found: dict[str, str] = {}
    for name, text in texts:
        found.setdefault(text, name)
    return [{"instruction": f"What does {name} in Python do?", "output": text} for text, name in found.items()]


def documentation() -> Iterator[tuple[str, str]]:
    """`module.member` and `module.class.method` of the standard library, each with what is written of it."""
    for module in sorted(sys.stdlib_module_names):
        if module.startswith("_") or module in AVOIDED:
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                loaded = importlib.import_module(module)
        except (ImportError, OSError):
            continue
        for name, member in public(inspect.getmembers(loaded)):
            if not (inspect.isfunction(member) or inspect.isclass(member)):
                continue
            yield f"{module}.{name}", inspect.getdoc(member) or ""
            parts = public(vars(member).items()) if inspect.isclass(member) else []
            methods = ((part, method) for part, method in parts if inspect.isroutine(method))
            yield from ((f"{module}.{name}.{part}", inspect.getdoc(method) or "") for part, method in methods)


def public(members: Iterable[tuple[str, object]]) -> list[tuple[str, object]]:
    return sorted((name, member) for name, member in members if not name.startswith("_"))


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--model", default="sample:smollm2-135m")
    options = parser.parse_args()
    material, losses, held_out = rows(), [], []

    def on_event(event: Event) -> None:
        if isinstance(event, Step):
            losses.append(event.loss)
        elif isinstance(event, Evaluated):
            held_out.append((event.step, event.loss))
            print(f"  step {event.step:4}  held-out loss {event.loss:.4f}", flush=True)

    with tempfile.TemporaryDirectory() as directory:
        data = Path(directory) / "rows.jsonl"
        data.write_text("\n".join(json.dumps(row) for row in material), "utf-8")
        print(f"{len(material)} rows, {options.model}, {options.steps} steps of 8")
        recipe = make_recipe(
            {
                "model": options.model,
                "data": str(data),
                "steps": options.steps,
                "max_length": 256,
                "eval_split": 0.04,
                "eval_every": max(1, options.steps // 4),
                "save_every": options.steps,
            }
        )
        settings = read_settings()
        train(recipe, Path(directory) / "out", settings.home, settings.ollama_stores, on_event)
    print(f"training loss {losses[0]:.3f} {sparkline(losses, 40)} {losses[-1]:.3f}")
    print(
        f"held-out loss: {held_out[0][1]:.3f} at step {held_out[0][0]}, {held_out[-1][1]:.3f} at step {held_out[-1][0]}"
    )
    falls = all(later < earlier for (_, earlier), (_, later) in pairwise(held_out))
    return 0 if len(material) >= LEAST_ROWS and falls else 1


if __name__ == "__main__":
    sys.exit(main())
