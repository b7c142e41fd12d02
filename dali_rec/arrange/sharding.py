"""How many files the records go to: by number of files, by bytes, or by records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dali_rec._sizes import parse_size

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class ShardState:
    """How far the writing is.

    count: records there will be, in all shards. written: so far, in all. number, records, bytes: of the shard that is
    being written, and what it has.
    """

    count: int
    written: int
    number: int
    records: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Sharding:
    """At most one of: a number of files, as even as can be; the most bytes of a file; the most records of a file.

    A record that is larger than ``size`` has a file to itself. Raises ValueError for more than one, or less than 1.
    """

    shards: int | None = None
    size: int | None = None
    records: int | None = None

    def __post_init__(self) -> None:
        given = {
            name: value
            for name, value in (("shards", self.shards), ("shard_size", self.size), ("shard_records", self.records))
            if value is not None
        }
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)}: say one of them")
        for name, value in given.items():
            if value < 1:
                raise ValueError(f"{name} is {value}: at least 1")

    @classmethod
    def of(cls, shards: int | None, shard_size: str | int | None, shard_records: int | None) -> Sharding:
        """From the options of the commands; sizes as ``parse_size`` reads them."""
        return cls(shards, None if shard_size is None else parse_size(shard_size), shard_records)

    def check(self, count: int, what: str) -> None:
        """Raise ValueError if ``count`` records cannot fill the shards."""
        if self.shards is not None and count < self.shards:
            raise ValueError(f"{what}: {count} records cannot fill {self.shards} shards; ask for fewer")

    def makes_one(self, count: int, size: int) -> bool:
        """Whether ``count`` records of at most ``size`` bytes surely go to one shard."""
        if self.shards is not None:
            return self.shards == 1
        if self.records is not None:
            return count <= self.records
        return self.size is None or size <= self.size

    def room(self, state: ShardState, lengths: NDArray[np.int64]) -> int:
        """How many of the next records, of these lengths in bytes, the shard that is being written still takes."""
        if self.shards is not None:
            return min(len(lengths), state.count * (state.number + 1) // self.shards - state.written)
        if self.records is not None:
            return min(len(lengths), self.records - state.records)
        if self.size is not None:
            fitting = int(np.searchsorted(np.cumsum(lengths), self.size - state.bytes, side="right"))
            return max(fitting, 0 if state.records else 1)
        return len(lengths)

    def recorded(self) -> dict[str, Any]:
        """For the manifest."""
        return {"shards": self.shards, "shard_size": self.size, "shard_records": self.records}
