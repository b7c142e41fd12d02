"""Which rank gets which records, and in how many batches: arithmetic only.

DALI parts N records among W shards at floor(N·s / W), and a reader moves on to the next shard each epoch unless it
sticks to its own. With ``pad_last_batch`` every shard yields as many samples as the largest, rounded up to whole
batches, by repeating its last record; the padding is cut off again here. For N = 7, W = 2, batch 2:

    epoch   rank 0                     rank 1
    0       shard 0: 3 → 2, 1, (0)     shard 1: 4 → 2, 2
    1       shard 1: 4 → 2, 2          shard 0: 3 → 2, 1, (0)
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

LastBatch = Literal["partial", "drop", "pad"]

# Of an epoch, that the last run may make for nothing.
_MOST_PADDING = 1 / 32


@dataclass(frozen=True, slots=True)
class EpochPlan:
    """How ``records`` records are dealt out to ``world_size`` ranks in batches of ``batch_size``.

    ``last_batch``: what becomes of a last batch that is not full: "partial" (it is shorter), "drop", or "pad" (its last
    record is repeated). ``rotate``: the reader takes the next shard each epoch. ``even``: every rank hands out as many
    batches, with "drop" as the rank with least and else as the rank with most: one that has run out of records hands
    out its last once more. ``at_once``: batches that one run of the pipeline makes (loading/at_once.py); DALI pads the
    shards to whole runs.
    """

    records: int
    rank: int
    world_size: int
    batch_size: int
    last_batch: LastBatch
    rotate: bool
    even: bool = False
    at_once: int = 1

    def shard(self, epoch: int) -> int:
        """The shard that the rank reads in ``epoch``."""
        return (self.rank + epoch) % self.world_size if self.rotate else self.rank

    def shard_size(self, epoch: int) -> int:
        """Number of records that the rank reads in ``epoch``."""
        shard = self.shard(epoch)
        return self.records * (shard + 1) // self.world_size - self.records * shard // self.world_size

    @property
    def _most_batches(self) -> int:
        """Batches of the rank with most."""
        largest = -(-self.records // self.world_size)
        return -(-largest // self.batch_size)

    @property
    def runs(self) -> int:
        """Runs of the pipeline an epoch; the same for every rank."""
        return -(-self._most_batches // self.at_once)

    @property
    def pipeline_batches(self) -> int:
        """Batches that the pipeline makes an epoch, padding included; the same for every rank."""
        return self.runs * self.at_once

    def making_at_once(self, most: int) -> EpochPlan:
        """This plan with as many batches a run as leave little to padding, ``most`` at most."""
        batches = self._most_batches
        fitting = (count for count in range(most, 1, -1) if -batches % count <= batches * _MOST_PADDING)
        return dataclasses.replace(self, at_once=next(fitting, 1))

    def batches(self, epoch: int) -> int:
        """Batches that the rank hands out in ``epoch``."""
        if self.even:
            return (
                self.records // self.world_size // self.batch_size if self.last_batch == "drop" else self._most_batches
            )
        size = self.shard_size(epoch)
        return size // self.batch_size if self.last_batch == "drop" else -(-size // self.batch_size)

    @property
    def is_whole(self) -> bool:
        """Whether in every epoch all batches that the pipeline makes are handed out, as they are."""
        last = self.pipeline_batches - 1
        return all(self.valid(epoch, last) == self.batch_size for epoch in range(self.world_size))

    def valid(self, epoch: int, batch: int) -> int:
        """How many samples of the pipeline's ``batch`` are to be handed out: the rest is padding. 0: skip the batch."""
        if batch >= self.batches(epoch):
            return 0
        left = self.shard_size(epoch) - batch * self.batch_size
        return self.batch_size if self.last_batch == "pad" else max(1, min(left, self.batch_size))
