"""Packing on a Ray cluster: a task a shard, a bounded number of them at a time, and reports come back, never images."""

from __future__ import annotations

import logging
import platform
import socket
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dali_rec.errors import EngineError, MissingDependencyError
from dali_rec.packing.shard import pack_shard
from dali_rec.packing.store import LocalStore, Store
from dali_rec.packing.work import keep_shard

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dali_rec.packing.job import Job, Task
    from dali_rec.packing.options import PackOptions
    from dali_rec.packing.plan import Plan
    from dali_rec.packing.report import ShardReport
    from dali_rec.packing.work import WorkFolder

_RETRIES = 3
_SECONDS_TO_ANSWER = 10
_TASKS_PER_SLOT = 2  # one that runs, and one that waits for it to end


def pack_on_ray(
    job: Job,
    tasks: Sequence[Task],
    work: WorkFolder,
    address: str | None,
    on_report: Callable[[Task, ShardReport], None],
) -> dict[str, ShardReport]:
    """Pack the shards on the Ray cluster at ``address``, or on one of this machine alone.

    A task whose machine dies is begun again elsewhere. The machines need dali-rec, the images under the same paths,
    and, unless the output is a URL, the output's folder.

    Raises MissingDependencyError without Ray, and EngineError for a shard whose tasks die time after time.
    """
    try:
        import ray
    except ImportError:
        raise MissingDependencyError('Ray is not installed: pip install "dali-rec[ray]"') from None
    is_ours = not ray.is_initialized()
    if is_ours:
        _connect(ray, address)
    try:
        return _pack(ray, job, list(tasks), work, on_report)
    finally:
        if is_ours:
            ray.shutdown()


def _connect(ray: Any, address: str | None) -> None:
    try:
        _knock(address)
        ray.init(
            address=address or "local", log_to_driver=False, logging_level=logging.WARNING, include_dashboard=False
        )
    except (OSError, ValueError) as error:
        raise EngineError(f"no Ray cluster at {address!r}: {error}; start one with 'ray start --head'") from None


def _knock(address: str | None) -> None:
    """Raise OSError if nobody is at HOST:PORT, where Ray itself would try for ten minutes."""
    host, colon, port = (address or "").removeprefix("ray://").rpartition(":")
    if colon and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_SECONDS_TO_ANSWER).close()


def _pack(
    ray: Any, job: Job, tasks: list[Task], work: WorkFolder, on_report: Callable[[Task, ShardReport], None]
) -> dict[str, ShardReport]:
    cores, slots = _cores_a_task(ray, job.options, len(tasks))
    options = replace(job.options, workers=cores)
    remote = ray.remote(num_cpus=cores, max_retries=_RETRIES, retry_exceptions=[OSError])(_pack_one)
    store = _absolute(work.store)
    reports: dict[str, ShardReport] = {}
    waiting, running = tasks[::-1], dict[Any, "Task"]()
    try:
        while waiting or running:
            while waiting and len(running) < slots * _TASKS_PER_SLOT:
                task = waiting.pop()
                plan = task.plan.only(task.shard)
                plan = replace(plan, origin=plan.origin.absolute())
                running[remote.remote(plan, options, store, work.name)] = task
            done, _ = ray.wait(list(running), num_returns=1)
            for reference in done:
                task = running.pop(reference)
                report: ShardReport = _result(ray, reference, task)
                reports[report.name] = report
                on_report(task, report)
    finally:
        for reference in running:
            ray.cancel(reference)
    return reports


def _cores_a_task(ray: Any, options: PackOptions, tasks: int) -> tuple[int, int]:
    """Threads for a task, and how many tasks the cluster runs at a time."""
    machines = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
    machines = [cores for cores in machines if cores] or [1]
    if options.workers is not None:
        cores = min(options.workers, max(machines))
    else:  # more than one only where there are too few shards to keep every core busy
        cores = max(1, min(*machines, sum(machines) // max(1, tasks)))
    return cores, max(1, sum(machine // cores for machine in machines))


def _result(ray: Any, reference: Any, task: Task) -> ShardReport:
    try:
        report: ShardReport = ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    except ray.exceptions.RayError as error:
        reason = " ".join(str(error).split())[:300]
        raise EngineError(
            f"{task.shard.name}: its task died {_RETRIES + 1} times ({type(error).__name__}: {reason}); mend the "
            "cluster and run it again"
        ) from None
    return report


def _pack_one(plan: Plan, options: PackOptions, store: Store, folder: str) -> ShardReport:
    """The task: pack the one shard of ``plan``, on whatever machine this is."""
    if isinstance(store, LocalStore) and not (store.directory / folder).is_dir():
        raise EngineError(
            f"{store.path(folder)} is not there on {platform.node()}: the machines need a file system in common, or "
            "an output such as s3://bucket/train"
        )
    with store.scratch(folder) as scratch:
        report = pack_shard(plan, plan.shards[0], scratch, options, lambda _: None)
        keep_shard(store, folder, report, scratch)
    return report


def _absolute(store: Store) -> Store:
    """The store as it is found from any working folder."""
    return replace(store, directory=store.directory.absolute()) if isinstance(store, LocalStore) else store
