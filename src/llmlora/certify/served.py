"""The model that Ollama serves, asked: the prompt it writes, the numbers it computes, what it answers.

Ollama tells at most the 20 likeliest tokens, as text, and takes its prompt as text too. So only those prefixes are
asked that our tokenizer finds again in their text, and only tokens count that no other token is written like.
"""

from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

from torch import Tensor

from llmlora.certify.certificate import Line, judged, skipped
from llmlora.certify.compare import ANSWER, OnPhase, Side, engine_lines
from llmlora.certify.numbers import Values, distance
from llmlora.certify.rows import Material
from llmlora.data.conversation import Turn
from llmlora.data.tokenizer import Tokenizer
from llmlora.errors import OllamaFailed, OllamaUnreachable
from llmlora.ollama import client
from llmlora.text.catalogue import Words

TOP, PREFIXES = 20, 12  # tokens told; prefixes of each row
BROKEN_CHARACTER = "\ufffd"


@dataclass(frozen=True)
class Served:
    """The name of a model in the Ollama at `address`."""

    address: str
    name: str


@dataclass
class Asked:
    """What it said."""

    lines: list[Line]
    prompts: list[str] | None = None
    answers: list[str] | None = None


def ask(served: Served, material: Material, side: Side | None, plain: Tensor, tell: OnPhase) -> Asked:
    """Ask for everything that can be asked, and hold it against `side`, what it should be, and `plain`, its base.

    A server that is gone proves nothing; one that fails to answer is a broken line.
    """
    said = Asked([])
    try:
        _compare_prompts(served, material, said)
        said.lines += _compare_numbers(served, material, side, plain, tell)
        tell("answers", 0, 0)
        said.answers = [_answer(served, turns) for turns in material.questions]
    except OllamaUnreachable:
        said.lines += skipped(Words("certificate.gone", {"address": served.address}), "served")
    except OllamaFailed as error:
        said.lines += skipped(Words("certificate.fails", {"problem": error.problem}), "served", verdict="broken")
    return said


def _compare_prompts(served: Served, material: Material, said: Asked) -> None:
    if not material.questions:
        said.lines += skipped(Words("certificate.no_questions"), "prompt", measure="same")
        return
    theirs = client.render(served.address, served.name, _messages(material.questions[0]))
    if theirs is None:
        said.lines += skipped(Words("certificate.too_old"), "prompt", measure="same")
        return
    ours = _without_bos(material.prompts[0], material.tokenizer)
    said.prompts = [ours, theirs]
    said.lines.append(judged("prompt", "same", float(ours == theirs), 1.0))


def _compare_numbers(
    served: Served, material: Material, side: Side | None, plain: Tensor, tell: OnPhase
) -> Sequence[Line]:
    if side is None:
        return skipped(Words("certificate.nothing_here"), "served")
    places, ids = _prefixes(material), _ids_by_text(material.tokenizer)
    found: dict[int, Values] = {}
    for number, (place, text) in enumerate(places.items()):
        tell("served", number, len(places))
        if likely := _likeliest(served, text, ids):
            found[place] = likely
    if not found:
        return skipped(Words("certificate.no_numbers"), "served")
    at, values = list(found), list(found.values())
    exact = None if side.exact is None else [side.exact[place] for place in at]
    # what noise hides in the mean shows in the order: a base that was never adapted is nearer to itself
    tuned, base = distance(side.ours[at], values), distance(plain[at], values)
    nearer = judged("nearer", "mean", tuned.mean, base.mean, tuned.compared)
    return [*engine_lines("served", Side(side.ours[at], values, exact)), nearer]


def _prefixes(material: Material) -> dict[int, str]:
    """Some prefixes of each row by their place among all, as text that becomes the same tokens again."""
    found: dict[int, str] = {}
    begin, tokenizer = 0, material.tokenizer
    for row in material.rows:
        texts = {
            stop: _without_bos(text, tokenizer)
            for stop in range(1, len(row) + 1)
            if BROKEN_CHARACTER not in (text := "".join(tokenizer.pieces(row[:stop])))
            and tokenizer.encode(text) == row[:stop]
        }
        every = max(1, len(texts) // PREFIXES)
        found |= {begin + stop - 1: text for stop, text in list(texts.items())[::-every] if text}
        begin += len(row)
    return found


def _ids_by_text(tokenizer: Tokenizer) -> dict[str, int]:
    texts = {number: tokenizer.pieces([number])[0] for number in range(tokenizer.vocabulary_size)}
    counts = Counter(texts.values())
    return {text: number for number, text in texts.items() if counts[text] == 1 and BROKEN_CHARACTER not in text}


def _likeliest(served: Served, text: str, ids: dict[str, int]) -> Values:
    """Nothing where the answer is over at once, and nothing ever from a server that is too old to tell."""
    with closing(client.generate(served.address, served.name, text, {"num_predict": 1, "temperature": 0}, TOP)) as said:
        positions = [position for piece in said for position in piece.logprobs]
    likely = positions[0].top_logprobs if positions else []
    return {ids[one.token]: one.logprob for one in likely if one.token in ids}


def _answer(served: Served, turns: Sequence[Turn]) -> str:
    options = {"temperature": 0, "num_predict": ANSWER.max_tokens}
    with closing(client.chat(served.address, served.name, _messages(turns), options)) as said:
        return "".join(piece.text for piece in said)


def _messages(turns: Sequence[Turn]) -> list[dict[str, str]]:
    return [{"role": turn.role, "content": turn.content} for turn in turns]


def _without_bos(text: str, tokenizer: Tokenizer) -> str:
    """The server adds it to what it reads as text, and does not show it."""
    return text.removeprefix(tokenizer.special.get("bos_token", "")) if tokenizer.add_bos else text
