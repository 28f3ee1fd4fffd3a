"""A progress bar for what goes through phases; their names are in the catalogue, under `<what>.phases`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from llmlora.settings import read_language
from llmlora.text.catalogue import say


@contextmanager
def phases(what: str) -> Iterator[Callable[[str, int, int], None]]:
    """Takes the phase, and how much of how much is done: 0 of 0 where that is not known."""
    from rich.console import Console
    from rich.progress import Progress

    language = read_language()
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=None)

        def tell(phase: str, done: int, total: int) -> None:
            text = say(language, f"{what}.phases.{phase}")
            progress.update(task, description=text, completed=done, total=total or None)

        yield tell
