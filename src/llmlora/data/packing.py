"""Which rows a step takes, and rows laid end to end without one seeing another."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from llmlora.data.examples import Example

Ints = np.ndarray[Any, np.dtype[np.int64]]
SHUFFLE, SPLIT = 0, 1  # streams of the seed


@dataclass(frozen=True, eq=False)
class Batch:
    """Rows packed end to end."""

    ids: np.ndarray[Any, np.dtype[np.int32]]  # [tokens]
    positions: np.ndarray[Any, np.dtype[np.int32]]  # [tokens], from 0 in every row
    boundaries: Ints  # [rows + 1]: row r is tokens boundaries[r] … boundaries[r + 1]
    labels_index: Ints  # [supervised]: the tokens whose successor is learned
    labels: Ints  # [supervised]: those successors


def pack(examples: Sequence[Example]) -> Batch:
    """Lay rows end to end; a label never reaches from one row into the next."""
    boundaries = np.cumsum([0, *(len(example.ids) for example in examples)])
    ids = np.concatenate([example.ids for example in examples])
    learned = np.flatnonzero(np.concatenate([example.trained for example in examples]))
    return Batch(
        ids=ids,
        positions=np.concatenate([np.arange(len(example.ids), dtype=np.int32) for example in examples]),
        boundaries=boundaries,
        labels_index=learned - 1,  # the first token of a row is never learned, so this stays within the row
        labels=ids[learned].astype(np.int64),
    )


def fill(examples: Iterable[Example], tokens: int) -> Iterator[list[Example]]:
    """Rows in their order, as many together as have at most `tokens` tokens; what is left over at the end too."""
    together: list[Example] = []
    free = tokens
    for example in examples:
        if together and len(example.ids) > free:
            yield together
            together, free = [], tokens
        together.append(example)
        free -= len(example.ids)
    if together:
        yield together


def rows_of_step(step: int, rows_per_step: int, n_rows: int, seed: int) -> list[int]:
    """The rows of a step, taken from the endless stream of shuffled epochs; a pure function of its arguments."""
    first = step * rows_per_step
    return [int(_order(place // n_rows, n_rows, seed)[place % n_rows]) for place in range(first, first + rows_per_step)]


def split(examples: Sequence[Example], share: float, seed: int) -> tuple[list[Example], list[Example]]:
    """Training rows and held-out rows; of n rows, floor(n · share) are held out, and one at least is trained on."""
    held = min(int(len(examples) * share), len(examples) - 1)
    chosen = set(np.random.default_rng([seed, SPLIT]).permutation(len(examples))[:held].tolist())
    train = [example for place, example in enumerate(examples) if place not in chosen]
    return train, [examples[place] for place in sorted(chosen)]


@lru_cache(maxsize=4)
def _order(epoch: int, n_rows: int, seed: int) -> Ints:
    return np.random.default_rng([seed, SHUFFLE, epoch]).permutation(n_rows)
