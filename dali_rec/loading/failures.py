"""Which record it was: DALI's messages name none."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dali_rec.errors import DatasetError, ImageRejectedError, RecordError
from dali_rec.images import check_image
from dali_rec.loading.feed import RecordFeed
from dali_rec.loading.graph import build_fed_pipeline
from dali_rec.manifest import is_manifest
from dali_rec.recordio.index import unsigned

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dali_rec.dataset import Dataset, Shard
    from dali_rec.loading.graph import Execution, ImageSpec

_ENTRIES_TRIED = 9
_SHARD_SUFFIX = re.compile(r"-\d{5}-of-\d{5}\.rec$")


@dataclass(frozen=True, slots=True)
class BadRecord:
    """A record that cannot be decoded: its row in the data set, id, file and offset there, and why."""

    row: int
    key: int
    path: str
    offset: int
    reason: str

    def __str__(self) -> str:
        return f"id {self.key} in {self.path} at offset {self.offset}: {self.reason}"


def bad_records(dataset: Dataset, rows: NDArray[np.int64]) -> list[BadRecord]:
    """Those of the records at ``rows`` that cannot be decoded, each once."""
    found = []
    for row in np.unique(rows).tolist():
        shard, offset = dataset.locate(row)
        try:
            check_image(shard.reader.record_at(offset).image)
        except (ImageRejectedError, RecordError) as error:
            found.append(BadRecord(row, int(dataset.keys[row]), str(shard.path), offset, str(error)))
    return found


def run_once(dataset: Dataset, rows: NDArray[np.int64], image: ImageSpec, execution: Execution, seed: int) -> Any:
    """The outputs of one batch of these rows, from a pipeline made for it. Raises RuntimeError where DALI fails."""
    feed = RecordFeed(dataset, itertools.repeat(rows), held=8)
    return build_fed_pipeline(feed, dataset, image, execution, seed).run()


def what_to_verify(dataset: Dataset) -> str:
    """The name to give to ``dali-rec verify``: of a sharded data set the whole, not its first file."""
    first = dataset.shards[0].path
    whole = first.with_name(_SHARD_SUFFIX.sub("", first.name))
    is_sharded = whole != first and is_manifest(whole.with_name(f"{whole.name}.json"))
    return str(whole) if is_sharded else dataset.name


def check_files(dataset: Dataset) -> None:
    """Raise DatasetError if a .rec has gone or changed its size since it was opened, or has another file's index.

    Of each index a few entries are tried: whether a record begins there and, where a manifest says that we packed it,
    whether that record has the id. (Indices from elsewhere may number the records anew.)
    """
    for shard in dataset.shards:
        _check_size(shard)
        _check_index(shard, compare_keys=dataset.manifest is not None)


def _check_size(shard: Shard) -> None:
    try:
        size = shard.path.stat().st_size
    except FileNotFoundError:
        message = f"{shard.path}: the file has gone since it was opened; put it back, or leave it out"
        raise DatasetError(message) from None
    if size != shard.reader.size:
        raise DatasetError(
            f"{shard.path}: {size} bytes, {shard.reader.size} when it was opened: it was cut short or replaced; open "
            "the data set anew"
        )


def _check_index(shard: Shard, *, compare_keys: bool) -> None:
    name, remedy = shard.path.with_suffix(".idx"), f"rebuild it with 'dali-rec index {shard.path}'"
    for row in np.unique(np.linspace(0, len(shard) - 1, _ENTRIES_TRIED).astype(int)).tolist() if len(shard) else ():
        key, offset = unsigned(int(shard.index.keys[row])), int(shard.index.offsets[row])
        try:
            record = shard.reader.record_at(offset)
        except RecordError as error:
            message = f"{name}: no record at offset {offset}, where it has id {key}; {remedy}: {error}"
            raise DatasetError(message) from None
        if compare_keys and record.key != key:
            raise DatasetError(f"{name}: the record at offset {offset} has id {record.key}, not {key}; {remedy}")
