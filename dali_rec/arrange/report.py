"""What came of rearranging."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dali_rec.manifest import Manifest
    from dali_rec.packing.arranged import ArrangedSet


@dataclass(frozen=True, slots=True)
class ArrangeReport:
    """What came of it: the data sets, what the user should hear, and the wall time in seconds."""

    sets: tuple[ArrangedSet, ...]
    notes: tuple[str, ...]
    seconds: float

    @property
    def manifest(self) -> Manifest:
        """The manifest of the first, or only, data set."""
        return self.sets[0].manifest

    @property
    def records(self) -> int:
        """Records written."""
        return sum(one.manifest.records for one in self.sets)

    @property
    def bytes(self) -> int:
        """Bytes of all .rec files written."""
        return sum(one.manifest.bytes for one in self.sets)
