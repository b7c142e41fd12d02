"""``pack``: a folder or list of images becomes a RecordIO data set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dali_rec._open_files import without_views
from dali_rec._sizes import parse_size
from dali_rec.images import MAX_PIXELS
from dali_rec.packing.options import (
    SHUFFLE_SEED,
    Color,
    Device,
    Encoding,
    Engine,
    ImageOptions,
    Interpolation,
    PackOptions,
    ResizeMode,
    RunOptions,
)
from dali_rec.packing.run import PackReport, run_pack
from dali_rec.sources import Empty, FetchOptions, Flagged, FolderLabels, Format, SourceOptions, TableOptions

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence


def pack(
    source: object,
    out: str | os.PathLike[str],
    *,
    resize: int | None = None,
    resize_mode: ResizeMode = "shorter",
    upscale: bool = False,
    center_crop: bool = False,
    interpolation: Interpolation = "bicubic",
    encoding: Encoding = "keep",
    quality: int = 95,
    color: Color = "keep",
    max_pixels: int = MAX_PIXELS,
    trust: bool = False,
    device: Device = "cpu",
    shards: int | None = None,
    shard_size: int | str | None = None,
    shard_records: int | None = None,
    shuffle: bool | None = None,
    seed: int = SHUFFLE_SEED,
    split: Mapping[str, float] | None = None,
    stratify: bool = False,
    labels: FolderLabels = "levels",
    label_pattern: str | None = None,
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
    append: bool = False,
    resume: bool = False,
    node_rank: int = 0,
    num_nodes: int = 1,
    engine: Engine = "local",
    address: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> PackReport:
    """Pack the images of ``source`` into OUT.rec, OUT.idx, OUT.lst and the manifest OUT.json.

    source: the path of a folder of images, a .lst, or a table (.csv, .tsv, .txt, .json, .jsonl); see ``read_folder``,
        ``read_list`` and ``read_table`` in dali_rec.sources for what they may be. Or a .tar or .zip, a folder of these,
        or a pattern of WebDataset's shards (docs/sources.md). Or Parquet or Arrow files: one, a folder of them as on
        the Hugging Face Hub or from ``save_to_disk``, or a pattern; see ``read_parquet``. Or TFRecord files: one, a
        folder of them, or a pattern; see ``read_tfrecords``. Or arrays: .npz, .npy, HDF5, IDX and CIFAR's; see
        ``read_arrays``. Or images with boxes: a COCO file, a folder of COCO, VOC or YOLO, and others
        (docs/detection.md). Or a data set that is packed already: a prefix, a manifest, a .rec file or a Dataset; see
        ``read_packed``. Or one that is a Python object, of PyTorch or Hugging Face say: what has a length and gives
        (image, label) at an index; see ``read_items``.
    out: the prefix of the files to make; folders on the way to it are made. Also a URL that fsspec can write to, such
        as s3://bucket/folder/train: shards are made on this machine and uploaded whole.
    resize, resize_mode, upscale, center_crop, interpolation, encoding, quality, color, max_pixels: what is done to an
        image; see ``ImageOptions``. By default the bytes are stored untouched.
    trust: do not decode images that nothing is done to, but look at their headers only. What a GPU packs is decoded by
        it alone, and may be damaged.
    device: "gpu" decodes, scales and encodes JPEGs that are changed on a GPU; "auto" where it measures faster. The
        pixels are slightly other ones, so a data set that is to come out the same anywhere is packed on the "cpu".
    shards: number of .rec files, OUT-00000-of-00008.rec and so on where it is more than one; or
    shard_size: the most bytes that one should have, as a number or as "1GB"; or
    shard_records: the most images that one should have.
    shuffle: a folder is shuffled by ``seed`` and a list keeps its order unless this says otherwise.
    split: shares by name, such as {"train": 0.9, "val": 0.1}; each becomes a data set, OUT-train and so on, dealt out
        by ``seed``, and with ``stratify`` in the same shares of each class. A folder of train, val and test is parted
        anyway. All splits have one table of classes.
    labels: what the labels of a folder are: "levels", "leaf" or "top".
    label_pattern: a regular expression that is looked for in the paths of a folder's images instead; each of its groups
        is a label, or each that has a name.
    classes: the class names in the order of their numbers; by default sorted.
    root: where the relative paths of a list, table or file of boxes begin: a folder, by default that of it, or an
        archive.
    table: which columns of a table mean what; by default label, location and id.
    label_width: of a list whose columns are parted by blanks: how many of them are labels.
    format: "coco", "voc", "yolo" and others for object detection; "auto" knows them by what is there.
    flagged: boxes that VOC calls difficult and COCO a crowd, or that are to be ignored: "column" marks them in a sixth
        number of each object, "keep" takes them as any other, "drop" leaves them out.
    empty: images without objects: "keep", which MXNet's own iterators stop at, or "drop".
    fetch: how images behind URLs are fetched; see ``FetchOptions``.
    workers: threads, in processes of four where there are more; by default one a core. The output does not depend on
        it.
    max_bad: how many images may be bad: a share below 1, a number from 1 up. They are left out and written, with the
        reason, to OUT.rejected.jsonl.
    strict: stop at the first bad image.
    overwrite: replace a data set of the same name, once the new one is complete.
    append: add the images to the data set of this name, as further shards; its classes keep their numbers.
    resume: go on with a run that was interrupted. Shards that it finished are checked and kept, and the files come out
        as if there had been no interruption. Where all was done, nothing is done again.
    node_rank, num_nodes: this machine's number, and how many machines run the same call on a file system that they
        share. Each packs its part of the shards, and the last to finish gives all files their final names.
    engine: "local", or "ray": on the Ray cluster at ``address``, or by default on one of this machine alone.
    progress: called with (images done, images in all) after each image.

    Every image is decoded in full before it is accepted. The files get their final names only when all is done.

    Raises SourceError, TooManyBadImagesError (OUT.rejected.jsonl is written all the same), OutputExistsError, and
    DatasetError where the source or the options are not those of the run that is resumed.
    """
    image = ImageOptions(
        resize, resize_mode, upscale, center_crop, interpolation, encoding, quality, color, max_pixels, trust, device
    )
    size = parse_size(shard_size) if isinstance(shard_size, str) else shard_size
    options = PackOptions(
        image=image,
        fetch=fetch or FetchOptions(),
        shards=shards,
        shard_size=size,
        shard_records=shard_records,
        shuffle=shuffle,
        seed=seed,
        split=split,
        stratify=stratify,
        workers=workers,
        max_bad=max_bad,
        strict=strict,
    )
    run = RunOptions(resume, overwrite, node_rank, num_nodes, engine, address)
    names = None if classes is None else tuple(classes)
    columns = table or TableOptions()
    source_options = SourceOptions(root, labels, names, columns, label_width, format, flagged, empty, label_pattern)
    with without_views():  # the source can be removed, or got anew, when it could not be packed
        return run_pack(source, out, options, source_options, run, append=append, progress=progress)
