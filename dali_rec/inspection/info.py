"""``info``: what is in a packed data set, from its headers; nothing is decoded."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dali_rec._files import as_path, require_name
from dali_rec._numbers import counted
from dali_rec._sizes import shown_size
from dali_rec.inspection.header_scan import scan_headers
from dali_rec.inspection.headers import (
    DAMAGED,
    FORMATS,
    IMAGE,
    MODES,
    NO_RECORD,
    OUTCOMES,
    RecordHeaders,
)
from dali_rec.inspection.jpeg_headers import BASELINE, PROCESSES, PROGRESSIVE
from dali_rec.inspection.label_columns import Boxes, ClassCount, LabelColumns, Labels
from dali_rec.inspection.walk import walk
from dali_rec.manifest import find_manifest
from dali_rec.opening import open_dataset
from dali_rec.recordio import RecordReader

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from dali_rec.manifest import Manifest

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

#: The shares at which sizes are quoted: the smallest, 5 %, the quarters, 95 % and the largest.
QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)

_JPEG = FORMATS.index("JPEG")
_SAMPLINGS = {0x11: "4:4:4", 0x21: "4:2:2", 0x22: "4:2:0", 0x12: "4:4:0", 0x41: "4:1:1", 0x42: "4:1:0"}


@dataclass(frozen=True, slots=True)
class ShardInfo:
    """One .rec file: its path, the records that its index names, and its bytes."""

    path: str
    records: int
    bytes: int


@dataclass(frozen=True, slots=True, repr=False)
class DatasetInfo:
    """What is in a data set. Counts of kinds are dictionaries from the kind to the number of records.

    name: its .rec file; the prefix of one in shards; of several given together the first file. classes: index, name
    (None where nobody wrote it down) and records of each class, or None where labels are no class indices. boxes: of a
    data set for object detection, which a manifest says or all labels are laid out as; else None. labels: width and
    range of the label columns. width, height (pixels as stored), aspect (width by height), image_bytes: their values at
    QUANTILES, empty where there are no images. formats, modes: of the images, by Pillow's names. jpeg: the JPEGs by
    process ("baseline", "progressive", …); sampling: those in colour by chroma sampling; cmyk_jpeg: those of four
    components. engine_missed: images that the GPU's JPEG engine does not take, by the first reason that applies; they
    are decoded by its general processors or by the CPU. not_images: records without an image whose header can be read,
    by the reason. identities: of a face set of InsightFace, whose records are its images alone; None for other data
    sets. options, created_by, split: from the manifest.
    """

    name: str
    records: int
    bytes: int
    shards: tuple[ShardInfo, ...]
    classes: tuple[ClassCount, ...] | None
    boxes: Boxes | None
    labels: Labels
    images: int
    formats: dict[str, int]
    modes: dict[str, int]
    jpeg: dict[str, int]
    sampling: dict[str, int]
    cmyk_jpeg: int
    engine_missed: dict[str, int]
    not_images: dict[str, int]
    identities: int | None
    width: tuple[float, ...]
    height: tuple[float, ...]
    aspect: tuple[float, ...]
    image_bytes: tuple[float, ...]
    split: str | None
    options: dict[str, Any] | None
    created_by: str | None

    def as_json(self) -> dict[str, Any]:
        """Everything as what JSON can hold; ``quantiles`` are the shares of the quantiles."""
        return {**asdict(self), "quantiles": QUANTILES}

    def __repr__(self) -> str:
        classes = self.boxes.classes if self.boxes is not None else self.classes
        facts = [
            counted(self.records, "record"),
            *([counted(self.boxes.objects, "object")] if self.boxes is not None else []),
            *([counted(len(classes), "class", "classes")] if classes is not None else []),
            counted(len(self.shards), "shard"),
            shown_size(self.bytes),
            *(f"{count:,} {kind}" for kind, count in self.formats.items()),
            *(f"{count:,} {reason}" for reason, count in self.not_images.items()),
        ]
        return f"<DatasetInfo of {self.name}: {', '.join(facts)}>"


def info(
    path: Paths,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> DatasetInfo:
    """Count and measure what is in a data set: a prefix, a manifest, a .rec file, or several of these.

    Only headers are read, of records and of images: a million records take a few seconds from the page cache. Records
    that are damaged or are no images are counted as such. progress: called with (records done, records in all).

    Raises what ``dali_rec.open`` raises: DatasetNotFoundError, DatasetError, IndexFileError.

    Example: ``dali_rec.info("data/train").formats`` is ``{"JPEG": 1281167}``.
    """
    files, manifest, identities = _open(path)
    name = files[0].reader.path
    if manifest is not None and len(files) > 1 and isinstance(path, (str, os.PathLike)):
        name = as_path(path).with_suffix("") if as_path(path).suffix == ".json" else as_path(path)
    try:
        return _info(str(name), files, manifest, identities, progress)
    finally:
        for file in files:
            file.reader.close()


class _File(NamedTuple):
    """A .rec file, the offsets of its records, and the stretches in which there is none."""

    reader: RecordReader
    offsets: NDArray[np.int64]
    gaps: int = 0


def _open(path: Paths) -> tuple[list[_File], Manifest | None, int | None]:
    if isinstance(path, (str, os.PathLike)):
        rec = require_name(as_path(path))
        if rec.suffix != ".rec" and not rec.is_file():  # the folder of its images may be called so
            rec = rec.with_name(rec.name + ".rec")
        described = rec.with_suffix(".idx").exists() or find_manifest(rec.with_suffix(".json"))
        if rec.suffix == ".rec" and rec.exists() and not described:
            # An index made from the records would need an image header in each.
            reader = RecordReader(rec)
            walked = walk(reader)
            return [_File(reader, walked.offsets, len(walked.gaps))], None, None
    dataset = open_dataset(path)
    return (
        [_File(shard.reader, shard.index.offsets) for shard in dataset.shards],
        dataset.manifest,
        dataset.num_identities,
    )


def _info(
    name: str,
    files: list[_File],
    manifest: Manifest | None,
    identities: int | None,
    progress: Callable[[int, int], None] | None,
) -> DatasetInfo:
    labels = LabelColumns(manifest)
    counts = _Counts()
    done, total = 0, sum(len(file.offsets) for file in files)
    for file in files:
        counts.outcomes[NO_RECORD] += file.gaps
        for headers in scan_headers(file.reader, file.offsets):
            labels.add(file.reader, headers)
            counts.add(headers)
            done += len(headers.outcome)
            if progress is not None:
                progress(done, total)
    sizes = counts.sizes()
    return DatasetInfo(
        name=name,
        records=total,
        bytes=sum(file.reader.size for file in files),
        shards=tuple(ShardInfo(str(file.reader.path), len(file.offsets), file.reader.size) for file in files),
        classes=labels.classes(),
        boxes=labels.boxes(),
        labels=labels.summary(),
        images=len(sizes.width),
        formats=_most_first(counts.formats, FORMATS),
        modes=_most_first(counts.modes, MODES),
        jpeg=_by_name(counts.processes, PROCESSES),
        sampling=_by_name(counts.samplings, _SAMPLINGS),
        cmyk_jpeg=counts.missed["CMYK"],
        engine_missed={reason: count for reason, count in counts.missed.items() if count},
        not_images={
            name: int(count)
            for code, (name, count) in enumerate(zip(OUTCOMES, counts.outcomes, strict=True))
            if code != IMAGE and count
        },
        identities=identities,
        width=_quantiles(sizes.width),
        height=_quantiles(sizes.height),
        aspect=_quantiles(sizes.width / np.maximum(sizes.height, 1)),
        image_bytes=_quantiles(sizes.bytes),
        split=manifest.split if manifest else None,
        options=manifest.options if manifest else None,
        created_by=manifest.created_by if manifest else None,
    )


class _Sizes(NamedTuple):
    """Of the images: pixels and bytes, shape (N,)."""

    width: NDArray[np.int32]
    height: NDArray[np.int32]
    bytes: NDArray[np.int64]


class _Counts:
    """Sums over the headers, and the sizes, which quantiles need one by one."""

    def __init__(self) -> None:
        self.outcomes = np.zeros(len(OUTCOMES), np.int64)
        self.formats = np.zeros(256, np.int64)
        self.modes = np.zeros(256, np.int64)
        self.processes = np.zeros(256, np.int64)
        self.samplings = np.zeros(256, np.int64)
        self.missed: Counter[str] = Counter()  # by the GPU's JPEG engine
        self._sizes: list[_Sizes] = []

    def add(self, headers: RecordHeaders) -> None:
        """Count these."""
        is_image = headers.outcome == IMAGE
        is_jpeg = is_image & (headers.format == _JPEG)
        is_cmyk = is_jpeg & (headers.mode == MODES.index("CMYK"))
        is_progressive = is_jpeg & ~is_cmyk & (headers.process == PROGRESSIVE)
        is_odd = is_jpeg & ~is_cmyk & ~is_progressive & ((headers.process != BASELINE) | ~headers.eight_bit)
        self.outcomes += np.bincount(headers.outcome, minlength=len(OUTCOMES))
        self.formats += np.bincount(headers.format[is_image], minlength=256)
        self.modes += np.bincount(headers.mode[is_image], minlength=256)
        self.processes += np.bincount(headers.process[is_jpeg], minlength=256)
        in_colour = is_jpeg & (headers.mode == MODES.index("RGB"))
        self.samplings += np.bincount(headers.sampling[in_colour], minlength=256)
        for reason, rows in (
            ("not JPEG", is_image & ~is_jpeg),
            ("CMYK", is_cmyk),
            ("progressive", is_progressive),
            ("other JPEG process", is_odd),
            ("damaged header", headers.outcome == DAMAGED),
        ):
            self.missed[reason] += int(rows.sum())
        self._sizes.append(_Sizes(headers.width[is_image], headers.height[is_image], headers.size[is_image]))

    def sizes(self) -> _Sizes:
        """Those of all images."""
        parts = self._sizes or [_Sizes(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.int64))]
        return _Sizes(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _most_first(counts: NDArray[np.int64], names: tuple[str, ...]) -> dict[str, int]:
    """The counts of codes under their names, the largest first."""
    return {names[code]: int(counts[code]) for code in np.argsort(-counts, kind="stable") if counts[code]}


def _by_name(counts: NDArray[np.int64], names: Mapping[int, str]) -> dict[str, int]:
    """The counts of codes under their names, in the order of the codes; those without a name together."""
    total: dict[str, int] = {}
    for code in np.flatnonzero(counts).tolist():
        name = names.get(code, "other")
        total[name] = total.get(name, 0) + int(counts[code])
    return total


def _quantiles(values: NDArray[Any]) -> tuple[float, ...]:
    return tuple(np.quantile(values, QUANTILES).tolist()) if len(values) else ()
