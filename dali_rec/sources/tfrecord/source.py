"""TFRecord files of tf.train.Example, as TF-slim, TensorFlow Datasets and Kaggle have them: images and their labels."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from dali_rec.errors import SourceError
from dali_rec.sources.tables.columns import TableOptions, without_empty_label
from dali_rec.sources.tables.table import read_rows
from dali_rec.sources.tfrecord.boxes import boxes_passed_over, find_boxes, read_boxes
from dali_rec.sources.tfrecord.features import choose, choose_image, see
from dali_rec.sources.tfrecord.names_beside import NAMES_BESIDE, NamesBeside
from dali_rec.sources.tfrecord.records import read_records
from dali_rec.sources.tfrecord.rows import RecordRows
from dali_rec.sources.tfrecord.tfds import class_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dali_rec.sources.detection import Empty, Flagged
    from dali_rec.sources.sample import Source
    from dali_rec.sources.shard_files import ShardFiles
    from dali_rec.sources.tfrecord.features import Chosen, Seen

# Records of each split that are looked at for the names and kinds of features: in some a list may be empty.
_LOOKED_AT = 8
# What TensorFlow Datasets has for a label that is not known, in splits for tests.
_UNKNOWN = -1


def read_tfrecords(
    found: ShardFiles,
    options: TableOptions,
    classes: Sequence[str] | None = None,
    flagged: Flagged = "column",
    empty: Empty = "keep",
) -> Source:
    """The images that TFRecord files hold, in the order of the files and their records.

    Features are the columns of a table: see ``read_table``, and ``choose`` for those that are found where ``options``
    have the defaults. A list is as many labels. Numbers are the places of ``classes``, or of the names that TensorFlow
    Datasets has beside the files; they keep those that stand beside them in the records. Splits of which no class is
    known, or which lack the labels, are left out. Where records have boxes and no label of the whole image, or the
    classes of boxes are asked for, boxes are packed; for ``flagged`` and ``empty`` see ``BoxSamples``.

    Raises SourceError, with the file and the record, for what ``read_table`` does, for files that are damaged, cut off,
    compressed or none, and for records of something else than tf.train.Example.
    """
    options = without_empty_label(options)
    splits = found.splits if options.split is None else None
    of_split = _files_of(found.files, splits)
    options = options if splits is None else replace(options, split="")
    seen = {split: _see(found, files) for split, files in of_split.items()}
    of_split = {split: files for split, files in of_split.items() if seen[split]}
    if not of_split:
        raise SourceError(f"{found.name}: no records in it")
    where = str(found.folder / next(iter(of_split.values()))[0])
    every = _merged([seen[split] for split in of_split])
    boxes = find_boxes(every, options.labels)
    if boxes is not None:
        image = choose_image(where, every, options)
        return read_boxes(found, of_split, image, boxes, options, classes, flagged, empty)
    if flagged != "column" or empty != "keep":
        raise SourceError(f"{found.name}: --flagged and --empty go with boxes, and labels are packed; leave them out")
    chosen = choose(where, every, options)
    notes = [*found.notes, *boxes_passed_over(where, every)]
    lacking = [split for split in of_split if _lacks(seen[split], chosen.columns.options.labels)]
    if len(lacking) < len(of_split):
        _leave_out(found.name, of_split, lacking, "no feature of the labels", notes)
    names = _known_names(found, chosen, every, classes)
    unknown = [split for split, files in of_split.items() if names and not _has_labels(found, files, [*names])]
    _leave_out(found.name, of_split, unknown, "no labels", notes)
    if not of_split:
        raise SourceError(f"{found.name}: no labelled records in it")
    return _read_labels(found, of_split, chosen, every, names, classes, notes)


def _read_labels(
    found: ShardFiles,
    of_split: Mapping[str | None, Sequence[str]],
    chosen: Chosen,
    seen: Mapping[str, Seen],
    names: Mapping[str, tuple[str, ...]],
    classes: Sequence[str] | None,
    notes: Sequence[str],
) -> Source:
    labels = chosen.columns.options.labels
    is_numbered = len(labels) == 1 and seen[labels[0]].kind == "number" and not names
    beside = NamesBeside(labels[0]) if is_numbered and labels[0] in NAMES_BESIDE else None
    rows = RecordRows(found, of_split, chosen, seen, names, beside)
    path = found.folder / (found.files[0] if len(found.files) == 1 else "*")
    source = read_rows(path, str(found.folder), rows.table_rows(), None, chosen.columns.options, classes)
    if beside is not None:
        source = replace(source, classes=beside.names())
    first = source.samples.first_labels
    if is_numbered and source.samples.labels_are_class_indices and first.min() == 1:
        counted = "its numbers are kept, and there is no image of class 0, which TF-slim has for the background"
        notes = (*notes, f"{found.name}: the classes in {labels[0]!r} count from 1: {counted}")
    return replace(source, notes=(*notes, *source.notes), is_in_order=False)


def _files_of(files: Sequence[str], splits: Sequence[str] | None) -> dict[str | None, list[str]]:
    """The files of each split, train, val and test first, or all of them under None."""
    if splits is None:
        return {None: [*files]}
    of_split: dict[str | None, list[str]] = {}
    for file, split in zip(files, splits, strict=True):
        of_split.setdefault(split, []).append(file)
    usual = [split for split in ("train", "val", "test") if split in of_split]
    return {split: of_split[split] for split in dict.fromkeys((*usual, *of_split))}


def _see(found: ShardFiles, files: Sequence[str]) -> dict[str, Seen]:
    """What the first records of these files have in their features; nothing where there are none."""
    records = (record for file in files for record in read_records(found.folder / file))
    return see(islice(records, _LOOKED_AT))


def _merged(seen: Sequence[Mapping[str, Seen]]) -> dict[str, Seen]:
    """What there is in any of the splits; of a feature the first that has a value counts."""
    found: dict[str, Seen] = {}
    for features in seen:
        for name, one in features.items():
            if name not in found or found[name].kind == "none":
                found[name] = one
    return dict(sorted(found.items()))


def _lacks(seen: Mapping[str, Seen], labels: Sequence[str]) -> bool:
    """Whether a split, such as one for tests, has none of the features that are the labels of others."""
    return bool(labels) and all(name not in seen or seen[name].kind == "none" for name in labels)


def _leave_out(
    name: str, of_split: dict[str | None, list[str]], some: Sequence[str | None], why: str, notes: list[str]
) -> None:
    """Take some splits away, which the notes say."""
    for split in some:
        del of_split[split]
        what = "its records have" if split is None else f"the split {split!r} is left out, as it has"
        notes.append(f"{name}: {what} {why}")


def _known_names(
    found: ShardFiles, chosen: Chosen, seen: Mapping[str, Seen], classes: Sequence[str] | None
) -> dict[str, tuple[str, ...]]:
    """The names of the classes in features of numbers, as far as they are known."""
    names: dict[str, tuple[str, ...]] = {}
    for label in chosen.columns.options.labels:
        if seen[label].kind == "text":
            continue
        known = class_names(found.folder, found.files, label) or (None if classes is None else tuple(classes))
        if known is not None:
            names[label] = known
    return names


def _has_labels(found: ShardFiles, files: Sequence[str], labels: Sequence[str]) -> bool:
    """Whether some record has a class that is known."""
    return any(
        value != _UNKNOWN
        for file in files
        for record in read_records(found.folder / file)
        for feature in record.features(labels).values()
        for value in feature.values
    )
