"""The end of packing: the reports of all shards become one data set, with its list and its manifest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dali_rec._version import __version__
from dali_rec.manifest import Manifest, ShardEntry
from dali_rec.packing.bad_images import format_rejections, rejections_file, require_records
from dali_rec.sources import format_list

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dali_rec.packing.append import Base
    from dali_rec.packing.job import Job
    from dali_rec.packing.plan import Plan
    from dali_rec.packing.publication import Moves
    from dali_rec.packing.report import Rejection, ShardReport
    from dali_rec.packing.store import Store
    from dali_rec.packing.work import WorkFolder
    from dali_rec.sources import Sample


@dataclass(frozen=True, slots=True, repr=False)
class PackedSet:
    """One data set that was packed.

    split: its split, or None where the source was not parted. location: of the manifest, a path or a URL. manifest: of
    the whole data set. added: images that this run added to it. rejections: those of this run. rejected: where they
    are listed, or None without any.
    """

    split: str | None
    location: str
    manifest: Manifest
    added: int
    rejections: tuple[Rejection, ...]
    rejected: str | None

    @property
    def manifest_path(self) -> Path:
        """The manifest, where it is a local file."""
        return Path(self.location)

    @property
    def rejected_path(self) -> Path | None:
        """The list of rejections, where it is a local file."""
        return None if self.rejected is None else Path(self.rejected)

    def in_few_words(self) -> str:
        """What it is, where, and what was left out."""
        rejected = f"; {len(self.rejections):,} rejected: {self.rejected}" if self.rejections else ""
        return f"{self.manifest.in_few_words()}: {self.location}{rejected}"

    def __repr__(self) -> str:
        return f"<PackedSet of {self.in_few_words()}>"


def publish_all(job: Job, work: WorkFolder, reports: Mapping[str, ShardReport]) -> tuple[PackedSet, ...]:
    """Publish each plan's data set from the reports of its shards, or finish that where it has begun."""
    for plan in job.plans:
        require_records(plan, reports)
    bases: Sequence[Base | None] = job.bases or [None] * len(job.plans)
    parts = [
        _Part(job, plan, [reports[shard.name] for shard in plan.shards], base)
        for plan, base in zip(job.plans, bases, strict=True)
    ]
    work.publish((part.stage(work) for part in parts), reports)
    return tuple(part.packed(work.store) for part in parts)


class _Part:
    """The data set of one plan, as it is published."""

    def __init__(self, job: Job, plan: Plan, reports: Sequence[ShardReport], base: Base | None) -> None:
        self._plan = plan
        self._base = base
        self._pairs = list(zip(plan.shards, reports, strict=True))
        self._rejections = [one for shard, report in self._pairs for one in report.rejections(plan, shard)]
        self._added = _manifest(job, plan, reports)
        self._manifest = self._added if base is None else base.extended(self._added)

    def stage(self, work: WorkFolder) -> Moves:
        """Make the list, the rejections and the manifest in the work folder."""
        store, name = work.store, self._plan.name
        rejected_rows = frozenset(shard.start + row for shard, report in self._pairs for row, _ in report.rejected)
        kept = (sample for row, sample in enumerate(self._plan.samples) if row not in rejected_rows)
        rejections = format_rejections(self._rejections)
        before = b""
        if self._base is not None:
            before = _text(store, f"{name}.lst")
            before += b"\n" if before and not before.endswith(b"\n") else b""
            rejections = _text(store, rejections_file(name)) + rejections
        return work.stage(self._plan, self._manifest, before + list_of(self._plan, kept), rejections)

    def packed(self, store: Store) -> PackedSet:
        """What has been published."""
        name = self._plan.name
        return PackedSet(
            self._plan.split,
            store.path(f"{name}.json"),
            self._manifest,
            self._added.records,
            tuple(self._rejections),
            store.path(rejections_file(name)) if self._rejections else None,
        )


def list_of(plan: Plan, samples: Iterable[Sample]) -> bytes:
    """The list of a data set that has these samples of its plan."""
    return b"".join(format_list(map(plan.listed, samples)))


def _text(store: Store, name: str) -> bytes:
    return store.read(name) if store.exists(name) else b""


def _manifest(job: Job, plan: Plan, reports: Sequence[ShardReport]) -> Manifest:
    source = job.source
    # Over the whole source, so that the splits agree on what their labels are.
    widths = source.samples.label_widths
    return Manifest(
        records=sum(report.records for report in reports),
        shards=tuple(
            ShardEntry(f"{report.name}.rec", f"{report.name}.idx", report.records, report.bytes, report.sha256)
            for report in reports
        ),
        label_width=next(iter(widths)) if len(widths) == 1 else 0,
        label_kind=source.label_kind,
        max_width=max(report.max_width for report in reports),
        max_height=max(report.max_height for report in reports),
        bytes=sum(report.bytes for report in reports),
        classes=source.classes,
        label_classes=source.label_classes,
        split=plan.split,
        options={**job.recorded_options, "shards": len(plan.shards)},
        created_by=f"dali-rec {__version__}",
    )
