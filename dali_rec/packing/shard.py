"""``pack_shard``: the repeatable step at the heart of packing. The same plan and options give the same bytes."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import struct
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from dali_rec.errors import UnwritableRecordError
from dali_rec.packing.reading import Stamp, stamp_of
from dali_rec.packing.report import Rejection, ShardReport
from dali_rec.packing.transform import Outcome, PreparedImage
from dali_rec.packing.workers import begin_packing
from dali_rec.recordio import RecordWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence
    from pathlib import Path

    from dali_rec._workers import Pending
    from dali_rec.packing.options import PackOptions
    from dali_rec.packing.plan import Plan, ShardPlan
    from dali_rec.sources import Sample

_SAMPLES_AT_ONCE = 8

_STAMP = struct.Struct("<qq")


class Prepared(NamedTuple):
    """A sample whose image was made ready or rejected, and the stamp of its file."""

    sample: Sample
    stamp: Stamp
    outcome: Outcome


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
        for row in range(shard.images):
            sample, stamp, outcome = next(prepared)
            inputs.update(_STAMP.pack(*stamp))
            reason = None
            if isinstance(outcome, PreparedImage):
                try:
                    # One label is stored as mx.recordio.pack stores a number, several as an array.
                    labels = sample.labels[0] if len(sample.labels) == 1 else sample.labels
                    writer.write_image(outcome.data, labels, sample.key)
                except UnwritableRecordError as error:
                    reason = str(error).removeprefix(f"{writer.path}: ")  # which lies in the work folder
                else:
                    max_width, max_height = max(max_width, outcome.width), max(max_height, outcome.height)
            else:
                reason = str(outcome)
            if reason is not None:
                rejected.append((row, reason))
            on_image(None if reason is None else Rejection(plan.named(sample), reason))
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


def prepare_all(shards: Sequence[tuple[Plan, ShardPlan]], options: PackOptions) -> Generator[Prepared]:
    """Prepare the images of these shards in order, a bounded number of them at a time, going on from shard to shard."""
    if options.image.device == "gpu":
        from dali_rec.packing.batches import prepare_by_batches

        yield from (Prepared(*one) for one in prepare_by_batches(shards, options))
        return
    has_urls = any(plan.has_urls for plan, _ in shards)
    batch_size = 1 if has_urls else _SAMPLES_AT_ONCE  # servers take their time, and answer many at once
    images = sum(shard.images for _, shard in shards)
    stay_here = any(plan.stays_here for plan, _ in shards)
    with contextlib.closing(begin_packing(options, images, stay_here=stay_here)) as workers:
        begun: deque[_Begun] = deque()
        groups = 0  # of those that are begun; they follow each other
        for plan, shard in shards:
            for samples, group in _batches(plan, shard, batch_size, (images, workers.groups_ahead)):
                request = plan.origin, [sample.location for sample in samples]
                groups += not begun or begun[-1].group != group
                begun.append(_Begun(samples, group, workers.begin(request, group)))
                while len(begun) * batch_size >= workers.ahead and (group is None or groups >= workers.groups_ahead):
                    first = begun.popleft()
                    groups -= not begun or begun[0].group != first.group
                    yield from first.finished()
        while begun:
            yield from begun.popleft().finished()


def _batches(plan: Plan, shard: ShardPlan, size: int, packed: tuple[int, int]) -> Iterator[tuple[list[Sample], object]]:
    """The samples of a shard, so many at a time or fewer, with the group that they are of: see ``Origin.group_of``."""

    def group_of(sample: Sample) -> object:
        return plan.origin.group_of(sample.location, *packed)

    for start in range(shard.start, shard.stop, size):
        samples = (plan.samples[row] for row in range(start, min(start + size, shard.stop)))
        for group, some in itertools.groupby(samples, group_of):
            yield list(some), group


class _Begun(NamedTuple):
    """Samples whose images are made ready, and what they have in common with others."""

    samples: list[Sample]
    group: object
    pending: Pending

    def finished(self) -> Iterator[Prepared]:
        """Them when that is done."""
        return (Prepared(sample, *ready) for sample, ready in zip(self.samples, self.pending.result(), strict=True))


def input_digest(plan: Plan, shard: ShardPlan) -> str:
    """What ``ShardReport.inputs`` would be now."""
    inputs = hashlib.sha256()
    for row in range(shard.start, shard.stop):
        inputs.update(_STAMP.pack(*stamp_of(plan.origin, plan.samples[row].location)))
    return inputs.hexdigest()
