import numpy as np

import dali_rec.compat.mxnet as mx


class Count(mx.io.DataIter):
    """An iterator of one's own, written as MXNet's documentation shows it."""

    def __init__(self, batches):
        super().__init__(2)
        self.batches = batches
        self.reset()

    def reset(self):
        self.number = -1

    def iter_next(self):
        self.number += 1
        return self.number < self.batches

    def getdata(self):
        return [np.full((2, 3), self.number)]

    def getlabel(self):
        return [np.array([self.number] * 2)]

    def getpad(self):
        return self.number


def test_own_iterator_by_iter_next_gives_batches():
    iterator = Count(3)
    for _ in range(2):
        batches = list(iterator)
        assert [batch.data[0].tolist() for batch in batches] == [[[number] * 3] * 2 for number in range(3)]
        assert [(batch.label[0].tolist(), batch.pad) for batch in batches] == [([n, n], n) for n in range(3)]
        assert batches[0].index is None
        iterator.reset()


def test_own_iterator_needs_data_alone():
    class Data(mx.io.DataIter):
        left = 1

        def iter_next(self):
            self.left -= 1
            return self.left >= 0

        def getdata(self):
            return [np.zeros((2, 3))]

    (batch,) = Data()
    assert (batch.label, batch.pad, batch.index) == (None, None, None)


def test_own_iterator_by_next_can_be_asked_step_by_step():
    class Once(mx.io.DataIter):
        left = 1

        def next(self):
            if not self.left:
                raise StopIteration
            self.left -= 1
            return mx.io.DataBatch(data=[7], label=[8], pad=0)

    iterator = Once()
    assert iterator.iter_next()
    assert (iterator.getdata(), iterator.getlabel(), iterator.getpad(), iterator.getindex()) == (7, 8, 0, None)
    assert not iterator.iter_next()


def test_iterator_with_neither_is_empty():
    assert list(mx.io.DataIter()) == []


def test_descriptions_are_made_of_pairs():
    made = mx.io.DataDesc.get_list([("data", (2, 3)), ("label", (2,))], [("label", "int32")])
    assert [(one.name, one.shape, one.dtype) for one in made] == [("data", (2, 3), "float32"), ("label", (2,), "int32")]
    assert made == mx.io.DataDesc.get_list([("data", (2, 3)), ("label", (2,))], None)
