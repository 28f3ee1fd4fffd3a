"""`llmlora data`: what a file of rows holds, and the exact tokens a model would learn from."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from llmlora.cli.options import map_option, parse_mapping
from llmlora.settings import Settings, read_language, read_settings
from llmlora.text.catalogue import Language, say
from llmlora.text.visible import visible

if TYPE_CHECKING:
    from llmlora.data.check import Bin, Report, TokenCounts
    from llmlora.data.conversation import RowProblem
    from llmlora.data.examples import Example
    from llmlora.data.render import Renderer
    from llmlora.data.template import ChatTemplate
    from llmlora.data.tokenizer import Tokenizer
    from llmlora.model.source import Base

WIDE = 160
BAR_CELLS, EIGHTHS = 30, ("", *"▏▎▍▌▋▊▉")
PART = "◦"  # a token that is not yet a whole character
# two looks in turn, so that one sees where a token ends
TRAINED = ("black on green", "black on bright_green")
MASKED = ("dim", "dim underline")

command = click.Group("data")
files_argument = click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
length_option = click.option(
    "--max-length", type=click.IntRange(8, 1_048_576), help=say(read_language(), "recipe.max_length")
)
template_option = click.option(
    "--template",
    type=click.Choice(["model", "ollama"]),
    default="model",
    help=say(read_language(), "recipe.template"),
)
json_option = click.option("--json", "as_json", is_flag=True, help=say(read_language(), "models.json_help"))


@command.command("check", help=say(read_language(), "cli.data.check_help"))
@files_argument
@map_option
@click.option("--model", help=say(read_language(), "cli.data.model_help"))
@length_option
@template_option
@json_option
@click.pass_context
def check_files(
    context: click.Context,
    files: tuple[Path, ...],
    mapping: tuple[str, ...],
    model: str | None,
    max_length: int | None,
    template: str,
    as_json: bool,
) -> None:
    from llmlora.data.check import check, tokenise
    from llmlora.data.read import read_conversations

    settings = read_settings()
    reading = read_conversations(files, parse_mapping(mapping))
    if model is None:
        report, facts = check(reading), None
    else:
        with _patience(settings), _writer(model, template, settings) as writer:
            length = max_length or _default_length()
            examples, problems = tokenise(reading, writer.tokenizer, writer.renderer, length)
            report, facts = check(reading, examples, length, problems), writer.facts()
    if as_json:
        _print_json({**report.to_json(), "model": facts})
    else:
        _show_report(report, facts, settings.language, _console())
    context.exit(2 if report.errors else 0)


@command.command("preview", help=say(read_language(), "cli.data.preview_help"))
@files_argument
@map_option
@click.option("--model", required=True, help=say(read_language(), "recipe.model"))
@click.option(
    "--rows", type=click.IntRange(1), default=3, show_default=True, help=say(read_language(), "cli.data.rows_help")
)
@length_option
@template_option
@json_option
def preview_files(
    files: tuple[Path, ...],
    mapping: tuple[str, ...],
    model: str,
    rows: int,
    max_length: int | None,
    template: str,
    as_json: bool,
) -> None:
    from llmlora.data.examples import make_examples
    from llmlora.data.read import read_conversations

    settings = read_settings()
    reading = read_conversations(files, parse_mapping(mapping))
    if not reading.conversations:
        reading.need_sound()
    if reading.problems:
        click.echo(say(settings.language, "cli.data.some_errors", count=len(reading.problems)), err=True)
    length = max_length or _default_length()
    with _patience(settings), _writer(model, template, settings) as writer:
        examples = make_examples(reading.conversations[:rows], writer.tokenizer, writer.renderer, length)
    if as_json:
        shown_rows = [_row_document(example, writer.tokenizer) for example in examples]
        paths = [str(file) for file in files]
        _print_json({"paths": paths, "model": writer.facts(), "max_length": length, "rows": shown_rows})
    else:
        _show_preview(examples, files, writer, settings.language, _console())


@dataclass(frozen=True)
class Writer:
    """What turns rows into one model's tokens."""

    base: "Base"
    template: "ChatTemplate"
    tokenizer: "Tokenizer"
    renderer: "Renderer"

    def facts(self) -> dict[str, Any]:
        return {
            "name": self.base.name,
            "digest": self.base.digest,
            "template": {"origin": self.template.origin, "name": self.template.name},
        }


