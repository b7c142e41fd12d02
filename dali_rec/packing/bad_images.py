"""Images that cannot be packed: how many may be, and what is said of them."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

from dali_rec._numbers import counted
from dali_rec.errors import TooManyBadImagesError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from dali_rec.packing.job import Job, Task
    from dali_rec.packing.plan import Plan
    from dali_rec.packing.report import Rejection, ShardReport
    from dali_rec.packing.store import Store

_REASONS_SHOWN = 3


class ImageCounter:
    """Counts images as they are done, and stops the work, by TooManyBadImagesError, when too many are bad."""

    def __init__(self, job: Job, tasks: Sequence[Task], progress: Callable[[int, int], None] | None) -> None:
        self.rejections: list[Rejection] = []
        self.looked_at = 0  # by this run
        self._done = 0  # with those of shards that were finished before
        self._total = sum(shard.images for _, shard in tasks)
        self._job = job
        self._allowed = job.options.allowed_bad(job.images)
        self._progress = progress

    def __call__(self, rejection: Rejection | None) -> None:
        """Count an image that was looked at."""
        self.looked_at += 1
        self._count(1, [] if rejection is None else [rejection])

    def add(self, task: Task, report: ShardReport) -> None:
        """Count the images of a shard that was packed elsewhere."""
        self.looked_at += task.shard.images
        self.skip(task, report)

    def skip(self, task: Task, report: ShardReport) -> None:
        """Count the images of a shard that was finished before."""
        self._count(task.shard.images, list(report.rejections(task.plan, task.shard)))

    def pass_over_all(self) -> None:
        """Say that nothing is left to be looked at."""
        if self._progress is not None:
            self._progress(self._total, self._total)

    def _count(self, images: int, rejections: list[Rejection]) -> None:
        self._done += images
        if rejections:
            self.rejections += rejections
            self._refuse_too_many(self._done)
        if self._progress is not None:
            self._progress(self._done, self._total)

    def count_of_all(self, rejections: list[Rejection]) -> None:
        """Go by the bad images of all machines that share the work: these, when all images are done."""
        self.rejections = rejections
        self._refuse_too_many(self._job.images)

    def _refuse_too_many(self, done: int) -> None:
        rejections, options = self.rejections, self._job.options
        if rejections and options.strict:
            raise TooManyBadImagesError(f"bad image {describe(rejections[:1])} (--strict stops at the first)")
        if len(rejections) > self._allowed:
            raise TooManyBadImagesError(
                f"{counted(len(rejections), 'bad image')} among the first {done:,}, more than the {self._allowed} of "
                f"{self._job.images} that --max-bad {_shown(options.max_bad)} allows ('--max-bad N' allows N): "
                f"{describe(rejections)}"
            )


def _shown(max_bad: float) -> str:
    return f"{max_bad:g}" if max_bad >= 1 else f"{100 * max_bad:g}%"


def require_records(plan: Plan, reports: Mapping[str, ShardReport]) -> None:
    """Raise TooManyBadImagesError for a shard of which not one image could be packed."""
    for shard in plan.shards:
        report = reports[shard.name]
        if not report.records:
            reasons = describe(list(report.rejections(plan, shard)))
            raise TooManyBadImagesError(f"not one image for {report.name}.rec could be packed: {reasons}")


def describe(rejections: Sequence[Rejection]) -> str:
    """Some of the rejections in words."""
    shown = "; ".join(map(_said, rejections[:_REASONS_SHOWN])) + ("; …" if len(rejections) > _REASONS_SHOWN else "")
    if all(rejection.reason.startswith("no such file") for rejection in rejections):
        shown += "; where the paths of a list or table begin elsewhere, say --root FOLDER"
    return shown


def _said(rejection: Rejection) -> str:
    """The image and the reason, which begins with the URL where it could not be fetched."""
    location = rejection.sample.location
    return rejection.reason if rejection.reason.startswith(location) else f"{location}: {rejection.reason}"


def emptied_classes(job: Job, rejections: Iterable[Rejection]) -> tuple[str, ...]:
    """Say which classes are left without an image, as all of theirs were rejected: they keep their numbers."""
    names = job.source.classes
    if names is None or job.source.has_boxes:
        return ()
    rejected = Counter(rejection.sample.labels[0] for rejection in rejections)
    named = Counter(dict.fromkeys(rejected, 0))
    for plan in job.plans if rejected else ():
        named.update(plan.class_counts())
    before = len(job.bases[0].manifest.classes or ()) if job.bases else 0
    added = range(before, len(names))  # a data set that is packed again may have labels without a name
    emptied = sorted(int(label) for label, count in rejected.items() if count == named[label] and label in added)
    if not emptied:
        return ()
    shown = ", ".join(f"{label} {names[label]!r}" for label in emptied[:5]) + (", …" if len(emptied) > 5 else "")
    return (f"classes of which every image was rejected, and that keep their numbers: {shown}",)


def rejections_file(name: str) -> str:
    """The file that lists what was left out of the data set ``name``."""
    return f"{name}.rejected.jsonl"


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


def write_rejections(store: Store, job: Job, rejections: list[Rejection]) -> str:
    """Write the list of images for which the job is given up; returns where.

    It is not that of a data set that is appended to, which says what that left out.
    """
    name = rejections_file(job.bases[0].added_name if job.bases else job.plans[0].name)
    if rejections:
        store.write(name, format_rejections(rejections))
    else:
        store.remove(name)
    return store.path(name)
