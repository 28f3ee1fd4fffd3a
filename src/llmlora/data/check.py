"""What there is to say about a data file before it is trained on: all its errors, what looks odd, how long it is."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from llmlora.data.conversation import Conversation, RowProblem
from llmlora.data.examples import Example, make_example
from llmlora.data.read import Reading
from llmlora.data.render import Renderer
from llmlora.data.similar import near_duplicates
from llmlora.data.tokenizer import Tokenizer
from llmlora.errors import TemplateFailed

if TYPE_CHECKING:
    from llmlora.recipe import Part

# what remains of text read in the wrong encoding: U+FFFD; UTF-8 taken for Latin-1 ("ã\x81‚", "â€™", "Ã©") or for CP932
# ("縺ゅ→" for "あと"); CP932 taken for Latin-1 ("‚±‚ñ" for "こん"); EUC-JP taken for CP932 ("､ﾏ､､" for "はい")
MOJIBAKE = re.compile(
    "(?:[､･][｡-ﾟ]){2}|\ufffd|ã[\x80-\x9f€‚ƒ]|â€[™œ\x9d“”¦]|Ã[\x80-\xbf]|[縺繧繝].{0,3}[縺繧繝]|(?:[‚ƒ][\x80-\xffŒœŽžŠšŸƒ„…†‡ˆ‰‹›‘’“”•–—™]){2}"
)
# nothing a text needs; colours copied from a terminal, for instance
CONTROL = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f]")
HALF_WIDTH_KATAKANA = re.compile("[ｦ-ﾟ]")
FULL_WIDTH_ALPHANUMERIC = re.compile("[０-９Ａ-Ｚａ-ｚ]")
ALPHANUMERIC = re.compile("[0-9A-Za-z]")
# か and ゛ as two characters, as file names on a Mac have them; no model has seen much of that
DECOMPOSED = re.compile("[\u3099\u309a]")
SHOWN = 8  # characters on either side
MANY_TOKENS, ENOUGH_CHARACTERS = (
    1.5,
    50,
)  # a character; English has about 0.25, Japanese 0.5 to 1 where it is known well
BINS = 8


Place = tuple[int, int]  # file and row
NOTHING: Mapping[Place, int] = MappingProxyType({})


@dataclass(frozen=True)
class Bin:
    """How many rows have from `least` to `most` tokens."""

    least: int
    most: int
    rows: int


@dataclass(frozen=True)
class TokenCounts:
    """Lengths of the rows in tokens, as they are; `total` and what follows is what the maximum leaves of them."""

    rows: int
    min: int
    mean: float
    p50: int
    p95: int
    max: int
    total: int
    supervised: int
    supervised_share: float
    per_character: float | None
    truncated: int
    histogram: list[Bin]


@dataclass(frozen=True)
class FileFacts:
    """One of the files; `encoding` is that of a text."""

    path: str
    format: str
    encoding: str | None
    rows: int


@dataclass(frozen=True)
class Report:
    """All of it. `errors` and `warnings` name rows by file (its place in `files`) and by the numbers people count;
    `columns` says what was taken from where; `tokens` needs a model.
    """

    files: list[FileFacts]
    rows: int
    usable: int
    columns: "dict[Part, str]"
    shapes: dict[str, int]
    unused: dict[str, int]
    errors: list[RowProblem]
    warnings: list[RowProblem]
    max_length: int | None
    tokens: TokenCounts | None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def tokenise(
    reading: Reading, tokenizer: Tokenizer, renderer: Renderer, max_length: int
) -> tuple[list[Example], list[RowProblem]]:
    """Every row in tokens, and those that the model's template cannot write.

    Raises:
        TemplateFailed: the template loops or explodes; that is no fault of a row.
    """
    examples, problems = [], []
    for conversation in reading.conversations:
        try:
            examples.append(make_example(conversation, tokenizer, renderer, max_length))
        except TemplateFailed as error:
            if not renderer.alive:
                raise
            code, detail = error.problem.key.removeprefix("problems."), str(error.problem.facts["detail"])
            problems.append(RowProblem(conversation.row, code, detail, conversation.file))
    return examples, problems


def check(
    reading: Reading,
    examples: Sequence[Example] | None = None,
    max_length: int | None = None,
    problems: Sequence[RowProblem] = (),
) -> Report:
    """The report on a reading; `examples` and `problems` are those of `tokenise`."""
    errors = sorted([*reading.problems, *problems], key=_place)
    rows = len(reading.conversations) + len(reading.problems)
    lengths = _answer_lengths(reading.conversations)
    warnings = [*_warnings(reading.conversations), *_token_warnings(examples or (), lengths)]
    return Report(
        files=_files(reading),
        rows=rows,
        usable=rows - len(errors),
        columns=reading.columns,
        shapes=dict(reading.shapes.most_common()),
        unused=dict(reading.unused.most_common()),
        errors=errors,
        warnings=sorted(warnings, key=_place),
        max_length=max_length,
        tokens=count_tokens(examples, lengths) if examples else None,
    )


def _files(reading: Reading) -> list[FileFacts]:
    rows = Counter(one.file for one in reading.conversations) + Counter(one.file for one in reading.problems)
    return [
        FileFacts(str(file.path), file.format, file.encoding, rows[number]) for number, file in enumerate(reading.files)
    ]


def _place(row: Conversation | Example | RowProblem) -> Place:
    return row.file, row.row


def count_tokens(examples: Sequence[Example], characters: Mapping[Place, int] = NOTHING) -> TokenCounts:
    """Statistics of at least one row; `characters` are those of its answers."""
    lengths = np.array([len(example.ids) + example.cut for example in examples])
    p50, p95 = np.percentile(lengths, [50, 95], method="inverted_cdf")
    total, supervised = sum(len(one.ids) for one in examples), sum(int(one.trained.sum()) for one in examples)
    return TokenCounts(
        rows=len(examples),
        min=int(lengths.min()),
        mean=round(float(lengths.mean()), 1),
        p50=int(p50),
        p95=int(p95),
        max=int(lengths.max()),
        total=total,
        supervised=supervised,
        supervised_share=round(supervised / max(total, 1), 4),
        per_character=_per_character([one for one in examples if not one.truncated], characters),
        truncated=sum(example.truncated for example in examples),
        histogram=_histogram(lengths),
    )


def _histogram(lengths: np.ndarray[Any, np.dtype[np.int64]]) -> list[Bin]:
    """At most `BINS` bins of one width, which together hold every row."""
    least = int(lengths.min())
    longest = int(lengths.max())
    width = -(-(longest - least + 1) // BINS)
    counts = np.bincount((lengths - least) // width).tolist()
    starts = range(least, least + width * len(counts), width)
    return [Bin(start, min(start + width - 1, longest), rows) for start, rows in zip(starts, counts, strict=True)]


def _warnings(conversations: Sequence[Conversation]) -> Iterator[RowProblem]:
    first_seen = dict[Any, Conversation]()
    for one in conversations:
        first = first_seen.setdefault(one.turns, one)
        if first is not one:
            yield _warning(one, "duplicate", _seen_from(one, first))
        blank = Counter(turn.role for turn in one.turns if not turn.content.strip())
        yield from (_warning(one, "empty", role) for role in blank)
        yield from _odd_characters(one)
    for one, earlier in near_duplicates(list(first_seen.values())):
        yield _warning(one, "near_duplicate", _seen_from(one, earlier))
    if any(_search(ALPHANUMERIC, one) for one in conversations):
        full = ((one, _search(FULL_WIDTH_ALPHANUMERIC, one)) for one in conversations)
        yield from (_warning(one, "width_mix", _around(match)) for one, match in full if match)


def _seen_from(row: Conversation, earlier: Conversation) -> str:
    """The number of an earlier row; in another file, with the place of that file before it."""
    return str(earlier.row) if earlier.file == row.file else f"{earlier.file}:{earlier.row}"


def _odd_characters(row: Conversation) -> Iterator[RowProblem]:
    if garbled := _search(MOJIBAKE, row):
        yield _warning(row, "mojibake", _around(garbled))
    elif match := _search(HALF_WIDTH_KATAKANA, row):
        yield _warning(row, "half_width_katakana", _around(match))
    if match := _search(DECOMPOSED, row):
        yield _warning(row, "decomposed", _around(match))
    if match := _search(CONTROL, row):
        yield _warning(row, "control_character", f"U+{ord(match[0]):04X}")


def _search(pattern: re.Pattern[str], row: Conversation) -> re.Match[str] | None:
    return next((match for turn in row.turns if (match := pattern.search(turn.content))), None)


def _around(match: re.Match[str]) -> str:
    return match.string[max(0, match.start() - SHOWN) : match.end() + SHOWN]


def _token_warnings(examples: Sequence[Example], characters: Mapping[Place, int]) -> Iterator[RowProblem]:
    for one in examples:
        if one.truncated:
            yield _warning(one, "truncated", str(len(one.ids)))
        elif characters[_place(one)] >= ENOUGH_CHARACTERS:
            rate = _per_character([one], characters)
            if rate is not None and rate > MANY_TOKENS:
                yield _warning(one, "many_tokens", f"{rate:.2f}")
        if not one.usable:
            yield _warning(one, "nothing_supervised", "")


def _answer_lengths(conversations: Sequence[Conversation]) -> dict[Place, int]:
    """Characters the model is to learn to write, by row."""
    return {
        _place(one): sum(len(turn.content) for turn in one.turns if turn.role in ("assistant", "text") and turn.trained)
        for one in conversations
    }


def _per_character(examples: Sequence[Example], characters: Mapping[Place, int]) -> float | None:
    """Trained tokens for each character of the answers."""
    written = sum(characters.get(_place(one), 0) for one in examples)
    return round(sum(int(one.trained.sum()) for one in examples) / written, 2) if written else None


def _warning(row: Conversation | Example, code: str, detail: str) -> RowProblem:
    return RowProblem(row.row, code, detail, row.file)
