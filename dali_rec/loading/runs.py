"""The runs of a pipeline, cut into batches; where one fails, it is made again without the images at which it did."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dali_rec._dali import DALI_ERRORS
from dali_rec.errors import DaliRecError, LoaderError
from dali_rec.loading.failures import FailedRun, Made, Recovery
from dali_rec.loading.graph import rank_seed

if TYPE_CHECKING:
    from dali_rec.loading.batch import Part
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
    """The pipelines of a reader, from ``mark`` on.

    seeds: of what is made again after a failure. needs_rows: whether batches have to say which records they are of.
    """

    def __init__(
        self,
        reader: Reader,
        image: ImageSpec,
        recovery: Recovery,
        mark: Mark,
        seeds: tuple[int, ...],
        *,
        needs_rows: bool,
    ) -> None:
        self._reader = reader
        self._image = image
        self._recovery = recovery
        self._seeds = seeds
        self._needs_rows = needs_rows
        place = mark.place
        if place.batch < reader.made(place):  # otherwise the next epoch comes
            place = self._first(place)  # a state of another rank may stand within a run
        self._pipelines = reader.build(place, image, mark.checkpoint, mark.failures)
        self._checkpointed = place
        # That of which the next batch is; None where that begins another.
        self._run: _Run | None = None

    def mark(self) -> Mark:
        """From where the batch that comes next can be made again."""
        if self._run is not None:
            return self._run.mark
        return Mark(self._checkpointed, self._pipelines.failures, self._pipelines.checkpoint())

    def batch(self, place: Place, stream: Any) -> Part | None:
        """The batch at ``place``, which comes after the last one; None where it has nothing to hand out.

        stream: the framework's. Raises LoaderError where the batch cannot be made, which then counts as taken, and
        RecordError of our own reader.
        """
        run = self._run or self._make(self._first(place), stream)
        following = dataclasses.replace(place, batch=place.batch + 1)
        goes_on = self._first(following) == run.first and following.batch < self._reader.made(place)
        # After its last batch a run's memory is free, but for the batches that somebody has.
        self._run = run if goes_on else None
        begin = (place.batch - run.first.batch) * self._reader.execution.batch_size
        samples = range(begin, begin + self._reader.valid(place))
        if not samples:
            return None
        if isinstance(run.made, str):
            raise LoaderError(run.made) from (run.failed and run.failed.error)
        if run.failed is not None:
            self._recovery.leave_out(run.made.bad_of(samples), run.failed._replace(batch=place.batch))
        return run.made.part(samples)

    def _first(self, place: Place) -> Place:
        """The first batch of the run in which that at ``place`` is."""
        return dataclasses.replace(place, batch=place.batch - place.batch % self._reader.execution.at_once)

    def _make(self, first: Place, stream: Any) -> _Run:
        """The run whose first batch is at ``first``, which is the pipelines' next."""
        mark = self.mark()
        failed = None
        try:
            outputs = self._pipelines.run(stream)
        except DaliRecError:  # of our own reader: the file itself is damaged
            raise
        except DALI_ERRORS as error:
            failed = FailedRun(first.epoch, first.batch, error.with_traceback(None))
        if self._pipelines.failures == 0:
            self._checkpointed = dataclasses.replace(first, batch=first.batch + self._reader.execution.at_once)
        if failed is None:
            rows = self._reader.rows(outputs[-1]) if self._needs_rows else None
            return _Run(first, mark, Made(outputs, rows, np.arange(len(outputs[0]))))
        seed = rank_seed(*self._seeds, first.epoch, first.batch)
        try:
            made = self._recovery.remake(failed, lambda: self._reader.rows_at(first), self._image, seed, stream)
        except LoaderError as error:
            return _Run(first, mark, str(error), failed)
        return _Run(first, mark, made, failed)
