"""HTTP as it is spoken to Ollama.

The address is the operator's, never a request's. Still nothing that answers there is trusted: redirects are not
followed, answers are bounded in bytes and in time, and addresses where clouds keep their secrets are refused.
"""

import socket
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx
from pydantic import BaseModel, ValidationError

from llmlora.errors import OllamaFailed, OllamaUnreachable

CONNECT_SECONDS, ANSWER_SECONDS = 2.0, 10.0
SILENCE_SECONDS = 600.0  # while Ollama hashes a file or loads a model, it says nothing
MAX_ANSWER_BYTES, MAX_LINE_BYTES = 2**23, 2**16
CHUNK = 2**20
PLAIN = {"accept-encoding": "identity"}
METADATA = frozenset({"100.100.100.200", "fd00:ec2::254"})  # of clouds that do not keep it on a link-local address

M = TypeVar("M", bound=BaseModel)
OnBytes = Callable[[int, int], None]  # bytes done, bytes in all


@dataclass(frozen=True)
class Asked:
    """A request: JSON, or a file with someone who is told how much of it has gone."""

    method: str
    path: str
    json: dict[str, Any] | None = None
    file: Path | None = None
    on_bytes: OnBytes | None = None

    def content(self) -> Iterator[bytes] | None:
        """The file, piece by piece."""
        return self._pieces(self.file) if self.file else None

    def _pieces(self, file: Path) -> Iterator[bytes]:
        total, done = file.stat().st_size, 0
        with file.open("rb") as source:
            while chunk := source.read(CHUNK):
                yield chunk
                done += len(chunk)
                if self.on_bytes:
                    self.on_bytes(done, total)


class Failure(BaseModel):
    """How Ollama refuses: the body of an answer, or a line of one that began well."""

    error: str = ""


def exists(address: str, path: str) -> bool:
    """Whether a HEAD request finds something.

    Raises:
        OllamaUnreachable: nobody answers.
        OllamaFailed: it is neither there nor not there.
    """
    with _open(address, Asked("HEAD", path), ANSWER_SECONDS) as response:
        if response.status_code == httpx.codes.NOT_FOUND:
            return False
        _check(response)
        return True


def fetch(address: str, asked: Asked, silence: float = ANSWER_SECONDS, *, seconds: float = ANSWER_SECONDS) -> bytes:
    """The whole answer.

    Raises:
        OllamaUnreachable: nobody answers, or the connection broke.
        OllamaFailed: Ollama refuses, in its words, or its answer is too long or takes longer than `seconds`.
    """
    with _open(address, asked, silence) as response:
        _check(response)
        return _read(response, MAX_ANSWER_BYTES, seconds)


def lines(address: str, asked: Asked) -> Generator[bytes]:
    """The lines of a stream; a line that says `error` ends it. Closing the iterator ends the request.

    Raises:
        OllamaUnreachable, OllamaFailed: see `fetch`.
    """
    with _open(address, asked, SILENCE_SECONDS) as response:
        _check(response)
        for line in _lines(response):
            if error := parsed(Failure, line).error:
                raise OllamaFailed(short(error))
            yield line


def parsed(model: type[M], text: bytes) -> M:
    """What Ollama said, or OllamaFailed where that is something else."""
    try:
        return model.model_validate_json(text)
    except ValidationError:
        raise OllamaFailed("what answers there does not speak as Ollama does") from None


def short(text: str) -> str:
    """As much of a foreign text as people are shown."""
    return "".join(sign for sign in text[:300] if sign.isprintable())


@contextmanager
def _open(address: str, asked: Asked, silence: float) -> Iterator[httpx.Response]:
    timeout = httpx.Timeout(silence, connect=CONNECT_SECONDS)
    try:
        with (
            httpx.Client(timeout=timeout, follow_redirects=False, trust_env=False, headers=PLAIN) as client,
            closing(_send(client, address, asked)) as response,
        ):
            yield response
    except (httpx.TransportError, httpx.InvalidURL):
        raise OllamaUnreachable(address) from None


def _send(client: httpx.Client, address: str, asked: Asked) -> httpx.Response:
    """The answer of the first of the host's addresses that takes the connection."""
    url = httpx.URL(address + asked.path)
    for number in _numbers(address):  # connecting to the name would look it up again, and might find another
        headers = {"host": url.netloc.decode("ascii")}
        if asked.file:
            headers["content-length"] = str(asked.file.stat().st_size)
        request = client.build_request(
            asked.method,
            url.copy_with(host=number),
            json=asked.json,
            content=asked.content(),
            headers=headers,
            extensions={"sni_hostname": url.host},
        )
        try:
            return client.send(request, stream=True)
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


def _check(response: httpx.Response) -> None:
    """Nothing of a refusal that is not Ollama's is repeated."""
    if response.status_code in (httpx.codes.OK, httpx.codes.CREATED):
        return
    try:
        said = parsed(Failure, _read(response, MAX_LINE_BYTES, ANSWER_SECONDS)).error
    except OllamaFailed:
        said = ""
    raise OllamaFailed(short(said) or f"status {response.status_code}")


def _lines(response: httpx.Response) -> Iterator[bytes]:
    rest = b""
    for chunk in response.iter_raw():
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line for line in whole if line.strip())
        if len(rest) > MAX_LINE_BYTES:
            raise OllamaFailed(f"a line of its answer is longer than {MAX_LINE_BYTES} bytes")
    if rest.strip():
        yield rest


def _read(response: httpx.Response, most: int, seconds: float) -> bytes:
    """The whole body, if it is neither too long nor too slow."""
    deadline, text = time.monotonic() + seconds, b""
    for chunk in response.iter_raw():
        text += chunk
        if len(text) > most:
            raise OllamaFailed(f"its answer is longer than {most} bytes")
        if time.monotonic() > deadline:
            raise OllamaFailed(f"its answer took longer than {seconds:g} s")
    return text
