"""Engines: what packs the shards of a job. Each is a map of ``pack_shard`` over its tasks."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from dali_rec.packing.shard import pack_shard, prepare_all
from dali_rec.packing.work import keep_shard

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from dali_rec.packing.job import Job, Task
    from dali_rec.packing.report import Rejection, ShardReport
    from dali_rec.packing.work import WorkFolder


def pack_locally(
    job: Job,
    tasks: Sequence[Task],
    work: WorkFolder,
    scratch: Path,
    on_image: Callable[[Rejection | None], None],
) -> dict[str, ShardReport]:
    """Pack shard after shard by the threads of this process, and keep each as soon as it is done."""
    prepared = prepare_all([(task.plan, task.shard) for task in tasks], job.options)
    reports = {}
    # Bringing a shard away (an upload, perhaps) goes on beside the packing of the next.
    with contextlib.closing(prepared), ThreadPoolExecutor(1, thread_name_prefix="dali-rec-keep") as keeper:
        keeping = None
        for task in tasks:
            report = pack_shard(task.plan, task.shard, scratch, job.options, on_image, prepared)
            if keeping is not None:
                keeping.result()
            keeping = keeper.submit(keep_shard, work.store, work.name, report, scratch)
            reports[report.name] = report
        if keeping is not None:
            keeping.result()
    return reports
