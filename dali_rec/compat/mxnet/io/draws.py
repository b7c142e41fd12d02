"""Random numbers as MXNet draws them: std::mt19937 with the distributions of GCC's library.

With the same seed they are the same numbers, so that ``seed_aug`` gives MXNet's crops, angles and colours: those of its
wheel of 1.9.1. (Newer versions of GCC draw differently: since 7 when they shuffle, since 11 whole numbers.)
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dali_rec.compat.mxnet.io.passes import BatchRows

_RANGE = 1 << 32
_WORDS_AT_ONCE = 32
_SEED_AUG_OFFSET = 111  # what MXNet adds to seed_aug and to the image's number
_BELOW_ONE = float(np.nextafter(np.float32(1), np.float32(0)))


def draws_of(batch: BatchRows, place: int, seed: int, seed_aug: int | None = None) -> Draws:
    """The random numbers of one image of a batch.

    With ``seed_aug`` they are MXNet's, which depend on the image's number alone. Without it MXNet's depend on which
    thread was faster; here they follow from ``seed``, the record and the pass.
    """
    if seed_aug is not None:
        return Draws((int(batch.numbers[place]) + seed_aug + _SEED_AUG_OFFSET) & 0xFFFFFFFF)
    return Draws([seed & 0xFFFFFFFF, int(batch.passes[place]), int(batch.rows[place])])


class Draws:
    """The random numbers of one image. ``seed``: a whole number of 32 bits, as MXNet seeds, or several."""

    def __init__(self, seed: int | Sequence[int]) -> None:
        # It is seeded when the first number is wanted: that takes 10 µs, and many images need none.
        self._seed = seed
        self._state: np.random.RandomState | None = None
        self._words: list[int] = []
        self._saved: np.float32 | None = None

    def _word(self) -> int:
        if not self._words:
            if self._state is None:
                self._state = np.random.RandomState(self._seed)
            self._words = np.frombuffer(self._state.bytes(4 * _WORDS_AT_ONCE), "<u4")[::-1].tolist()
        return self._words.pop()

    def unit(self) -> np.float32:
        """A float32 from 0 up to, but not including, 1."""
        return np.float32(min(float(np.float32(self._word())) / _RANGE, _BELOW_ONE))

    def uniform(self, low: float, high: float) -> np.float32:
        """A float32 from ``low`` up to ``high``."""
        first, last = np.float32(low), np.float32(high)
        return self.unit() * (last - first) + first

    def whole(self, low: int, high: int) -> int:
        """A whole number from ``low`` to ``high``, both included."""
        count = high - low + 1
        scaling = (_RANGE - 1) // count
        word = self._word()
        while word >= count * scaling:
            word = self._word()
        return word // scaling + low

    def coin(self) -> bool:
        """True half of the time."""
        low, high = self._word(), self._word()
        return (low + high * _RANGE) / _RANGE**2 < 0.5

    def order(self, count: int) -> list[int]:
        """The numbers from 0 to ``count`` - 1 in random order, as std::shuffle makes it."""
        order = list(range(count))
        for place in range(1, count):
            other = self.whole(0, place)
            order[place], order[other] = order[other], order[place]
        return order

    def normal(self, deviation: float) -> np.float32:
        """A float32 from the normal distribution around 0; Marsaglia's polar method gives two at a time."""
        if self._saved is not None:
            value, self._saved = self._saved, None
            return value * np.float32(deviation)
        while True:
            x, y = (np.float32(2.0 * float(self.unit()) - 1.0) for _ in range(2))
            square = x * x + y * y
            if 0 < square <= 1:
                break
        factor = np.float32(math.sqrt(np.float32(-2 * np.float32(math.log(square)) / square)))
        self._saved = x * factor
        return y * factor * np.float32(deviation)