@contextmanager
def _writer(model: str, chosen: str, settings: Settings) -> Iterator[Writer]:
    from llmlora.data.base_text import template_and_tokenizer
    from llmlora.data.render import Renderer
    from llmlora.model.prompts import followed
    from llmlora.model.source import resolve

    base = resolve(model, settings.home, settings.ollama_stores)
    template, tokenizer = template_and_tokenizer(base.path)
    if chosen == "ollama":
        template = followed(base, settings.ollama_stores, template)
    with Renderer(template) as renderer:
        yield Writer(base, template, tokenizer, renderer)


def row_ranges(rows: Sequence[int]) -> str:
    """`[1, 2, 3, 7]` → `1–3, 7`."""
    runs = [list(run) for _, run in groupby(enumerate(rows), lambda pair: pair[1] - pair[0])]
    return ", ".join(str(run[0][1]) if len(run) == 1 else f"{run[0][1]}–{run[-1][1]}" for run in runs)


def _show_report(report: "Report", facts: dict[str, Any] | None, language: Language, console: Console) -> None:
    console.print(_grid([(say(language, f"cli.data.{key}"), value) for key, value in _report_facts(report, language)]))
    if report.tokens and facts:
        console.print()
        console.print(Text(say(language, "cli.data.tokens", model=facts["name"]), style="bold"))
        console.print(_template_line(facts["template"], language))
        console.print(_grid(list(_token_facts(report.tokens, language))))
        console.print(Text(say(language, "cli.data.histogram"), style="dim"))
        console.print(_bars(report.tokens.histogram))
    for kind, style, found in (("errors", "red", report.errors), ("warnings", "yellow", report.warnings)):
        console.print()
        console.print(
            Text(say(language, f"cli.data.{kind}", count=len(found)), style=f"bold {style}" if found else "dim")
        )
        for line in _lines(kind, found, report, language):
            console.print(Text(line), soft_wrap=True)


def _report_facts(report: "Report", language: Language) -> Iterator[tuple[str, str]]:
    for file in report.files:
        kind = ", ".join(name.upper() for name in (file.format, file.encoding) if name)
        yield "file", say(language, "cli.data.file_value", path=visible(file.path), kind=kind, rows=f"{file.rows:,}")
    yield "rows", say(language, "cli.data.rows_value", rows=f"{report.rows:,}", usable=f"{report.usable:,}")
    if report.columns:
        pairs = [f"{part} = {visible(column)}" for part, column in report.columns.items()]
        yield "columns", say(language, "cli.data.columns_value", pairs=pairs)
    if report.shapes:
        yield "shapes", ", ".join(f"{shape} × {count:,}" for shape, count in report.shapes.items())
    if report.unused:
        yield "unused", ", ".join(f"{visible(key)} × {count:,}" for key, count in report.unused.items())


def _token_facts(counts: "TokenCounts", language: Language) -> Iterator[tuple[str, str]]:
    for key, value in vars(counts).items():
        if key != "histogram" and value is not None:
            shown = f"{value:.1%}" if key == "supervised_share" else f"{value:,}"
            yield say(language, f"cli.data.count_{key}"), shown


