"""``split``: one packed data set is parted by shares, or into other shards."""

from __future__ import annotations

import contextlib
import logging
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dali_rec.arrange.finish import finish
from dali_rec.arrange.frames import read_frames
from dali_rec.arrange.inputs import notes_on_identities, open_input
from dali_rec.arrange.report import ArrangeReport
from dali_rec.arrange.sharding import Sharding
from dali_rec.arrange.writer import SetWriter
from dali_rec.errors import DatasetError
from dali_rec.packing.arranged import ArrangeTarget
from dali_rec.packing.options import SHUFFLE_SEED
from dali_rec.packing.split import STRATIFIED_BOXES, check_shares, split_rows

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from dali_rec.arrange.inputs import Input

logger = logging.getLogger("dali_rec")


def split(
    dataset: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    shares: Mapping[str, float] | None = None,
    stratify: bool = False,
    seed: int = SHUFFLE_SEED,
    ids: Sequence[int] | NDArray[Any] | None = None,
    classes: Sequence[str | int] | None = None,
    shards: int | None = None,
    shard_size: str | int | None = None,
    shard_records: int | None = None,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> ArrangeReport:
    """Part a packed data set into OUT-train, OUT-val and so on, or, without ``shares``, into other shards as OUT.

    dataset: a prefix, a manifest or a .rec file.
    shares: by name, such as {"train": 0.9, "val": 0.1}; records are dealt out by ``seed`` and keep their order.
    stratify: deal each class (first label) out in these shares by itself. Not for boxes.
    ids, classes: only the records of these ids, and of these classes (names or first labels); labels and the list of
        classes stay as they are.
    shards, shard_size, shard_records: of each data set that is made; see ``Sharding``. Sizes as in "1GB".
    overwrite: replace data sets of the same names, once the new ones are complete.
    progress: called with (bytes done, bytes in all).

    Records are copied byte for byte and keep their ids. Nothing is published before all is done.

    Raises DatasetError, DatasetNotFoundError, OutputExistsError, RecordError for a damaged record, ValueError (also
    where a part would be empty).

    >>> split("data/all", "data/all", shares={"train": 0.9, "val": 0.1})  # doctest: +SKIP
    """
    began = time.perf_counter()
    sharding = Sharding.of(shards, shard_size, shard_records)
    if shares is not None:
        check_shares(shares)
    elif stratify:
        raise ValueError("stratify says how to split: it needs shares")
    target = ArrangeTarget(out, shares or ())
    target.clear()
    with contextlib.ExitStack() as stack:
        unparted = sharding if shares is None else None
        one = stack.enter_context(open_input(dataset, sharding=unparted, ids=ids, classes=classes))
        if stratify and one.label_kind == "boxes":
            raise DatasetError(f"{one.name}: {STRATIFIED_BOXES}")
        parts = _plan_parts(one, shares, seed, stratify=stratify)
        target.check(one.files, overwrite=overwrite)
        for name, part in zip(target.names, parts, strict=True):
            sharding.check(len(part.rows), str(target.prefix.with_name(name)))
        target.check_space(one.bytes)
        folder = stack.enter_context(target.working())
        writers = [
            stack.enter_context(SetWriter(folder, name, len(part.rows), sharding))
            for name, part in zip(target.names, parts, strict=True)
        ]
        is_whole = shares is None and ids is None and classes is None
        measured = one.manifest is None or not is_whole
        _deal(one, parts, writers, measured=measured, progress=progress)
        _agree_on_labels(writers)
        notes = notes_on_identities([one])
        without_image = sum(writer.facts.without_image for writer in writers)
        if shares is not None and without_image:
            notes.append(f"{without_image} records have no image; they are dealt out like all")
        for note in notes:
            logger.warning(note)
        options = {
            "command": "split",
            **sharding.recorded(),
            "split": None if shares is None else dict(shares),
            "stratify": stratify,
            "seed": seed,
            "ids": None if ids is None else len(ids),
            "classes": None if classes is None else list(classes),
        }
        manifests = [
            finish(writer, [one], options, one.class_names, split=part.split, measured=measured)
            for part, writer in zip(parts, writers, strict=True)
        ]
        sets = target.publish(manifests)
    return ArrangeReport(sets, tuple(notes), time.perf_counter() - began)


class _Part(NamedTuple):
    """One data set to be made: its split, and the rows of its records in ascending order."""

    split: str | None
    rows: NDArray[np.int64]


def _plan_parts(one: Input, shares: Mapping[str, float] | None, seed: int, *, stratify: bool) -> list[_Part]:
    """A part for each share, or one of all records. Raises ValueError for a part that would be empty."""
    count = len(one.dataset)
    if shares is None:
        return [_Part(one.split, np.arange(count, dtype=np.int64))]
    groups = None
    if stratify:
        groups = np.concatenate([shard.first_labels() for shard in one.dataset.shards]).astype(np.float64)
    parts = []
    for name, rows in split_rows(count, shares, seed, groups).items():
        if not len(rows):
            remedy = "; --stratify parts each class by itself, and they are small" if stratify else ""
            raise ValueError(
                f"{one.name}: of {count} records the split {name!r} would get none; give it a larger share{remedy}"
            )
        parts.append(_Part(name, rows))
    return parts


def _deal(
    one: Input,
    parts: Sequence[_Part],
    writers: list[SetWriter],
    *,
    measured: bool,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Read once, and give each record to the writer of its part."""
    part_of = np.zeros(len(one.dataset), np.int32)
    for number, part in enumerate(parts):
        part_of[part.rows] = number
    done, total = 0, one.bytes
    for frames in read_frames(one.dataset):
        here = part_of[frames.rows]
        for number, writer in enumerate(writers):
            chosen = np.nonzero(here == number)[0]
            if len(chosen):
                some = frames.take(chosen)
                writer.write(some, one.locations.of(some), measure=measured)
        done += int(frames.lengths.sum())
        if progress is not None:
            progress(done, total)
    if progress is not None:
        progress(total, total)  # also where the index leaves records out


def _agree_on_labels(writers: list[SetWriter]) -> None:
    """What labels are is said of the whole, so that the parts agree on it."""
    are_classes = all(writer.facts.are_classes for writer in writers)
    widths = frozenset[int]().union(*(writer.facts.widths for writer in writers))
    for writer in writers:
        writer.facts.are_classes, writer.facts.widths = are_classes, widths
