"""The two ways in which records reach the graph, behind one interface.

``BufferReader``: DALI's own reader, which shuffles within a buffer that slides over the files. ``OrderReader``: our
feed (loading/feed.py), which takes any order of all records. Each knows which batches a rank gets, and builds the
pipelines.
"""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from dali_rec.loading.dealing import Deal
from dali_rec.loading.derived_index import RecordFinder, dali_can_read
from dali_rec.loading.epoch import EpochPlan, LastBatch
from dali_rec.loading.feed import RecordFeed
from dali_rec.loading.graph import (
    build_fed_pipeline,
    build_pipeline,
    build_plugin_pipeline,
    build_reader_pipeline,
    check_ranks,
    rank_seed,
    shuffles_files,
)
from dali_rec.loading.order import SampleOrder
from dali_rec.loading.pipelines import OnePipeline, Pipelines, PipelinesInTurn, Source

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from numpy.typing import NDArray

    from dali_rec.dataset import Dataset
    from dali_rec.loading.graph import ReaderOutput
    from dali_rec.loading.specs import Execution, ImageSpec, ReaderSpec

_SEED_STEP = 1_000_003


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """Where a pipeline stands: the next batch is ``batch`` of ``epoch``.

    ``began``: the epoch with which this pipeline began, which is part of its seeds. ``start``: rows of epoch ``began``
    that other ranks' arrangement had taken before; 0 unless a state was loaded into another number of ranks.
    """

    epoch: int = 0
    batch: int = 0
    began: int = 0
    start: int = 0


class Reader(Protocol):
    """What the Loader needs to know of a way to read. ``execution``: how DALI runs the pipelines."""

    execution: Execution

    def batches(self, place: Place) -> int:
        """Batches of the epoch at ``place`` that are handed out."""

    def made(self, place: Place) -> int:
        """Batches of that epoch that the pipeline makes, those that are padding alone included."""

    def valid(self, place: Place) -> int:
        """How many samples of the batch at ``place`` are handed out."""

    def build(self, place: Place, image: ImageSpec, checkpoint: bytes | None, failures: int) -> Pipelines:
        """Pipelines whose next run begins at ``place``; with a checkpoint, with the random numbers of that.

        failures: how many runs have failed between the checkpoint and ``place``.
        """

    def rows(self, origin: Any) -> NDArray[np.int64]:
        """The rows in the data set of a run, from the last output of the pipeline."""

    def rows_at(self, place: Place) -> NDArray[np.int64]:
        """The rows in the data set of the run that begins at ``place``, found without the pipeline's help."""

    def making(self, at_once: int, pipelines: int) -> Reader:
        """This reader, with so many batches in a run, and so many pipelines."""


def choose_reader(
    dataset: Dataset,
    spec: ReaderSpec,
    drawn: NDArray[np.float64] | None,
    samples: int | None,
    last_batch: LastBatch,
    execution: Execution,
    *,
    is_global: bool,
    even: bool,
    with_source: bool,
) -> Reader:
    """The reader for this order of the records.

    drawn: how likely each record is drawn, so many ``samples`` an epoch, or None. is_global: whether ``spec.shuffle``
    permutes all records. last_batch, even: how epochs end. with_source: whether runs have to say which records they
    made.
    """
    ranks = (spec.rank, spec.world_size)
    # Views that DALI's reader gets wrong take ours, which has one order for all records.
    if is_global or drawn is not None or not dali_can_read(dataset):
        order = SampleOrder(len(dataset), spec.seed, spec.shuffle, drawn, samples)
        return OrderReader(dataset, order, Deal(len(order), *ranks, execution.batch_size, last_batch, even), execution)
    rotates = not shuffles_files(dataset, spec)
    plan = EpochPlan(len(dataset), *ranks, execution.batch_size, last_batch, rotates, even)
    plan = plan.making_at_once(execution.at_once)
    return BufferReader(dataset, spec, plan, execution, with_source=with_source)


class ReaderSource(Source):
    """What DALI's reader gives, as the source of several pipelines.

    ``began``: the epoch in which it began. ``runs``: how many it has made since.
    """

    def __init__(self, pipeline: Any, began: int) -> None:
        self.began = began
        self.runs = 0
        self._pipeline = pipeline

    def __call__(self, _info: Any = None) -> tuple[Any, ...]:
        """What the next run takes; see ``Source``."""
        outputs = tuple(self._pipeline.run())
        self.runs += 1
        return outputs

    def checkpoint(self) -> bytes:
        """DALI's checkpoint; see ``Source``."""
        made: bytes = self._pipeline.checkpoint()
        return made

    def end(self) -> None:
        """DALI ends its threads itself."""


