"""Runs that DALI cannot make: at which record it stopped, which its messages do not say, and how to go on."""

from __future__ import annotations

import dataclasses
import itertools
import logging
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dali_rec._dali import DALI_ERRORS, dali_reason, import_dali
from dali_rec._shard_names import dataset_name
from dali_rec.errors import ImageRejectedError, LoaderError, RecordError
from dali_rec.images import check_image
from dali_rec.loading.batch import Part
from dali_rec.loading.decoding import parsed
from dali_rec.loading.feed import RecordFeed
from dali_rec.loading.graph import build_fed_pipeline
from dali_rec.manifest import is_manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from dali_rec.dataset import Dataset
    from dali_rec.loading.specs import Execution, ImageSpec

logger = logging.getLogger("dali_rec")

_FAILED_SAMPLE = re.compile(r"Failed to decode sample #(\d+)")


@dataclasses.dataclass(frozen=True, slots=True)
class BadRecord:
    """A record that cannot be decoded: its row in the data set, id, file and offset there, and why."""

    row: int
    key: int
    path: str
    offset: int
    reason: str

    @classmethod
    def at(cls, dataset: Dataset, row: int, reason: str) -> BadRecord:
        """The record at this row of the data set."""
        shard, offset = dataset.locate(row)
        return cls(row, int(dataset.keys[row]), str(shard.path), offset, reason)

    def __str__(self) -> str:
        return f"id {self.key} in {self.path} at offset {self.offset}: {self.reason}"


class FailedRun(NamedTuple):
    """A run of the pipeline that failed with ``error``, DALI's. ``batch``: its first."""

    epoch: int
    batch: int
    error: Exception


class Made(NamedTuple):
    """What a run made.

    ``outputs``: DALI's, None where nothing is left. ``rows``: of the records of the whole run, None where nobody needs
    them. ``left``: which of its samples are in the outputs, ascending, shape (samples left,). ``bad``: the records that
    are not.
    """

    outputs: Any
    rows: NDArray[np.int64] | None
    left: NDArray[np.int64]
    bad: Sequence[BadRecord] = ()

    def part(self, samples: range) -> Part | None:
        """What is left of these samples of the run, None where nothing is."""
        first, last = self.left.searchsorted([samples.start, samples.stop]).tolist()
        rows = None if self.rows is None else self.rows[self.left[first:last]]
        return Part(self.outputs, range(first, last), rows) if last > first else None

    def bad_of(self, samples: range) -> list[BadRecord]:
        """The bad records of these samples, each once."""
        rows = () if self.rows is None else self.rows[samples.start : samples.stop]
        return [record for record in self.bad if record.row in rows]


class Recovery:
    """Names the records at which runs of the pipeline fail, and makes these without them.

    skips: whether batches are handed out without their bad records. ``skipped``: the ids of those, once each time.
    """

    def __init__(self, dataset: Dataset, execution: Execution, *, skips: bool) -> None:
        self.skips = skips
        self.skipped: list[int] = []
        self.dataset = dataset
        self._execution = execution

    def remake(
        self,
        failed: FailedRun,
        rows_of_run: Callable[[], NDArray[np.int64]],
        image: ImageSpec,
        seed: int,
        stream: Any = None,
    ) -> Made:
        """The run without its bad records.

        rows_of_run: finds the rows of its records. stream: the framework's, as for every run. Raises LoaderError where
        it is not known which record is bad.
        """
        try:
            rows = rows_of_run()
        except RuntimeError:  # not an image but the file itself is damaged: no reader gets past it
            raise LoaderError(
                f"{self._stopped(failed)}'dali-rec verify {what_to_verify(self.dataset)}' finds where the file is "
                f"damaged, --repair leaves that out. DALI said: {dali_reason(failed.error)}"
            ) from failed.error
        error, bad = failed.error, []
        left: NDArray[np.int64] = np.arange(len(rows))
        found = bad_records(self.dataset, rows) or stopped_at(self.dataset, rows, error)
        while found:
            bad += found
            left = left[~np.isin(rows[left], [record.row for record in found])]
            if not len(left):
                return Made(None, rows, left, bad)
            try:
                outputs = run_once(self.dataset, rows[left], image, self._execution, seed, stream)
                return Made(outputs, rows, left, bad)
            except DALI_ERRORS as another:
                error = another
                found = stopped_at(self.dataset, rows[left], error)
        keys = self.dataset.keys[rows][:8].tolist()
        suspect = "augment, which is a function, may not do for these images, or " if callable(image.augment) else ""
        raise LoaderError(
            f"{self._stopped(failed)}{suspect}'dali-rec verify {what_to_verify(self.dataset)}' checks the records; "
            f"they have the ids {keys}… DALI said: {dali_reason(error)}"
        ) from error

    def leave_out(self, bad: list[BadRecord], failed: FailedRun) -> None:
        """Count these records of a batch as skipped. Raises LoaderError where nothing is to be skipped."""
        if not bad:
            return
        if not self.skips:
            more = f", and {len(bad) - 1} more in the batch" if len(bad) > 1 else ""
            raise LoaderError(
                f"{self._stopped(failed)}'dali-rec verify {what_to_verify(self.dataset)}' lists what cannot be "
                f"decoded, --repair leaves it out for good, on_error='skip' goes on without it: {bad[0]}{more}"
            ) from failed.error
        for record in bad:
            self.skipped.append(record.key)
            logger.warning("skipped a record that cannot be decoded: %s", record)

    def _stopped(self, failed: FailedRun) -> str:
        return f"{self.dataset.name}: DALI stopped at batch {failed.batch} of epoch {failed.epoch}; "


