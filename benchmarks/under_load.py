"""The server while a job trains on all cores: answers, a large upload, and how soon a cancelled job is gone.

    python benchmarks/under_load.py [--seconds 30] [--clients 50] [--cancels 10]

The peer is the same server with nothing to train, in the same run.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import httpx
import psutil

ROWS = [{"instruction": f"What is {n} plus {n}?", "output": f"It is {n + n}."} for n in range(200)]
RECIPE = {"model": "sample:smollm2-135m", "rank": 8, "steps": 5000, "max_length": 256, "save_every": 50}
UPLOAD_BYTES = 2**30


@contextmanager
def server(home: Path) -> Iterator[tuple[httpx.Client, psutil.Process]]:
    """A running `llmlora serve`, a client that holds its token, and its web process."""
    environment = {**os.environ, "LLMLORA_HOME": str(home), "LLMLORA_LANG": "en"}
    command = [sys.executable, "-m", "llmlora", "serve", "--port", "0"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address, _, token = process.stdout.readline().split()[-1].partition("/#token=")
        key = {"authorization": f"Bearer {token}"}
        with httpx.Client(base_url=address, headers=key, timeout=60) as client:
            client.get("/healthz")
            children = psutil.Process(process.pid).children()
            web = next(child for child in children if "llmlora.api" in child.cmdline())
            try:
                yield client, web
            finally:
                process.terminate()


async def ask_often(client: httpx.Client, clients: int, seconds: float) -> list[float]:
    """The times of requests, one a second from each client, in seconds."""
    paths = ("/api/training/jobs", "/api/datasets", "/api/chats", "/healthz")
    times: list[float] = []
    limits = httpx.Limits(max_connections=clients)
    async with httpx.AsyncClient(base_url=client.base_url, headers=client.headers, limits=limits, timeout=60) as asking:

        async def one(number: int) -> None:
            await asyncio.sleep(number / clients)
            for turn in range(int(seconds)):
                began = time.perf_counter()
                (await asking.get(paths[(number + turn) % len(paths)])).raise_for_status()
                took = time.perf_counter() - began
                times.append(took)
                await asyncio.sleep(max(0.0, 1 - took))

        await asyncio.gather(*(one(number) for number in range(clients)))
    return times


def p99(times: list[float]) -> float:
    return sorted(times)[int(len(times) * 0.99)]


def answers(client: httpx.Client, clients: int, seconds: float) -> float:
    before, began = psutil.Process().cpu_times(), time.monotonic()
    times = asyncio.run(ask_often(client, clients, seconds))
    after = psutil.Process().cpu_times()
    own = (after.user + after.system - before.user - before.system) / (time.monotonic() - began)
    print(
        f"  {len(times)} answers: median {median(times) * 1e3:.1f} ms, p99 {p99(times) * 1e3:.1f} ms "
        f"(the clients themselves took {own:.0%} of a core)"
    )
    return p99(times)


def start_job(client: httpx.Client, dataset: str) -> str:
    body = {"name": "load", "dataset_id": dataset, "recipe": RECIPE}
    return str(client.post("/api/training/jobs", json=body).raise_for_status().json()["id"])


def wait_until(client: httpx.Client, job: str, *states: str, step: int = 0) -> None:
    while True:
        progress = client.get(f"/api/training/jobs/{job}/progress").json()
        if progress["state"] in states and progress["step"] >= step:
            return
        time.sleep(0.05)


def upload(client: httpx.Client, web: psutil.Process) -> float:
    """MB by which the web process grows while it takes in a gigabyte (which it then refuses: it is no data)."""
    before = most = web.memory_info().rss

    def content() -> Iterator[bytes]:
        nonlocal most
        for _ in range(UPLOAD_BYTES // 2**20):
            most = max(most, web.memory_info().rss)
            yield bytes(2**20)

    binary = {"content-type": "application/octet-stream"}
    client.post("/api/datasets/upload?name=large", content=content(), headers=binary, timeout=600)
    return (max(most, web.memory_info().rss) - before) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--cancels", type=int, default=10)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory, server(Path(directory)) as (client, web):
        dataset = client.post("/api/datasets", json={"name": "rows", "rows": ROWS}).raise_for_status().json()["id"]
        print(f"{given.clients} clients at one request a second, nothing to train")
        idle = answers(client, given.clients, given.seconds)
        job = start_job(client, dataset)
        wait_until(client, job, "running", step=2)
        print("the same while a job trains")
        busy = answers(client, given.clients, given.seconds)
        print(f"  p99 {busy / idle:.1f} × that of the idle server (limit 100 ms)")
        grown = upload(client, web)
        print(f"a 1 GiB upload: the web process grows by {grown:.0f} MB (limit 50)")
        gone = []
        for number in range(given.cancels):
            began = time.monotonic()
            client.post(f"/api/training/jobs/{job}/cancel").raise_for_status()
            wait_until(client, job, "cancelled")
            gone.append(time.monotonic() - began)
            if number + 1 < given.cancels:
                job = start_job(client, dataset)
                wait_until(client, job, "running", step=number % 3)
        print(
            f"{len(gone)} cancelled jobs: gone after {median(gone):.1f} s in the median, {max(gone):.1f} s at most (limit 10)"
        )
    sys.exit(0 if busy < 0.1 and grown < 50 and max(gone) < 10 else 1)


if __name__ == "__main__":
    main()
