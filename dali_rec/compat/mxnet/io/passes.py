"""Which record is in which batch: MXNet's epochs, as arithmetic.

A pass is every record of the part once, in the order of the files or shuffled. With ``round_batch`` a last batch that
is not full is filled from the next pass, and the next epoch begins after these records. 10 records in batches of 4:

    epoch   round_batch=True                                  round_batch=False
    0       0 1 2 3 · 4 5 6 7 · 8 9 (0 1), pad 2              0 1 2 3 · 4 5 6 7 · 8 9 (9 9), pad 2
    1       2 3 4 5 · 6 7 8 9                                 the same
    2       0 1 2 3 · 4 5 6 7 · 8 9 (0 1), pad 2              the same

(MXNet 1.9.1, src/io/iter_image_recordio_2.cc. Without round_batch the end of its last batch is whatever was in memory.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class BatchRows:
    """The records of a batch.

    ``rows``: int64 of shape (batch,), rows in the data set. ``passes``: of the same shape, the pass that each belongs
    to. ``numbers``: of the same shape, the number of each image that MXNet adds to ``seed_aug``. ``pad``: how many at
    the end only fill the batch. ``distinct``: how many at the beginning there are before the last of them is repeated.
    """

    rows: NDArray[np.int64]
    passes: NDArray[np.int64]
    numbers: NDArray[np.int64]
    pad: int
    distinct: int
    epoch: int
    is_last: bool


def part_of(count: int, num_parts: int, part_index: int) -> range:
    """The records of a part: all parts together have each once, and differ in size by one at most."""
    return range(count * part_index // num_parts, count * (part_index + 1) // num_parts)


@dataclass(frozen=True, slots=True, eq=False)
class Passes:
    """Batches of ``batch_size`` over the rows of ``part``, epoch after epoch.

    ``blocks``: the places, after the first, where runs of records begin. The runs are put in random order, by
    ``block_seed``, and ``shuffle`` then shuffles within each. ``with_index``: images are numbered as MXNet numbers them
    when it has an .idx.
    """

    part: range
    batch_size: int
    shuffle: bool = False
    seed: int = 0
    round_batch: bool = True
    blocks: NDArray[np.int64] | None = None
    block_seed: int = 0
    with_index: bool = False

    def order(self, number: int) -> NDArray[np.int64]:
        """The rows of pass ``number``."""
        rows = np.arange(self.part.start, self.part.stop, dtype=np.int64)
        random = _generator(self.seed, number)
        if self.blocks is None:
            return random.permutation(rows) if self.shuffle else rows
        runs = np.split(rows, self.blocks)
        if self.shuffle:
            runs = [random.permutation(run) for run in runs]
        return np.concatenate([runs[at] for at in _generator(self.block_seed, number, 1).permutation(len(runs))])

    def batches(self, epoch: int) -> Iterator[BatchRows]:
        """All batches from the beginning of ``epoch``, of which none has been handed out before, without end."""
        start = 0
        while True:
            order, following = self.order(epoch), 0
            for first in range(start, len(order), self.batch_size):
                batch = self._batch(epoch, order, first, start)
                following = batch.pad if self.round_batch else 0
                yield batch
            epoch, start = epoch + 1, following

    def _batch(self, epoch: int, order: NDArray[np.int64], first: int, start: int) -> BatchRows:
        size = self.batch_size
        rows = order[first : first + size]
        pad = size - len(rows)
        passes = np.full(size, epoch, np.int64)
        numbers = np.arange(size)
        if not self.with_index:
            # MXNet then counts the records of a pass, from the place that the first of them has in its batch.
            numbers += -start % size + first
        if pad and self.round_batch:
            rows = np.concatenate([rows, self.order(epoch + 1)[:pad]])
            passes[size - pad :] += 1
            numbers[size - pad :] = np.arange(size - pad, size)
        elif pad:
            rows = np.concatenate([rows, np.repeat(rows[-1:], pad)])
            numbers[size - pad :] = numbers[size - pad - 1]
        distinct = size if self.round_batch else size - pad
        return BatchRows(rows, passes, numbers, pad, distinct, epoch, is_last=first + size >= len(order))


def _generator(*numbers: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64([number & 0xFFFFFFFF for number in numbers]))
