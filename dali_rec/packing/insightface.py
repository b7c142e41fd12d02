"""``pack_insightface``: images in the layout of InsightFace's train.rec, which face-recognition code reads.

The images come first, sorted by class, under the ids 1…N. Record 0, the header, follows: flag 2, labels [N+1, N+1+I].
Then come the I identities, N+1…N+I: flag 2, labels [first, end) of the ids of their images. Beside OUT.rec lies the
file ``property`` with "classes,height,width". (face2rec2 of deepinsight/insightface.)
"""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from dali_rec._files import as_path, atomic_write, require_output_name, write_text_atomically
from dali_rec.dataset import Dataset, listed_ids
from dali_rec.errors import DatasetError, SourceError, TooManyBadImagesError
from dali_rec.images import inspect_image
from dali_rec.manifest import Manifest, ShardEntry
from dali_rec.opening import open_dataset
from dali_rec.packing.arranged import ArrangeTarget
from dali_rec.packing.bad_images import rejections_file
from dali_rec.packing.pack import pack
from dali_rec.packing.run import PackReport, run_pack
from dali_rec.recordio import RecordWriter
from dali_rec.recordio.header import HEADER
from dali_rec.sources import Sample, SampleTable, format_list
from dali_rec.sources.listed import original_paths
from dali_rec.sources.remote import is_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    from dali_rec.packing.options import PackOptions, RunOptions
    from dali_rec.sources import SourceOptions

_PROPERTY = "property"
_REFUSED = {
    "shards": 1,
    "shard_size": None,
    "shard_records": None,
    "split": None,
    "stratify": False,
    "append": False,
    "resume": False,
    "num_nodes": 1,
}


def pack_insightface(
    source: object, out: str | os.PathLike[str], *, overwrite: bool = False, **options: Any
) -> PackReport:
    """Pack the images of ``source`` into OUT.rec as InsightFace has it, OUT.idx, OUT.lst, OUT.json and ``property``.

    source, out, options: as for ``pack``, but for shards and splits: the layout is one file. All images must have one
    size; ``resize=112, resize_mode="fill", upscale=True`` makes it so. The images are packed in the folder
    OUT.arranging, then copied in order, so that for a while they are on disk twice. What a run that was killed has left
    there the next one removes or, if it is but to be moved, moves.

    Raises what ``pack`` does, ValueError for shards and splits, SourceError where images differ in size or have no
    class.
    """
    for name, usual in _REFUSED.items():
        if options.get(name) not in (usual, None):
            raise ValueError(f"{name} is {options[name]!r}: InsightFace's layout is one file; pack without it")
    return _pack_and_arrange(lambda prefix: pack(source, prefix, **options), source, out, overwrite=overwrite)


