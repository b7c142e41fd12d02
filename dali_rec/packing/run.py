"""One run of packing, from the source to the data sets that are published."""

from __future__ import annotations

import logging
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from dali_rec._files import as_path
from dali_rec._numbers import counted
from dali_rec.errors import SourceError, TooManyBadImagesError
from dali_rec.packing.append import append_to
from dali_rec.packing.bad_images import ImageCounter, emptied_classes, write_rejections
from dali_rec.packing.begun import read_begun
from dali_rec.packing.choose_device import choose_device
from dali_rec.packing.engines import pack_locally
from dali_rec.packing.finish import publish_all
from dali_rec.packing.job import Job, Task
from dali_rec.packing.plan import Plan, make_plans
from dali_rec.packing.published import find_published, refuse_published_otherwise
from dali_rec.packing.split import STRATIFIED_BOXES
from dali_rec.packing.store import open_store
from dali_rec.packing.work import WorkFolder
from dali_rec.sources import ItemImages, Source, SourceOptions, open_source

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dali_rec.manifest import Manifest
    from dali_rec.packing.append import Base
    from dali_rec.packing.finish import PackedSet
    from dali_rec.packing.options import PackOptions, RunOptions
    from dali_rec.packing.report import Rejection, ShardReport

logger = logging.getLogger("dali_rec")


@dataclass(frozen=True, slots=True, repr=False)
class PackReport:
    """What came of packing.

    sets: the data sets, one unless there are splits; none where other machines that share the work are not done yet,
        the last of which publishes. notes: what the user should hear. images: looked at by this run. seconds: wall
        time of this run, listing included.
    """

    sets: tuple[PackedSet, ...]
    notes: tuple[str, ...]
    images: int
    seconds: float

    @property
    def manifest(self) -> Manifest:
        """The manifest of the first, or only, data set."""
        return self.sets[0].manifest

    @property
    def manifest_path(self) -> Path:
        """The manifest's file of the first, or only, data set."""
        return self.sets[0].manifest_path

    @property
    def records(self) -> int:
        """Images packed."""
        return sum(one.added for one in self.sets)

    @property
    def bytes(self) -> int:
        """Bytes of all .rec files."""
        return sum(one.manifest.bytes for one in self.sets)

    @property
    def rejections(self) -> tuple[Rejection, ...]:
        """Images that were not packed, and why."""
        return tuple(rejection for one in self.sets for rejection in one.rejections)

    @property
    def images_per_second(self) -> float:
        """Images that this run looked at a second, packed or rejected."""
        return self.images / self.seconds

    def __repr__(self) -> str:
        sets = "; ".join(one.in_few_words() for one in self.sets) or "no data set yet"
        return f"<PackReport of {sets}; {counted(self.images, 'image')} in {self.seconds:.1f} s>"


def plan_pack(
    source: object, out: str | os.PathLike[str], options: PackOptions, source_options: SourceOptions
) -> tuple[Source, tuple[Plan, ...]]:
    """List the source and plan its packing, without reading an image or writing a file."""
    _, name = open_store(out)
    found = open_source(source, source_options)
    if isinstance(found.pixels, ItemImages) and options.image.encoding != "keep":
        found = replace(found, pixels=replace(found.pixels, to_be_encoded=True))
    if found.has_boxes:
        _check_boxes(str(source), options)
    return found, make_plans(found, name, options)


def _check_boxes(source: str, options: PackOptions) -> None:
    """Refuse what does not go with boxes, which are relative to the whole image."""
    image = options.image
    if image.center_crop or (image.resize is not None and image.resize_mode == "fill"):
        what = "--center-crop" if image.center_crop else "--resize-mode fill"
        raise SourceError(
            f"{source}: {what} cuts images and would leave their boxes wrong; scale them by --resize-mode "
            "shorter, longer or exact, and crop when they are loaded"
        )
    if options.stratify:
        raise SourceError(f"{source}: {STRATIFIED_BOXES}")


