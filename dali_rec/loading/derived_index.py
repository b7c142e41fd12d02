"""The one index that DALI wants: offsets that run on over all files of a data set.

readers.mxnet sorts the entries by offset, forgets the keys, and takes an .idx that names only some records. So every
selection of records is a derived index, and the .rec files stay as they are. Files without a record must be left out:
an empty one cannot be mapped, and one without entries can hand out the wrong record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dali_rec._files import atomic_write

if TYPE_CHECKING:
    from pathlib import Path

    from dali_rec.dataset import Dataset

_LINES_PER_WRITE = 65536


def write_derived_index(dataset: Dataset, path: Path) -> list[Path]:
    """Write the index of ``dataset`` to ``path``; returns the .rec files it runs over, in order."""
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
            files.append(shard.path)
            start += shard.reader.size
    return files
