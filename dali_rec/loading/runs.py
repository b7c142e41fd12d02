"""The runs of a pipeline, cut into batches; where one fails, it is made again without the images at which it did."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from dali_rec._dali import DALI_ERRORS
from dali_rec.errors import DaliRecError, LoaderError
from dali_rec.loading.batch import Part
from dali_rec.loading.failures import FailedRun, Recovery
from dali_rec.loading.graph import rank_seed

if TYPE_CHECKING:
    from collections.abc import Callable

    from dali_rec.loading.readers import Place, Reader
    from dali_rec.loading.specs import ImageSpec


class Mark(NamedTuple):
    """From where a pipeline can go on: DALI's checkpoint, None for a new pipeline.

    ``place``: of the batch with which the next run begins. ``failures``: how many runs have failed since; DALI's
    checkpoint stays behind where they fail.
    """

    place: Place
    failures: int = 0
    checkpoint: bytes | None = None


class _Run(NamedTuple):
    """A run that was made from ``first`` on; ``mark`` is from before it.

    ``cut``: the batch at a place, samples ``begin`` to ``end`` of the run; None where nothing is left of it.
    """

    first: Place
    mark: Mark
    cut: Callable[[Place, int, int], Part | None]


class Runs:
    """The pipeline of a reader, from ``mark`` on.

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
        self._pipeline = reader.build(mark.place, image, mark.checkpoint)
        for _ in range(mark.failures):
            with contextlib.suppress(RuntimeError):
                self._pipeline.run()
        self._checkpointed, self._failures = mark.place, mark.failures
        self._run: _Run | None = None

    def mark(self, place: Place) -> Mark:
        """From where the batch at ``place``, which comes next, can be made again."""
        if self._run is not None and self._holds(self._run, place):
            return self._run.mark
        return Mark(self._checkpointed, self._failures, self._pipeline.checkpoint())

    def batch(self, place: Place, stream: Any) -> Part | None:
        """The batch at ``place``, which comes after the last one; None where it has nothing to hand out.

        stream: the framework's. Raises LoaderError where the batch cannot be made, which then counts as taken, and
        RecordError of our own reader.
        """
        if self._run is None or not self._holds(self._run, place):
            self._run = self._make(place, stream)
        begin = (place.batch - self._run.first.batch) * self._reader.execution.batch_size
        return self._run.cut(place, begin, begin + self._reader.valid(place))

    def _holds(self, run: _Run, place: Place) -> bool:
        return place.epoch == run.first.epoch and 0 <= place.batch - run.first.batch < self._reader.execution.at_once

    def _make(self, place: Place, stream: Any) -> _Run:
        """The run in which the batch at ``place`` is. A state may have been saved between two batches of a run."""
        at_once = self._reader.execution.at_once
        first = dataclasses.replace(place, batch=place.batch - place.batch % at_once)
        mark = Mark(self._checkpointed, self._failures, self._pipeline.checkpoint())
        self._run = None  # its memory is free for the next, but for the batches of it that somebody has
        try:
            outputs = self._pipeline.run(stream)
        except DaliRecError:  # of our own reader: the file itself is damaged
            raise
        except DALI_ERRORS as error:
            self._failures += 1
            return _Run(first, mark, self._made_again(FailedRun(first.epoch, first.batch, error), first, stream))
        self._checkpointed, self._failures = dataclasses.replace(first, batch=first.batch + at_once), 0
        rows = self._reader.rows(outputs[-1]) if self._needs_rows else None

        def cut(_place: Place, begin: int, end: int) -> Part | None:
            end = min(end, len(outputs[0]))
            return Part(outputs, range(begin, end), None if rows is None else rows[begin:end]) if end > begin else None

        return _Run(first, mark, cut)

    def _made_again(self, failed: FailedRun, first: Place, stream: Any) -> Callable[[Place, int, int], Part | None]:
        seed = rank_seed(*self._seeds, first.epoch, first.batch)
        try:
            remade = self._recovery.remake(failed, lambda: self._reader.rows_at(first), self._image, seed, stream)
        except LoaderError as error:
            return functools.partial(_fail, error)

        def cut(place: Place, begin: int, end: int) -> Part | None:
            rows = remade.rows[begin:end]
            bad = [record for record in remade.bad if record.row in rows]
            self._recovery.leave_out(bad, failed._replace(batch=place.batch))
            first, last = remade.left.searchsorted([begin, begin + len(rows)]).tolist()
            return (
                Part(remade.outputs, range(first, last), remade.rows[remade.left[first:last]]) if last > first else None
            )

        return cut


def _fail(error: LoaderError, *_: Any) -> NoReturn:
    raise error
