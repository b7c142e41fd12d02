"""The one index that DALI wants: offsets that run on over all files of a data set.

readers.mxnet sorts the entries by offset, forgets the keys, and takes an .idx that names only some records. So every
selection of records is a derived index, and the .rec files stay as they are. Files without a record must be left out:
an empty one cannot be mapped, and one without entries can hand out the wrong record.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from dali_rec._files import atomic_write
from dali_rec.errors import DatasetError

if TYPE_CHECKING:
    from pathlib import Path

    from dali_rec.dataset import Dataset

_LINES_PER_WRITE = 65536


class RecordFinder:
    """Finds the record of a data set that DALI's ``source_info`` speaks of."""

    def __init__(self, dataset: Dataset) -> None:
        shards = [shard for shard in dataset.shards if len(shard)]
        starts = [0, *np.cumsum([shard.reader.size for shard in shards]).tolist()]
        self._start_of = {os.fspath(shard.path): start for shard, start in zip(shards, starts, strict=False)}
        self._offsets = np.concatenate(
            [shard.index.offsets + start for shard, start in zip(shards, starts, strict=False)]
        )

    def position(self, source_info: bytes) -> int:
        """The position in the data set of the record that ``source_info``, "path at index OFFSET", names.

        A last file with a single record goes by the name of the file before it, at an offset past its end (DALI 2.4),
        so offsets are compared over the concatenation of the files.
        """
        name, _, offset = os.fsdecode(source_info).rpartition(" at index ")
        start = self._start_of.get(name)
        if start is None:
            start = self._start_of[os.path.normpath(name)]
        return int(np.searchsorted(self._offsets, start + int(offset)))


def dali_can_read(dataset: Dataset) -> bool:
    """Whether readers.mxnet finds every record of this view.

    DALI 2.4 looks for the single record of a last file past the end of the file before, where it comes out right
    only if it is the first of its file; otherwise it fails with "Invalid seek" or a record that is too long.
    """
    shards = [shard for shard in dataset.shards if len(shard)]
    return len(shards) < 2 or len(shards[-1]) > 1 or int(shards[-1].index.offsets[0]) == 0


# What has stood under each path, in the order in which this process came upon it.
_files_at: dict[str, list[tuple[int, ...]]] = {}


def name_for_dali(path: Path) -> str:
    """A name of the file at ``path`` under which DALI has not mapped another one.

    DALI keeps the map of a file, by its name, as long as any pipeline has it, and would give the old file to a pipeline
    that is made after it was replaced.
    """
    status = path.stat()
    what = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
    known = _files_at.setdefault(str(path.absolute()), [])
    if what not in known:
        known.append(what)
    return "/".join([os.fspath(path.parent), *["."] * known.index(what), path.name])  # a Path would drop the dots


def write_derived_index(dataset: Dataset, path: Path) -> list[str]:
    """Write the index of ``dataset`` to ``path``; returns the names for DALI of the .rec files it runs over, in order.

    Raises DatasetError for a view that DALI's reader would get wrong.
    """
    if not dali_can_read(dataset):
        raise DatasetError(
            f"{dataset.name}: DALI's reader cannot read a view with one record of its last file; load it with Loader, "
            "or choose another record"
        )
    files, start = [], 0
    with atomic_write(path) as file:
        for shard in dataset.shards:
            if not len(shard):
                continue
            offsets = shard.index.offsets + start
            for at in range(0, len(offsets), _LINES_PER_WRITE):
                chunk = offsets[at : at + _LINES_PER_WRITE].tolist()
                lines = (f"{row}\t{offset}\n" for row, offset in enumerate(chunk, start=at))
                file.write("".join(lines).encode("ascii"))
            files.append(name_for_dali(shard.path))
            start += shard.reader.size
    return files
