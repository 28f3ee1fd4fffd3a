"""The process that parses data files. They come from anywhere: memory, processor time and open files are limited here,
waiting time by the parent, which ends this process.

It reads a JSON line {"paths", "given", "memory", "seconds"}, then a line for each message (see `parse`) it may send
ahead, so that a slow parent is not flooded. With "head" in it, it tells of the first file how it begins.
"""

import json
import os
import sys
from pathlib import Path

from llmlora.child import die_with_parent
from llmlora.confine import limit_files, limit_memory, limit_time
from llmlora.data.parse import Message, head, parse

OPEN_FILES = 32
# what pyarrow loads maps memory for every core otherwise, before it has read a byte
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ARROW_IO_THREADS"), "1")


def main() -> None:
    """Answer one request."""
    die_with_parent()
    os.environ.update(ONE_THREAD, ARROW_DEFAULT_MEMORY_POOL="system")
    request = json.loads(sys.stdin.readline())
    limit_files(OPEN_FILES)
    limit_memory(request["memory"])
    limit_time(request["seconds"])
    try:
        paths = [Path(path) for path in request["paths"]]
        for message in [head(paths[0])] if request.get("head") else parse(paths, request["given"]):
            _say(message)
            if not sys.stdin.readline():
                return
    except MemoryError:
        _say({"died": "memory"})


def _say(message: Message) -> None:
    # what is left of a file's words may be half characters
    text = json.dumps(message, ensure_ascii=False, separators=(",", ":"))
    sys.stdout.buffer.write(text.encode("utf-8", "surrogatepass") + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
