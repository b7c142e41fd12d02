"""``pack``: a folder or list of images becomes a RecordIO data set."""

from __future__ import annotations

import contextlib
import logging
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dali_rec._files import as_path
from dali_rec._version import __version__
from dali_rec.errors import SourceError, TooManyBadImagesError
from dali_rec.images import MAX_PIXELS
from dali_rec.manifest import LabelKind, Manifest, ShardEntry
from dali_rec.packing.options import (
    SHUFFLE_SEED,
    Color,
    Encoding,
    ImageOptions,
    Interpolation,
    PackOptions,
    ResizeMode,
)
from dali_rec.packing.output import Output
from dali_rec.packing.plan import Plan, make_plans, shuffles
from dali_rec.packing.shard import Rejection, ShardReport, pack_shard
from dali_rec.sources import (
    Empty,
    FetchOptions,
    Flagged,
    FolderLabels,
    Format,
    SampleTable,
    Source,
    SourceOptions,
    TableOptions,
    format_list,
    open_source,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

logger = logging.getLogger("dali_rec")

_REASONS_SHOWN = 3


@dataclass(frozen=True, slots=True)
class PackedSet:
    """One data set that was packed. ``split``: its split, or None where the source was not parted."""

    split: str | None
    manifest_path: Path
    manifest: Manifest
    rejections: tuple[Rejection, ...]
    rejected_path: Path | None


@dataclass(frozen=True, slots=True)
class PackReport:
    """What came of packing: the data sets, one unless there are splits. ``seconds``: wall time, listing included."""

    sets: tuple[PackedSet, ...]
    notes: tuple[str, ...]
    seconds: float

    @property
    def manifest(self) -> Manifest:
        """The manifest of the first, or only, data set."""
        return self.sets[0].manifest

    @property
    def manifest_path(self) -> Path:
        """The manifest's file of the first, or only, data set."""
        return self.sets[0].manifest_path

    @property
    def records(self) -> int:
        """Images packed."""
        return sum(one.manifest.records for one in self.sets)

    @property
    def bytes(self) -> int:
        """Bytes of all .rec files."""
        return sum(one.manifest.bytes for one in self.sets)

    @property
    def rejections(self) -> tuple[Rejection, ...]:
        """Images that were not packed, and why."""
        return tuple(rejection for one in self.sets for rejection in one.rejections)

    @property
    def images_per_second(self) -> float:
        """Images looked at a second, packed or rejected."""
        return (self.records + len(self.rejections)) / self.seconds


def pack(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    resize: int | None = None,
    resize_mode: ResizeMode = "shorter",
    upscale: bool = False,
    center_crop: bool = False,
    interpolation: Interpolation = "area",
    encoding: Encoding = "keep",
    quality: int = 95,
    color: Color = "keep",
    max_pixels: int = MAX_PIXELS,
    shards: int = 1,
    shuffle: bool | None = None,
    seed: int = SHUFFLE_SEED,
    split: Mapping[str, float] | None = None,
    stratify: bool = False,
    labels: FolderLabels = "levels",
    classes: Sequence[str] | None = None,
    root: str | os.PathLike[str] | None = None,
    table: TableOptions | None = None,
    label_width: int | None = None,
    format: Format = "auto",  # noqa: A002  # what the command line calls it
    flagged: Flagged = "column",
    empty: Empty = "keep",
    fetch: FetchOptions | None = None,
    workers: int | None = None,
    max_bad: float = 0.01,
    strict: bool = False,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> PackReport:
    """Pack the images of ``source`` into OUT.rec, OUT.idx, OUT.lst and the manifest OUT.json.

    source: a folder of images, a .lst, or a table (.csv, .tsv, .json, .jsonl); see ``read_folder``, ``read_list`` and
        ``read_table`` in dali_rec.sources for what they may be. Or images with boxes: a COCO file, or a folder of
        VOC or YOLO.
    out: the prefix of the files to make; folders on the way to it are made.
    resize, resize_mode, upscale, center_crop, interpolation, encoding, quality, color, max_pixels: what is done to an
        image; see ``ImageOptions``. By default the bytes are stored untouched.
    shards: number of .rec files, OUT-00000-of-00008.rec and so on where it is more than one.
    shuffle: a folder is shuffled by ``seed`` and a list keeps its order unless this says otherwise.
    split: shares by name, such as {"train": 0.9, "val": 0.1}; each becomes a data set, OUT-train and so on, dealt out
        by ``seed``, and with ``stratify`` in the same shares of each class. A folder of train, val and test is parted
        anyway. All splits have one table of classes.
    labels: what the labels of a folder are: "levels", "leaf" or "top".
    classes: the class names in the order of their numbers; by default sorted.
    root: where the relative paths of a list or table begin; by default beside it.
    table: which columns of a table mean what; by default label, location and id.
    label_width: of a list whose columns are parted by blanks: how many of them are labels.
    format: "coco", "voc" or "yolo" for object detection; "auto" knows them by what is there.
    flagged: boxes that VOC calls difficult and COCO a crowd: "column" marks them in a sixth number of each object,
        "keep" takes them as any other, "drop" leaves them out.
    empty: images without objects: "keep", which MXNet's own iterators stop at, or "drop".
    fetch: how images behind URLs are fetched; see ``FetchOptions``.
    workers: threads; by default one a core. The output does not depend on it.
    max_bad: how many images may be bad: a share below 1, a number from 1 up. They are left out and written, with the
        reason, to OUT.rejected.jsonl.
    strict: stop at the first bad image.
    overwrite: replace a data set of the same name, once the new one is complete.
    progress: called with (images done, images in all) after each image.

    Every image is decoded in full before it is accepted. Nothing stands under the final names before all is done.

    Raises SourceError, TooManyBadImagesError (OUT.rejected.jsonl is written all the same), OutputExistsError.
    """
    image = ImageOptions(resize, resize_mode, upscale, center_crop, interpolation, encoding, quality, color, max_pixels)
    options = PackOptions(
        image, fetch or FetchOptions(), shards, shuffle, seed, split, stratify, workers, max_bad, strict
    )
    began = time.perf_counter()
    names = None if classes is None else tuple(classes)
    source_options = SourceOptions(root, labels, names, table or TableOptions(), label_width, format, flagged, empty)
    found, plans = plan_pack(source, out, options, source_options)
    for note in found.notes:
        logger.warning(note)
    outputs = [Output(plan.out) for plan in plans]
    for output in outputs:
        output.refuse_to_replace_source(as_path(source))
    counter = _Counter(sum(len(plan.samples) for plan in plans), options, progress)
    with contextlib.ExitStack() as stack:
        folders = [
            stack.enter_context(output.working((shard.name for shard in plan.shards), overwrite=overwrite))
            for plan, output in zip(plans, outputs, strict=True)
        ]
        reports: list[list[ShardReport]] = []
        try:
            for plan, folder in zip(plans, folders, strict=True):
                reports.append([pack_shard(plan, shard, folder, options, counter) for shard in plan.shards])
                _require_records(reports[-1])
        except TooManyBadImagesError as error:
            outputs[0].write_rejections(counter.rejections)
            raise TooManyBadImagesError(f"{error}; the list is in {outputs[0].rejected}") from None
        sets = tuple(
            _publish(plan, output, shard_reports, found, options)
            for plan, output, shard_reports in zip(plans, outputs, reports, strict=True)
        )
    return PackReport(sets, found.notes, time.perf_counter() - began)


def plan_pack(
    source: str | os.PathLike[str], out: str | os.PathLike[str], options: PackOptions, source_options: SourceOptions
) -> tuple[Source, tuple[Plan, ...]]:
    """List the source and plan its packing, without reading an image or writing a file."""
    out = as_path(out)
    if not out.name:
        raise SourceError(f"{out}: the output needs a name, such as {out / 'train'}")
    found = open_source(as_path(source), source_options)
    if found.label_kind == "boxes":
        _check_boxes(source, options)
    return found, make_plans(found, out, options)


def _check_boxes(source: str | os.PathLike[str], options: PackOptions) -> None:
    """Refuse what does not go with boxes, which are relative to the whole image."""
    image = options.image
    if image.center_crop or (image.resize is not None and image.resize_mode == "fill"):
        what = "--center-crop" if image.center_crop else "--resize-mode fill"
        raise SourceError(
            f"{as_path(source)}: {what} cuts images and would leave their boxes wrong; scale them by --resize-mode "
            "shorter, longer or exact, and crop when they are loaded"
        )
    if options.stratify:
        raise SourceError(f"{as_path(source)}: --stratify needs one class an image, and these have boxes; leave it out")


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


def _reasons(rejections: Sequence[Rejection]) -> str:
    shown = "; ".join(map(_named, rejections[:_REASONS_SHOWN]))
    return shown if len(rejections) <= _REASONS_SHOWN else f"{shown}; …"


def _require_records(reports: Sequence[ShardReport]) -> None:
    for report in reports:
        if not report.records:
            raise TooManyBadImagesError(
                f"not one image for {report.name}.rec could be packed: {_reasons(report.rejections)}"
            )


def _publish(
    plan: Plan, output: Output, reports: Sequence[ShardReport], source: Source, options: PackOptions
) -> PackedSet:
    rejections = [rejection for report in reports for rejection in report.rejections]
    manifest = _merge(reports, source, plan, options)
    output.publish(manifest, format_list(_packed(plan, reports)), rejections)
    return PackedSet(plan.split, output.manifest, manifest, tuple(rejections), output.rejected if rejections else None)


def _packed(plan: Plan, reports: Sequence[ShardReport]) -> SampleTable:
    rejected = {row for report in reports for row in report.rejected_rows}
    if not rejected:
        return plan.samples
    return plan.samples.take([row for row in range(len(plan.samples)) if row not in rejected])


def _merge(reports: Sequence[ShardReport], source: Source, plan: Plan, options: PackOptions) -> Manifest:
    # Over the whole source, so that the splits agree on what their labels are.
    is_class = source.classes is not None or source.samples.labels_are_class_indices
    kind: LabelKind = source.label_kind or ("class" if is_class else "values")
    widths = source.samples.label_widths
    return Manifest(
        records=sum(report.records for report in reports),
        shards=tuple(
            ShardEntry(f"{report.name}.rec", f"{report.name}.idx", report.records, report.bytes, report.sha256)
            for report in reports
        ),
        label_width=next(iter(widths)) if len(widths) == 1 else 0,
        label_kind=kind,
        max_width=max(report.max_width for report in reports),
        max_height=max(report.max_height for report in reports),
        bytes=sum(report.bytes for report in reports),
        classes=source.classes,
        label_classes=source.label_classes,
        split=plan.split,
        options=replace(options, shuffle=shuffles(source, options)).recorded(),
        created_by=f"dali-rec {__version__}",
    )
