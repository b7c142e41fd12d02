"""``pack_shard``: the repeatable step at the heart of packing. The same plan and options give the same bytes."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dali_rec.errors import ImageRejectedError, UnwritableRecordError
from dali_rec.packing.transform import PreparedImage, prepare_image
from dali_rec.recordio import RecordWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future
    from pathlib import Path

    from dali_rec.packing.options import PackOptions
    from dali_rec.packing.plan import Plan, ShardPlan
    from dali_rec.sources import Sample

_SAMPLES_PER_TASK = 8
_TASKS_PER_WORKER = 4


@dataclass(frozen=True, slots=True)
class Rejection:
    """An image that was not packed, and why."""

    sample: Sample
    reason: str


@dataclass(frozen=True, slots=True)
class ShardReport:
    """What came of one shard. ``rejected_rows`` and ``rejections`` go together; rows count from the plan's start."""

    name: str
    records: int
    bytes: int
    sha256: str
    max_width: int
    max_height: int
    rejected_rows: tuple[int, ...]
    rejections: tuple[Rejection, ...]


def pack_shard(
    plan: Plan,
    shard: ShardPlan,
    directory: Path,
    options: PackOptions,
    on_image: Callable[[Rejection | None], None],
) -> ShardReport:
    """Pack one shard of ``plan`` to ``directory``, by threads, and in the plan's order whatever they do.

    ``on_image`` is called after each image, in order, with its rejection or None; what it raises ends the work and
    leaves no file. Threads are enough: the codec and the resizer let go of Python's lock.
    """
    rejections, rejected_rows = [], []
    max_width = max_height = 0
    rows = range(shard.start, shard.stop)
    with RecordWriter(directory / f"{shard.name}.rec") as writer:
        samples = (plan.samples[row] for row in rows)
        for row, (sample, result) in zip(rows, _prepare_all(samples, plan, options), strict=True):
            rejection = None
            if isinstance(result, PreparedImage):
                try:
                    # One label is stored as mx.recordio.pack stores a number, several as an array.
                    labels = sample.labels[0] if len(sample.labels) == 1 else sample.labels
                    writer.write_image(result.data, labels, sample.key)
                except UnwritableRecordError as error:
                    rejection = Rejection(sample, str(error))
                else:
                    max_width, max_height = max(max_width, result.width), max(max_height, result.height)
            else:
                rejection = Rejection(sample, str(result))
            if rejection is not None:
                rejections.append(rejection)
                rejected_rows.append(row)
            on_image(rejection)
    return ShardReport(
        shard.name,
        len(writer),
        writer.position,
        writer.sha256,
        max_width,
        max_height,
        tuple(rejected_rows),
        tuple(rejections),
    )


Prepared = tuple["Sample", PreparedImage | ImageRejectedError]


def _prepare_all(samples: Iterable[Sample], plan: Plan, options: PackOptions) -> Iterator[Prepared]:
    """Prepare the images in order, a bounded number of them at a time."""

    def prepare(batch: list[Sample]) -> list[Prepared]:
        return [(sample, _prepare(sample, plan, options)) for sample in batch]

    workers, batch_size = options.worker_count, _SAMPLES_PER_TASK
    if plan.has_urls:  # servers are waited for, which takes no processor
        workers, batch_size = max(workers, options.fetch.connections), 1
    pool = ThreadPoolExecutor(workers, thread_name_prefix="dali-rec-pack")
    pending: deque[Future[list[Prepared]]] = deque()
    try:
        for batch in _batches(samples, batch_size):
            pending.append(pool.submit(prepare, batch))
            if len(pending) >= workers * _TASKS_PER_WORKER:
                yield from pending.popleft().result()
        while pending:
            yield from pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _prepare(sample: Sample, plan: Plan, options: PackOptions) -> PreparedImage | ImageRejectedError:
    try:
        return prepare_image(sample.location, plan.root, options.image, options.fetch, plan.pixels)
    except ImageRejectedError as error:
        return error


def _batches(samples: Iterable[Sample], size: int) -> Iterator[list[Sample]]:
    batch = []
    for sample in samples:
        batch.append(sample)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
