"""What is rearranged: data sets that were packed, with what their manifests say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dali_rec._files import as_path
from dali_rec.arrange.frames import record_limits
from dali_rec.arrange.locations import Locations
from dali_rec.dataset import Dataset
from dali_rec.errors import DatasetError
from dali_rec.opening import open_dataset

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from typing_extensions import Self

    from dali_rec.arrange.sharding import Sharding
    from dali_rec.manifest import LabelKind, Manifest

ClassNames = tuple["tuple[str, ...] | None", ...]


@dataclass(frozen=True, slots=True)
class Input:
    """One data set that is read.

    name: as the user gave it. files: all that belong to it, there or not. identities_left_out: records of a face set
    that are no images and are not read.
    """

    name: str
    dataset: Dataset
    locations: Locations
    files: tuple[Path, ...]
    identities_left_out: int = 0

    @property
    def manifest(self) -> Manifest | None:
        """Its manifest; None for files from elsewhere."""
        return self.dataset.manifest

    @property
    def label_kind(self) -> LabelKind | None:
        """What its labels are, as its manifest says; None for files from elsewhere."""
        return None if self.manifest is None else self.manifest.label_kind

    @property
    def split(self) -> str | None:
        """Its split, train, val or test, as its manifest says; None where it is not of a parted source."""
        return None if self.manifest is None else self.manifest.split

    @property
    def class_names(self) -> ClassNames | None:
        """The names behind each column of labels, or None where nobody wrote any down."""
        manifest = self.manifest
        if manifest is None:
            return None
        if manifest.label_classes is not None:
            return manifest.label_classes
        return None if manifest.classes is None else (manifest.classes,)

    @property
    def bytes(self) -> int:
        """Bytes of its records, at most: what the index leaves out behind one is counted with it."""
        return int(record_limits(self.dataset).sum())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.dataset.close()
        self.locations.close()


def open_input(
    path: str | os.PathLike[str],
    *,
    sharding: Sharding | None = None,
    ids: Sequence[int] | NDArray[Any] | None = None,
    classes: Sequence[str | int] | None = None,
) -> Input:
    """Open a data set to be rearranged: a prefix, a manifest or a .rec file, with or without .idx and .lst.

    Of a face set of InsightFace only the images are read: its header and its identities name images of their own file
    by id, and mean nothing beside other images or without these. They are read too where they stay true, which is in
    an output of one file that gets all records under their own ids.

    sharding: that of an output that gets all records under their own ids, otherwise None.
    ids, classes: only these records, see ``Dataset.subset``. Raises DatasetError if that leaves none.
    """
    path = as_path(path)
    dataset = open_dataset(path)
    prefix = path.with_suffix("") if path.suffix in (".rec", ".json") else path
    list_path = prefix.with_name(prefix.name + ".lst")
    shards = [shard.path for shard in dataset.shards]
    files = (
        prefix.with_name(prefix.name + ".json"),
        list_path,
        *shards,
        *(shard.with_suffix(".idx") for shard in shards),
    )
    left_out = 0
    if ids is None and classes is None:
        whole = Dataset([shard.with_all_records() for shard in dataset.shards], dataset.manifest)
        if len(whole) > len(dataset):
            size = int(record_limits(whole).sum())
            if sharding is not None and len(shards) == 1 and sharding.makes_one(len(whole), size):
                dataset = whole
            else:
                left_out = len(whole) - len(dataset)
    else:
        if classes is not None and dataset.classes is None:  # without names, numbers go for names
            classes = [int(name) if isinstance(name, str) and name.isdecimal() else name for name in classes]
        dataset = dataset.subset(ids=ids, classes=classes)
        if not len(dataset):
            raise DatasetError(f"{path}: no record has these ids and classes")
    return Input(str(path), dataset, Locations(dataset, list_path), files, left_out)


def notes_on_identities(inputs: Sequence[Input]) -> list[str]:
    """What to say of the records of face sets that are left out."""
    return [
        f"{one.name} is a face set of InsightFace: its header and identities ({one.identities_left_out} records "
        "without an image) are left out, as they refer to images of that file by id; the images keep their classes"
        for one in inputs
        if one.identities_left_out
    ]