def run_pack(
    source: object,
    out: str | os.PathLike[str],
    options: PackOptions,
    source_options: SourceOptions,
    run: RunOptions,
    *,
    append: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> PackReport:
    """``pack`` with its arguments in groups."""
    began = time.perf_counter()
    store, name = open_store(out)
    found, plans = plan_pack(source, out, options, source_options)
    begun = read_begun(store, name)
    options = choose_device(options, run, plans[0], begun.device if begun is not None and run.resume else None)
    bases: tuple[Base, ...] = ()
    if append:
        before = begun.bases if begun is not None and begun.publication is not None else {}
        found, plans, bases = append_to(store, found, plans, options, before)
    job = Job(name, found, plans, options, bases)
    for note in job.source.notes:
        logger.warning(note)
    work = WorkFolder(store, job, run)
    if run.resume and begun is None and (done := find_published(job, store)) is not None:
        work.clear()
        again = "; leave --resume out to add these images once more" if append else ""
        logger.warning("%s: all of this is done already, nothing is left to resume%s", store.path(name), again)
        return PackReport(done, job.source.notes, 0, time.perf_counter() - began)
    if run.resume and begun is None and not (append or run.overwrite):
        refuse_published_otherwise(job, store)
    work.target.protect(_files_of(source, found))
    if run.engine == "ray" and found.pixels is not None and found.pixels.stays_here:
        raise ValueError("engine='ray' packs what other machines can read, which an object of this process is not")
    if run.num_nodes > len(job.tasks):
        shards = counted(len(job.tasks), "shard")
        raise ValueError(f"{run.num_nodes} machines cannot share {shards}: ask for more shards")
    counter = ImageCounter(job, run.part(job.tasks), progress)
    with work.hold() as scratch:
        try:
            sets = _pack_and_publish(work, scratch, counter)
        except TooManyBadImagesError as error:
            rejected = write_rejections(store, job, counter.rejections)
            raise TooManyBadImagesError(f"{error}; the list is in {rejected}") from None
    notes = emptied_classes(job, (rejection for one in sets for rejection in one.rejections))
    for note in notes:
        logger.warning(note)
    return PackReport(sets, (*job.source.notes, *notes), counter.looked_at, time.perf_counter() - began)


def _pack_and_publish(work: WorkFolder, scratch: Path, counter: ImageCounter) -> tuple[PackedSet, ...]:
    """Pack what is not finished, and publish when all is; gives no data sets while other machines are at it."""
    job = work.job
    if work.publication is not None:
        reports = {report.name: report for report in work.publication.reports}
        counter.pass_over_all()
    else:
        reports = _pack(work, scratch, counter)
    missing, total = len(job.tasks) - len(reports), len(job.tasks)
    if missing:
        logger.warning("this machine is done; %d of %d shards are still being packed by others", missing, total)
        return ()
    with work.publishing() as is_mine:
        return publish_all(job, work, reports) if is_mine else ()


def _pack(work: WorkFolder, scratch: Path, counter: ImageCounter) -> dict[str, ShardReport]:
    """Pack this machine's part of the shards; gives the reports of all that are finished."""
    job, run = work.job, work.run
    mine = run.part(job.tasks)
    reports = _still_good(mine, work)
    for task in mine:
        if task.shard.name in reports:
            counter.skip(task, reports[task.shard.name])
    to_do = [task for task in mine if task.shard.name not in reports]
    if run.engine == "ray":
        from dali_rec.packing.ray_engine import pack_on_ray

        reports |= pack_on_ray(job, to_do, work, run.address, counter.add)
    else:
        reports |= pack_locally(job, to_do, work, scratch, counter)
    if run.is_shared:
        reports = work.finished()
        if len(reports) == len(job.tasks):
            found = [one for plan, shard in job.tasks for one in reports[shard.name].rejections(plan, shard)]
            counter.count_of_all(found)
    return reports


def _still_good(tasks: Sequence[Task], work: WorkFolder) -> dict[str, ShardReport]:
    """The reports of finished shards that are what they were when they were finished."""
    finished = work.finished()
    good = {}
    for task in tasks:
        report = finished.get(task.shard.name)
        if report is None:
            continue
        if work.checked(task, report):
            good[task.shard.name] = report
        else:
            logger.warning("%s is not what it was when it was finished: it is packed again", task.shard.name)
    return good


def _files_of(source: object, found: Source) -> list[Path]:
    """The files that a source is in, for what is not to be written over while it is packed."""
    named = [as_path(source)] if isinstance(source, (str, os.PathLike)) else []
    return [path for path in (*named, *map(Path, found.files)) if path.exists()]
