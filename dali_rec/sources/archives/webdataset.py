"""Shards of WebDataset: .tar files in which the members of one name, to its first dot, are one sample.

``000123.jpg`` is its image, ``000123.cls`` the number of its class as text, and ``000123.json`` a mapping in which its
labels may be, as WebDataset and img2dataset write them.
"""

from __future__ import annotations

import heapq
import itertools
import json
import re
from collections import Counter
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from dali_rec._numbers import counted, parse_int
from dali_rec.errors import ImageRejectedError, SourceError
from dali_rec.sources.archives.images import INSIDE, start_in_tar
from dali_rec.sources.hidden_names import is_hidden
from dali_rec.sources.image_names import names_image
from dali_rec.sources.item_labels import Labels, Names, label_row, number_labels
from dali_rec.sources.sample import SPLIT_NAMES, Sample, SampleTable, Source, Split
from dali_rec.sources.tables.columns import (
    ALL_LABELS,
    TableOptions,
    classes_without_labels,
    without_empty_label,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from dali_rec.sources.archives.folder import ArchiveFolder
    from dali_rec.sources.archives.images import ArchivedImages

_DEFAULTS = TableOptions()
_CLASS, _MAPPING, _CAPTION = "cls", "json", "txt"
_META = re.compile("__.*__")  # what WebDataset keeps for itself
_WORDS = re.compile("[a-z]+")
_SHOWN = 5


class Shard(NamedTuple):
    """What is in a shard, what messages call it, and the split that it belongs to, if there are any."""

    name: str
    split: str
    members: ArchiveFolder


class _Rows(NamedTuple):
    """The images of a shard that are packed, and their labels."""

    name: str
    locations: list[str]
    labels: list[Labels]
    names: tuple[Names, ...] = (None,)


def has_samples(archive: ArchiveFolder, *, is_top: bool = True) -> bool:
    """Whether an archive has samples: a .cls beside an image, or a .json or .txt beside an image in no folder."""
    telling = (_CLASS, _MAPPING, _CAPTION) if is_top else (_CLASS,)
    names = [_parted(name) for name in archive.files]
    keys = {key for key, extension in names if extension in telling}
    if keys and any(key in keys and _is_image(extension) for key, extension in names):
        return True
    return any(has_samples(folder, is_top=False) for folder in archive.folders.values())


def split_of(path: str) -> str:
    """The split that a shard is called by: imagenet-train-000.tar, val/000.tar; empty where there is none."""
    for part in reversed(path.lower().removesuffix(".tar").split("/")):
        for word in _WORDS.findall(part):
            if word in SPLIT_NAMES:
                return SPLIT_NAMES[word]
    return ""


def splits_of(name: str, paths: Sequence[str]) -> list[str]:
    """The split of each shard; empty ones where all are of one split, or of none.

    Raises SourceError where only some are called as splits.
    """
    splits = [split_of(path) for path in paths]
    if len(set(splits)) < 2:
        return [""] * len(paths)
    if "" in splits:
        named, other = next(path for path in paths if split_of(path)), paths[splits.index("")]
        raise SourceError(
            f"{name}: {named} is called as the shard of a split, and {other} is not: pack each by a pattern, such as "
            "'train-{000..146}.tar'"
        )
    return splits


def read_shards(
    name: str,
    shards: Iterable[Shard],
    images: ArchivedImages,
    table: TableOptions = _DEFAULTS,
    classes: Sequence[str] | None = None,
) -> Source:
    """The images of shards, in their order and that of their samples, with labels from their .cls or .json.

    shards: those of a split one after another. table: ``labels`` are keys of the .json, or extensions of members;
    by default the .cls, or what is called label; ("",) for none. ``location``: the extension of the image where samples
    have several. classes: see ``read_items``.

    Samples without an image, and those without a label where others have one, are left out, which the notes say. If
    none has a .cls or .json, all get label 0.

    Raises SourceError for what is no JSON, for samples with several images, for labels that do not go together, and for
    ``classes`` without labels.
    """
    if table.labels == ALL_LABELS:
        raise SourceError(f"{name}: --label-column '*' goes with a table; name each key of the .json that is a label")
    table = without_empty_label(table)
    if classes is not None and not table.labels:
        raise classes_without_labels(name)
    reader = _Reader(name, images, table)
    parts: dict[str, list[_Rows]] = {}
    for shard in shards:
        parts.setdefault(shard.split, []).append(reader.read(shard))
    rows = [one for part in parts.values() for one in part]
    notes = reader.notes()
    if not any(one.locations for one in rows):
        raise SourceError(f"{name}: no images in it that have labels, as WebDataset has them; {'; '.join(notes)}")
    values, names = number_labels(rows, classes)
    locations = (location for one in rows for location in one.locations)
    ends = [0, *itertools.accumulate(sum(len(one.locations) for one in part) for part in parts.values())]
    return Source(
        SampleTable.of(Sample(key, *one) for key, one in enumerate(zip(values, locations, strict=True))),
        name,
        names[0] if len(names) == 1 else None,
        label_classes=names if len(names) > 1 and any(names) else None,
        splits=tuple(map(Split, parts, ends[:-1], ends[1:])) if any(parts) else (),
        pixels=images,
        notes=tuple(notes),
    )


class _Sample(NamedTuple):
    """Where a sample is, and the locations of its members by their extensions."""

    where: str
    members: dict[str, str]


class _Reader:
    """Reads the samples of shards, and counts what is left out."""

    def __init__(self, name: str, images: ArchivedImages, table: TableOptions) -> None:
        self._name = name
        self._images = images
        self._labels = table.labels
        self._image = None if table.location == _DEFAULTS.location else _extension(table.location)
        self._first = ""  # where the first sample with an image is
        self._has_labels = True
        self._without: dict[str, list[str]] = {}
        self._left_out = Counter[str]()
        self._rows: dict[Labels, Labels] = {}  # of a million images, a few labels

    def read(self, shard: Shard) -> _Rows:
        """The images of a shard that have labels; all of them, where the very first has nothing that may say one."""
        rows = _Rows(shard.name, [], [])
        for sample in _samples(shard.members):
            image = self._image_of(sample)
            if image is None:
                self._leave_out(sample, "image")
                continue
            labels, used = self._labels_of(sample)
            if not self._first:
                self._begin(sample, used)
            self._left_out.update(extension for extension in sample.members if extension not in (image, *used))
            if used and not self._has_labels:
                raise SourceError(
                    f"{sample.where} has a .{used[0]}, and {self._first} has nothing that says its label; leave "
                    "such samples out"
                )
            if self._has_labels and any(label is None or label == "" for label in labels):
                self._leave_out(sample, "label")
                continue
            value = (labels[0] if len(labels) == 1 else labels) if self._has_labels else 0.0
            row = label_row(value, shard.name, len(rows.labels))
            rows.locations.append(sample.members[image])
            rows.labels.append(self._rows.setdefault(row, row))
        return rows

    def notes(self) -> list[str]:
        """What the user should hear."""
        notes = []
        for what, (first, *more) in self._without.items():
            count = counted(len(more) + 1, "sample")
            notes.append(f"{self._name}: {count} without {'an' if what == 'image' else 'a'} {what} left out, {first} …")
        if self._left_out:
            members = ", ".join(f"{count:,} .{extension}" for extension, count in self._left_out.most_common(_SHOWN))
            notes.append(f"{self._name}: beside images and labels there are {members}, which are left out")
        if self._labels and not self._has_labels:
            notes.append(
                f"{self._name}: no .cls or .json beside the first image: all images get label 0; if each .tar is a "
                "class, say --top-labels"
            )
        return notes

    def _begin(self, first: _Sample, used: Sequence[str]) -> None:
        """See by the first sample whether there are labels. Raises SourceError where they have other names."""
        others = [one for one in first.members if one.rpartition(".")[2] in (_CLASS, _MAPPING)]
        if others and self._labels and not used:
            raise SourceError(
                f"{first.where}: its label is in .{others[0]}, as the name of a sample ends at its first dot: name "
                f"it by --label-column {others[0]}, or write names without dots"
            )
        self._first, self._has_labels = first.where, bool(used)

    def _leave_out(self, sample: _Sample, what: str) -> None:
        self._without.setdefault(what, []).append(sample.where)

    def _image_of(self, sample: _Sample) -> str | None:
        """The extension of the image; None where there is none. Raises SourceError for several."""
        if self._image is not None:
            return self._image if self._image in sample.members else None
        found = [extension for extension in sample.members if _is_image(extension)]
        plain = [extension for extension in found if "." not in extension] if len(found) > 1 else found
        if len(found) > 1 and len(plain) != 1:
            raise SourceError(f"{sample.where} has several images, .{', .'.join(found)}: name one by --location-column")
        return plain[0] if plain else None

    def _labels_of(self, sample: _Sample) -> tuple[list[Any], list[str]]:
        """The labels, None for one that is not there, and the extensions of the members that may have them."""
        labels, used, mapping = list[Any](), list[str](), None
        for name in self._labels:
            is_class = self._labels == _DEFAULTS.labels and _CLASS in sample.members
            extension = _CLASS if is_class else _extension(name)
            if extension in sample.members:
                labels.append(_number_or_name(self._text(sample.members[extension])))
                used.append(extension)
            elif _MAPPING in sample.members:
                mapping = self._mapping(sample) if mapping is None else mapping
                if not self._first and name not in mapping:
                    keys = ", ".join(map(repr, mapping))[:200]
                    raise SourceError(
                        f"{sample.where}: no .cls, and no {name!r} among {keys} in its .json: name what is the label "
                        "by --label-column"
                    )
                labels.append(mapping.get(name))
                used.append(_MAPPING)
            else:
                labels.append(None)
        return labels, used

    def _mapping(self, sample: _Sample) -> Mapping[str, Any]:
        location = sample.members[_MAPPING]
        try:
            found = json.loads(self._text(location))
        except (ValueError, RecursionError) as error:
            raise SourceError(
                f"{self._images.listed(location)}: no JSON: {error}; correct it, or get it anew"
            ) from None
        if not isinstance(found, dict):
            raise SourceError(
                f"{self._images.listed(location)}: a {type(found).__name__}; expected a mapping in which the labels are"
            )
        return found

    def _text(self, location: str) -> str:
        try:
            return self._images.read(location).decode("utf-8").strip()
        except (ImageRejectedError, UnicodeDecodeError) as error:
            raise SourceError(f"{self._images.listed(location)}: cannot be read: {error}") from None


def _samples(archive: ArchiveFolder) -> Iterator[_Sample]:
    """The samples of a shard in its order; members of one name that do not follow each other are several."""
    members = heapq.merge(*map(_in_order, _seen(archive)), key=itemgetter(0))
    for where, of_sample in groupby(members, key=itemgetter(1)):
        yield _Sample(where, {extension: location for _, _, extension, location in of_sample})


def _in_order(folder: ArchiveFolder) -> Iterator[tuple[int, str, str, str]]:
    """Where each file of a folder begins, what sample it is of, its extension, and its location."""
    for name, place in folder.files.items():
        if not is_hidden(name) and not (_META.fullmatch(name) and folder.listed.endswith(INSIDE)):
            key, extension = _parted(name)
            yield start_in_tar(place), f"{folder.listed}{key}", extension, f"{folder.listed}{name}{place}"


def _seen(folder: ArchiveFolder) -> Iterator[ArchiveFolder]:
    """A folder and those in it that are not hidden."""
    waiting = [folder]
    while waiting:
        folder = waiting.pop()
        yield folder
        waiting += [inside for name, inside in folder.folders.items() if not is_hidden(name)]


def _parted(name: str) -> tuple[str, str]:
    """What names the sample, and the extension behind it, as WebDataset parts them."""
    key, _, extension = name.partition(".")
    return key, extension.lower()


def _extension(name: str) -> str:
    return name.lower().removeprefix(".")


def _is_image(extension: str) -> bool:
    return names_image(f"x.{extension}")


def _number_or_name(text: str) -> int | str:
    try:
        return parse_int(text)
    except ValueError:
        return text
