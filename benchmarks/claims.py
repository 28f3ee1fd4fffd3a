"""How many jobs a second are claimed, and whether one is ever claimed twice, on SQLite and PostgreSQL.

The peer is the database itself: bare committed updates of one row a second, in the same run.

    python benchmarks/claims.py [--jobs 2000] [--owners 2]
"""

import argparse
import shutil
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from sqlalchemy import insert, text

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.postgres_server import start

from llmlora.store import jobs
from llmlora.store.database import Database, take_numbers
from llmlora.store.tables import job


def claim_all(url: str, owner: str) -> list[str]:
    database, taken = Database(url), []
    while True:
        with database.writing() as connection:
            one = jobs.claim(connection, owner, ("train",))
        if one is None:
            return taken
        taken.append(one.id)


def submit_many(database: Database, count: int) -> None:
    one = jobs.submit(database, jobs.Request("train", "job", {}))
    with database.writing() as connection:
        first = take_numbers(connection, count)
        row = {name: value for name, value in vars(one).items() if value is not None}
        connection.execute(insert(job), [{**row, "id": f"job{n}", "number": first + n} for n in range(count - 1)])


def bare_commits(database: Database, seconds: float = 2.0) -> float:
    end, count = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        with database.writing() as connection:
            connection.execute(text("UPDATE counter SET value = value + 1"))
        count += 1
    return count / seconds


def measure(name: str, url: str, count: int, owners: int) -> bool:
    database = Database(url)
    bare = bare_commits(database)
    submit_many(database, count)
    with ProcessPoolExecutor(owners) as pool:
        list(pool.map(time.sleep, [0.01] * owners))  # the processes are there
        began = time.monotonic()
        taken = [one for part in pool.map(claim_all, [url] * owners, map(str, range(owners))) for one in part]
        rate = count / (time.monotonic() - began)
    twice = len(taken) - len(set(taken))
    print(
        f"{name:11} {rate:7.0f} claims/s   {bare:7.0f} bare commits/s   ratio {rate / bare:.2f}   claimed twice: {twice}"
    )
    database.close()
    return twice == 0 and len(taken) == count


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=2000)
    parser.add_argument("--owners", type=int, default=2)
    given = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="llmlora-q-"))
    server = start(directory / "data")
    try:
        right = [
            measure("SQLite", f"sqlite:///{directory}/llmlora.db", given.jobs, given.owners),
            measure("PostgreSQL", server.get_uri(), given.jobs, given.owners),
        ]
    finally:
        server.cleanup()
        shutil.rmtree(directory, ignore_errors=True)
    sys.exit(0 if all(right) else 1)


if __name__ == "__main__":
    main()
