"""``pack``: a folder or list of images becomes a RecordIO data set."""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from dali_rec._files import as_path
from dali_rec._sizes import parse_size
from dali_rec.errors import OutputExistsError, SourceError, TooManyBadImagesError
from dali_rec.images import MAX_PIXELS
from dali_rec.packing.append import append_to
from dali_rec.packing.begun import read_begun
from dali_rec.packing.choose_device import choose_device
from dali_rec.packing.engines import pack_locally
from dali_rec.packing.finish import describe, publish_all
from dali_rec.packing.job import Job, Task
from dali_rec.packing.options import (
    SHUFFLE_SEED,
    Color,
    Device,
    Encoding,
    Engine,
    ImageOptions,
    Interpolation,
    PackOptions,
    ResizeMode,
    RunOptions,
)
from dali_rec.packing.plan import Plan, make_plans
from dali_rec.packing.split import STRATIFIED_BOXES
from dali_rec.packing.store import LocalStore, Store, open_store
from dali_rec.packing.work import WorkFolder
from dali_rec.sources import (
    Empty,
    FetchOptions,
    Flagged,
    FolderLabels,
    Format,
    ItemImages,
    Source,
    SourceOptions,
    TableOptions,
    open_source,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dali_rec.manifest import Manifest
    from dali_rec.packing.append import Base
    from dali_rec.packing.finish import PackedSet
    from dali_rec.packing.report import Rejection, ShardReport

logger = logging.getLogger("dali_rec")


@dataclass(frozen=True, slots=True)
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


def pack(
    source: object,
    out: str | os.PathLike[str],
    *,
    resize: int | None = None,
    resize_mode: ResizeMode = "shorter",
    upscale: bool = False,
    center_crop: bool = False,
    interpolation: Interpolation = "bicubic",
    encoding: Encoding = "keep",
    quality: int = 95,
    color: Color = "keep",
    max_pixels: int = MAX_PIXELS,
    trust: bool = False,
    device: Device = "cpu",
    shards: int | None = None,
    shard_size: int | str | None = None,
    shard_records: int | None = None,
    shuffle: bool | None = None,
    seed: int = SHUFFLE_SEED,
    split: Mapping[str, float] | None = None,
    stratify: bool = False,
    labels: FolderLabels = "levels",
    classes: Sequence[str] | None = None,
    root: str | os.PathLike[str] | None = None,
    table: TableOptions | None = None,
    label_width: int | None = None,
    format: Format = "auto",  # noqa: A002  # what the command line calls it
    flagged: Flagged = "column",
    empty: Empty = "keep",
    fetch: FetchOptions | None = None,
    workers: int | None = None,
    max_bad: float = 0.01,
    strict: bool = False,
    overwrite: bool = False,
    append: bool = False,
    resume: bool = False,
    node_rank: int = 0,
    num_nodes: int = 1,
    engine: Engine = "local",
    address: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> PackReport:
    """Pack the images of ``source`` into OUT.rec, OUT.idx, OUT.lst and the manifest OUT.json.

    source: the path of a folder of images, a .lst, or a table (.csv, .tsv, .txt, .json, .jsonl); see ``read_folder``,
        ``read_list`` and ``read_table`` in dali_rec.sources for what they may be. Or images with boxes: a COCO file, or
        a folder of VOC or YOLO. Or a data set that is a Python object, of PyTorch or Hugging Face say: what has a
        length and gives (image, label) at an index; see ``read_items``.
    out: the prefix of the files to make; folders on the way to it are made. Also a URL that fsspec can write to, such
        as s3://bucket/folder/train: shards are made on this machine and uploaded whole.
    resize, resize_mode, upscale, center_crop, interpolation, encoding, quality, color, max_pixels: what is done to an
        image; see ``ImageOptions``. By default the bytes are stored untouched.
    trust: do not decode images that nothing is done to, but look at their headers only.
    device: "gpu" decodes, scales and encodes JPEGs that are changed on a GPU; "auto" where it measures faster. The
        pixels are slightly other ones, so a data set that is to come out the same anywhere is packed on the "cpu".
    shards: number of .rec files, OUT-00000-of-00008.rec and so on where it is more than one; or
    shard_size: the most bytes that one should have, as a number or as "1GB"; or
    shard_records: the most images that one should have.
    shuffle: a folder is shuffled by ``seed`` and a list keeps its order unless this says otherwise.
    split: shares by name, such as {"train": 0.9, "val": 0.1}; each becomes a data set, OUT-train and so on, dealt out
        by ``seed``, and with ``stratify`` in the same shares of each class. A folder of train, val and test is parted
        anyway. All splits have one table of classes.
    labels: what the labels of a folder are: "levels", "leaf" or "top".
    classes: the class names in the order of their numbers; by default sorted.
    root: where the relative paths of a list or table begin; by default beside it.
    table: which columns of a table mean what; by default label, location and id.
    label_width: of a list whose columns are parted by blanks: how many of them are labels.
    format: "coco", "voc" or "yolo" for object detection; "auto" knows them by what is there.
    flagged: boxes that VOC calls difficult and COCO a crowd: "column" marks them in a sixth number of each object,
        "keep" takes them as any other, "drop" leaves them out.
    empty: images without objects: "keep", which MXNet's own iterators stop at, or "drop".
    fetch: how images behind URLs are fetched; see ``FetchOptions``.
    workers: threads, in processes of four where there are more; by default one a core. The output does not depend on
        it.
    max_bad: how many images may be bad: a share below 1, a number from 1 up. They are left out and written, with the
        reason, to OUT.rejected.jsonl.
    strict: stop at the first bad image.
    overwrite: replace a data set of the same name, once the new one is complete.
    append: add the images to the data set of this name, as further shards; its classes keep their numbers.
    resume: go on with a run that was interrupted. Shards that it finished are checked and kept, and the files come out
        as if there had been no interruption.
    node_rank, num_nodes: this machine's number, and how many machines run the same call on a file system that they
        share. Each packs its part of the shards, and the last to finish gives all files their final names.
    engine: "local", or "ray": on the Ray cluster at ``address``, or by default on one of this machine alone.
    progress: called with (images done, images in all) after each image.

    Every image is decoded in full before it is accepted. The files get their final names only when all is done.

    Raises SourceError, TooManyBadImagesError (OUT.rejected.jsonl is written all the same), OutputExistsError, and
    DatasetError where the source or the options are not those of the run that is resumed.
    """
    image = ImageOptions(
        resize, resize_mode, upscale, center_crop, interpolation, encoding, quality, color, max_pixels, trust, device
    )
    size = parse_size(shard_size) if isinstance(shard_size, str) else shard_size
    options = PackOptions(
        image=image,
        fetch=fetch or FetchOptions(),
        shards=shards,
        shard_size=size,
        shard_records=shard_records,
        shuffle=shuffle,
        seed=seed,
        split=split,
        stratify=stratify,
        workers=workers,
        max_bad=max_bad,
        strict=strict,
    )
    run = RunOptions(resume, overwrite, node_rank, num_nodes, engine, address)
    names = None if classes is None else tuple(classes)
    source_options = SourceOptions(root, labels, names, table or TableOptions(), label_width, format, flagged, empty)
    return run_pack(source, out, options, source_options, run, append=append, progress=progress)


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
    if isinstance(source, (str, os.PathLike)):
        _refuse_to_replace_source(store, plans, as_path(source))
    elif run.engine == "ray":
        raise ValueError("engine='ray' packs what other machines can read, which an object of this process is not")
    tasks = list(job.tasks)
    if run.num_nodes > len(tasks):
        raise ValueError(f"{run.num_nodes} machines cannot share {len(tasks)} shards: ask for more shards")
    counter = _Counter(job, tasks[run.node_rank :: run.num_nodes], progress)
    work = WorkFolder(store, job)
    with work.hold(run) as scratch:
        try:
            sets = _pack_and_publish(job, tasks, work, scratch, run, counter)
        except TooManyBadImagesError as error:
            rejected = work.write_rejections(counter.rejections)
            raise TooManyBadImagesError(f"{error}; the list is in {rejected}") from None
    notes = _emptied_classes(job, sets)
    for note in notes:
        logger.warning(note)
    return PackReport(sets, (*job.source.notes, *notes), counter.looked_at, time.perf_counter() - began)


def _emptied_classes(job: Job, sets: Sequence[PackedSet]) -> tuple[str, ...]:
    """Say which classes are left without an image, as all of theirs were rejected: they keep their numbers."""
    names = job.source.classes
    if names is None or job.source.has_boxes:
        return ()
    rejected = Counter(rejection.sample.labels[0] for one in sets for rejection in one.rejections)
    named = Counter(dict.fromkeys(rejected, 0))
    for plan in job.plans if rejected else ():
        named.update(plan.class_counts())
    before = len(job.bases[0].manifest.classes or ()) if job.bases else 0
    emptied = sorted(int(label) for label, count in rejected.items() if count == named[label] and label >= before)
    if not emptied:
        return ()
    shown = ", ".join(f"{label} {names[label]!r}" for label in emptied[:5]) + (", …" if len(emptied) > 5 else "")
    return (f"classes of which every image was rejected, and that keep their numbers: {shown}",)


def _pack_and_publish(
    job: Job, tasks: list[Task], work: WorkFolder, scratch: Path, run: RunOptions, counter: _Counter
) -> tuple[PackedSet, ...]:
    if work.publication is not None:
        work.refuse_missing()
        reports = {report.name: report for report in work.publication.reports}
        counter.pass_over_all()
    else:
        reports = _pack(job, tasks, work, scratch, run, counter)
    if len(reports) < len(tasks):
        missing = len(tasks) - len(reports)
        logger.warning("this machine is done; %d of %d shards are still being packed by others", missing, len(tasks))
        return ()
    with work.publishing() as is_mine:
        return publish_all(job, work, reports) if is_mine else ()


def _pack(
    job: Job, tasks: list[Task], work: WorkFolder, scratch: Path, run: RunOptions, counter: _Counter
) -> dict[str, ShardReport]:
    """Pack this machine's part of the shards; gives the reports of all that are finished."""
    mine = tasks[run.node_rank :: run.num_nodes]
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
    if run.num_nodes > 1:
        reports = work.finished()
        if len(reports) == len(tasks):
            counter.refuse_too_many([rejection for task in tasks for rejection in _rejections(task, reports)])
    return reports


def _rejections(task: Task, reports: Mapping[str, ShardReport]) -> list[Rejection]:
    return list(reports[task.shard.name].rejections(task.plan, task.shard))


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


def _refuse_to_replace_source(store: Store, plans: Sequence[Plan], source: Path) -> None:
    """Raise OutputExistsError if packing would write over the list that it packs from."""
    if not isinstance(store, LocalStore):
        return
    for plan in plans:
        for suffix in (".json", ".lst"):
            file = Path(store.path(plan.name + suffix))
            if file.exists() and file.samefile(source):
                raise OutputExistsError(f"{file} would be written over, and is what is being packed; name it otherwise")


class _Counter:
    """Counts images as they are done, and stops the work when too many are bad."""

    def __init__(self, job: Job, tasks: Sequence[Task], progress: Callable[[int, int], None] | None) -> None:
        self.rejections: list[Rejection] = []
        self.looked_at = 0
        self._done = 0
        self._total = sum(shard.stop - shard.start for _, shard in tasks)
        self._job = job
        self._allowed = job.options.allowed_bad(job.images)
        self._progress = progress

    def __call__(self, rejection: Rejection | None) -> None:
        """Count an image that was looked at."""
        self.looked_at += 1
        self._count(1, [] if rejection is None else [rejection])

    def add(self, task: Task, report: ShardReport) -> None:
        """Count the images of a shard that was packed elsewhere."""
        self.looked_at += task.shard.stop - task.shard.start
        self._count(task.shard.stop - task.shard.start, list(report.rejections(task.plan, task.shard)))

    def skip(self, task: Task, report: ShardReport) -> None:
        """Count the images of a shard that was finished before."""
        self._count(task.shard.stop - task.shard.start, list(report.rejections(task.plan, task.shard)))

    def pass_over_all(self) -> None:
        """Say that nothing is left to be looked at."""
        if self._progress is not None:
            self._progress(self._total, self._total)

    def _count(self, images: int, rejections: list[Rejection]) -> None:
        self._done += images
        if rejections:
            self.rejections += rejections
            self.refuse_too_many(self.rejections)
        if self._progress is not None:
            self._progress(self._done, self._total)

    def refuse_too_many(self, rejections: Sequence[Rejection]) -> None:
        """Raise TooManyBadImagesError if these are more than the user allows."""
        if rejections and self._job.options.strict:
            raise TooManyBadImagesError(f"bad image {describe(rejections[:1])} (--strict stops at the first)")
        if len(rejections) > self._allowed:
            raise TooManyBadImagesError(
                f"{len(rejections)} of the first {self._done} images are bad, more than the {self._allowed} "
                f"of {self._job.images} that --max-bad {self._job.options.max_bad:g} allows ('--max-bad N' allows N): "
                f"{describe(rejections)}"
            )
