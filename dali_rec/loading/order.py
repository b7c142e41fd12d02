"""In what order an epoch takes the records: a pure function of (seed, epoch), whoever asks.

Rows are positions in the data set. Nothing here knows of ranks, threads or files, so neither can change the order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class SampleOrder:
    """The rows of each epoch.

    ``records``: rows to choose from. ``shuffle``: permute them anew each epoch; not used with ``weights``, which draw
    at random anyway. ``weights``: of shape (records,), how likely each row is drawn, with replacement, in any unit.
    ``samples``: draws an epoch, by default ``records``; only with weights.
    """

    records: int
    seed: int
    shuffle: bool = True
    weights: NDArray[np.float64] | None = None
    samples: int | None = None
    _cumulated: NDArray[np.float64] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        if self.weights is None:
            return
        check_weights(self.weights, self.records)
        if self.samples is not None and self.samples < 1:
            raise ValueError(f"samples is {self.samples}: at least 1 an epoch")
        object.__setattr__(self, "_cumulated", np.cumsum(self.weights, dtype=np.float64))

    def __len__(self) -> int:
        """Rows an epoch."""
        return self.records if self.samples is None else self.samples

    def rows(self, epoch: int) -> NDArray[Any]:
        """The rows of ``epoch``, shape (len(self),)."""
        if self._cumulated is not None:
            return draw(self._cumulated, len(self), self.seed, epoch)
        if self.shuffle:
            return permutation(self.records, self.seed, epoch)
        return np.arange(self.records)


def generator(*numbers: int) -> np.random.Generator:
    """A random generator for these whole numbers, from 0 up; its stream is NumPy's PCG64, stable over versions."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(numbers)))


def permutation(count: int, seed: int, epoch: int) -> NDArray[Any]:
    """The numbers 0…count-1 in an order that (count, seed, epoch) fix; uint32 below 2^32: 40 MB for ten million."""
    rows = np.arange(count, dtype=np.uint32 if count < 1 << 32 else np.uint64)
    generator(seed, epoch).shuffle(rows)
    return rows


def draw(cumulated: NDArray[np.float64], count: int, seed: int, epoch: int) -> NDArray[Any]:
    """``count`` rows drawn with replacement by their cumulated weights.

    Drawn by stratification: one from each of ``count`` equal slices of the total weight, then shuffled. So a row comes
    up floor or ceil of its share of the draws where rows lie apart, never zero times by bad luck where that share is
    above one, and each draw still has its exact probability. (Systematic sampling's variance, with random offsets.)
    """
    random = generator(seed, epoch)
    points = (np.arange(count) + random.random(count)) * (cumulated[-1] / count)
    rows = np.searchsorted(cumulated, points, side="right")
    # Rounding may carry the last point to the very end, past rows of weight 0.
    last = int(np.searchsorted(cumulated, cumulated[-1], side="left"))
    drawn: NDArray[Any] = np.minimum(rows, last).astype(np.uint32 if len(cumulated) < 1 << 32 else np.uint64)
    random.shuffle(drawn)
    return drawn


def check_weights(weights: NDArray[np.float64], records: int) -> None:
    """Raise ValueError unless there is one finite weight from 0 up for each record and one of them is above 0."""
    if weights.shape != (records,):
        raise ValueError(f"weights have shape {weights.shape}: expected one for each of the {records} records")
    if not np.isfinite(weights).all() or weights.min() < 0 or not weights.any():
        raise ValueError("weights must be finite, from 0 up, and not all 0")


def balanced_weights(classes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Weights that draw each class equally often: 1 over the size of the record's class."""
    _, inverse, sizes = np.unique(classes, return_inverse=True, return_counts=True)
    return np.asarray(1.0 / sizes[inverse], dtype=np.float64)


def mixed_weights(sizes: Sequence[int], shares: Sequence[float]) -> NDArray[np.float64]:
    """Weights of the records of data sets of these sizes, one after another, so that set i makes up ``shares[i]``."""
    if len(sizes) != len(shares):
        raise ValueError(f"mix has {len(shares)} shares for {len(sizes)} data sets: one each")
    if not np.isfinite(shares).all() or min(shares) < 0 or not any(shares):
        raise ValueError(f"mix is {list(shares)}: shares are finite, from 0 up, and not all 0")
    return np.concatenate([np.full(size, share / max(size, 1)) for size, share in zip(sizes, shares, strict=True)])
