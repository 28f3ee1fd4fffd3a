"""The web process: `python -I -m llmlora.api --fd N`, with a socket that its parent listens on.

The parent keeps the socket: while this process is started again, connections wait instead of being refused.
"""

import resource
import socket
import sys
from argparse import ArgumentParser

import uvicorn

from llmlora.api.app import create_server
from llmlora.api.context import Context
from llmlora.api.hub import Hub
from llmlora.failure import LlmloraError
from llmlora.settings import read_settings
from llmlora.store.database import Database

SHUTDOWN_SECONDS = 2
OPEN_FILES = 8192  # each stream is one; many systems begin with 1024


class Server(uvicorn.Server):
    """Ends the live streams before it waits for what is still being answered: they would never end by themselves."""

    def __init__(self, config: uvicorn.Config, hub: Hub) -> None:
        super().__init__(config)
        self.hub = hub

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self.hub.stop()
        await super().shutdown(sockets)


def main() -> None:
    """Serve until SIGTERM."""
    parser = ArgumentParser()
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--allowed-host", action="append", default=[])
    arguments = parser.parse_args()
    settings = read_settings()
    _allow_many_sockets()
    try:
        context = Context(settings, Database(settings.database_url))
    except LlmloraError as error:
        sys.exit(f"{error.message(settings.language)} {error.hint(settings.language)}")
    app = create_server(context, frozenset(arguments.allowed_host))
    config = uvicorn.Config(
        app,
        ws="none",
        lifespan="on",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        h11_max_incomplete_event_size=65536,
        proxy_headers=False,
    )
    Server(config, context.hub).run(sockets=[socket.socket(fileno=arguments.fd)])


def _allow_many_sockets() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


if __name__ == "__main__":
    main()