def _bars(bins: Sequence["Bin"]) -> Table:
    longest = max(one.rows for one in bins)
    table = Table.grid(padding=(0, 2))
    for one in bins:
        eighths = -(-one.rows * BAR_CELLS * 8 // longest)
        bar = "█" * (eighths // 8) + EIGHTHS[eighths % 8]
        lengths = f"{one.least:,}" if one.least == one.most else f"{one.least:,}–{one.most:,}"
        table.add_row(lengths, bar, f"{one.rows:,}")
    table.columns[0].justify = table.columns[2].justify = "right"
    return table


def _lines(kind: str, found: Sequence["RowProblem"], report: "Report", language: Language) -> Iterator[str]:
    """A line an error; warnings of one kind together."""
    if kind == "errors":
        for one in found:
            words = say(language, f"problems.{one.code}", detail=visible(one.detail).replace("␣", " "))
            key = "row_says" if len(report.files) == 1 else "row_of_file_says"
            file = visible(report.files[one.file].path)
            yield say(language, f"cli.data.{key}", file=file, row=one.row, words=words)
        return
    for code in dict.fromkeys(one.code for one in found):
        of_code = [one for one in found if one.code == code]
        yield f"  {say(language, f'warnings.{code}', count=len(of_code))}: {_places(of_code, report)}"


def _places(found: Sequence["RowProblem"], report: "Report") -> str:
    """Row numbers, by file where there are several."""
    told = []
    for number, file in enumerate(report.files):
        if rows := sorted({one.row for one in found if one.file == number}):
            told.append(row_ranges(rows) if len(report.files) == 1 else f"{visible(file.path)} {row_ranges(rows)}")
    return "; ".join(told)


def _show_preview(
    examples: Sequence["Example"], files: Sequence[Path], writer: Writer, language: Language, console: Console
) -> None:
    console.print(Text(writer.base.name, style="bold"))
    console.print(_template_line(writer.facts()["template"], language))
    console.print(_legend(language, console))
    for example in examples:
        counts = {"row": example.row, "tokens": len(example.ids), "trained": int(example.trained.sum())}
        console.print()
        where = f"{visible(str(files[example.file]))}  " if len(files) > 1 else ""
        console.print(Text(where + say(language, "cli.data.preview_row", **counts), style="bold"))
        pieces = writer.tokenizer.pieces(example.ids.tolist())
        text = tokens_text(pieces, example.trained.tolist(), colour=_colours(console))
        console.print(text, soft_wrap=True, end="" if text.plain.endswith("\n") else "\n")
        if example.truncated:
            console.print(Text(say(language, "cli.data.cut", tokens=len(example.ids)), style="bold yellow"))


def tokens_text(pieces: Sequence[str], trained: Sequence[bool], *, colour: bool) -> Text:
    """The tokens of a row: by colours, or where there are none with `|` between tokens and 【】 around trained ones."""
    text = Text()
    for place, (piece, learned) in enumerate(zip(pieces, trained, strict=True)):
        shown = visible(piece) or PART
        if colour:
            text.append(shown, (TRAINED if learned else MASKED)[place % 2])
            continue
        begins = learned and (place == 0 or not trained[place - 1])
        ends = learned and (place + 1 == len(trained) or not trained[place + 1])
        text.append(("【" if begins else "|" if place else "") + shown + ("】" if ends else ""))
    return text


def _legend(language: Language, console: Console) -> Text:
    trained, masked = say(language, "cli.data.trained"), say(language, "cli.data.masked")
    samples = (
        [(f" {trained} ", TRAINED[0]), " ", (f" {masked} ", MASKED[0])]
        if _colours(console)
        else [f"【{trained}】 {masked}"]
    )
    return Text.assemble(*samples, f"  {say(language, 'cli.data.marks')}")


def _template_line(template: dict[str, str], language: Language) -> Text:
    words = say(language, f"cli.train.template_{template['origin']}", name=template["name"])
    return Text(f"{say(language, 'cli.train.template')}: {words}")


def _row_document(example: "Example", tokenizer: "Tokenizer") -> dict[str, Any]:
    ids, trained = example.ids.tolist(), example.trained.tolist()
    tokens = [
        {"id": number, "text": text, "trained": learned}
        for number, text, learned in zip(ids, tokenizer.pieces(ids), trained, strict=True)
    ]
    return {
        "file": example.file,
        "row": example.row,
        "count": len(ids),
        "trained": sum(trained),
        "truncated": example.truncated,
        "tokens": tokens,
    }


def _default_length() -> int:
    from llmlora.recipe import Recipe

    return int(Recipe.model_fields["max_length"].default)


@contextmanager
def _patience(settings: Settings) -> Iterator[None]:
    with Console(stderr=True).status(say(settings.language, "cli.data.preparing")):
        yield


def _grid(rows: Sequence[tuple[str, str]]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(Text(name), Text(value))
    return table


def _colours(console: Console) -> bool:
    return console.color_system is not None


def _console() -> Console:
    # what is read may hold anything; it is printed, never interpreted
    width = None if sys.stdout.isatty() else WIDE
    return Console(markup=False, highlight=False, emoji=False, width=width)


def _print_json(document: object) -> None:
    click.echo(json.dumps(document, ensure_ascii=False, indent=2))
