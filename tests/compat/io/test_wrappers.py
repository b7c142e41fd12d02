import threading

import numpy as np
import pytest

import dali_rec.compat.mxnet as mx
from dali_rec.errors import LoaderError


class Numbers(mx.io.DataIter):
    """Batches of one number, from 0."""

    def __init__(self, count, name="data", fails_at=None):
        super().__init__(1)
        self.provide_data = [mx.io.DataDesc(name, (1, 1))]
        self.provide_label = [("softmax_label", (1,))]
        self.count, self.fails_at = count, fails_at
        self.threads = set()
        self.reset()

    def reset(self):
        self.number = 0

    def next(self):
        self.threads.add(threading.get_ident())
        if self.number >= self.count:
            raise StopIteration
        self.number += 1
        if self.number - 1 == self.fails_at:
            raise LoaderError("bad record")
        return mx.io.DataBatch([mx.nd.array([[self.number - 1]])], [mx.nd.array([self.number])], 0, np.zeros(1))


class OfParts(mx.io.DataIter):
    """What MXNet's own examples make: iter_next and getdata, and nothing else."""

    left = 2

    def iter_next(self):
        self.left -= 1
        return self.left >= 0

    def getdata(self):
        return [mx.nd.ones((1, 1)) * self.left]


def numbers_of(iterator):
    return [int(batch.data[0]) for batch in iterator]


def test_iterator_of_parts_gives_batches():
    batches = list(OfParts())
    assert [int(batch.data[0]) for batch in batches] == [1, 0]
    assert (batches[0].label, batches[0].pad, batches[0].index) == (None, None, None)
    assert list(mx.io.DataIter()) == []


def test_batches_are_made_ahead_in_another_thread():
    numbers = Numbers(3)
    iterator = mx.io.PrefetchingIter(numbers)
    for _ in range(2):
        assert numbers_of(iterator) == [0, 1, 2]
        assert numbers_of(iterator) == []
        iterator.reset()
    assert threading.get_ident() not in numbers.threads
    assert iterator.batch_size == 1


def test_epoch_begins_anew_in_its_middle():
    iterator = mx.io.PrefetchingIter(Numbers(3))
    next(iterator)
    iterator.reset()
    assert numbers_of(iterator) == [0, 1, 2]


def test_several_iterators_are_side_by_side():
    iterator = mx.io.PrefetchingIter([Numbers(2), Numbers(2)], rename_data=[{"data": "left"}, {"data": "right"}])
    assert [one.name for one in iterator.provide_data] == ["left", "right"]
    assert [one.name for one in iterator.provide_label] == ["softmax_label"] * 2
    assert [len(batch.data) + len(batch.label) for batch in iterator] == [4, 4]


def test_iterator_that_ends_before_the_others_is_said():
    iterator = mx.io.PrefetchingIter([Numbers(2), Numbers(1)])
    next(iterator)
    with pytest.raises(LoaderError, match=r"of 2 iterators number 1 \(from 0\) ended before the others"):
        next(iterator)


def test_what_goes_wrong_in_the_thread_is_raised():
    iterator = mx.io.PrefetchingIter(Numbers(3, fails_at=1))
    next(iterator)
    with pytest.raises(LoaderError, match="bad record"):
        next(iterator)
    assert numbers_of(iterator) == [2]
    iterator.reset()
    assert int(next(iterator).data[0]) == 0


@pytest.mark.parametrize(
    ("size", "reset", "epochs"),
    [
        (2, True, [[0, 1], [0, 1]]),
        (2, False, [[0, 1], [2, 0]]),
        (4, True, [[0, 1, 2, 0], [0, 1, 2, 0]]),
    ],
)
def test_epochs_are_resized(size, reset, epochs):
    iterator = mx.io.ResizeIter(Numbers(3), size, reset)
    found = []
    for _ in epochs:
        found.append(numbers_of(iterator))
        iterator.reset()
    assert found == epochs
    assert iterator.provide_data[0].shape == (1, 1)
