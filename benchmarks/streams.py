"""A thousand who watch and say nothing, while events come: who hears what, how late, and at what price.

    python benchmarks/streams.py [--watchers 1000] [--events 50]

Each watcher must hear every event once. The peer is the store's own look: nothing is heard sooner than every 0.2 s.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.api.server import Serving, serving

from llmlora.api.hub import POLL_SECONDS
from llmlora.store import events
from llmlora.store.database import Database

SECONDS_BETWEEN = 0.1
Heard = list[tuple[str, float]]


async def watch(server: Serving, count: int, ready: asyncio.Semaphore) -> Heard:
    """What one stream has told, and when, until it has told `count` events."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    request = f"GET /api/events?topics=datasets HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {server.token}\r\n"
    writer.write(f"{request}\r\n".encode())
    heard: Heard = []
    while len(heard) < count:
        line = (await reader.readline()).decode().strip()
        if line == "event: hello":
            ready.release()
        elif line.startswith("data: ") and "sent" in line:
            heard.append((line, time.time()))
    writer.close()
    return heard


async def measure(server: Serving, database: Database, watchers: int, count: int) -> bool:
    ready = asyncio.Semaphore(0)
    api = server.child("llmlora.api")
    before, began = api.memory_info().rss, time.monotonic()
    streams = [asyncio.create_task(watch(server, count, ready)) for _ in range(watchers)]
    for _ in range(watchers):
        await asyncio.wait_for(ready.acquire(), 60)
    opened, grown = time.monotonic() - began, api.memory_info().rss - before
    used = sum(api.cpu_times()[:2])
    await asyncio.sleep(3)
    idle = (sum(api.cpu_times()[:2]) - used) / 3
    for _ in range(count):
        await asyncio.to_thread(tell, database)
        await asyncio.sleep(SECONDS_BETWEEN)
    everything = await asyncio.wait_for(asyncio.gather(*streams), 60)
    late = [when - float(line.split('"sent": ')[1].split("}")[0]) for heard in everything for line, when in heard]
    whole = sum(len({line for line, _ in heard}) == count for heard in everything)
    print(
        f"{watchers} streams open in {opened:.1f} s, {grown / 2**20:.0f} MB; while nothing happens {idle:.1%} of a core"
    )
    print(f"{count} events: {whole} of {watchers} heard each of them once")
    print(
        f"late by {statistics.median(late):.2f} s (median), {max(late):.2f} s (worst); looked for every {POLL_SECONDS} s"
    )
    return whole == watchers


def tell(database: Database) -> None:
    with database.writing() as connection:
        events.tell(connection, None, "dataset", {"sent": time.time()})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--watchers", type=int, default=1000)
    parser.add_argument("--events", type=int, default=50)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory, serving(Path(directory)) as server:
        server.status("/healthz")
        database = Database(f"sqlite:///{directory}/llmlora.db")
        whole = asyncio.run(measure(server, database, arguments.watchers, arguments.events))
        database.close()
    sys.exit(0 if whole else 1)


if __name__ == "__main__":
    main()
