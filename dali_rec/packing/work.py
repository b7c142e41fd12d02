"""The work folder OUT.packing: finished shards and their reports, until all is done and published together.

It lies beside the target, so that a run that was killed leaves nothing else, and what it finished is not lost.

    OUT.packing/lock              held while a run is at it
    OUT.packing/job.json          what the run is to make; a later one goes on only if it would make the same
    OUT.packing/NAME.rec .idx     a finished shard, and NAME.report.json, which says so
    OUT.packing/publishing.json   from when all shards are finished until all is done: what moves where
"""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

from dali_rec._work_folders import JOB, JOURNAL, LOCK, is_lock, is_work_folder, refuse_other_files
from dali_rec.errors import DatasetError, OutputExistsError
from dali_rec.packing.bad_images import rejections_file
from dali_rec.packing.begun import format_begun, read_begun, work_folder
from dali_rec.packing.publication import Moves, Publication, staged_manifest
from dali_rec.packing.report import REPORT_SUFFIX, ShardReport
from dali_rec.packing.shard import input_digest
from dali_rec.packing.store import clear_partials, refuse_lock, refuse_loss
from dali_rec.packing.target import Target

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from dali_rec._locks import Claim
    from dali_rec.manifest import Manifest
    from dali_rec.packing.begun import Begun
    from dali_rec.packing.job import Job, Task
    from dali_rec.packing.options import RunOptions
    from dali_rec.packing.plan import Plan
    from dali_rec.packing.store import Store

logger = logging.getLogger("dali_rec")

_PUBLISHING_LOCK = f"{LOCK}-publish"