def run_pack_insightface(
    source: object,
    out: str | os.PathLike[str],
    options: PackOptions,
    source_options: SourceOptions,
    run: RunOptions,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> PackReport:
    """``pack_insightface`` with its arguments in groups, as ``run_pack`` has them."""
    fresh = replace(run, overwrite=False)
    return _pack_and_arrange(
        lambda prefix: run_pack(source, prefix, options, source_options, fresh, progress=progress),
        source,
        out,
        overwrite=run.overwrite,
    )


def _pack_and_arrange(
    packing: Callable[[Path], PackReport],
    source: object,
    out: str | os.PathLike[str],
    *,
    overwrite: bool,
) -> PackReport:
    """Let ``packing`` pack to a prefix in the work folder of ``out``, and write that anew."""
    if is_url(os.fspath(out)):
        raise ValueError(
            f"{os.fspath(out)}: InsightFace's layout is written to a file system; copy it there afterwards"
        )
    out = require_output_name(out)
    began = time.perf_counter()
    read = [as_path(source)] if isinstance(source, (str, os.PathLike)) else []
    target = _target(out, read, overwrite=overwrite)
    with target.working() as folder:
        prefix = folder / f"{out.name}.packed"
        made, kept = (place.with_name(rejections_file(place.name)) for place in (prefix, out))
        try:
            report = packing(prefix)
        except TooManyBadImagesError as error:
            if made.exists():
                made.replace(kept)
            raise TooManyBadImagesError(str(error).replace(str(made), str(kept))) from None
        if len(report.sets) != 1:
            splits = ", ".join(str(one.split) for one in report.sets)
            raise SourceError(
                f"{out}: the source is parted into {splits}, and InsightFace's layout is one file; pack one of its "
                "folders"
            )
        packed = report.sets[0]
        if packed.rejections:
            made.replace(folder / kept.name)
        with open_dataset(packed.location) as dataset:
            try:
                manifest = _write(dataset, folder, out.name)
            except (DatasetError, SourceError) as error:  # the packed file will be gone
                raise SourceError(str(error).replace(dataset.name, _called(source))) from None
            (arranged,) = target.publish([manifest])
    packed = replace(
        packed,
        location=str(arranged.manifest_path),
        manifest=arranged.manifest,
        rejected=str(kept) if packed.rejections else None,
    )
    return replace(report, sets=(packed,), seconds=time.perf_counter() - began)


def _called(source: object) -> str:
    """What messages call a source: of an object its type, as its text may hold all images."""
    if isinstance(source, Dataset):
        return source.name
    return str(source) if isinstance(source, (str, os.PathLike)) else type(source).__name__


def write_insightface(dataset: Dataset, out: str | os.PathLike[str], *, overwrite: bool = False) -> Manifest:
    """Write a packed data set anew in InsightFace's layout; returns its manifest, whose records are the images.

    The bytes of the images are copied. Raises DatasetError where a first label is no class index, SourceError where
    images differ in size, OutputExistsError.
    """
    out = require_output_name(out)
    target = _target(out, [shard.path for shard in dataset.shards], overwrite=overwrite)
    with target.working() as folder:
        (arranged,) = target.publish([_write(dataset, folder, out.name)])
    return arranged.manifest


def _target(out: Path, inputs: Iterable[Path], *, overwrite: bool) -> ArrangeTarget:
    target = ArrangeTarget(out, beside=[_PROPERTY])
    target.clear()
    target.check(inputs, overwrite=overwrite)
    return target


def _write(dataset: Dataset, folder: Path, name: str) -> Manifest:
    """Write the .rec, the .idx, the list and the property file of the data set ``name``; gives its manifest."""
    classes = dataset.class_indices
    order = np.argsort(classes, kind="stable")
    with RecordWriter(folder / f"{name}.rec") as writer:
        height, width = _write_images(writer, dataset, order, classes)
        _write_identities(writer, classes[order])
    count = len(dataset.classes) if dataset.classes is not None else int(classes.max()) + 1
    write_text_atomically(folder / _PROPERTY, f"{count},{height},{width}\n")
    with atomic_write(folder / f"{name}.lst") as listed:
        listed.writelines(format_list(_listed(dataset, order, classes)))
    options = dict(dataset.manifest.options) if dataset.manifest is not None else {}
    manifest = Manifest(
        records=len(dataset),
        shards=(ShardEntry(f"{name}.rec", writer.index_path.name, len(dataset), writer.position, writer.sha256),),
        label_width=1,
        label_kind="class",
        max_width=width,
        max_height=height,
        bytes=writer.position,
        classes=dataset.classes,
        options={**options, "format": "insightface"},
    )
    return manifest if dataset.manifest is None else replace(manifest, created_by=dataset.manifest.created_by)


def _write_images(
    writer: RecordWriter, dataset: Dataset, order: NDArray[np.intp], classes: NDArray[np.int64]
) -> tuple[int, int]:
    """Write the images under the ids from 1 on; returns their height and width, which must be the same for all."""
    size: tuple[int, int] | None = None
    for key, row in enumerate(order.tolist(), start=1):
        record = dataset[row]
        info = inspect_image(record.image)
        if size is None:
            size = info.height, info.width
        elif size != (info.height, info.width):
            where = _paths(dataset)[row] or f"{dataset.name}: record {record.key}"
            raise SourceError(
                f"{where} has {info.width} × {info.height} pixels, others {size[1]} × {size[0]}: InsightFace wants one "
                "size; pack with --resize 112 --resize-mode fill --upscale"
            )
        writer.write_image(record.image, float(classes[row]), key)
    if size is None:
        raise SourceError(f"{dataset.name}: no images to write")
    return size


def _write_identities(writer: RecordWriter, classes: NDArray[np.int64]) -> None:
    """Write the header and the identities of images that have these classes, in order, under the ids from 1 on."""
    starts = np.concatenate([[0], np.nonzero(np.diff(classes))[0] + 1]) + 1
    ends = np.append(starts[1:], len(classes) + 1)
    first = len(classes) + 1
    writer.write(_bare(0, first, first + len(starts)), 0)
    for key, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True), start=first):
        writer.write(_bare(key, start, end), key)


def _bare(key: int, start: int, end: int) -> bytes:
    # Not by pack_header, which refuses numbers that float32 rounds: beyond 2^24 InsightFace rounds them as well.
    return HEADER.pack(2, 0.0, key, 0) + np.array([start, end], "<f4").tobytes()


def _listed(dataset: Dataset, order: NDArray[np.intp], classes: NDArray[np.int64]) -> SampleTable:
    """Id, class and original path of each image; the old id where no list beside the data set says the path."""
    keys = dataset.keys.tolist()
    paths = _paths(dataset)
    return SampleTable.of(
        Sample(key, (float(classes[row]),), paths[row] or str(keys[row]))
        for key, row in enumerate(order.tolist(), start=1)
    )


def _paths(dataset: Dataset) -> list[str]:
    """The original path of each image, empty where no list beside the data set says it."""
    return list(original_paths(dataset, listed_ids(dataset)))
