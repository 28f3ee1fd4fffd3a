"""Stands in for `llmlora.jobs.worker` where a fault is wanted at an exact moment.

It is started and told as a worker is, writes events.jsonl as a run does, and then does what `spec["act"]` says, in
order: step, save, die (SIGKILL), die at first (not after a checkpoint), hang, stubborn (deaf to SIGTERM),
wait (for a file named go), fail.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path


def main() -> None:
    task = json.loads(sys.stdin.readline())
    out, stop = Path(task["out"]), []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
    (out / "recipe.yaml").write_text("{}")
    lines = (out / "events.jsonl").read_text().splitlines() if (out / "events.jsonl").exists() else []
    saved = [json.loads(line)["step"] for line in lines if '"saved"' in line]
    begin = max(saved, default=0)
    kept = [line for line in lines if json.loads(line)["step"] <= begin and saved]
    (out / "new").write_text("".join(f"{line}\n" for line in kept))
    (out / "new").rename(out / "events.jsonl")
    step = begin

    def tell(event: str, **facts) -> None:
        with (out / "events.jsonl").open("a") as file:
            file.write(json.dumps({"event": event, "step": step, "seconds": 0.0, **facts}) + "\n")

    tell("started", total_steps=task["total"], resumed_from=begin or None)
    for act in task["act"]:
        if act == "step":
            step += 1
            tell("step", loss=1.0 / step)
        elif act == "save":
            tell("saved", path="")
        elif act == "wait":
            while not (out / "go").exists():
                time.sleep(0.01)
        elif act == "stubborn":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        elif act == "hang":
            print("hanging", file=sys.stderr, flush=True)
            while not stop:
                time.sleep(0.01)
            print(json.dumps({"interrupted": True}), flush=True)
            return
        elif act == "die" or (act == "die at first" and not begin):
            os.kill(os.getpid(), signal.SIGKILL)
        elif act == "fail":
            print(json.dumps({"error": task["error"]}), flush=True)
            return
    tell("finished")
    print(json.dumps({"result": {"step": step, "loss": 1.0, "eval_loss": None}}), flush=True)


if __name__ == "__main__":
    main()
