"""The TFRecord files of a data set, and the splits that they are of by their names."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from dali_rec.sources.shard_files import (
    ShardFiles,
    absent_shards,
    files_of_pattern,
    known_names,
    refuse_several_sets,
    several,
    split_word,
    splits_of_files,
)
from dali_rec.sources.tfrecord.records import begins_as_records
from dali_rec.sources.tfrecord.tfds import split_names
from dali_rec.sources.walk import is_image, walk

if TYPE_CHECKING:
    from pathlib import Path

#: How TFRecord files are mostly called.
TFRECORD_SUFFIXES = (".tfrecord", ".tfrecords", ".tfrec")
_SUFFIX = r"\.(?:tfrecords?|tfrec)"
_NAMED = re.compile(rf".*{_SUFFIX}(?:-\d+-of-\d+)?(?:\.gz)?", re.IGNORECASE)
# train-00000-of-01024 of TF-slim's ImageNet, coco_train.record-00000-of-00100 of TensorFlow's models.
_MAY_BE = re.compile(r".+(?:-\d{5,}-of-\d{5,}|\.record)", re.IGNORECASE)
_SHARD = re.compile(rf"(.+)-(\d{{5,}})-of-(\d{{5,}})(?:{_SUFFIX}|\.record)?", re.IGNORECASE)
_EXTENSION = re.compile(rf"(?:{_SUFFIX}|\.record)(?:\.gz)?\Z", re.IGNORECASE)


def find_tfrecords(path: Path) -> ShardFiles | None:
    """The TFRecord files that a path means: a file, a folder that holds them, or a pattern; None where it means none.

    They are known by their names, and those that others may have, too (train-00000-of-01024, train.record), by how they
    begin. The files of a folder are of the splits that TensorFlow Datasets says in its dataset_info.json, or else of
    those in their names, or in the names of their folders. Those of a pattern are one data set, if they are not of
    several splits.

    Raises SourceError where some are of no split and others are, and where they lie in several folders that are none.
    """
    if path.is_dir():
        files = _files_in(path)
        return _in_folder(path, files) if files else None
    if path.exists():
        return ShardFiles(str(path), path.parent, (path.name,)) if _is_tfrecord(path) else None
    found = files_of_pattern(path, lambda one: one.is_file() and _is_tfrecord(one))
    if found is None:
        return None
    folder, files = found
    splits = splits_of_files(str(path), files, partial(split_of, known=split_names(folder, files)))
    return ShardFiles(str(path), folder, files, several(splits))


def is_tfrecord_name(name: str) -> bool:
    """Whether a file is called as TFRecord files alone are."""
    return _NAMED.fullmatch(name) is not None


def _is_tfrecord(path: Path) -> bool:
    if is_tfrecord_name(path.name):
        return True
    return _MAY_BE.fullmatch(path.name) is not None and begins_as_records(path)


def _files_in(folder: Path) -> tuple[str, ...]:
    """The TFRecord files in a folder, and in those in it; none where there are images, which it then is of."""
    found: list[str] = []
    for parts, names in walk(folder):
        if any(map(is_image, names)):
            return ()
        found += ["/".join((*parts, name)) for name in names if _is_tfrecord(folder.joinpath(*parts, name))]
    return tuple(found)


def _in_folder(folder: Path, files: tuple[str, ...]) -> ShardFiles:
    refuse_several_sets(folder, files)
    splits = splits_of_files(str(folder), files, partial(split_of, known=split_names(folder, files)))
    return ShardFiles(str(folder), folder, files, splits, tuple(absent_shards(folder, files, _SHARD)))


def split_of(file: str, known: tuple[str, ...] = ()) -> str | None:
    """The split that a file is of by its path: one that is known, or a word for one, or what is before its number."""
    *folders, name = file.split("/")
    shard = _SHARD.fullmatch(name)
    before = _EXTENSION.sub("", name if shard is None else shard[1])
    of_known = [split for split in known if before == split or before.endswith(f"-{split}")]
    if of_known:
        return known_names(known)[max(of_known, key=len)]
    of_name = split_word(before)
    if of_name is not None:
        return of_name
    of_folder = next((word for part in reversed(folders) if (word := split_word(part)) is not None), None)
    return of_folder or (before if shard is not None and "-" not in before else None)
