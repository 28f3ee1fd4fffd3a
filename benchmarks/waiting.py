"""What waiting threads cost: seconds a training step, by how OpenMP's threads wait, alone and beside a second run.

Spinning is what OpenMP does by itself, sleeping is `OMP_WAIT_POLICY=PASSIVE`, and brief is ours: spinning for as long as
waking would take, then sleeping.

`python benchmarks/waiting.py` trains the first steps of SmolLM2 in child processes, twice at a time for "beside".
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

WAYS = {
    "spinning": {"OMP_WAIT_POLICY": "ACTIVE", "GOMP_SPINCOUNT": "infinite"},
    "sleeping": {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"},
    "brief": {},
}
ROWS = Path(__file__).parent.parent / "src/llmlora/demo/rows.jsonl"
STEPS = 8


def run(way: str, out: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "llmlora", "train", "--model", "sample:smollm2-135m", "--data", str(ROWS)]
    command += [
        "--out",
        str(out),
        "--steps",
        str(STEPS),
        "--batch-size",
        "5",
        "--grad-accum",
        "1",
        "--save-every",
        "99",
    ]
    return subprocess.Popen(
        command, env={**os.environ, **WAYS[way]}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def seconds_per_step(out: Path) -> float:
    steps = [json.loads(line) for line in (out / "events.jsonl").read_text().splitlines()]
    ends = [event["seconds"] for event in steps if event["event"] == "step"]
    return (ends[-1] - ends[0]) / (len(ends) - 1)  # the first step pays for start-up


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        table: dict[tuple[str, int], float] = {}
        for way in WAYS:
            for together in (1, 2):
                outs = [Path(directory) / f"{way}{together}{number}" for number in range(together)]
                for child in [run(way, out) for out in outs]:
                    child.wait()
                table[way, together] = max(map(seconds_per_step, outs))
    print("seconds a step      alone   beside a second run")
    for way in WAYS:
        print(f"{way:<16} {table[way, 1]:8.2f} {table[way, 2]:8.2f}")
    for way in ("spinning", "sleeping"):
        ratios = (table[way, together] / table["brief", together] for together in (1, 2))
        print(f"{way:<8} / brief {next(ratios):8.2f} {next(ratios):8.2f}")


if __name__ == "__main__":
    main()
