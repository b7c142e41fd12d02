"""The runs of the pipelines, cut into batches; where one fails, it is made again without the images at which it did."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dali_rec._dali import DALI_ERRORS
from dali_rec.errors import DaliRecError, LoaderError
from dali_rec.loading.failures import FailedRun, Made, Recovery
from dali_rec.loading.graph import rank_seed

if TYPE_CHECKING:
    from dali_rec.loading.batch import BatchMaker, Part
    from dali_rec.loading.pipelines import Pipelines
    from dali_rec.loading.readers import Place, Reader
    from dali_rec.loading.specs import ImageSpec


class Mark(NamedTuple):
    """From where pipelines can go on: their checkpoint, None for new ones.

    ``place``: of the batch with which the next run begins. ``failures``: how many runs have failed since; DALI's own
    checkpoint stays behind where they fail.
    """

    place: Place
    failures: int = 0
    checkpoint: bytes | None = None


class Stand(NamedTuple):
    """All that going on takes: the place of the next batch, and from where the pipelines make it."""

    place: Place
    mark: Mark

    @classmethod
    def at(cls, place: Place) -> Stand:
        """With new pipelines."""
        return cls(place, Mark(place))


class _Run(NamedTuple):
    """A run whose first batch is at ``first``; ``mark`` is from before it.

    ``made``: what it made; where DALI failed, without the bad records, or why there is nothing at all. ``failed``: how
    DALI failed, None where it did not.
    """

    first: Place
    mark: Mark
    made: Made | str
    failed: FailedRun | None = None


class Runs:
    """The batches of a reader from a stand on, epoch after epoch, and where that stands.

    ``reader`` and ``image``: what the pipelines are made of. ``place``: of the batch that comes next. seeds: of what
    is made again after a failure, and of what mixes a batch.
    """

    def __init__(
        self,
        reader: Reader,
        image: ImageSpec,
        stand: Stand,
        batches: BatchMaker,
        recovery: Recovery,
        seeds: tuple[int, ...],
    ) -> None:
        self.reader = reader
        self.image = image
        self.place, mark = stand
        self._batches = batches
        self._recovery = recovery
        self._seeds = seeds
        begin = mark.place
        if begin.batch < reader.made(begin):  # otherwise the next epoch comes
            begin = self._first(begin)  # a state of another rank may stand within a run
        self._pipelines: Pipelines | None = reader.build(begin, image, mark.checkpoint, mark.failures)
        self._checkpointed = begin
        # That of which the next batch is; None where that begins another.
        self._run: _Run | None = None
        # Where this stood before the batch that is being made. Ctrl-C may stop that before DALI's next step or after
        # it, and nothing tells which.
        self._before: Stand | None = None

    def stand(self) -> Stand:
        """Where this stands; a batch whose making was interrupted is not taken."""
        if self._before is not None:
            return self._before
        if self._run is not None:
            return Stand(self.place, self._run.mark)
        pipelines = self._working_pipelines()
        return Stand(self.place, Mark(self._checkpointed, pipelines.failures, pipelines.checkpoint()))

    @property
    def has_more(self) -> bool:
        """Whether the pipelines make another batch in this epoch, be it padding alone."""
        return self.place.batch < self.reader.made(self.place)

    @property
    def is_exhausted(self) -> bool:
        """Whether no batch of the epoch is left to hand out, and none was interrupted."""
        return self._before is None and self.place.batch >= self.reader.batches(self.place)

    def begin_next_epoch(self) -> None:
        """Go on with the next epoch; this one has no more batches."""
        self.place = dataclasses.replace(self.place, epoch=self.place.epoch + 1, batch=0)

    def end(self) -> None:
        """End the pipelines; what is asked of them afterwards is a LoaderError."""
        self._pipelines = self._run = None

    def _working_pipelines(self) -> Pipelines:
        if self._pipelines is None:
            raise LoaderError(
                f"{self._recovery.dataset.name}: this Loader was closed, or its pipelines could not be made anew; make "
                "another Loader"
            )
        return self._pipelines

    def take(self, stream: Any) -> tuple[Any, ...] | None:
        """The next batch, or None where it has nothing to hand out. It counts as taken.

        stream: the framework's. Raises LoaderError where the batch cannot be made, which then counts as taken too, and
        RecordError of our own reader.
        """
        self._before = before = self.stand()
        place = before.place
        self.place = dataclasses.replace(place, batch=place.batch + 1)
        try:
            part = self._part(before, stream)
        except LoaderError:
            self._before = None
            raise
        seeds = (*self._seeds, place.epoch, place.start, place.batch)
        batch = None if part is None else self._batches.make(part, self.image.size, seeds)
        self._before = None
        return batch

    def _part(self, stand: Stand, stream: Any) -> Part | None:
        """The batch that comes next, as a part of its run; None where it has nothing to hand out."""
        place = stand.place
        run = self._run or self._make(self._first(place), stand.mark, stream)
        # After its last batch a run's memory is free, but for the batches that somebody has.
        self._run = run if self.has_more and self._first(self.place) == run.first else None
        begin = (place.batch - run.first.batch) * self.reader.execution.batch_size
        samples = range(begin, begin + self.reader.valid(place))
        if not samples:
            return None
        if isinstance(run.made, str):
            raise LoaderError(run.made) from (run.failed and run.failed.error)
        if run.failed is not None:
            self._recovery.leave_out(run.made.bad_of(samples), run.failed._replace(batch=place.batch))
        return run.made.part(samples)

    def _first(self, place: Place) -> Place:
        """The first batch of the run in which that at ``place`` is."""
        return dataclasses.replace(place, batch=place.batch - place.batch % self.reader.execution.at_once)

    def _make(self, first: Place, mark: Mark, stream: Any) -> _Run:
        """The run whose first batch is at ``first``, which is the pipelines' next; ``mark`` is from before it."""
        pipelines, failed = self._working_pipelines(), None
        try:
            outputs = pipelines.run(stream)
        except DaliRecError:  # of our own reader: the file itself is damaged
            raise
        except DALI_ERRORS as error:
            failed = FailedRun(first.epoch, first.batch, error.with_traceback(None))
        if pipelines.failures == 0:
            self._checkpointed = dataclasses.replace(first, batch=first.batch + self.reader.execution.at_once)
        if failed is None:
            rows = self.reader.rows(outputs[-1]) if self._batches.needs_rows else None
            return _Run(first, mark, Made(outputs, rows, np.arange(len(outputs[0]))))
        seed = rank_seed(*self._seeds, first.epoch, first.batch)
        try:
            made = self._recovery.remake(failed, lambda: self.reader.rows_at(first), self.image, seed, stream)
        except LoaderError as error:
            return _Run(first, mark, str(error), failed)
        return _Run(first, mark, made, failed)
