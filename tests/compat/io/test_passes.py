import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dali_rec.compat.mxnet.io.passes import Passes, part_of


def epochs(passes, count):
    """The batches of the first epochs, one list each."""
    batches = itertools.takewhile(lambda batch: batch.epoch < count, passes.batches(0))
    return [list(group) for _, group in itertools.groupby(batches, lambda batch: batch.epoch)]


def test_round_batch_goes_over_into_the_next_epoch_as_mxnet_does():
    first, second, third = epochs(Passes(range(10), 4), 3)
    assert [batch.rows.tolist() for batch in first] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 0, 1]]
    assert [batch.rows.tolist() for batch in second] == [[2, 3, 4, 5], [6, 7, 8, 9]]
    assert [batch.rows.tolist() for batch in third] == [batch.rows.tolist() for batch in first]
    assert [batch.pad for batch in first + second] == [0, 0, 2, 0, 0]


def test_without_round_batch_the_last_record_is_repeated():
    for epoch in epochs(Passes(range(10), 4, round_batch=False), 3):
        assert [batch.rows.tolist() for batch in epoch] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 9, 9]]
        assert [batch.pad for batch in epoch] == [0, 0, 2]


# Seen on the wheel of MXNet 1.9.1 by trying which numbers give its crops (10 records, batches of 4).
@pytest.mark.parametrize(
    ("with_index", "numbers"),
    [
        (True, [[0, 1, 2, 3]] * 5),
        (False, [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]),
    ],
)
def test_images_are_numbered_as_mxnet_numbers_them(with_index, numbers):
    batches = itertools.islice(Passes(range(10), 4, with_index=with_index).batches(0), 5)
    assert [batch.numbers.tolist() for batch in batches] == numbers


@given(st.integers(1, 60), st.integers(1, 20), st.booleans(), st.booleans())
def test_every_record_once_a_pass(count, size, shuffle, round_batch):
    if round_batch and count < size:
        return
    for number, epoch in enumerate(epochs(Passes(range(5, 5 + count), size, shuffle, 3, round_batch), 3)):
        own = np.concatenate([batch.rows[batch.passes == number] for batch in epoch])
        taken = np.concatenate([batch.rows[: size - batch.pad] for batch in epoch])
        assert set(own.tolist()) <= set(range(5, 5 + count))
        assert len(set(taken.tolist())) == len(taken)
        assert all(len(batch.rows) == size for batch in epoch)
        assert [batch.is_last for batch in epoch] == [False] * (len(epoch) - 1) + [True]
        if not round_batch:
            assert sorted(taken.tolist()) == list(range(5, 5 + count))


@given(st.integers(3, 40), st.integers(1, 3))
def test_round_batch_loses_and_repeats_nothing_over_many_epochs(count, size):
    passes = Passes(range(count), size, shuffle=True, seed=1)
    stream = itertools.chain.from_iterable(epochs(passes, 2 * size))
    handed_out = Counter(
        (int(number), int(row)) for batch in stream for number, row in zip(batch.passes, batch.rows, strict=True)
    )
    complete = {key: times for key, times in handed_out.items() if key[0] < 2 * size}
    assert set(complete) == {(number, row) for number in range(2 * size) for row in range(count)}
    assert set(complete.values()) == {1}


@given(st.integers(1, 1000), st.integers(1, 30))
def test_parts_share_the_records(count, parts):
    rows = [row for part in range(parts) for row in part_of(count, parts, part)]
    assert rows == list(range(count))
    sizes = [len(part_of(count, parts, part)) for part in range(parts)]
    assert max(sizes) - min(sizes) <= 1


def test_shuffling_differs_by_epoch_and_follows_the_seed():
    passes = Passes(range(100), 10, shuffle=True, seed=5)
    assert passes.order(0).tolist() == Passes(range(100), 10, shuffle=True, seed=5).order(0).tolist()
    orders = [passes.order(0), passes.order(1), Passes(range(100), 10, shuffle=True, seed=6).order(0)]
    assert len({tuple(order) for order in orders}) == 3


def test_runs_stay_together_when_only_runs_are_shuffled():
    blocks = np.array([10, 20, 30])
    plain = Passes(range(40), 8, blocks=blocks, block_seed=2)
    runs = plain.order(0).reshape(4, 10)
    assert sorted(runs[:, 0].tolist()) == [0, 10, 20, 30]
    assert (np.diff(runs, axis=1) == 1).all()
    assert [plain.order(number).tolist() for number in range(4)] != [plain.order(0).tolist()] * 4
    mixed = Passes(range(40), 8, shuffle=True, blocks=blocks, block_seed=2).order(0).reshape(4, 10)
    assert (mixed // 10 == runs // 10).all()
    assert not (np.diff(mixed, axis=1) == 1).all()
