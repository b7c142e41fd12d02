"""The work folder OUT.packing: finished shards and their reports, until all is done and published together.

It lies beside the target, so that a run that was killed leaves nothing else, and what it finished is not lost.

    OUT.packing/lock              held while a run is at it
    OUT.packing/job.json          what the run is to make; a later one goes on only if it would make the same
    OUT.packing/NAME.rec .idx     a finished shard, and NAME.report.json, which says so
    OUT.packing/publishing.json   from when all shards are finished: which files they replace
"""

from __future__ import annotations

import contextlib
import json
import logging
from typing import TYPE_CHECKING

from dali_rec.errors import DatasetError, OutputExistsError
from dali_rec.manifest import parse_manifest
from dali_rec.packing.report import REPORT_SUFFIX, ShardReport
from dali_rec.packing.shard import input_digest
from dali_rec.packing.store import clear_partials, refuse_lock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dali_rec.manifest import Manifest
    from dali_rec.packing.job import Job, Task
    from dali_rec.packing.options import RunOptions
    from dali_rec.packing.report import Rejection
    from dali_rec.packing.store import Store

logger = logging.getLogger("dali_rec")


class WorkFolder:
    """The work folder of a job in a store; ``hold`` it, then ask what is finished, ``keep`` more and ``publish``."""

    def __init__(self, store: Store, job: Job) -> None:
        self.store = store
        self.job = job
        self.name = f"{job.name}.packing"

    def _in(self, name: str) -> str:
        return f"{self.name}/{name}"

    @contextlib.contextmanager
    def hold(self, run: RunOptions) -> Iterator[Path]:
        """Hold the work folder while the block lasts; gives the local folder to make shards in.

        It is gone afterwards, unless it holds finished shards and the job is not done.
        """
        store, shares = self.store, run.num_nodes > 1
        if not run.overwrite and not store.exists(self._in("publishing.json")):
            self._refuse_to_replace()
        self._make()
        with contextlib.ExitStack() as stack:
            locks = [stack.enter_context(store.lock(self._in("lock"), shared=shares))]
            if shares:
                locks.append(stack.enter_context(store.lock(self._in(f"lock-{run.node_rank}"))))
            if not all(locks):
                raise refuse_lock(store.path(self.job.name))
            self._begin_or_go_on(run)
            scratch = stack.enter_context(store.scratch(self.name))
            if not shares:
                clear_partials(scratch)
            try:
                yield scratch
            finally:
                self._leave(run)

    def _make(self) -> None:
        names = self.store.names(self.name)
        if names and "lock" not in names and "job.json" not in names:
            raise OutputExistsError(
                f"{self.store.path(self.name)} is needed as a work folder but holds other files; move it or choose "
                "another name"
            )
        self.store.make_folder(self.name)

    def _refuse_to_replace(self) -> None:
        names = [f"{name}{suffix}" for name, suffix in self._final_names()]
        if self.job.bases:
            names = [f"{shard.name}.rec" for _, shard in self.job.tasks]
        for name in names:
            if self.store.exists(name):
                raise OutputExistsError(
                    f"{self.store.path(name)} exists already; choose another name, or say --overwrite to replace it "
                    "or --append to add to it"
                )

    def _final_names(self) -> Iterator[tuple[str, str]]:
        for plan in self.job.plans:
            yield from ((plan.name, suffix) for suffix in (".json", ".lst"))
            yield from ((shard.name, suffix) for shard in plan.shards for suffix in (".rec", ".idx"))

    def _begin_or_go_on(self, run: RunOptions) -> None:
        names = self.store.names(self.name)
        # Machines that share the work begin one after another: what is there is the work of the others.
        resumes = run.resume or run.num_nodes > 1
        finished = sum(name.endswith(REPORT_SUFFIX) for name in names)
        if "job.json" in names and resumes:
            self._refuse_another_job(finished)
            return
        if finished and not run.overwrite:
            raise OutputExistsError(
                f"{self.store.path(self.name)} holds {finished} finished shards of a run that was interrupted: go on "
                "with --resume, or begin anew with --overwrite"
            )
        for name in names:
            # Not of machines that begin at this very moment: they are writing the same job.json.
            if not name.startswith("lock") and run.num_nodes == 1:
                self.store.remove(self._in(name))
        self.store.write(self._in("job.json"), json.dumps(self.job.fingerprint, indent=1).encode())

    def _refuse_another_job(self, finished: int) -> None:
        path = self.store.path(self._in("job.json"))
        try:
            before = json.loads(self.store.read(self._in("job.json")))
        except ValueError:
            before = {}
        differences = self.job.differences(before if isinstance(before, dict) else {})
        if differences:
            raise DatasetError(
                f"{path}: this is not the job that was begun: {'; '.join(differences)}. Run it as it was begun, or "
                f"remove {self.store.path(self.name)}, with its {finished} finished shards, to begin anew"
            )

    def _leave(self, run: RunOptions) -> None:
        names = self.store.names(self.name)
        finished = sum(name.endswith(REPORT_SUFFIX) for name in names)
        if run.num_nodes > 1 or "publishing.json" in names:
            return
        if finished:
            total = sum(1 for _ in self.job.tasks)
            logger.warning(
                "%d of %d shards are finished and kept in %s; go on with --resume",
                finished,
                total,
                self.store.path(self.name),
            )
        else:
            self.store.remove_folder(self.name)

    def keep(self, report: ShardReport, scratch: Path) -> None:
        """Keep a shard that was made in ``scratch``, and note that it is finished."""
        keep_shard(self.store, self.name, report, scratch)

    def finished(self) -> dict[str, ShardReport]:
        """The reports of all shards that are finished, by name, unchecked."""
        names = set(self.store.names(self.name))
        reports = {}
        for _, shard in self.job.tasks:
            if shard.name + REPORT_SUFFIX in names:
                text = self.store.read(self._in(shard.name + REPORT_SUFFIX)).decode("utf-8", "replace")
                report = ShardReport.from_json(text)
                if report is not None:
                    reports[shard.name] = report
        return reports

    def checked(self, task: Task, report: ShardReport) -> bool:
        """Whether a finished shard is what its report says; if not it is to be packed again.

        Raises DatasetError if images that went into it have changed since.
        """
        if input_digest(task.plan, task.shard) != report.inputs:
            raise DatasetError(
                f"{self.store.path(self._in(report.name))}.rec was packed from files of which some have changed since "
                f"(another size or time); remove {self.store.path(self.name)} to begin anew"
            )
        for suffix, sha256, size in ((".rec", report.sha256, report.bytes), (".idx", report.index_sha256, None)):
            name = self._where(report.name + suffix)
            length = self.store.size(name)
            if length is None or (size is not None and length != size):
                return False
            if self.store.sha256(name) not in (None, sha256):
                return False
        return True

    def _where(self, name: str) -> str:
        """A file of a shard: in the work folder, or under its own name where publishing was interrupted."""
        is_published = not self.store.exists(self._in(name)) and self.store.exists(self._in("publishing.json"))
        return name if is_published else self._in(name)

    @contextlib.contextmanager
    def publishing(self) -> Iterator[bool]:
        """Give whether it is up to this machine to publish, and then remove the work folder."""
        store = self.store
        if not store.names(self.name):  # another machine has published already
            yield False
            return
        with store.lock(self._in("lock-publish")) as locked:
            if not locked:
                yield False
                return
            if not store.exists(self._in("publishing.json")):
                previous = sorted({name for plan in self.job.plans for name in self._previous_files(plan.name)})
                store.write(self._in("publishing.json"), json.dumps({"previous": previous}).encode())
            yield True
            store.remove_folder(self.name)

    def _previous_files(self, plan_name: str) -> set[str]:
        """The shard files of the data set that is being replaced."""
        if self.job.bases or not self.store.exists(f"{plan_name}.json"):
            return set()
        try:
            manifest = parse_manifest(self.store.read(f"{plan_name}.json"), self.store.path(f"{plan_name}.json"))
        except DatasetError:
            return set()
        # Only plain names: a manifest from elsewhere must not make us delete files elsewhere.
        names = {name for shard in manifest.shards for name in (shard.rec, shard.idx)}
        return {name for name in names if "/" not in name and "\\" not in name}

    def publish(self, name: str, manifest: Manifest, list_text: bytes, rejections: bytes) -> None:
        """Move the shards of a data set to their names, then the list, then the manifest: where that is, all is there.

        A data set that is appended to stays whole all the time.
        """
        store = self.store
        previous = set(json.loads(store.read(self._in("publishing.json")))["previous"])
        if not self.job.bases:
            store.remove(f"{name}.json")
        names = [file for shard in manifest.shards for file in (shard.idx, shard.rec)]
        for file in names:
            if store.exists(self._in(file)):
                store.move(self._in(file), file)
        for file in previous - set(names) - self._shard_files():
            store.remove(file)
        store.write(f"{name}.lst", list_text)
        self.write_rejections(name, rejections)
        store.write(f"{name}.json", manifest.to_json().encode())

    def _shard_files(self) -> set[str]:
        return {f"{shard.name}{suffix}" for _, shard in self.job.tasks for suffix in (".rec", ".idx")}

    def write_rejections(self, name: str, lines: bytes) -> None:
        """Write NAME.rejected.jsonl, or remove an old one if nothing was rejected."""
        if lines:
            self.store.write(f"{name}.rejected.jsonl", lines)
        else:
            self.store.remove(f"{name}.rejected.jsonl")


def begun_on(store: Store, name: str) -> str | None:
    """The device of the job that was begun under this name, None where there is none."""
    path = f"{name}.packing/job.json"
    if not store.exists(path):
        return None
    try:
        options = json.loads(store.read(path))["options"]
        return str(options["device"])
    except (ValueError, KeyError, TypeError):
        return None


def keep_shard(store: Store, folder: str, report: ShardReport, scratch: Path) -> None:
    """Bring a shard that was made in ``scratch`` to the work folder, and note there that it is finished."""
    for suffix in (".rec", ".idx"):
        store.keep(scratch / f"{report.name}{suffix}", folder)
    store.write(f"{folder}/{report.name}{REPORT_SUFFIX}", report.to_json().encode())


def format_rejections(rejections: list[Rejection]) -> bytes:
    """One JSON object a line."""
    return "".join(
        json.dumps(
            {
                "id": rejection.sample.key,
                "labels": list(rejection.sample.labels),
                "path": rejection.sample.location,
                "reason": rejection.reason,
            }
        )
        + "\n"
        for rejection in rejections
    ).encode()
