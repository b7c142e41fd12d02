"""What several commands print."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dali_rec.manifest import Manifest


def describe_set(manifest: Manifest) -> str:
    """A data set in a few words: ``1,000 records in 10 classes in 8 shards, 120.5 MB``."""
    in_classes = f" in {_some(len(manifest.classes), 'class', 'classes')}" if manifest.classes else ""
    in_shards = f" in {len(manifest.shards)} shards" if len(manifest.shards) > 1 else ""
    records = _some(manifest.records, "record", "records")
    return f"{records}{in_classes}{in_shards}, {manifest.bytes / 1e6:,.1f} MB"


def _some(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"
