"""Rows are shuffled by the seed alone and packed so that no label crosses a border."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from llmlora.data.examples import Example
from llmlora.data.packing import pack, rows_of_step, split


def example(row: int, ids: list[int], trained: list[int]) -> Example:
    return Example(row, np.array(ids, np.int32), np.isin(np.arange(len(ids)), trained), 0)


def test_packing_lays_rows_end_to_end():
    batch = pack([example(1, [5, 6, 7], [1, 2]), example(2, [8, 9], [1]), example(3, [4], [])])

    assert batch.ids.tolist() == [5, 6, 7, 8, 9, 4]
    assert batch.positions.tolist() == [0, 1, 2, 0, 1, 0]
    assert batch.boundaries.tolist() == [0, 3, 5, 6]
    assert batch.labels_index.tolist() == [0, 1, 3]
    assert batch.labels.tolist() == [6, 7, 9]
    assert [array.dtype for array in vars(batch).values()] == [np.int32, np.int32, np.int64, np.int64, np.int64]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=8), st.integers(0, 99))
def test_every_label_is_the_next_token_of_the_same_row(lengths, seed):
    chance = np.random.default_rng(seed)
    rows = [example(n, chance.integers(0, 99, n).tolist(), list(range(1, n, 2))) for n in lengths]

    batch = pack(rows)

    assert (batch.ids[batch.labels_index + 1] == batch.labels).all()
    row_of = np.searchsorted(batch.boundaries, np.arange(len(batch.ids)), "right")
    assert (row_of[batch.labels_index] == row_of[batch.labels_index + 1]).all()


@given(st.integers(1, 12), st.integers(1, 7), st.integers(0, 2**63 - 1))
def test_every_epoch_is_a_permutation_whatever_the_step_size(n_rows, per_step, seed):
    steps = -(-3 * n_rows // per_step)

    stream = [row for step in range(steps) for row in rows_of_step(step, per_step, n_rows, seed)]

    epochs = [stream[start:stop] for start, stop in pairwise(range(0, 3 * n_rows + 1, n_rows))]
    assert all(sorted(epoch) == list(range(n_rows)) for epoch in epochs)
    assert stream[: 2 * n_rows] == rows_of_step(0, 2 * n_rows, n_rows, seed)


def test_epochs_and_seeds_differ_and_a_step_depends_on_nothing_before_it():
    first, second = rows_of_step(0, 50, 50, 1), rows_of_step(1, 50, 50, 1)

    assert first != second
    assert first != rows_of_step(0, 50, 50, 2)
    np.random.seed(0)
    assert second == rows_of_step(1, 50, 50, 1)
    assert rows_of_step(0, 5, 5, 0) == [2, 4, 3, 0, 1]  # fixed for ever: a resumed run relies on it


def test_a_split_is_the_same_for_the_same_seed_and_leaves_a_row_to_train_on():
    rows = [example(n, [n], []) for n in range(20)]

    train, held = split(rows, 0.25, 3)

    assert (len(train), len(held)) == (15, 5)
    assert {one.row for one in train + held} == set(range(20))
    assert [one.row for one in held] == [one.row for one in split(rows, 0.25, 3)[1]]
    assert [one.row for one in held] != [one.row for one in split(rows, 0.25, 4)[1]]
    assert len(split(rows, 0.049, 3)[1]) == 0
    assert [len(part) for part in split(rows[:1], 0.5, 0)] == [1, 0]
    assert [len(part) for part in split(rows[:2], 0.5, 0)] == [1, 1]
