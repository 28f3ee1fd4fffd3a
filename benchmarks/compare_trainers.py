"""Ours beside other LoRA trainers: the same rows, tokens, first adapter and rate; turn by turn, each in a process of its own.

    python benchmarks/compare_trainers.py [--rounds 5] [--steps 4] [--models smollm2-135m ...] [--only trl_best ...]

Every step takes two packs of 512 tokens (peers that cannot pack: eight rows). The first two steps of a run are left out; a
run counts with the median of the others, a ratio is the median of the rounds' ratios. Loss curves are held against TRL's
on the same packs. With everything it takes about three quarters of an hour. The figures go to `docs/performance.json`, and from
there into the pages; a peer's requirements and where it runs are in `benchmarks/peers/`. Exits 1 where curves disagree.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.loss_curve import documentation, questions
from benchmarks.peers.environments import BENCH, HERE, ROOT, python_of
from benchmarks.peers.material import Data, write_material
from benchmarks.random_model import RandomShape, sample_tokenizer, write_random

from llmlora.model.device import usable_cores
from llmlora.openmp import BRIEF
from llmlora.settings import read_settings
from llmlora.train.bench import bench_recipe

LLAMA_1B = RandomShape(16, 2048, 8192, 32, 8, 128256, "Q4_0")  # the shape of Llama-3.2-1B
FIGURES = ROOT / "docs" / "performance.json"
PEERS = {"replaced": "trl", "trl_default": "trl", "trl_best": "trl", "trainer": "trl", "qlora": "bitsandbytes"}
PACKING_PEER = "trl_best"
OTHER_BASE = "qlora"  # whose weights are rounded anew
SAME_LOSS = ("trl_default", "trainer", OTHER_BASE)  # of the same tokens, by eight rows
SHORTEST = 90  # characters of an answer
AGREE = 0.05  # nats a step: bfloat16 rounds to 3 digits, and TRL sums in another order


@dataclass(frozen=True)
class Subject:
    """A model, who is measured on it, and how many steps the curves are compared over."""

    model: str
    peers: tuple[str, ...]
    curve: int


SUBJECTS = {
    "smollm2-135m": Subject("sample:smollm2-135m", tuple(PEERS), 20),
    "gemma3-270m": Subject("sample:gemma3-270m", ("trl_default", PACKING_PEER), 12),
    "llama-1b": Subject(f"gguf:{BENCH / 'llama-1b.gguf'}", (PACKING_PEER,), 4),
}

Run = dict[str, Any]


def ours(subject: Subject, rows: Path, steps: int) -> Run:
    command = [sys.executable, "-m", "llmlora", "bench", "--model", subject.model, "--data", str(rows)]
    return last_line([*command, "--steps", str(steps), "--json"], dict(os.environ))


def ours_by_rows(subject: Subject, rows: Path, steps: int) -> Run:
    return last_line(
        [sys.executable, str(HERE / "ours_by_rows.py"), subject.model, str(rows), str(steps)], dict(os.environ)
    )


def peer(name: str, material: Path, steps: int) -> Run:
    spinning = {name: value for name, value in os.environ.items() if name not in BRIEF}  # as it is by itself
    command = [str(python_of(PEERS[name])), str(HERE / f"{name}.py"), str(material), str(steps)]
    return last_line(command, {**spinning, "HF_HUB_OFFLINE": "1"})


def last_line(command: Sequence[str], environment: dict[str, str]) -> Run:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr[-2000:]}")
    found: Run = json.loads(done.stdout.splitlines()[-1])
    return found


def import_seconds() -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import torch, transformers, peft"], check=True)
    return time.perf_counter() - began


def measure(name: str, subject: Subject, given: argparse.Namespace, rows: Path) -> dict[str, Any]:
    material = BENCH / "material" / name
    data = write_material(bench_recipe(subject.model, [str(rows)], given.steps), read_settings().home, material)
    print(f"{name}: {data.rows} rows, {data.mean:.0f} tokens each, {data.supervised:.0%} supervised", flush=True)
    peers = [one for one in subject.peers if not given.only or one in given.only]
    runs: dict[str, list[Run]] = {"ours": [], **{one: [] for one in peers}}
    for number in range(given.rounds):
        for one, done in runs.items():
            began = time.perf_counter()
            done.append(ours(subject, rows, given.steps) if one == "ours" else peer(one, material, given.steps))
            speed, took = done[-1]["tokens_per_second"], time.perf_counter() - began
            print(f"  round {number + 1}/{given.rounds}  {one:12} {speed:6.0f} tokens/s  ({took:.0f} s)", flush=True)
    found = summary(data, runs)
    if PACKING_PEER in peers:
        steps = max(given.steps, subject.curve)
        found["curve"] = curve(ours(subject, rows, steps), peer(PACKING_PEER, material, steps))
        found["trainers"][PACKING_PEER]["distance"] = found["curve"]["largest"]
    by_rows = [one for one in peers if one in SAME_LOSS]
    reference = ours_by_rows(subject, rows, given.steps) if by_rows else {}
    for one in by_rows:
        found["trainers"][one]["distance"] = curve(reference, runs[one][0])["largest"]
    return found


def summary(data: Data, runs: dict[str, list[Run]]) -> dict[str, Any]:
    """What is kept of the runs of a model."""
    first = runs["ours"]
    own = {
        "utilisation": median(run["utilisation"] for run in first),
        "peak_gflops": median(run["peak_flops"] for run in first) / 1e9,
        "peak_dtype": first[0]["peak_dtype"],
        "start_seconds": median(run["start_seconds"] for run in first),
        "import_seconds": median(import_seconds() for _ in first),
        "anonymous_memory": median(run["peak_anonymous_memory"] for run in first),
    }
    trainers = {name: of_trainer(done, first) for name, done in runs.items()}
    return {"rounds": len(first), "data": asdict(data), "ours": own, "trainers": trainers}


def of_trainer(done: list[Run], first: list[Run]) -> dict[str, float]:
    names = ("tokens_per_second", "supervised_tokens_per_second", "peak_memory")
    ratios = [a["tokens_per_second"] / b["tokens_per_second"] for a, b in zip(first, done, strict=True)]
    speeds = [run["tokens_per_second"] for run in done]
    found = {name: median(run[name] for run in done) for name in names}
    return {**found, "slowest": min(speeds), "fastest": max(speeds), "ratio": median(ratios)}


def curve(first: Run, second: Run) -> dict[str, Any]:
    """How far the losses of two runs on the same rows are from each other."""
    distances = [abs(a - b) for a, b in zip(first["losses"], second["losses"], strict=True)]
    facts = {"steps": len(distances), "largest": max(distances), "mean": sum(distances) / len(distances)}
    return {**facts, "ours": first["losses"], "theirs": second["losses"]}


def machine() -> dict[str, Any]:
    processor = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name"))
    return {
        "cpu": processor.partition(": ")[2],
        "cores": usable_cores(),
        "memory": psutil.virtual_memory().total / 2**30,
        "python": platform.python_version(),
        "torch": version("torch"),
    }


def write_rows(path: Path) -> Path:
    """The standard library's longer documentation, in a random order."""
    rows = questions((name, text) for name, text in documentation() if len(text) > SHORTEST)
    path.parent.mkdir(exist_ok=True)
    path.write_text(
        "\n".join(json.dumps(rows[place]) for place in np.random.default_rng(0).permutation(len(rows))), "utf-8"
    )
    return path


