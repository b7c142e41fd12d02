"""``pack``: a folder or list of images becomes a RecordIO data set."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dali_rec._files import as_path
from dali_rec._version import __version__
from dali_rec.errors import SourceError, TooManyBadImagesError
from dali_rec.manifest import Manifest, ShardEntry
from dali_rec.packing.options import SHUFFLE_SEED, ImageOptions, PackOptions
from dali_rec.packing.output import Output
from dali_rec.packing.plan import Plan, make_plan
from dali_rec.packing.shard import Rejection, ShardReport, pack_shard
from dali_rec.sources import SampleTable, Source, format_list, open_source

if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from pathlib import Path

logger = logging.getLogger("dali_rec")

_REASONS_SHOWN = 3


@dataclass(frozen=True, slots=True)
class PackReport:
    """What came of packing. ``bytes``: of the .rec files. ``seconds``: wall time, the source's listing included."""

    manifest_path: Path
    manifest: Manifest
    rejections: tuple[Rejection, ...]
    rejected_path: Path | None
    notes: tuple[str, ...]
    seconds: float

    @property
    def records(self) -> int:
        """Images packed."""
        return self.manifest.records

    @property
    def images_per_second(self) -> float:
        """Images looked at a second, packed or rejected."""
        return (self.records + len(self.rejections)) / self.seconds


def pack(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    resize: int | None = None,
    quality: int = 95,
    shards: int = 1,
    shuffle: bool | None = None,
    seed: int = SHUFFLE_SEED,
    root: str | os.PathLike[str] | None = None,
    workers: int | None = None,
    max_bad: float = 0.01,
    strict: bool = False,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> PackReport:
    """Pack the images of ``source`` into OUT.rec, OUT.idx, OUT.lst and the manifest OUT.json.

    source: a class folder (labels by sorted folder name, as torchvision's ImageFolder) or a .lst.
    out: the prefix of the files to make; folders on the way to it are made.
    resize: shorter side in pixels; larger images are scaled down to it and stored as JPEG of ``quality`` (1…100). By
        default the bytes are stored untouched.
    shards: number of .rec files, OUT-00000-of-00008.rec and so on where it is more than one.
    shuffle: a folder is shuffled by ``seed`` and a list keeps its order unless this says otherwise.
    root: where the relative paths of a list begin; by default beside the list.
    workers: threads; by default one a core. The output does not depend on it.
    max_bad: how many images may be bad: a share below 1, a number from 1 up. They are left out and written, with the
        reason, to OUT.rejected.jsonl.
    strict: stop at the first bad image.
    overwrite: replace a data set of the same name, once the new one is complete.
    progress: called with (images done, images in all) after each image.

    Every image is decoded in full before it is accepted. Nothing stands under the final names before all is done.

    Raises SourceError, TooManyBadImagesError (OUT.rejected.jsonl is written all the same), OutputExistsError.
    """
    options = PackOptions(
        ImageOptions(resize, quality=quality), shards, shuffle, seed, workers, max_bad=max_bad, strict=strict
    )
    began = time.perf_counter()
    found = open_source(as_path(source), as_path(root) if root is not None else None)
    for note in found.notes:
        logger.warning(note)
    out = as_path(out)
    if not out.name:
        raise SourceError(f"{out}: the output needs a name, such as {out / 'train'}")
    plan = make_plan(found, out, options)
    output = Output(out)
    output.refuse_to_replace_source(as_path(source))
    with output.working((shard.name for shard in plan.shards), overwrite=overwrite) as directory:
        counter = _Counter(len(plan.samples), options, progress)
        try:
            reports = [
                pack_shard(plan, shard, directory, options.image, options.worker_count, counter)
                for shard in plan.shards
            ]
            _require_records(reports, counter.rejections)
        except TooManyBadImagesError as error:
            output.write_rejections(counter.rejections)
            raise TooManyBadImagesError(f"{error}; the list is in {output.rejected}") from None
        manifest = _merge(reports, found, plan, options)
        output.publish(manifest, format_list(_packed(plan, reports)), counter.rejections)
    return PackReport(
        output.manifest,
        manifest,
        tuple(counter.rejections),
        output.rejected if counter.rejections else None,
        found.notes,
        time.perf_counter() - began,
    )


class _Counter:
    """Counts images as they are done, and stops the work when too many are bad."""

    def __init__(self, total: int, options: PackOptions, progress: Callable[[int, int], None] | None) -> None:
        self.rejections: list[Rejection] = []
        self._done = 0
        self._total = total
        self._options = options
        self._allowed = options.allowed_bad(total)
        self._progress = progress

    def __call__(self, rejection: Rejection | None) -> None:
        self._done += 1
        if rejection is not None:
            self.rejections.append(rejection)
            if self._options.strict:
                raise TooManyBadImagesError(f"bad image {_named(rejection)} (--strict stops at the first)")
            if len(self.rejections) > self._allowed:
                raise TooManyBadImagesError(
                    f"{len(self.rejections)} of the first {self._done} images are bad, more than the {self._allowed} "
                    f"of {self._total} that --max-bad allows: {_reasons(self.rejections)}"
                )
        if self._progress is not None:
            self._progress(self._done, self._total)


def _named(rejection: Rejection) -> str:
    return f"{rejection.sample.location}: {rejection.reason}"


def _reasons(rejections: list[Rejection]) -> str:
    shown = "; ".join(map(_named, rejections[:_REASONS_SHOWN]))
    return shown if len(rejections) <= _REASONS_SHOWN else f"{shown}; …"


def _require_records(reports: list[ShardReport], rejections: list[Rejection]) -> None:
    for report in reports:
        if not report.records:
            raise TooManyBadImagesError(f"not one image for {report.name}.rec could be packed: {_reasons(rejections)}")


def _packed(plan: Plan, reports: list[ShardReport]) -> SampleTable:
    rejected = {row for report in reports for row in report.rejected_rows}
    if not rejected:
        return plan.samples
    return plan.samples.take([row for row in range(len(plan.samples)) if row not in rejected])


def _merge(reports: list[ShardReport], source: Source, plan: Plan, options: PackOptions) -> Manifest:
    samples = plan.samples
    is_class = source.classes is not None or samples.labels_are_class_indices
    widths = samples.label_widths
    shuffle = options.shuffle if options.shuffle is not None else source.shuffled_by_default
    return Manifest(
        records=sum(report.records for report in reports),
        shards=tuple(
            ShardEntry(f"{report.name}.rec", f"{report.name}.idx", report.records, report.bytes, report.sha256)
            for report in reports
        ),
        label_width=next(iter(widths)) if len(widths) == 1 else 0,
        label_kind="class" if is_class else "values",
        max_width=max(report.max_width for report in reports),
        max_height=max(report.max_height for report in reports),
        bytes=sum(report.bytes for report in reports),
        classes=source.classes,
        options=replace(options, shuffle=shuffle).recorded(),
        created_by=f"dali-rec {__version__}",
    )
