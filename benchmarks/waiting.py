"""What waiting threads cost: seconds a training step, OpenMP spinning or passive, alone and beside a second run.

`python benchmarks/waiting.py` trains the first steps of SmolLM2 in child processes, twice at a time for "beside".
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROWS = Path(__file__).parent.parent / "src/llmlora/demo/rows.jsonl"
STEPS = 5


def run(policy: str, out: Path) -> subprocess.Popen[bytes]:
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
    environment = {**os.environ, "OMP_WAIT_POLICY": policy}
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def seconds_per_step(out: Path) -> float:
    steps = [json.loads(line) for line in (out / "events.jsonl").read_text().splitlines()]
    ends = [event["seconds"] for event in steps if event["event"] == "step"]
    return (ends[-1] - ends[0]) / (len(ends) - 1)  # the first step pays for start-up


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        table: dict[tuple[str, int], float] = {}
        for policy in ("ACTIVE", "PASSIVE"):
            for together in (1, 2):
                outs = [Path(directory) / f"{policy}{together}{number}" for number in range(together)]
                for child in [run(policy, out) for out in outs]:
                    child.wait()
                table[policy, together] = max(map(seconds_per_step, outs))
    print("seconds a step      alone   beside a second run")
    for policy in ("ACTIVE", "PASSIVE"):
        print(f"{policy:<16} {table[policy, 1]:8.2f} {table[policy, 2]:8.2f}")
    print(
        f"ratio            {table['ACTIVE', 1] / table['PASSIVE', 1]:8.2f} {table['ACTIVE', 2] / table['PASSIVE', 2]:8.2f}"
    )


if __name__ == "__main__":
    main()