def bad_records(dataset: Dataset, rows: NDArray[np.int64]) -> list[BadRecord]:
    """Those of the records at ``rows`` that cannot be decoded, each once."""
    faults = {row: _fault(dataset, row) for row in np.unique(rows).tolist()}
    return [BadRecord.at(dataset, row, fault) for row, fault in faults.items() if fault is not None]


def _fault(dataset: Dataset, row: int) -> str | None:
    try:
        check_image(dataset[row].image)
    except (ImageRejectedError, RecordError) as error:
        return str(error)
    return None


def stopped_at(dataset: Dataset, rows: NDArray[np.int64], error: Exception) -> list[BadRecord]:
    """The records of the run of ``rows`` at which DALI stopped: the one of its message, or each is tried alone."""
    match = _FAILED_SAMPLE.search(str(error))
    if match is not None and int(match[1]) < len(rows):
        return [BadRecord.at(dataset, int(rows[int(match[1])]), "DALI's decoder stops at it")]
    return [BadRecord.at(dataset, row, "DALI finds no size in its header") for row in _without_a_size(dataset, rows)]


def _without_a_size(dataset: Dataset, rows: NDArray[np.int64]) -> list[int]:
    """Rows of the records of which DALI cannot read the header."""
    dali = import_dali()

    def build() -> Any:
        pipeline = dali.Pipeline(batch_size=1, num_threads=1, device_id=None, prefetch_queue_depth=1)
        with pipeline:
            encoded = dali.fn.external_source(name="encoded", dtype=dali.types.UINT8, ndim=1)
            pipeline.set_outputs(parsed(dali, encoded))
        pipeline.build()
        return pipeline

    pipeline = build()

    def reads(row: int) -> bool:
        nonlocal pipeline
        try:
            pipeline.feed_input("encoded", [np.frombuffer(dataset[row].image, np.uint8)])
            pipeline.run()
        except (*DALI_ERRORS, RecordError):
            pipeline = build()  # one that failed is of no use
            return False
        return True

    return [row for row in np.unique(rows).tolist() if not reads(row)]


def run_once(
    dataset: Dataset, rows: NDArray[np.int64], image: ImageSpec, execution: Execution, seed: int, stream: Any
) -> Any:
    """The outputs of one run of these rows, from a pipeline made for it. Raises RuntimeError where DALI fails."""
    feed = RecordFeed(dataset, itertools.repeat(rows), held=8)
    execution = dataclasses.replace(execution, batch_size=len(rows), at_once=1, prefetch=1, pipelines=1)
    return build_fed_pipeline(feed, dataset, image, execution, seed).run(stream)


def what_to_verify(dataset: Dataset) -> str:
    """The name to give to ``dali-rec verify``: of a sharded data set the whole, not its first file."""
    first = dataset.shards[0].path
    name = dataset_name(first.stem)
    is_one_of_several = name != first.stem and is_manifest(first.with_name(f"{name}.json"))
    return str(first.with_name(name)) if is_one_of_several else dataset.name
