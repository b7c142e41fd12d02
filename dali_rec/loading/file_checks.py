"""Whether the files of a data set are what they were when it was opened, and lie beside their own index."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dali_rec._numbers import spread
from dali_rec.errors import DatasetError, RecordError
from dali_rec.recordio.index import unsigned

if TYPE_CHECKING:
    from dali_rec.dataset import Dataset
    from dali_rec.shard import Shard

_ENTRIES_TRIED = 9


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
    for row in spread(len(shard), _ENTRIES_TRIED).tolist():
        key, offset = unsigned(int(shard.index.keys[row])), int(shard.index.offsets[row])
        try:
            record = shard.reader.record_at(offset)
        except RecordError as error:
            message = f"{name}: no record at offset {offset}, where it has id {key}; {remedy}: {error}"
            raise DatasetError(message) from None
        if compare_keys and record.key != key:
            raise DatasetError(f"{name}: the record at offset {offset} has id {record.key}, not {key}; {remedy}")
