"""Memory for training: what Ollama keeps there is loaded again when somebody asks for it."""

import time
from contextlib import suppress
from ipaddress import ip_address
from urllib.parse import urlsplit

from llmlora.errors import OllamaFailed, OllamaUnreachable
from llmlora.ollama import client

SECONDS, LOOK_SECONDS = 10.0, 0.1


def make_room(address: str) -> list[str]:
    """Take all models out of the memory of an Ollama on this machine; their names, once they are gone."""
    gone: list[str] = []
    if _is_here(address):
        with suppress(OllamaUnreachable, OllamaFailed):
            for model in client.running(address):
                client.unload(address, model.name)
                gone.append(model.name)
            limit = time.monotonic() + SECONDS
            while gone and client.running(address) and time.monotonic() < limit:
                time.sleep(LOOK_SECONDS)  # its process ends after the answer
    return gone


def _is_here(address: str) -> bool:
    host = urlsplit(address).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
