"""``shuffle``: the records of a packed data set in a random order, in memory that does not grow with the data set.

The permutation is drawn first, over the positions of the records. Then the data set is read once from beginning to end,
and each record goes to the bucket of the output that it belongs to: a region of one temporary file. Last, each bucket
is read, put in order in memory and written. Every byte is read twice and written twice, in large pieces, however large
the data set is; what comes out does not depend on the number of buckets, which is what the memory decides.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from dali_rec._sizes import parse_size
from dali_rec.arrange.finish import finish
from dali_rec.arrange.frames import Frames, pieces, read_frames, record_limits
from dali_rec.arrange.inputs import notes_on_identities, open_input
from dali_rec.arrange.report import ArrangeReport
from dali_rec.arrange.scatter import Scatter
from dali_rec.arrange.sharding import Sharding
from dali_rec.arrange.writer import SetWriter
from dali_rec.packing.arranged import ArrangeTarget
from dali_rec.packing.options import SHUFFLE_SEED
from dali_rec.packing.sizing import bounds_by_bytes

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from dali_rec.arrange.inputs import Input

logger = logging.getLogger("dali_rec")

#: The least memory that makes sense.
LEAST_MEMORY = 64 << 20
# What pieces of the input and of the output take, which are being read, written and hashed, beside a bucket.
_PIECES_BYTES = 44 << 20


def shuffle(
    dataset: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    seed: int = SHUFFLE_SEED,
    memory: str | int = "1GB",
    shards: int | None = None,
    shard_size: str | int | None = None,
    shard_records: int | None = None,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> ArrangeReport:
    """Write the records of a packed data set in a random order: any order is as likely as any other.

    dataset: a prefix, a manifest or a .rec file. out: the prefix of the files to make.
    seed: decides the order, ``numpy.random.Generator(numpy.random.PCG64(seed)).permutation(records)``; the output is
        the same bytes whatever ``memory`` is.
    memory: for records, as in "1GB", at least 64 MiB; tables of about 100 bytes a record come on top. A data set that
        is larger than this goes through a temporary file of its size beside OUT.
    shards, shard_size, shard_records: see ``Sharding``; one file by default. Sizes as in "1GB".
    overwrite: replace a data set of the same name, once the new one is complete.
    progress: called with (bytes done, bytes in all).

    Records are copied byte for byte and keep their ids.

    Raises DatasetError, DatasetNotFoundError, OutputExistsError, RecordError for a damaged record, ValueError.

    >>> shuffle("data/faces", "data/faces-shuffled", memory="4GB")  # doctest: +SKIP
    """
    began = time.perf_counter()
    sharding = Sharding.of(shards, shard_size, shard_records)
    limit = parse_size(memory)
    if limit < LEAST_MEMORY:
        raise ValueError(f"memory is {memory}: at least {LEAST_MEMORY >> 20}MiB")
    target = ArrangeTarget(out)
    target.clear()
    with contextlib.ExitStack() as stack:
        one = stack.enter_context(open_input(dataset, sharding=sharding))
        target.check(one.files, overwrite=overwrite)
        target.check_space(2 * one.bytes if one.bytes > limit else one.bytes)
        count = len(one.dataset)
        sharding.check(count, str(target.prefix))
        notes = notes_on_identities([one])
        for note in notes:
            logger.warning(note)
        folder = stack.enter_context(target.working())
        writer = stack.enter_context(SetWriter(folder, target.names[0], count, sharding))
        order = np.random.Generator(np.random.PCG64(seed)).permutation(count)
        for frames in _in_order(one, order, folder, limit - _PIECES_BYTES, progress):
            writer.write(frames, one.locations.of(frames), measure=one.manifest is None)
        options = {"command": "shuffle", **sharding.recorded(), "seed": seed}
        sets = target.publish([finish(writer, [one], options, one.class_names, split=one.split)])
    return ArrangeReport(sets, tuple(notes), time.perf_counter() - began)


def _in_order(
    one: Input, order: NDArray[np.int64], folder: Path, bucket_bytes: int, progress: Callable[[int, int], None] | None
) -> Iterator[Frames]:
    """The records, row ``order[0]`` first, in pieces."""
    limits = record_limits(one.dataset)
    edges = bounds_by_bytes(limits[order], bucket_bytes)
    keys = one.dataset.keys.view(np.int64)
    lengths = np.zeros(len(order), np.int64)
    done, total = 0, 2 * one.bytes
    with Scatter(folder / "scattered", order, edges, limits, bucket_bytes) as scatter:
        for frames in read_frames(one.dataset):
            lengths[frames.rows] = frames.lengths
            scatter.add(frames)
            done += int(frames.lengths.sum())
            if progress is not None:
                progress(done, total)
        total = 2 * done  # without the records that the index leaves out
        for number, (first, last) in enumerate(itertools.pairwise(edges)):
            for frames in _permuted(scatter.read(number), order[first:last], lengths, keys):
                yield frames
                done += int(frames.lengths.sum())
                if progress is not None:
                    progress(done, total)


def _permuted(
    data: NDArray[np.uint8], rows: NDArray[np.int64], lengths: NDArray[np.int64], keys: NDArray[np.int64]
) -> Iterator[Frames]:
    """The records of a bucket, which lie in ``data`` in the order of the input, in the order of ``rows``."""
    by_input = np.sort(rows)
    ends = np.cumsum(lengths[by_input])[np.searchsorted(by_input, rows)]
    whole = Frames(data, ends - lengths[rows], ends, keys[rows], rows)
    for piece in pieces(whole):
        # A copy, for the next bucket is read into the same memory.
        copied = np.frombuffer(b"".join(piece.runs()), np.uint8)
        piece_ends = np.cumsum(piece.lengths)
        yield replace(piece, data=copied, starts=piece_ends - piece.lengths, ends=piece_ends)
