"""Ollama's API, as much of it as we need: its version, its models, and a download.

The address is the operator's, never a request's. Still nothing that answers there is trusted: redirects are not
followed, answers are bounded in bytes and in time, and addresses where clouds keep their secrets are refused.
Source: api/types.go and server/routes.go of Ollama. A stream that began with status 200 can hold an error line, and is
a success only when its last line says so.
"""

import socket
import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import TypeVar
from urllib.parse import urlsplit

import httpx
from pydantic import BaseModel, Field, ValidationError

from llmlora.errors import OllamaFailed, OllamaUnreachable

CONNECT_SECONDS, ANSWER_SECONDS = 2.0, 10.0
SILENCE_SECONDS = 600.0  # while Ollama hashes what it has downloaded, it says nothing
MAX_ANSWER_BYTES, MAX_LINE_BYTES = 2**23, 2**16
PLAIN = {"accept-encoding": "identity"}
METADATA = frozenset({"100.100.100.200", "fd00:ec2::254"})  # of clouds that do not keep it on a link-local address

M = TypeVar("M", bound=BaseModel)


class Tag(BaseModel):
    """A model as Ollama lists it."""

    name: str = Field(max_length=1000)
    size: int = Field(0, ge=0)


@dataclass(frozen=True)
class Progress:
    """A line of a download: what is being done, and bytes done of bytes in all, 0 of 0 where there are none."""

    status: str
    completed: int
    total: int


class _Version(BaseModel):
    version: str = Field(max_length=100)


class _Tags(BaseModel):
    models: list[Tag]


class _Line(BaseModel):
    error: str = ""
    status: str = ""
    completed: int = 0
    total: int = 0


def version(address: str) -> str:
    """The version of the server.

    Raises:
        OllamaUnreachable: nobody answers.
        OllamaFailed: somebody answers, but not as Ollama does.
    """
    return _parsed(_Version, _get(address, "/api/version")).version


def models(address: str) -> list[Tag]:
    """The models it has. Raises as `version`."""
    return _parsed(_Tags, _get(address, "/api/tags")).models


def pull(address: str, name: str) -> Generator[Progress]:
    """Have Ollama download a model; what was downloaded before is kept. Closing the iterator ends the download.

    Raises:
        OllamaUnreachable: nobody answers, or the connection broke.
        OllamaFailed: Ollama says why.
    """
    status = ""
    with _answer(address, "POST", "/api/pull", SILENCE_SECONDS, {"model": name}) as response:
        for text in _lines(response):
            line = _parsed(_Line, text)
            if line.error:
                raise OllamaFailed(_short(line.error))
            status = line.status
            yield Progress(_short(status), line.completed, line.total)
    if status != "success":
        raise OllamaFailed("the download ended early")


def _get(address: str, path: str) -> bytes:
    with _answer(address, "GET", path, ANSWER_SECONDS) as response:
        return _read(response, MAX_ANSWER_BYTES)


@contextmanager
def _answer(
    address: str, method: str, path: str, silence: float, body: dict[str, str] | None = None
) -> Iterator[httpx.Response]:
    """An open response with status 200."""
    timeout = httpx.Timeout(silence, connect=CONNECT_SECONDS)
    try:
        with (
            httpx.Client(timeout=timeout, follow_redirects=False, trust_env=False, headers=PLAIN) as client,
            closing(_send(client, address, method, path, body)) as response,
        ):
            if response.status_code != httpx.codes.OK:
                raise OllamaFailed(_why(response))
            yield response
    except (httpx.TransportError, httpx.InvalidURL):
        raise OllamaUnreachable(address) from None


def _send(client: httpx.Client, address: str, method: str, path: str, body: dict[str, str] | None) -> httpx.Response:
    """The answer of the first of the host's addresses that takes the connection."""
    url = httpx.URL(address + path)
    for number in _numbers(address):  # connecting to the name would look it up again, and might find another
        there, headers = url.copy_with(host=number), {"host": url.netloc.decode("ascii")}
        asked = client.build_request(method, there, json=body, headers=headers, extensions={"sni_hostname": url.host})
        try:
            return client.send(asked, stream=True)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            continue
    raise OllamaUnreachable(address)


def _numbers(address: str) -> list[str]:
    """The numeric addresses of a host.

    Raises:
        OllamaUnreachable: it is no Ollama's: another scheme, link-local, a cloud's metadata.
    """
    try:
        parts = urlsplit(address)
        found = socket.getaddrinfo(parts.hostname, parts.port, type=socket.SOCK_STREAM)
    except (OSError, ValueError):
        raise OllamaUnreachable(address) from None
    numbers = [str(where[4][0]) for where in found]
    if parts.scheme not in ("http", "https") or any(map(_is_secret, numbers)):
        raise OllamaUnreachable(address)
    return numbers


def _is_secret(text: str) -> bool:
    where = ip_address(text.partition("%")[0])
    if isinstance(where, IPv6Address) and where.ipv4_mapped:
        where = where.ipv4_mapped
    return where.is_link_local or str(where) in METADATA


def _lines(response: httpx.Response) -> Iterator[bytes]:
    rest = b""
    for chunk in response.iter_raw():
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line for line in whole if line.strip())
        if len(rest) > MAX_LINE_BYTES:
            raise OllamaFailed(f"a line of its answer is longer than {MAX_LINE_BYTES} bytes")
    if rest.strip():
        yield rest


def _read(response: httpx.Response, most: int) -> bytes:
    """The whole body, if it is neither too long nor too slow."""
    deadline, text = time.monotonic() + ANSWER_SECONDS, b""
    for chunk in response.iter_raw():
        text += chunk
        if len(text) > most:
            raise OllamaFailed(f"its answer is longer than {most} bytes")
        if time.monotonic() > deadline:
            raise OllamaFailed(f"its answer took longer than {ANSWER_SECONDS:g} s")
    return text


def _why(response: httpx.Response) -> str:
    """What Ollama says is wrong; nothing of an answer that is not Ollama's is repeated."""
    try:
        said = _parsed(_Line, _read(response, MAX_LINE_BYTES)).error
    except OllamaFailed:
        said = ""
    return _short(said) or f"status {response.status_code}"


def _parsed(model: type[M], text: bytes) -> M:
    try:
        return model.model_validate_json(text)
    except ValidationError:
        raise OllamaFailed("what answers there does not speak as Ollama does") from None


def _short(text: str) -> str:
    return "".join(sign for sign in text[:300] if sign.isprintable())
