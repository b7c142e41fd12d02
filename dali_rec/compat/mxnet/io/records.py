"""The records that MXNet's path_imgrec, path_imgidx and path_imglist name."""

from __future__ import annotations

import contextlib
import logging
import os
import re
from typing import TYPE_CHECKING, Any

from dali_rec._files import as_path
from dali_rec._numbers import parse_float, parse_int
from dali_rec.dataset import Dataset, listed_ids
from dali_rec.errors import DatasetError, DatasetNotFoundError, SourceError
from dali_rec.opening import no_records
from dali_rec.shard import Shard

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LOG = logging.getLogger("dali_rec.compat.mxnet")


def open_records(path_imgrec: Any, path_imgidx: Any = "") -> Dataset:
    """The records of one .rec file or several, in the order given; within a file, as they lie.

    path_imgrec: a file; a folder, for all .rec files in it; ``folder/EXPRESSION``, for the files whose whole name the
    regular expression matches; several of these with ``;`` between, or as a sequence. path_imgidx: as many .idx files,
    or none, for those beside the .rec files. Where an .idx is not there, the index is made in memory.

    Raises DatasetNotFoundError, DatasetError, IndexFileError.
    """
    files = [file for one in _several(path_imgrec) for file in _files(one)]
    indexes: list[Path | None] = [as_path(one) for one in _several(path_imgidx)]
    if indexes and len(indexes) != len(files):
        raise DatasetError(
            f"path_imgidx names {len(indexes)} files, path_imgrec {len(files)}: give as many, or leave path_imgidx out "
            "for the .idx beside each .rec"
        )
    shards = []
    for file, index in zip(files, indexes or [None] * len(files), strict=True):
        if index is not None and not index.exists():
            _LOG.warning("%s is not there: the index of %s is made in memory", index, file)
        shards.append(Shard(file, index_path=index if index is not None and index.exists() else None))
    dataset = Dataset(shards)
    if not len(dataset):
        raise no_records(path_imgrec, shards)
    return dataset


def _several(paths: Any) -> list[str]:
    given = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths or ())
    return [one for path in given for one in os.fspath(path).split(";") if one]


def _files(name: str) -> list[Path]:
    path = as_path(name)
    if path.is_file():
        return [path]
    if path.is_dir():
        found = sorted(path.glob("*.rec"))
        if not found:
            raise DatasetNotFoundError(f"{path}: no .rec files in this folder")
        return found
    folder, wanted = _folder_and_expression(name)
    if folder.is_dir():
        try:
            expression = re.compile(wanted)
        except re.error:
            expression = re.compile(re.escape(wanted))
        found = sorted(file for file in folder.iterdir() if file.is_file() and expression.fullmatch(file.name))
        if found:
            return found
    raise DatasetNotFoundError(f"{path}: no such file or folder; 'dali-rec pack' makes .rec files")


def _folder_and_expression(name: str) -> tuple[Path, str]:
    """On Windows a backslash parts the two only where there is no slash, or it is the expression's."""
    folder, slash, expression = name.rpartition("/")
    path = as_path(name)
    return (as_path(folder + slash), expression) if slash else (path.parent, path.name)


def listed_labels(dataset: Dataset, path: str | os.PathLike[str], label_width: int) -> list[list[float]]:
    """The labels that a .lst has for each record, by id, in the order of the data set.

    label_width: how many numbers are read behind the id of each line; -1: all up to the path, its last column. Of an id
    that stands twice the later line counts. Raises SourceError for a line that has not so many, or something else in
    their place, DatasetError for a record without a line.
    """
    of_id = dict(_read_list(path, label_width))
    ids = listed_ids(dataset).tolist()
    missing = [key for key in ids if key not in of_id]
    if missing:
        raise DatasetError(
            f"{path}: no line for {len(missing)} of the {len(dataset)} records of {dataset.name}, id {missing[0]} "
            "among them; each record needs one"
        )
    return [of_id[key] for key in ids]


def _read_list(path: str | os.PathLike[str], label_width: int) -> Iterator[tuple[int, list[float]]]:
    """Id and labels of each line."""
    expected = "an id, labels and a path" if label_width < 0 else f"an id and label_width={label_width} numbers"
    with as_path(path).open(encoding="utf-8-sig", errors="surrogateescape") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            first, *others = _numbers_in(line, label_width)
            row: tuple[int, list[float]] | None = None
            with contextlib.suppress(ValueError):
                row = parse_int(first), list(map(parse_float, others))
            if row is None or len(others) < label_width:
                raise SourceError(f"{path}, line {number}: {line.strip()[:60]!r} is not {expected}")
            yield row


def _numbers_in(line: str, label_width: int) -> list[str]:
    """The columns of a line with its id and its labels."""
    if label_width > 0:
        return line.split(maxsplit=label_width + 1)[: label_width + 1]
    # The path, which comes after them, may hold blanks where tabs part the columns.
    columns = line.split("\t") if "\t" in line else line.split()
    return [columns[0], *columns[1:-1]]
