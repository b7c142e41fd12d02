"""Data sets that are packed already, to be packed again: in another size or encoding, or a part of one."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dali_rec._numbers import distinct, each
from dali_rec.box_layout import box_layout
from dali_rec.dataset import Dataset, listed_ids
from dali_rec.errors import DaliRecError, ImageRejectedError, RecordError, SourceError
from dali_rec.manifest import FORMAT, find_manifest, is_manifest
from dali_rec.opening import join_datasets, open_dataset
from dali_rec.recordio import RecordReader, unpack_header
from dali_rec.recordio.framing import HEAD, MAGIC, MAX_RECORD_LENGTH, without_hint
from dali_rec.sources.listed import original_paths
from dali_rec.sources.sample import Sample, SampleTable, Source, Split

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from dali_rec.shard import Shard

# Before what says where an image is, behind the path that it had. The relative path of a file never holds it.
_PLACE = "//"
# Of a manifest, which begins with the name of its format.
_BEGINNING = 1 << 16


def names_packed(path: Path) -> bool:
    """Whether a path is that of a packed data set: a .rec file, a manifest, or the prefix of either."""
    if path.exists():
        return path.is_file() and (path.suffix == ".rec" or (path.suffix == ".json" and _holds_manifest(path)))
    if not path.name:
        return False
    rec, manifest = (path.with_name(path.name + suffix) for suffix in (".rec", ".json"))
    return rec.exists() or find_manifest(manifest) is not None


def _holds_manifest(path: Path) -> bool:
    # A table in JSON may have gigabytes.
    with path.open("rb") as file:
        beginning = file.read(_BEGINNING)
    return f'"{FORMAT}"'.encode() in beginning and is_manifest(path)


def read_packed(data: Dataset | Mapping[str, Dataset] | Path) -> Source:
    """The images of a packed data set, or of a view of one, in the order of its files; of a mapping, each is a split.

    Ids, labels and the names of classes stay as they are, as do the paths in the .lst beside it. Of a face set of
    InsightFace the images are taken, each with its class.

    Raises SourceError for a record whose labels cannot be read, and what ``dali_rec.open`` raises.
    """
    if isinstance(data, Dataset):
        return _read(data)
    if isinstance(data, Mapping):
        found = _read(join_datasets(list(data.values())))
        ends = [0, *itertools.accumulate(len(one) for one in data.values())]
        return replace(found, splits=tuple(map(Split, data, ends[:-1], ends[1:])))
    with open_dataset(data) as dataset:
        return _read(dataset)


def _read(dataset: Dataset) -> Source:
    manifest, name = dataset.manifest, dataset.name
    if not len(dataset):
        raise SourceError(f"{name}: no records in it")
    files = [os.fspath(shard.path) for shard in dataset.shards]
    images = PackedImages(_common_folder(files))
    try:
        ids = listed_ids(dataset)
        samples = SampleTable.of(_samples(dataset, ids, images))
    except RecordError as error:
        raise SourceError(f"{without_hint(error)}; 'dali-rec verify {name} --repair' leaves such records out") from None
    are_unique = len(distinct(ids)) == len(ids)
    return Source(
        samples,
        name,
        dataset.classes,
        keys_are_given=are_unique,
        label_classes=None if manifest is None else manifest.label_classes,
        pixels=images,
        has_boxes=_are_boxes(samples) if manifest is None else manifest.label_kind == "boxes",
        notes=() if are_unique else (f"{name}: several records have one id, so all are numbered anew",),
        files=tuple(files),
    )


def _samples(dataset: Dataset, ids: NDArray[np.uint64], images: PackedImages) -> Iterator[Sample]:
    records = zip(each(ids), original_paths(dataset, ids), strict=True)
    for shard in dataset.shards:
        place = f"{_PLACE}{_way(shard.path, images.folder)}#"
        # The records last, of which none may be taken where the shard ends.
        for offset, labels, (key, path) in zip(
            each(shard.index.offsets), _labels(dataset, shard), records, strict=False
        ):
            yield Sample(key, labels, f"{path or f'{shard.path.name}#{key}'}{place}{offset}")


def _labels(dataset: Dataset, shard: Shard) -> Iterator[tuple[float, ...]]:
    """The labels of each record. Of a face set it is the class, behind which may stand whether the face is aligned."""
    if dataset.has_class_labels:
        return ((label,) for label in each(shard.first_labels()))
    return (tuple(shard.reader.record_at(offset).labels.tolist()) for offset in each(shard.index.offsets))


def _common_folder(files: Sequence[str]) -> str:
    """The folder from which these files are reached by relative paths; empty where they are on several drives."""
    folders = [os.path.dirname(file) or "." for file in files]  # noqa: PTH120
    try:
        return os.path.commonpath(folders)
    except ValueError:  # some are absolute, and others not
        folders = [os.path.abspath(folder) for folder in folders]  # noqa: PTH100
    try:
        return os.path.commonpath(folders)
    except ValueError:
        return ""


def _way(file: Path, folder: str) -> str:
    """The path to a file from a folder; from anywhere, where that is on another drive."""
    try:
        return Path(os.path.relpath(file, folder)).as_posix()
    except ValueError:
        return str(file.absolute())


def _are_boxes(samples: SampleTable) -> bool:
    """Whether the labels of all are laid out as boxes are, and alike, where no manifest says what they are."""
    layouts = {box_layout(np.array(sample.labels, np.float32)) for sample in itertools.islice(samples, 1)}
    if None in layouts:
        return False
    layouts |= {box_layout(np.array(sample.labels, np.float32)) for sample in samples}
    return len(layouts) == 1


@dataclass(frozen=True, slots=True)
class PackedImages:
    """The images in .rec files below ``folder``: a location is ORIGIN//FILE.rec#OFFSET.

    ORIGIN is the path that the image had when it was packed, and OFFSET the byte at which its record begins.
    """

    folder: str
    stays_here: bool = False

    def holds(self, location: str) -> bool:
        """All locations are these."""
        return _PLACE in location

    def listed(self, location: str) -> str:
        """See HeldImages: the path that the image had."""
        return location.rpartition(_PLACE)[0]

    def file_of(self, location: str) -> str:
        """See HeldImages: the .rec file."""
        return self._place(location)[0]

    def absolute(self) -> PackedImages:
        """See HeldImages."""
        return replace(self, folder=os.path.abspath(self.folder))  # noqa: PTH100

    def read(self, location: str) -> bytes:
        """See HeldImages. Raises ImageRejectedError where the record has gone, or is damaged."""
        file, offset = self._place(location)
        try:
            _, image = unpack_header(_payload(file, offset), f"{file}: record at offset {offset}")
        except (OSError, DaliRecError) as error:
            raise ImageRejectedError(str(error)) from None
        return bytes(image)

    def _place(self, location: str) -> tuple[str, int]:
        file, _, offset = location.rpartition(_PLACE)[2].rpartition("#")
        return os.path.join(self.folder, file), int(offset)  # noqa: PTH118  # a Path takes longer


def _payload(file: str, offset: int) -> memoryview:
    """The payload of the record there, by a read that leaves Python's lock to others while it waits for the disk."""
    with open(file, "rb", buffering=0) as opened:  # noqa: PTH123
        opened.seek(offset)
        head = opened.read(HEAD.size)
        magic, length = HEAD.unpack(head) if len(head) == HEAD.size else (0, 0)
        if magic == MAGIC and length <= MAX_RECORD_LENGTH:
            payload = opened.read(length)
            if len(payload) == length:
                return memoryview(payload)
    with RecordReader(file) as reader:  # in several parts, or damaged, which it says
        return memoryview(bytes(reader.read_at(offset)))