class BufferReader(Reader):
    """DALI's reader; ``plan`` says how long its runs are. ``with_source``: whether they say which records they made."""

    def __init__(
        self, dataset: Dataset, spec: ReaderSpec, plan: EpochPlan, execution: Execution, *, with_source: bool
    ) -> None:
        self._dataset = dataset
        self._spec = spec
        self._plan = plan
        self.execution = dataclasses.replace(execution, at_once=plan.at_once)
        self._with_source = with_source
        self._finder = RecordFinder(dataset)
        self._replay: ReaderSource | None = None

    def batches(self, place: Place) -> int:
        """Batches of the epoch that are handed out; see ``Reader``."""
        return self._plan.batches(place.epoch)

    def made(self, _place: Place) -> int:
        """Batches that the pipeline makes; see ``Reader``."""
        return self._plan.pipeline_batches

    def valid(self, place: Place) -> int:
        """Samples of a batch that are handed out; see ``Reader``."""
        return self._plan.valid(place.epoch, place.batch)

    def build(self, place: Place, image: ImageSpec, checkpoint: bytes | None, failures: int) -> Pipelines:
        """The pipelines; see ``Reader``."""
        spec, with_source = self._spec_from(place.began), self._with_source
        if self.execution.pipelines == 1:
            pipeline = build_pipeline(
                self._dataset, image, spec, self.execution, with_source=with_source, checkpoint=checkpoint
            )
            return OnePipeline(pipeline, failures)
        outputs: tuple[ReaderOutput, ...] = ("encoded", "labels", "source") if with_source else ("encoded", "labels")

        def source(checkpoint: bytes | None) -> ReaderSource:
            return self._source(place.began, outputs, checkpoint)

        def build(feed: Source, numbers: tuple[int, int], checkpoint: bytes | None) -> Any:
            seed = rank_seed(spec.seed, spec.rank, *numbers)
            return build_fed_pipeline(
                feed,
                self._dataset,
                image,
                self.execution.of_one_pipeline,
                seed,
                checkpoint,
                "UINT8" if with_source else None,
            )

        return PipelinesInTurn(source, build, self.execution, checkpoint)

    @property
    def is_whole(self) -> bool:
        """Whether the pipeline's batches are handed out as they are, none cut or left out."""
        return self._plan.is_whole

    def build_for_plugin(self, image: ImageSpec, index: Path) -> Any:
        """The pipeline from the first epoch on for TensorFlow's plugin, which reads ``index`` itself."""
        return build_plugin_pipeline(self._dataset, image, self._spec_from(0), self.execution, index)

    def rows(self, origin: Any) -> NDArray[np.int64]:
        """Rows from the last output of the pipeline; see ``Reader``."""
        return np.array([self._finder.position(np.asarray(source).tobytes()) for source in origin], dtype=np.int64)

    def rows_at(self, place: Place) -> NDArray[np.int64]:
        """Rows of a run, without the pipeline; see ``Reader``."""
        # The reader is run again from where the pipeline began, without decoding: some 100,000 records a second. It is
        # kept, since there may be more such runs.
        wanted = (place.epoch - place.began) * self._plan.runs + place.batch // self.execution.at_once
        if self._replay is None or self._replay.began != place.began or self._replay.runs > wanted:
            self._replay = self._source(place.began, ["source"])
        while self._replay.runs < wanted:
            self._replay()
        return self.rows(self._replay()[0])

    def making(self, at_once: int, pipelines: int) -> BufferReader:
        """With so many batches in a run, and pipelines; see ``Reader``."""
        plan = dataclasses.replace(self._plan, at_once=at_once)
        execution = dataclasses.replace(self.execution, pipelines=pipelines)
        return BufferReader(self._dataset, self._spec, plan, execution, with_source=self._with_source)

    def _source(self, began: int, outputs: Sequence[ReaderOutput], checkpoint: bytes | None = None) -> ReaderSource:
        images = self.execution.images_at_once
        pipeline = build_reader_pipeline(self._dataset, self._spec_from(began), images, outputs, checkpoint)
        return ReaderSource(pipeline, began)

    def _spec_from(self, began: int) -> ReaderSpec:
        # DALI counts epochs from its own beginning; a pipeline begun later must not repeat the first one's order.
        return dataclasses.replace(self._spec, rank=self._plan.shard(began), seed=self._spec.seed + _SEED_STEP * began)


