"""A 7B base trains on a machine of 8 GB, or this script ends with 1.

    python benchmarks/big_model.py [--limit-gb 8] [--anonymous-gb 1.5] [--kind Q4_0] [--directory DIR] [--keep]

Builds a GGUF file of Llama-2-7B's exact shapes with random weights (3.8 GB, deleted afterwards), trains three steps of 512
tokens with `llmlora train`, under a limit of all memory where the system lets one be set
(control groups, version 2) and in any case one of what the process allocates, and looks at the process's memory all
the while. Beside it stands what the plan had said. The last line is JSON.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from llmlora.recipe import Recipe, make_recipe
from llmlora.settings import read_settings
from random_model import RandomShape, sample_tokenizer, write_random
from watched import Watched, train_watched

GB, MB = 2**30, 2**20
LLAMA_2_7B = RandomShape(32, 4096, 11008, 32, 32, 32000, "Q4_0", "Q6_K")
TOKENS, STEPS = 512, 3


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--limit-gb", type=float, default=8.0)
    parser.add_argument("--anonymous-gb", type=float, default=1.5)
    parser.add_argument("--kind", choices=["Q4_0", "Q4_K"], default="Q4_0", help="block type of the matrices")
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--directory", type=Path, help="where the file is built; otherwise a temporary directory")
    parser.add_argument("--keep", action="store_true", help="leave the file, and take it when it is there")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="llmlora-big-") as scratch:
        model = (given.directory or Path(scratch)) / f"random-7b-{given.kind.lower()}.gguf"
        model.parent.mkdir(parents=True, exist_ok=True)
        shape = RandomShape(**{**vars(LLAMA_2_7B), "kind": given.kind})
        if not model.exists():
            print(f"building {model.name}: {shape.parameters / 1e9:.2f} G weights", flush=True)
            write_random(model, shape, sample_tokenizer(read_settings().home))
        print(f"{model.stat().st_size / 1e9:.2f} GB; training {STEPS} steps of {TOKENS} tokens", flush=True)
        try:
            limits = int(given.limit_gb * GB), int(given.anonymous_gb * GB)
            seen = train_watched(recipe(model, Path(scratch), given.rank), Path(scratch) / "out", *limits)
        finally:
            if not given.keep:
                model.unlink()
    sys.exit(0 if report(seen, given.limit_gb, given.anonymous_gb) else 1)


def recipe(model: Path, directory: Path, rank: int) -> Recipe:
    """One row of at least 512 tokens a step, cut there."""
    rows = directory / "rows.jsonl"
    answer = "The quick brown fox jumps over the lazy dog. " * (TOKENS // 8)
    rows.write_text(
        "\n".join(json.dumps({"instruction": f"Say it {n} times.", "output": answer}) for n in range(STEPS))
    )
    size = {"batch_size": 1, "gradient_accumulation": 1, "max_length": TOKENS, "steps": STEPS, "eval_split": 0}
    return make_recipe({"model": f"gguf:{model}", "data": str(rows), "rank": rank, **size})


def report(seen: Watched, limit_gb: float, anonymous_gb: float) -> bool:
    """Print what was seen; whether it held."""
    if seen.status:
        print(seen.log)
        print(json.dumps({"held": False, "limited_by": seen.limited_by, "exit_status": seen.status}))
        return False
    peak, anonymous = seen.most["VmHWM"], seen.most["RssAnon"]
    held = peak <= limit_gb * GB and anonymous <= anonymous_gb * GB and len(seen.steps) == STEPS
    predicted, memory = seen.predicted_per_step, seen.plan["memory"]
    print(f"limits held by {', '.join(seen.limited_by)}")
    print(f"memory    peak {peak / MB:6,.0f} MB   planned {memory / MB:6,.0f} MB   ratio {memory / peak:.2f}")
    print(f"          of it allocated {anonymous / MB:,.0f} MB, pages of files {seen.most['RssFile'] / MB:,.0f} MB")
    print(
        f"a step    {seen.per_step:6.1f} s       planned {predicted:6.1f} s       ratio {predicted / seen.per_step:.2f}"
    )
    figures = {
        "held": held,
        "limited_by": seen.limited_by,
        "limit_gb": limit_gb,
        "peak_gb": round(peak / GB, 3),
        "anonymous_gb": round(anonymous / GB, 3),
        "files_gb": round(seen.most["RssFile"] / GB, 3),
        "planned_gb": round(memory / GB, 3),
        "seconds_per_step": round(seen.per_step, 2),
        "planned_seconds_per_step": round(predicted, 2),
        "tokens_per_second": round(TOKENS / seen.per_step, 2),
        "steps": len(seen.steps),
        "recompute": seen.plan["recompute"],
        "dtype": seen.plan["dtype"],
    }
    print(json.dumps(figures))
    return held


if __name__ == "__main__":
    main()
