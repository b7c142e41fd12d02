"""How many batches DALI makes in one run of a pipeline, and how many pipelines make the runs in turn.

On the CPU DALI's operators work one after the other, and at the end of each all threads of the pipeline wait for the
last image. With few images a thread that is much of the time (docs/performance.md). So small batches are made several
in one run, and cut apart again, and several pipelines share the threads. How many depends on the data and the options
alone and not on the machine, since the random numbers of an image depend on its place in the run, and on its pipeline.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import numpy as np

from dali_rec._numbers import spread

if TYPE_CHECKING:
    from dali_rec.dataset import Dataset
    from dali_rec.loading.specs import Execution, ImageSpec

_MOST_PIPELINES = 3
# Images that are made at the same time, bytes of what that makes, and of the records, which grow tenfold when decoded.
_MOST_IMAGES = 256
_MOST_MADE = 160_000_000
_MOST_ENCODED = 24_000_000

_RECORDS_TRIED = 100


def with_several_at_once(execution: Execution, dataset: Dataset, image: ImageSpec) -> Execution:
    """``execution`` with as many batches in a run, and pipelines, as memory allows.

    A batch that has the memory to itself is made by two pipelines all the same; a larger one, and those of a GPU, which
    works on all images of a batch as it is, by one.
    """
    if execution.device.is_gpu:
        return execution
    made = image.views * 3 * math.prod(image.size) * np.dtype(image.dtype).itemsize
    images = min(_MOST_IMAGES, _MOST_MADE // made, int(_MOST_ENCODED // _bytes_of_records(dataset)))
    at_once = max(1, images // _MOST_PIPELINES // execution.batch_size)
    runs = images // (execution.batch_size * at_once)
    return dataclasses.replace(execution, at_once=at_once, pipelines=min(max(2, runs), _MOST_PIPELINES) if runs else 1)


def _bytes_of_records(dataset: Dataset) -> float:
    """The mean size of a record, of some that are the same on every rank."""
    rows = spread(len(dataset), _RECORDS_TRIED)
    return max(1.0, float(np.mean([end - begin for _, begin, end in dataset.spans(rows)]))) if len(rows) else 1.0
