"""What came of one shard: kept beside it, so that a later run can tell that it is finished."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dali_rec.packing.plan import Plan, ShardPlan
    from dali_rec.sources import Sample

REPORT_SUFFIX = ".report.json"


@dataclass(frozen=True, slots=True)
class Rejection:
    """An image that was not packed, and why. sample: as messages name it, see ``Plan.named``."""

    sample: Sample
    reason: str


@dataclass(frozen=True, slots=True)
class ShardReport:
    """What came of one shard.

    sha256, index_sha256: of the .rec and the .idx. inputs: a digest of the sizes and times of the files that went in.
    rejected: the rows, from the shard's start, of the images that were not packed, and why.
    """

    name: str
    records: int
    bytes: int
    sha256: str
    index_sha256: str
    max_width: int
    max_height: int
    inputs: str
    rejected: tuple[tuple[int, str], ...]

    def rejections(self, plan: Plan, shard: ShardPlan) -> Iterator[Rejection]:
        """The images that were not packed."""
        return (Rejection(plan.named(plan.samples[shard.start + row]), reason) for row, reason in self.rejected)

    def to_json(self) -> str:
        """The report as the text of a file."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> ShardReport | None:
        """The report in a file, or None if that holds anything else."""
        try:
            return cls.from_content(json.loads(text))
        except (ValueError, TypeError, KeyError):
            return None

    @classmethod
    def from_content(cls, content: dict[str, Any]) -> ShardReport:
        """The report in parsed JSON. Raises ValueError, TypeError or KeyError if that holds anything else."""
        rejected = tuple((int(row), str(reason)) for row, reason in content["rejected"])
        return cls(**{**content, "rejected": rejected})
