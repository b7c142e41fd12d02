"""How the rows of one order are dealt out to ranks: arithmetic only.

Step after step, ``world_size × batch_size`` rows are taken off the order and rank r gets the r-th slice of
``batch_size``. So what all ranks together have taken is a beginning of the order: another number of ranks can go on
from there. What is left at the end and does not fill a step is dealt out evenly. N = 23, W = 2, batch 4:

    rank 0:   0…3    8…11   16 17 18
    rank 1:   4…7   12…15   19 20 21 22
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dali_rec.loading.epoch import LastBatch


@dataclass(frozen=True, slots=True)
class Deal:
    """The batches of one rank in one epoch.

    ``count``: rows in the order. ``start``: how many of them were taken before this deal began. ``even``: every rank
    has as many batches as the rank with most; one whose rows have run out repeats a single one.
    """

    count: int
    rank: int
    world_size: int
    batch_size: int
    last_batch: LastBatch
    even: bool = False
    start: int = 0

    @property
    def _step(self) -> int:
        return self.world_size * self.batch_size

    @property
    def _full_steps(self) -> int:
        return (self.count - self.start) // self._step

    def _last_share(self) -> tuple[int, int]:
        """First and end of the rank's rows of the step that is not full."""
        first = self.start + self._full_steps * self._step
        left = self.count - first
        return first + left * self.rank // self.world_size, first + left * (self.rank + 1) // self.world_size

    @property
    def batches(self) -> int:
        """Batches of the rank."""
        full = self._full_steps
        if self.last_batch == "drop" or self.start + full * self._step == self.count:
            return full
        first, end = self._last_share()
        return full + (self.even or end > first)

    def rows(self, order: NDArray[np.integer], batch: int) -> NDArray[np.integer]:
        """The rows of the rank's ``batch``, out of the whole ``order``."""
        if batch < self._full_steps:
            first = self.start + batch * self._step + self.rank * self.batch_size
            return order[first : first + self.batch_size]
        first, end = self._last_share()
        rows = order[first : max(end, first + 1)]
        if self.last_batch != "pad":
            return rows
        return np.concatenate([rows, np.full(self.batch_size - len(rows), rows[-1], rows.dtype)])

    def taken(self, batches: int) -> int:
        """Rows of the order that all ranks together have taken after ``batches`` batches each."""
        return min(self.start + batches * self._step, self.count)
