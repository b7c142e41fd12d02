"""``merge``: several packed data sets become one."""

from __future__ import annotations

import contextlib
import logging
import time
from typing import TYPE_CHECKING

import numpy as np

from dali_rec.arrange.boxes import common_layout, require_layout, with_object_classes
from dali_rec.arrange.classes import LabelChoice, unite
from dali_rec.arrange.finish import finish
from dali_rec.arrange.frames import read_frames
from dali_rec.arrange.headers import with_ids, with_labels
from dali_rec.arrange.inputs import Input, notes_on_identities, open_input
from dali_rec.arrange.report import ArrangeReport
from dali_rec.arrange.sharding import Sharding
from dali_rec.arrange.writer import SetWriter
from dali_rec.errors import DatasetError
from dali_rec.packing.arranged import ArrangeTarget

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    from dali_rec.arrange.classes import United
    from dali_rec.arrange.frames import Frames
    from dali_rec.arrange.headers import LabelMaps
    from dali_rec.box_layout import BoxLayout

logger = logging.getLogger("dali_rec")


def merge(
    datasets: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    shards: int | None = None,
    shard_size: str | int | None = None,
    shard_records: int | None = None,
    labels: LabelChoice = "names",
    renumber: bool = False,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> ArrangeReport:
    """Put the records of several packed data sets one after another into OUT.rec, OUT.idx, OUT.lst and OUT.json.

    datasets: prefixes, manifests or .rec files, in the order in which their records are to stand.
    out: the prefix of the files to make.
    shards, shard_size, shard_records: see ``Sharding``; one file by default. Sizes as in "1GB".
    labels: "names": where the lists of classes differ they are united by name and labels are renumbered. "keep": all
        labels stay as they are.
    renumber: give the records the ids 0, 1, 2 and so on. This is done in any case where an id stands twice.
    overwrite: replace a data set of the same name, once the new one is complete.
    progress: called with (bytes done, bytes in all).

    Images are copied byte for byte; in the headers only ids and labels change, if they must.

    Raises DatasetError (also where only some of the data sets have class names, or boxes, or where boxes are laid out
    otherwise), DatasetNotFoundError, OutputExistsError, RecordError for a damaged record, ValueError.

    >>> merge(["data/cats", "data/dogs.rec"], "data/pets", shard_size="1GB")  # doctest: +SKIP
    """
    began = time.perf_counter()
    sharding = Sharding.of(shards, shard_size, shard_records)
    target = ArrangeTarget(out)
    target.clear()
    with contextlib.ExitStack() as stack:
        alone = sharding if len(datasets) == 1 and not renumber else None
        inputs = [stack.enter_context(open_input(path, sharding=alone)) for path in datasets]
        if not inputs:
            raise DatasetError("no data set to merge: name at least one")
        target.check([file for one in inputs for file in one.files], overwrite=overwrite)
        target.check_space(sum(one.bytes for one in inputs))
        count = sum(len(one.dataset) for one in inputs)
        sharding.check(count, str(target.prefix))
        layout = common_layout(inputs) if len(inputs) > 1 else None
        united = unite(inputs, labels)
        renumbered = renumber or _has_id_twice(inputs)
        notes = [*united.notes, *_notes_on_ids(inputs, asked=renumber, renumbered=renumbered)]
        notes += notes_on_identities(inputs)
        for note in notes:
            logger.warning(note)
        folder = stack.enter_context(target.working())
        writer = stack.enter_context(SetWriter(folder, target.names[0], count, sharding))
        _copy(inputs, united, layout, writer, renumbered=renumbered, progress=progress)
        options = {"command": "merge", **sharding.recorded(), "labels": labels, "renumbered": renumbered}
        splits = {one.split for one in inputs}
        split = splits.pop() if len(splits) == 1 else None
        if renumbered and writer.facts.without_image:
            note = (
                f"{writer.facts.without_image} records have no image; InsightFace's have the ids of others as labels, "
                "which are no longer the ids of these"
            )
            logger.warning(note)
            notes.append(note)
        sets = target.publish([finish(writer, inputs, options, united.names, split=split)])
    return ArrangeReport(sets, tuple(notes), time.perf_counter() - began)


def _copy(
    inputs: Sequence[Input],
    united: United,
    layout: BoxLayout | None,
    writer: SetWriter,
    *,
    renumbered: bool,
    progress: Callable[[int, int], None] | None,
) -> None:
    total, done = sum(one.bytes for one in inputs), 0
    for one, maps in zip(inputs, united.maps, strict=True):
        for read in read_frames(one.dataset):
            done += int(read.lengths.sum())
            locations = one.locations.of(read)
            frames = _relabelled(read, maps, layout, one.name)
            if renumbered:
                frames = with_ids(frames, np.arange(writer.written, writer.written + len(frames), dtype=np.int64))
            writer.write(frames, locations, measure=one.manifest is None)
            if progress is not None:
                progress(done, total)
    if progress is not None:
        progress(total, total)  # also where an index leaves records out


def _relabelled(frames: Frames, maps: LabelMaps | None, layout: BoxLayout | None, name: str) -> Frames:
    """The records under the united classes: of their objects where labels are boxes, else of each column of labels."""
    if layout is None:
        return frames if maps is None else with_labels(frames, maps, name)
    require_layout(frames, layout, name)
    mapping = None if maps is None else maps[0]
    return frames if mapping is None else with_object_classes(frames, layout, mapping, name)


def _has_id_twice(inputs: Sequence[Input]) -> bool:
    keys = np.concatenate([one.dataset.keys for one in inputs])
    keys.sort()
    return bool((keys[1:] == keys[:-1]).any())


def _notes_on_ids(inputs: Sequence[Input], *, asked: bool, renumbered: bool) -> list[str]:
    notes = []
    if renumbered and not asked:
        notes.append("some ids stand in more than one record: all records are numbered anew, from 0")
    if len(inputs) > 1 and all(one.class_names is None for one in inputs):
        notes.append("the data sets have no class names: their labels stay as they are, and are taken to mean the same")
    return notes