def keep(model: str, found: dict[str, Any]) -> None:
    """Put what was measured on a model into `performance.json`, and write the pages anew."""
    figures = json.loads(FIGURES.read_text("utf-8")) if FIGURES.exists() else {}
    figures[model] = found
    FIGURES.write_text(
        json.dumps({name: figures[name] for name in SUBJECTS if name in figures}, indent=1) + "\n", "utf-8"
    )
    subprocess.run([sys.executable, ROOT / "docs" / "performance_page.py"], check=True)


def table(found: dict[str, Any]) -> str:
    lines = [f"  {'':14}tokens/s  supervised/s  peak MB  ours / it  max |Δloss|"]
    for name, one in found["trainers"].items():
        facts = (one["tokens_per_second"], one["supervised_tokens_per_second"], one["peak_memory"] / 2**20)
        distance = f"{one['distance']:13.4f}" if "distance" in one else ""
        lines.append(f"  {name:14}{facts[0]:8.0f}{facts[1]:14.0f}{facts[2]:9.0f}{one['ratio']:10.1f}×{distance}")
    own = found["ours"]
    lines.append(f"  useful share of {own['peak_gflops']:.0f} GFLOP/s ({own['peak_dtype']}): {own['utilisation']:.0%}")
    start = own["start_seconds"] / own["import_seconds"]
    lines.append(f"  first step after {own['start_seconds']:.1f} s, {start:.1f} × importing torch, transformers, peft")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--models", nargs="+", choices=SUBJECTS, default=list(SUBJECTS))
    parser.add_argument("--only", nargs="+", choices=PEERS, help="these peers alone; the pages stay as they are")
    given = parser.parse_args()
    rows = write_rows(BENCH / "rows.jsonl")
    if "llama-1b" in given.models and not (BENCH / "llama-1b.gguf").exists():
        write_random(BENCH / "llama-1b.gguf", LLAMA_1B, sample_tokenizer(read_settings().home))
    disagree = False
    for name in given.models:
        found = measure(name, SUBJECTS[name], given, rows)
        print(table(found), flush=True)
        if not given.only:
            keep(name, {**found, "machine": machine()})
        disagree |= any(one.get("distance", 0) > AGREE for peer, one in found["trainers"].items() if peer != OTHER_BASE)
    return int(disagree)


if __name__ == "__main__":
    sys.exit(main())