class OrderReader(Reader):
    """Our own reader, over the rows of ``order``. ``deal``: how an epoch is dealt out from its beginning."""

    def __init__(self, dataset: Dataset, order: SampleOrder, deal: Deal, execution: Execution) -> None:
        check_ranks(dataset.name, len(order), deal.world_size)
        self.execution = execution
        self._dataset = dataset
        self._order = order
        self._deal = deal

    def _deal_at(self, place: Place) -> Deal:
        return dataclasses.replace(self._deal, start=place.start if place.epoch == place.began else 0)

    def taken(self, place: Place) -> int:
        """Rows of the epoch that all ranks together have taken."""
        return self._deal_at(place).taken(place.batch)

    def after(self, epoch: int, taken: int) -> Place:
        """Where all ranks go on when ``taken`` rows of ``epoch`` are: in the next one if no rank has a batch left."""
        left = dataclasses.replace(self._deal, start=taken, even=True)
        return Place(epoch + 1, 0, epoch + 1) if taken and not left.batches else Place(epoch, 0, epoch, taken)

    def batches(self, place: Place) -> int:
        """Batches of the epoch that are handed out; see ``Reader``."""
        return self._deal_at(place).batches

    def made(self, place: Place) -> int:
        """Batches that the pipeline makes; see ``Reader``."""
        return self._deal_at(place).batches

    def valid(self, _place: Place) -> int:
        """Samples of a batch that are handed out; see ``Reader``."""
        return self._deal.batch_size

    def build(self, place: Place, image: ImageSpec, checkpoint: bytes | None, failures: int) -> Pipelines:
        """The pipelines; see ``Reader``."""
        # The epoch is put in order while they are made: ten million rows take a third of a second.
        ahead = ThreadPoolExecutor(1, thread_name_prefix="dali-rec-order")
        rows = ahead.submit(self._order.rows, place.epoch)
        ahead.shutdown(wait=False)
        feed = RecordFeed(self._dataset, self._schedule(place, rows), held=self.execution.queue_depth + 4)
        seeds = (self._order.seed, self._deal.rank, place.began, place.start)
        if self.execution.pipelines == 1:
            pipeline = build_fed_pipeline(feed, self._dataset, image, self.execution, rank_seed(*seeds), checkpoint)
            return OnePipeline(pipeline, failures)

        def build(feed: Source, numbers: tuple[int, int], checkpoint: bytes | None) -> Any:
            seed = rank_seed(*seeds, *numbers)
            return build_fed_pipeline(feed, self._dataset, image, self.execution.of_one_pipeline, seed, checkpoint)

        return PipelinesInTurn(lambda _: feed, build, self.execution, checkpoint)

    def rows(self, origin: Any) -> NDArray[np.int64]:
        """Rows from the last output of the pipeline; see ``Reader``."""
        return np.asarray(origin.as_tensor())[:, 0].copy()

    def rows_at(self, place: Place) -> NDArray[np.int64]:
        """Rows of a run, without the pipeline; see ``Reader``."""
        return self._run_at(place, self._order.rows(place.epoch)).astype(np.int64)

    def making(self, at_once: int, pipelines: int) -> OrderReader:
        """With so many batches in a run, and pipelines; see ``Reader``."""
        execution = dataclasses.replace(self.execution, at_once=at_once, pipelines=pipelines)
        return OrderReader(self._dataset, self._order, self._deal, execution)

    def _run_at(self, place: Place, order: NDArray[Any]) -> NDArray[np.integer]:
        deal = self._deal_at(place)
        end = min(place.batch + self.execution.at_once, deal.batches)
        return np.concatenate([deal.rows(order, batch) for batch in range(place.batch, end)])

    def _schedule(self, place: Place, first: Future[NDArray[Any]]) -> Iterator[NDArray[np.integer]]:
        """The rows of all runs from ``place`` on, without end; ``first``: in what order its epoch takes them."""
        order = first.result()
        while True:
            for batch in range(place.batch, self.batches(place), self.execution.at_once):
                yield self._run_at(dataclasses.replace(place, batch=batch), order)
            place = dataclasses.replace(place, epoch=place.epoch + 1, batch=0)
            order = self._order.rows(place.epoch)
