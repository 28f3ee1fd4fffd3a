"""`llmlora`: each command is imported when it is used, and every error of ours becomes words and an exit code here."""

import importlib
import json
import sys
from typing import Any

import click

from llmlora import __version__
from llmlora.failure import LlmloraError
from llmlora.openmp import wait_briefly
from llmlora.settings import read_language
from llmlora.text.catalogue import say

COMMANDS = (
    "serve",
    "demo",
    "models",
    "data",
    "train",
    "adapters",
    "export",
    "certify",
    "chat",
    "compare",
    "bench",
    "doctor",
)
INTERRUPTED = 130


class LazyGroup(click.Group):
    """A group that imports `llmlora.cli.<command>` only to run that command."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"llmlora.cli.{cmd_name}").command
        command.help = say(read_language(), f"commands.{cmd_name}")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands from the catalogue, importing none of them."""
        language = read_language()
        with formatter.section("Commands"):
            formatter.write_dl([(name, say(language, f"commands.{name}")) for name in COMMANDS])


@click.command(cls=LazyGroup, no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def llmlora() -> None:
    """The root of all commands; its help is in the catalogue."""


def main() -> None:
    """Entry point: exit code 0 done, 1 failed, 2 the user's mistake, 130 interrupted."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command line; returns the exit code."""
    wait_briefly()
    llmlora.help = say(read_language(), "commands.llmlora")
    try:
        result: Any = llmlora.main(arguments, prog_name="llmlora", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except LlmloraError as error:
        show_error(error, as_json="--json" in arguments)
        return error.exit_code
    except BrokenPipeError:  # `llmlora … | head`: the reader has seen enough
        sys.stderr.close()
        return 0
    return result if isinstance(result, int) else 0


def show_error(error: LlmloraError, *, as_json: bool) -> None:
    """What happened and what to do next, on standard error; with --json also as the one document on standard output."""
    language = read_language()
    message, hint = error.message(language), error.hint(language)
    click.echo(click.style(say(language, "cli.error"), fg="red", bold=True) + f" {message}", err=True)
    click.echo(hint, err=True)
    if as_json:
        click.echo(json.dumps({"error": {"code": error.code, "message": message, "hint": hint, "fields": []}}))