class WorkFolder:
    """The work folder of a job in a store: a run ``hold``s it, asks what is finished, keeps more shards and publishes.

    target: what is under the names that its files are to get. publication: what is left to do where all shards are
    finished and their publishing has begun, otherwise None.
    """

    def __init__(self, store: Store, job: Job, run: RunOptions) -> None:
        self.store = store
        self.job = job
        self.run = run
        self.name = work_folder(job.name)
        self.publication: Publication | None = None
        self.target = Target(store, job)
        self._claim: Claim | None = None
        self._may_replace = False
        self._is_removed = False

    def _in(self, name: str) -> str:
        return f"{self.name}/{name}"

    @contextlib.contextmanager
    def hold(self) -> Iterator[Path]:
        """Hold the work folder while the block lasts; gives the local folder to make shards in.

        It is gone afterwards, unless it holds finished shards and the job is not done.

        Raises OutputExistsError where another process is at it, or a data set or finished shards are there that must
        not be replaced; DatasetError where the job is not the one that was begun, or what it appends to has changed.
        """
        store, run = self.store, self.run
        if read_begun(store, self.job.name) is None:
            self.target.check(may_replace=run.overwrite)  # before a folder is made, and again under the lock
        self._make()
        with contextlib.ExitStack() as stack:
            locks = [stack.enter_context(store.lock(self._in(LOCK), shared=run.is_shared))]
            if run.is_shared:
                locks.append(stack.enter_context(store.lock(self._in(f"{LOCK}-{run.node_rank}"))))
            if not all(locks):
                raise refuse_lock(store.path(self.job.name))
            self._claim = locks[0]
            try:
                self._begin_or_go_on()
            except (OSError, DatasetError):  # of which OutputExistsError is one, and a full disk
                if not run.is_shared and all(is_lock(name) for name in store.names(self.name)):
                    self._remove()
                raise
            scratch = stack.enter_context(store.scratch(self.name))
            if not run.is_shared:
                clear_partials(scratch)
            try:
                yield scratch
            finally:
                self._leave()

    def _make(self) -> None:
        refuse_other_files(self.store.path(self.name), self.store.names(self.name))
        self.store.make_folder(self.name)

    def _begin_or_go_on(self) -> None:
        run, begun, finished = self.run, read_begun(self.store, self.job.name), self._finished_shards
        if begun is not None and self._goes_on(begun):
            self._refuse_another_job(begun, finished)
            self._may_replace = run.overwrite or begun.overwrites
            self.publication = begun.publication
            if self.publication is None:
                self.target.check(may_replace=self._may_replace)
            return
        if begun is not None and begun.publication is not None:
            self._finish_before(begun.publication)
        elif finished and not run.overwrite:
            raise OutputExistsError(
                f"{self.store.path(self.name)} holds {finished} finished shards of a run that was interrupted: go on "
                "with --resume, or begin anew with --overwrite"
            )
        self._may_replace = run.overwrite
        self.target.check(may_replace=self._may_replace)
        # Not of machines that begin at this very moment: they are writing the same job.json.
        if not run.is_shared:
            for name in self._removal_order():
                self.store.remove(self._in(name))
        self.store.write(self._in(JOB), format_begun(self.job, overwrites=run.overwrite))

    @property
    def _finished_shards(self) -> int:
        return sum(name.endswith(REPORT_SUFFIX) for name in self.store.names(self.name))

    def _goes_on(self, begun: Begun) -> bool:
        """Whether this run goes on with what is there, rather than beginning anew."""
        # Machines that share the work begin one after another: what is there is the work of the others.
        if self.run.resume or self.run.is_shared:
            return True
        # Images that are in the data set already are not added once more by beginning anew.
        is_added = begun.publication is not None and bool(self.job.bases)
        return self.run.overwrite and is_added and not self.job.differences(begun.fingerprint)

    def _finish_before(self, publication: Publication) -> None:
        """Finish what another job has left, so that it can be replaced. Raises OutputExistsError if it must not be."""
        if self.job.bases or not self.run.overwrite:
            remedy = "" if self.job.bases else ", or begin anew with --overwrite"
            raise OutputExistsError(
                f"{self.store.path(self.name)} holds {len(publication.reports)} finished shards of a run that was "
                f"interrupted while they were moved to their names: finish it with --resume{remedy}"
            )
        publication.finish(self.store, self.name)

    def _refuse_another_job(self, begun: Begun, finished: int) -> None:
        differences = self.job.differences(begun.fingerprint)
        if not differences:
            return
        is_moving = begun.publication is not None
        remedy = (
            "Run it as it was begun: its shards are finished, and only have to be moved to their names"
            if is_moving
            else f"Run it as it was begun, or remove {self.store.path(self.name)}, with its {finished} finished "
            "shards, to begin anew"
        )
        path = self.store.path(self._in(JOURNAL if is_moving else JOB))
        raise DatasetError(f"{path}: this is not the job that was begun: {'; '.join(differences)}. {remedy}")

    def _leave(self) -> None:
        """Remove the folder, unless another run can go on from it; none does in the work folder of another command."""
        if self._is_removed or self.run.is_shared or self._is_lost:
            return
        finished = self._finished_shards
        if is_work_folder(self.store.path("")):
            self._remove()
        elif JOURNAL in self.store.names(self.name):
            logger.warning(
                "all shards are finished, and some files are still to be moved from %s; go on with --resume",
                self.store.path(self.name),
            )
        elif finished:
            logger.warning(
                "%d of %d shards are finished and kept in %s; go on with --resume",
                finished,
                len(self.job.tasks),
                self.store.path(self.name),
            )
        else:
            self._remove()

    @property
    def _is_lost(self) -> bool:
        """Whether another process has begun in the folder, which no lock kept away: it is that process's now."""
        return self._claim is not None and self._claim.is_lost

    def clear(self) -> None:
        """Remove what a run leaves that was killed when all but the folder was gone, unless another holds it."""
        with self.store.lock(self._in(LOCK)) as locked:
            if locked and all(is_lock(name) for name in self.store.names(self.name)):
                self._remove()

    def _removal_order(self) -> list[str]:
        """What is in the folder, without locks; what says that there is a job, and that it is done, comes last."""
        names = [name for name in self.store.names(self.name) if not is_lock(name)]
        return sorted(names, key=lambda name: (name == JOURNAL, name == JOB))

    def _remove(self) -> None:
        """Remove the folder. From when the lock is gone it may be another's, and is not touched again."""
        locks = sorted(name for name in self.store.names(self.name) if is_lock(name))
        self.store.remove_folder(self.name, (*self._removal_order(), *locks))
        self._is_removed = True

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
            name = self._in(report.name + suffix)
            length = self.store.size(name)
            if length is None or (size is not None and length != size):
                return False
            if self.store.sha256(name) not in (None, sha256):
                return False
        return True

    @contextlib.contextmanager
    def publishing(self) -> Iterator[bool]:
        """Give whether it is up to this machine to publish, and then remove the work folder.

        Raises DatasetError if the folder is gone and no other machine can have published.
        """
        store = self.store
        if not store.names(self.name):
            if not self.run.is_shared:
                raise DatasetError(
                    f"{store.path(self.name)} is gone, with the shards that were finished in it: while a run is at it "
                    "nothing else may remove it, or pack to the same name; run it again"
                )
            yield False  # another machine has published already
            return
        with store.lock(self._in(_PUBLISHING_LOCK)) as locked:
            # Without locks the first of the machines that share the work publishes, and no other.
            is_mine = locked and not (self.run.is_shared and locked.is_absent and not locked.is_first)
            begun = read_begun(store, self.job.name) if is_mine else None
            if begun is None:
                if locked and set(store.names(self.name)) == {_PUBLISHING_LOCK}:  # another was just removing it
                    self._remove()
                yield False
                return
            if begun.fingerprint:  # as a whole job.json has
                self._refuse_another_job(begun, self._finished_shards)  # which no lock kept away
            self.publication = begun.publication
            yield True
            self._remove()

    def stage(self, plan: Plan, manifest: Manifest, list_text: bytes, rejections: bytes) -> Moves:
        """Make the remaining files of a data set, and say what is to become of them all."""
        store, name, grows = self.store, plan.name, bool(self.job.bases)
        files = [f"{shard.name}{suffix}" for shard in plan.shards for suffix in (".rec", ".idx")]
        obsolete = self.target.replaced(name)
        store.write(self._in(f"{name}.lst"), list_text)
        files.append(f"{name}.lst")
        if rejections:
            store.write(self._in(rejections_file(name)), rejections)
            files.append(rejections_file(name))
        else:
            obsolete.add(rejections_file(name))
        obsolete |= {rejections_file(base.added_name) for base in self.job.bases if base.name == name}
        store.write(self._in(staged_manifest(name)), manifest.to_json().encode())
        return Moves(name, tuple(files), tuple(sorted(obsolete)), grows)

    def publish(self, sets: Iterable[Moves], reports: Mapping[str, ShardReport]) -> None:
        """Move the shards of each data set to their names, then the list, then the manifest: where that is, all is.

        A data set that is appended to stays whole all the time. From the first move on any later run of the job, and
        none of another, ends in the same files.

        Raises OutputExistsError or DatasetError, before anything is moved, if a data set has come or changed meanwhile.
        """
        if self._is_lost:
            raise refuse_loss(self.store.path(self.job.name))
        if self.publication is None:
            # Another of the machines that share the work may be publishing the same files.
            self.target.check(may_replace=self._may_replace or self.run.is_shared)
            sets = tuple(sets)
            ordered = tuple(reports[task.shard.name] for task in self.job.tasks)
            self.publication = Publication(sets, self.job.fingerprint, ordered)
            self.store.write(self._in(JOURNAL), self.publication.to_json().encode())
        self.publication.finish(self.store, self.name)


def keep_shard(store: Store, folder: str, report: ShardReport, scratch: Path) -> None:
    """Bring a shard that was made in ``scratch`` to the work folder, and note there that it is finished."""
    for suffix in (".rec", ".idx"):
        store.keep(scratch / f"{report.name}{suffix}", folder)
    store.write(f"{folder}/{report.name}{REPORT_SUFFIX}", report.to_json().encode())
