"""From a path or an object to the source that it is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dali_rec._files import as_path, as_url
from dali_rec._numbers import counted
from dali_rec.dataset import Dataset
from dali_rec.errors import SourceError
from dali_rec.sources.archives.files import find_archives
from dali_rec.sources.archives.folder import ArchiveFolder
from dali_rec.sources.archives.root import below_root, find_root
from dali_rec.sources.archives.source import read_archives
from dali_rec.sources.arrays.find import ARRAY_SUFFIXES, find_arrays, is_array, read_arrays
from dali_rec.sources.detection import find_format, find_inside, read_detection
from dali_rec.sources.detection.coco_folder import unread_boxes
from dali_rec.sources.detection.yolo import unread_labels
from dali_rec.sources.folders.cub import is_cub, read_cub
from dali_rec.sources.folders.folder import read_folder
from dali_rec.sources.folders.name_labels import compile_pattern
from dali_rec.sources.items import read_items
from dali_rec.sources.lst import read_list
from dali_rec.sources.options import SourceOptions, refuse_other_options
from dali_rec.sources.overlap import say_overlap
from dali_rec.sources.packed import names_packed, read_packed
from dali_rec.sources.pairs import PAIRS_SUFFIX, read_pairs
from dali_rec.sources.parquet.files import find_parquet
from dali_rec.sources.parquet.row_files import ROW_SUFFIXES, kind_of
from dali_rec.sources.parquet.source import read_parquet
from dali_rec.sources.tables.columns import TableOptions
from dali_rec.sources.tables.rows import TABLE_SUFFIXES
from dali_rec.sources.tables.table import read_table
from dali_rec.sources.tfrecord.files import TFRECORD_SUFFIXES, find_tfrecords, is_tfrecord_name
from dali_rec.sources.tfrecord.source import read_tfrecords
from dali_rec.sources.walk import is_image, shown, walk

if TYPE_CHECKING:
    from collections.abc import Callable

    from dali_rec.sources.detection import Kind
    from dali_rec.sources.sample import Source
    from dali_rec.sources.walk import Folder

_SUFFIXES = (".lst", *TABLE_SUFFIXES, *ROW_SUFFIXES, PAIRS_SUFFIX, *TFRECORD_SUFFIXES, *ARRAY_SUFFIXES)
#: Formats of boxes whose files are tables as well.
_ALSO_TABLES = ("csv", "createml", "openimages")
#: What to do with files of other kinds, by their ends.
_REMEDIES = (
    ((".gz", ".bz2", ".xz", ".zst", ".7z", ".rar"), ". Unpack it first"),
    (
        (".mat",),
        ". Give the data set of torchvision that reads it to dali_rec.pack, or write a table of its labels",
    ),
    (("-ubyte",), ". Call IDX files as MNIST has them, such as train-images-idx3-ubyte"),
    (
        (".pkl", ".mdb"),
        ". Read it in Python, and give dali_rec.pack a list of pairs of an image and its label",
    ),
    ((".xml",), ". Of boxes write COCO annotations, of classes a table"),
    ((".xls", ".xlsx", ".ods"), ". Save it as CSV"),
)


def open_source(source: object, options: SourceOptions | None = None) -> Source:
    """The source at a path: a folder, a .lst, a table, data for detection, InsightFace's pairs (.bin), or archives.

    Tables are .csv, .tsv, .txt, .json and .jsonl. Parquet and Arrow files are one, a folder of them, or a pattern: see
    ``read_parquet``; so are TFRecord files: see ``read_tfrecords``. Arrays are .npz, .npy, HDF5 and IDX files, and the
    folders of CIFAR: see ``read_arrays``. Annotations of boxes, such as a COCO file or a folder with the parts of COCO,
    VOC or YOLO, are known by what is in them, or by ``format``. Archives are a .tar or .zip, a folder of such, or a
    pattern that names the shards of WebDataset: see ``read_archives``. A data set that is packed already is named by
    its prefix, manifest or .rec file, or is a Dataset: see ``read_packed``. What else is no path is a Python object:
    see ``read_items``.

    Raises SourceError where there is nothing that can be packed, and for an option that this kind of source has not.
    """
    options = options or SourceOptions()
    if isinstance(source, (str, os.PathLike)):
        path = as_path(source)
        if names_packed(path):
            return _open_packed(path, str(path), options)
        return say_overlap(replace(_open_files(path, options), path=str(path)))
    if isinstance(source, Dataset):
        return _open_packed(source, source.name, options)
    if isinstance(source, Mapping) and source and all(isinstance(one, Dataset) for one in source.values()):
        return say_overlap(_open_packed(source, next(iter(source.values())).name, options))
    refuse_other_options(type(source).__name__, "object", options)
    return read_items(source, options.table, options.classes)


def _open_packed(source: Dataset | Mapping[str, Dataset] | Path, name: str, options: SourceOptions) -> Source:
    refuse_other_options(name, "packed", options)
    found = read_packed(source)
    if options.classes is not None and (found.classes is not None or found.label_classes is not None):
        raise SourceError(f"{name}: --classes names classes that have no names, and these have; leave it out")
    return _named(name, found, options.classes)


def _open_files(path: Path, options: SourceOptions) -> Source:
    if path.exists() and not path.is_file() and not path.is_dir():
        raise SourceError(f"{path}: not a regular file; write what comes out of it to one, and pack that")
    archives = find_archives(path)
    if archives is not None and not (path.is_dir() and _find_annotations(path, options) is not None):
        return read_archives(archives, options)
    if not path.exists() and find_parquet(path) is None and find_tfrecords(path) is None:
        url = as_url(path)
        remedy = ": what is packed is read from this machine: copy it here first" if url else ""
        raise SourceError(f"{url or path}: no such file or folder{remedy}")
    if options.root is None:
        return _open_path(path, options)
    root = as_path(options.root)
    archive = find_root(root)
    if archive is not None:
        return below_root(path, _open_path(path, options, archive.members), archive)
    return _open_path(path, options, root)


def _open_path(path: Path, options: SourceOptions, root: Folder | None = None) -> Source:
    annotations = _find_annotations(path, options)
    if annotations is None and options.format == "auto" and path.is_dir() and not is_cub(path):
        # Other labels are of folders, or of the names of files.
        is_asked = options.labels != "levels" or options.label_pattern is not None
        inside = None if is_asked else find_inside(path)
        if inside is not None:
            source = _open_path(inside, options, root)
            return replace(source, notes=(f"{path}: the annotations in {inside} are packed", *source.notes))
    arrays = find_arrays(path) if annotations is None and options.format == "auto" else None
    if arrays is not None:
        refuse_other_options(str(path), "arrays", options)
        return read_arrays(arrays, options.table, options.classes)
    parquet = find_parquet(path) if annotations is None else None
    tfrecords = find_tfrecords(path) if annotations is None and parquet is None else None
    if tfrecords is not None:
        refuse_other_options(str(path), "tfrecord", options)
        source = read_tfrecords(tfrecords, options.table, options.classes, options.flagged, options.empty)
        return replace(source, notes=(*source.notes, *_left_out(path, is_array)))
    if annotations is None and not path.is_dir() and path.suffix.lower() not in _SUFFIXES:
        raise _unknown(path)
    refuse_other_options(str(path), annotations or ("parquet" if parquet is not None else _kind(path)), options)
    if isinstance(root, Path) and not root.is_dir():
        raise SourceError(f"--root {options.root}: no such folder or archive; it is where the paths in {path} begin")
    if annotations is not None:
        attribute = None if options.table == TableOptions() else options.table.labels[0]
        return read_detection(path, annotations, root, options.classes, options.flagged, options.empty, attribute)
    if parquet is not None:
        if isinstance(root, ArchiveFolder):
            raise SourceError(
                f"{path}: --root is an archive, which does not go with {kind_of(parquet.files[0])}; unpack it"
            )
        source = read_parquet(parquet, root, options.table, options.classes)
        others = _left_out(path, lambda name: is_array(name) or is_tfrecord_name(name))
        return replace(source, notes=(*source.notes, *others))
    return _read_images(path, root, options)


def _left_out(path: Path, is_other: Callable[[str], bool]) -> list[str]:
    """Say it where beside what is packed there are files that may hold images in other forms."""
    others = [name for name in next(walk(path))[1] if is_other(name)] if path.is_dir() else []
    return [f"{path}: {counted(len(others), 'file')} of other kinds left out: {shown(others)}"] if others else []


def _read_images(path: Path, root: Folder | None, options: SourceOptions) -> Source:
    if path.is_dir():
        return _read_folder(path, options)
    if path.suffix.lower() == ".lst":
        return _named(str(path), read_list(path, root, options.label_width), options.classes)
    if path.suffix.lower() in TABLE_SUFFIXES:
        return read_table(path, root, options.table, options.classes)
    return read_pairs(path)


def _read_folder(folder: Path, options: SourceOptions) -> Source:
    pattern = None if options.label_pattern is None else compile_pattern(options.label_pattern)
    if options.labels == "levels" and pattern is None and is_cub(folder):
        return read_cub(folder, options.classes)
    source = read_folder(folder, options.labels, options.classes, pattern)
    return replace(source, notes=(*unread_labels(folder), *unread_boxes(folder), *source.notes))


def _find_annotations(path: Path, options: SourceOptions) -> Kind | None:
    if options.format != "auto":
        return options.format
    if options.label_pattern is not None:
        return None
    found = find_format(path)
    if found == "coco" and options.labels != "levels" and path.is_dir():
        return None  # the folders may be classes beside the boxes, and are asked for
    # Columns that are asked for are of a table.
    return None if found in _ALSO_TABLES and options.table != TableOptions() else found


def _named(name: str, source: Source, classes: tuple[str, ...] | None) -> Source:
    """A source with the names of its classes, which it does not have. Raises SourceError for a label that is none."""
    if classes is None:
        return source
    labels = source.samples.first_labels
    wrong = np.ones(1, np.bool_) if source.samples.label_widths != {1} else ~np.isin(labels, np.arange(len(classes)))
    if wrong.any():
        key = source.samples[int(wrong.argmax())].key
        raise SourceError(
            f"{name}: --classes names {len(classes)} classes, and id {key} has no label from 0 to {len(classes) - 1}, "
            "or several; correct it, or leave --classes out"
        )
    return replace(source, classes=classes)


def _unknown(path: Path) -> SourceError:
    remedy = next((what for ends, what in _REMEDIES if path.name.lower().endswith(ends)), "")
    if _is_of_cifar(path):
        remedy = ". Give the folder that it is in, to pack CIFAR whole"
    if is_image(path.name):
        remedy = ". Give the folder of the image, or a list or table of images"
    kinds = ", ".join((".tar", ".zip", *_SUFFIXES, ".rec"))
    return SourceError(f"{path}: not a folder, {kinds}; those are what can be packed{remedy}")


def _is_of_cifar(path: Path) -> bool:
    found = find_arrays(path.absolute().parent)
    return found is not None and found.kind == "cifar"


def _kind(path: Path) -> str:
    suffix = path.suffix.lower()
    return "folder" if path.is_dir() else "table" if suffix in TABLE_SUFFIXES else suffix
