"""Rows that nearly repeat an earlier one: MinHash over character n-grams, then an exact comparison.

Each row is the set of its runs of three characters, width, case and white space aside. Of the hashes of a set under 48
functions the least ones are kept: two sets agree in about as many of them as they have in common. Rows that agree in
four neighbouring ones meet in a bucket; of the first rows in its buckets, a row is compared with the likest.
(Broder, "On the resemblance and containment of documents", 1997; Leskovec, Rajaraman, Ullman, "Mining of Massive
Datasets", chapter 3.)

Everything is a function of the rows alone, and the work on a row is bounded by `MOST` characters.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from llmlora.data.conversation import Conversation

GRAM, LEAST, MOST = 3, 12, 1_000  # characters
HASHES, BAND = 48, 4
SIMILAR = 0.8  # share of n-grams in common, of those in either
PROBABLY = 0.65  # the same by hashes, which err by 0.06
BLOCK = 2**21  # characters hashed at once: some ten MiB each array

Hashes = np.ndarray[Any, np.dtype[np.uint32]]


def near_duplicates(rows: Sequence[Conversation]) -> Iterator[tuple[Conversation, Conversation]]:
    """Pairs of a row and an earlier one that it nearly repeats, or wholly; system prompts do not count."""
    texts = [_text(row) for row in rows]
    places = [place for place, text in enumerate(texts) if len(text) >= LEAST]
    signatures = _signatures([texts[place] for place in places])
    buckets: list[dict[bytes, int]] = [{} for _ in range(HASHES // BAND)]
    width = BAND * signatures.itemsize
    for mine, place in enumerate(places):
        signature = signatures[mine]
        raw = signature.tobytes()
        met = {bucket.setdefault(raw[at * width : (at + 1) * width], mine) for at, bucket in enumerate(buckets)}
        if others := sorted(met - {mine}):
            agreeing = np.count_nonzero(signatures[others] == signature, axis=1)
            best = int(agreeing.argmax())
            earlier = places[others[best]]
            if agreeing[best] >= PROBABLY * HASHES and _alike(texts[earlier], texts[place]):
                yield rows[place], rows[earlier]


def _text(row: Conversation) -> str:
    said = "".join([turn.content[:MOST] for turn in row.turns if turn.role != "system"])
    return "".join(unicodedata.normalize("NFKC", said[:MOST]).lower().split())[:MOST]


def _alike(one: str, other: str) -> bool:
    mine, theirs = ({text[at : at + GRAM] for at in range(len(text) - GRAM + 1)} for text in (one, other))
    return len(mine & theirs) >= SIMILAR * len(mine | theirs)


def _signatures(texts: Sequence[str]) -> Hashes:
    """uint32 [rows, HASHES]."""
    found = np.empty((len(texts), HASHES), np.uint32)
    start = size = 0
    for place, text in enumerate(texts):
        size += len(text)
        if size >= BLOCK or place + 1 == len(texts):
            found[start : place + 1] = _hashed(texts[start : place + 1])
            start, size = place + 1, 0
    return found


def _hashed(texts: Sequence[str]) -> Hashes:
    letters = np.frombuffer("".join(texts).encode("utf-32-le"), np.uint32)
    lengths = np.array([len(text) for text in texts])
    grams = letters[: len(letters) - GRAM + 1].copy()
    for at in range(1, GRAM):
        grams = _mixed(grams * np.uint32(0x9E3779B1) + letters[at : len(letters) - GRAM + 1 + at])
    # n-grams that reach into the next row are left out: their places come last in each row
    starts = np.cumsum(lengths) - lengths
    own = np.ones(len(grams), np.bool_)
    for back in range(1, GRAM):
        own[starts[1:] - back] = False
    grams, firsts = grams[own], starts - (GRAM - 1) * np.arange(len(texts))
    found = np.empty((len(texts), HASHES), np.uint32)
    numbers = np.random.default_rng(0).integers(2**32, size=(HASHES, 2), dtype=np.uint32)
    for place, (factor, offset) in enumerate(numbers):
        # multiplying by odd numbers orders them anew each time; the low bits are the weak ones
        found[:, place] = np.minimum.reduceat(_mixed(grams * (factor | np.uint32(1)) + offset), firsts)
    return found


def _mixed(numbers: Hashes) -> Hashes:
    numbers ^= numbers >> np.uint32(15)
    numbers *= np.uint32(0x85EBCA6B)
    numbers ^= numbers >> np.uint32(13)
    return numbers
