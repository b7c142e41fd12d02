"""Where one shard ends and the next begins: by number of records, or by bytes."""

from __future__ import annotations

import itertools
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from dali_rec.packing.reading import read_image
from dali_rec.packing.transform import PreparedImage, transform_or_reject
from dali_rec.sources.ahead import read_ahead

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dali_rec.packing.options import PackOptions
    from dali_rec.packing.reading import Origin
    from dali_rec.sources import Sample, SampleTable

_IMAGES_TRIED = 128
_FILES_AT_ONCE = 100
_FRAME_BYTES = 8 + 24 + 3  # the part's head, the image header, and the most that padding takes
_BYTES_A_LABEL = 4


def bounds_by_count(count: int, shards: int) -> list[int]:
    """The rows at which ``shards`` runs begin, and ``count``; their lengths differ by one at most."""
    return [count * shard // shards for shard in range(shards + 1)]


def bounds_by_size(
    samples: SampleTable, origin: Origin, options: PackOptions, size: int, *, has_urls: bool
) -> list[int]:
    """The rows at which shards of about ``size`` bytes begin, and the number of rows.

    No shard is larger where files are stored untouched (but for a single image that is). Otherwise the bytes are
    estimated from some of the images, which are packed on trial, and the shards have the same number of records.
    """
    if options.image.keeps_bytes and not has_urls and origin.pixels is None:
        return bounds_by_bytes(_lengths(samples, origin), size)
    count = len(samples)
    total = count * _mean_bytes(samples, origin, options)
    return bounds_by_count(count, min(count, max(1, -int(-total // size))))


def bounds_by_bytes(lengths: NDArray[np.int64], size: int) -> list[int]:
    """The rows at which runs of at most ``size`` bytes begin, and the number of rows.

    A run takes what still fits, and at least one of the rows, whose lengths in bytes are given.
    """
    ends = np.cumsum(lengths)
    bounds = [0]
    while bounds[-1] < len(lengths):
        before = int(ends[bounds[-1] - 1]) if bounds[-1] else 0
        bounds.append(max(bounds[-1] + 1, int(np.searchsorted(ends, before + size, side="right"))))
    return bounds


def _lengths(samples: SampleTable, origin: Origin) -> NDArray[np.int64]:
    """What each file takes in a .rec as it is. Many are asked for at a time, which network disks answer at once."""

    def measure(some: list[Sample]) -> list[int]:
        return [_record_bytes(origin, sample) for sample in some]

    rest = iter(samples)
    chunks = iter(lambda: list(itertools.islice(rest, _FILES_AT_ONCE)), [])
    with read_ahead(measure, chunks, "sizes of files, in hundreds") as found:
        return np.fromiter(itertools.chain.from_iterable(found), np.int64, len(samples))


def _record_bytes(origin: Origin, sample: Sample) -> int:
    """What the file takes in a .rec as it is."""
    try:
        return os.stat(origin.file_of(sample.location)).st_size + _header_bytes(sample)  # noqa: PTH116  # a Path takes longer
    except (OSError, ValueError):  # packing will say why
        return 0


def _header_bytes(sample: Sample) -> int:
    return _FRAME_BYTES + (_BYTES_A_LABEL * len(sample.labels) if len(sample.labels) > 1 else 0)


def _mean_bytes(samples: SampleTable, origin: Origin, options: PackOptions) -> float:
    """What an image takes in a .rec on average, by some that are spread over all."""
    rows = np.unique(np.linspace(0, len(samples) - 1, _IMAGES_TRIED).round().astype(np.int64))
    some = [samples[row] for row in rows.tolist()]

    def try_one(sample: Sample) -> int | None:
        prepared = transform_or_reject(read_image(origin, sample.location, options.fetch).data, options.image)
        return len(prepared.data) + _header_bytes(sample) if isinstance(prepared, PreparedImage) else None

    with ThreadPoolExecutor(options.worker_count) as pool:
        lengths = [length for length in pool.map(try_one, some) if length is not None]
    return sum(lengths) / len(lengths) if lengths else 0.0
