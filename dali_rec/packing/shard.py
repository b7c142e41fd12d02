"""``pack_shard``: the repeatable step at the heart of packing. The same plan and options give the same bytes."""

from __future__ import annotations

import hashlib
import struct
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

from dali_rec.errors import UnwritableRecordError
from dali_rec.packing.reading import ReadImage, Stamp, read_sample, stamp_of
from dali_rec.packing.report import Rejection, ShardReport
from dali_rec.packing.transform import Outcome, PreparedImage, transform_or_reject
from dali_rec.recordio import RecordWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from concurrent.futures import Future
    from pathlib import Path

    from dali_rec.packing.options import PackOptions
    from dali_rec.packing.plan import Plan, ShardPlan
    from dali_rec.sources import Sample

_SAMPLES_PER_TASK = 8
_TASKS_PER_WORKER = 4
# The fewest threads that read, as a disk, or a file server, answers several questions at once.
_READERS = 4

_STAMP = struct.Struct("<qq")


class Prepared(NamedTuple):
    """An image made ready, or the reason why it was rejected."""

    sample: Sample
    stamp: Stamp
    result: Outcome


def pack_shard(
    plan: Plan,
    shard: ShardPlan,
    directory: Path,
    options: PackOptions,
    on_image: Callable[[Rejection | None], None],
    prepared: Iterator[Prepared] | None = None,
) -> ShardReport:
    """Pack one shard of ``plan`` to ``directory``, by threads, and in the plan's order whatever they do.

    on_image: called after each image, in order, with its rejection or None; what it raises ends the work and leaves no
        file.
    prepared: the images of this shard and those after it, where the caller makes them ready for several shards.
    """
    if prepared is None:
        prepared = prepare_all([(plan, shard)], options)
    rejected = []
    inputs = hashlib.sha256()
    max_width = max_height = 0
    with RecordWriter(directory / f"{shard.name}.rec") as writer:
        for row in range(shard.stop - shard.start):
            sample, stamp, result = next(prepared)
            inputs.update(_STAMP.pack(*stamp))
            reason = None
            if isinstance(result, PreparedImage):
                try:
                    # One label is stored as mx.recordio.pack stores a number, several as an array.
                    labels = sample.labels[0] if len(sample.labels) == 1 else sample.labels
                    writer.write_image(result.data, labels, sample.key)
                except UnwritableRecordError as error:
                    reason = str(error)
                else:
                    max_width, max_height = max(max_width, result.width), max(max_height, result.height)
            else:
                reason = str(result)
            if reason is not None:
                rejected.append((row, reason))
            on_image(None if reason is None else Rejection(sample, reason))
    return ShardReport(
        shard.name,
        len(writer),
        writer.position,
        writer.sha256,
        writer.index_sha256,
        max_width,
        max_height,
        inputs.hexdigest(),
        tuple(rejected),
    )


def prepare_all(shards: Iterable[tuple[Plan, ShardPlan]], options: PackOptions) -> Generator[Prepared]:
    """Prepare the images of these shards in order, a bounded number of them at a time.

    Threads are enough: the codec and the resizer let go of Python's lock. They go on from one shard to the next. Others
    read ahead, so that no core waits for a disk.
    """

    def read(plan: Plan, samples: list[Sample]) -> list[ReadImage]:
        return [read_sample(plan, sample, options.fetch) for sample in samples]

    def prepare(samples: list[Sample], reading: Future[list[ReadImage]]) -> list[Prepared]:
        return [
            Prepared(sample, stamp, transform_or_reject(data, options.image))
            for sample, (stamp, data) in zip(samples, reading.result(), strict=True)
        ]

    if options.image.device == "gpu":
        from dali_rec.packing.batches import prepare_by_batches

        yield from (Prepared(*one) for one in prepare_by_batches(shards, options))
        return
    workers, batch_size = options.worker_count, _SAMPLES_PER_TASK
    reader_count = max(workers, _READERS)
    shards = list(shards)
    if any(plan.has_urls for plan, _ in shards):  # servers take their time, and answer many at once
        reader_count, batch_size = max(reader_count, options.fetch.connections), 1
    most_pending = _TASKS_PER_WORKER * max(workers, reader_count // batch_size)
    readers = ThreadPoolExecutor(reader_count, thread_name_prefix="dali-rec-read")
    pool = ThreadPoolExecutor(workers, thread_name_prefix="dali-rec-pack")
    pending: deque[Future[list[Prepared]]] = deque()
    try:
        for plan, shard in shards:
            for start in range(shard.start, shard.stop, batch_size):
                samples = [plan.samples[row] for row in range(start, min(start + batch_size, shard.stop))]
                # Begun in this order, so that what is waited for is being read.
                pending.append(pool.submit(prepare, samples, readers.submit(read, plan, samples)))
                if len(pending) >= most_pending:
                    yield from pending.popleft().result()
        while pending:
            yield from pending.popleft().result()
    finally:
        readers.shutdown(wait=False, cancel_futures=True)
        pool.shutdown(cancel_futures=True)
        readers.shutdown()


def input_digest(plan: Plan, shard: ShardPlan) -> str:
    """What ``ShardReport.inputs`` would be now."""
    inputs = hashlib.sha256()
    for row in range(shard.start, shard.stop):
        inputs.update(_STAMP.pack(*stamp_of(plan, plan.samples[row])))
    return inputs.hexdigest()
