"""`llmlora serve`: the web process and the runner, started and kept alive.

This process is tiny and holds the listening socket, so that neither a crash of the web process nor its restart
refuses a connection.
"""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address

import click

from llmlora.child import die_with_parent
from llmlora.cli.options import option_help
from llmlora.errors import PortTaken
from llmlora.settings import Settings, read_settings
from llmlora.text.catalogue import say
from llmlora.token import Token

BACKLOG = 512
TICK_SECONDS = 0.1
FIRST_WAIT, LONGEST_WAIT, HEALTHY_SECONDS = 0.2, 10.0, 30.0
SHUTDOWN_SECONDS = 30.0


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help=option_help("host"))
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help=option_help("port"))
@click.option("--allowed-host", "allowed_hosts", multiple=True, metavar="NAME", help=option_help("allowed_host"))
def command(host: str, port: int, allowed_hosts: tuple[str, ...]) -> int:
    """Serve the API and the interface, and run jobs."""
    settings = read_settings()
    if not _is_loopback(host) and not allowed_hosts:
        raise click.UsageError(say(settings.language, "cli.serve.name_hosts"))
    listener = _listen(host, port)
    children = (
        Child([*_python("llmlora.api"), "--fd", str(listener.fileno()), *_flags(allowed_hosts)], listener.fileno()),
        Child(_python("llmlora.jobs.runner")),
    )
    _greet(listener, settings, allowed_hosts)
    return _keep(children)


@dataclass
class Child:
    """A process that is started again whenever it ends, after a wait that grows while it keeps ending at once."""

    command: Sequence[str]
    socket: int | None = None
    process: subprocess.Popen[bytes] | None = None
    wait: float = FIRST_WAIT
    started: float = 0.0
    not_before: float = field(default_factory=time.monotonic)

    def tick(self) -> None:
        now = time.monotonic()
        if self.process is not None and self.process.poll() is not None:
            self.process = None
            self.wait = FIRST_WAIT if now - self.started > HEALTHY_SECONDS else self.wait
            self.not_before = now + self.wait
            self.wait = min(2 * self.wait, LONGEST_WAIT)
        if self.process is None and now >= self.not_before:
            self.started = now
            passed = () if self.socket is None else (self.socket,)
            self.process = subprocess.Popen(
                self.command,
                pass_fds=passed,
                start_new_session=True,  # Ctrl-C on the terminal is for us, and we end it in order
                preexec_fn=die_with_parent,  # noqa: PLW1509 - no threads here; later would leave a moment to be orphaned
            )

    def signal(self, number: int) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)


def _keep(children: Sequence[Child]) -> int:
    """Keep the children alive until SIGTERM, Ctrl-C or the end of the terminal, then end them in order."""
    asked: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, _: asked.append(number))
    while not asked:
        for child in children:
            child.tick()
        time.sleep(TICK_SECONDS)
    for child in children:
        child.signal(signal.SIGTERM)
    limit = time.monotonic() + SHUTDOWN_SECONDS
    for child in children:
        if child.process is not None:
            try:
                child.process.wait(max(0.0, limit - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()
    return 0


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host.strip("[]"), port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise PortTaken(host, port, error.strerror or str(error)) from None


def _greet(listener: socket.socket, settings: Settings, allowed_hosts: Sequence[str]) -> None:
    host, port = listener.getsockname()[:2]
    name = host if _is_loopback(host) else allowed_hosts[0]
    address = f"http://{_in_brackets(name)}:{port}/#token={Token(settings.home.token).value}"
    click.echo(say(settings.language, "cli.serve.open", address=address))
    click.echo(say(settings.language, "cli.serve.stop"), err=True)


def _in_brackets(host: str) -> str:
    return f"[{host.strip('[]')}]" if ":" in host else host


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _python(module: str) -> list[str]:
    return [sys.executable, "-I", "-m", module]


def _flags(allowed_hosts: Sequence[str]) -> list[str]:
    return [part for name in allowed_hosts for part in ("--allowed-host", _in_brackets(name.lower()))]
