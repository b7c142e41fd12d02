"""Where VOC's .xml files and their images are, in the folders of VOC itself and of those who write only its .xml."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dali_rec.errors import SourceError
from dali_rec.sources.detection.layouts import entries_of, files_beside, split_folders
from dali_rec.sources.walk import files_below, is_folder

if TYPE_CHECKING:
    from pathlib import Path

_VOC = ("Annotations", "JPEGImages")
#: Of .xml and of images, as data sets at Kaggle have them, and FiftyOne.
_OTHERS = (("annotations", "images"), ("Annotations", "images"), ("Annotations", "Images"), ("labels", "data"))
_START_BYTES = 4096


@dataclass(frozen=True, slots=True)
class VocPart:
    """A folder of .xml and that of their images, relative to the data set, and the split that they are, if any."""

    annotations: str
    images: str
    split: str | None = None

    def named(self, folder: Path) -> list[tuple[str, str]]:
        """The name of each annotation without its extension, and where it is. Raises SourceError where none is."""
        place = str(folder / self.annotations)
        names = [(name.removesuffix(".xml"), place) for name in self.texts(folder)]
        if not names:
            raise SourceError(f"{place}: no .xml files in it")
        return names

    def texts(self, folder: Path) -> list[str]:
        """The .xml files, sorted: those beside images, or, in a folder of their own, also in folders in there."""
        place = folder / self.annotations
        if self.annotations == self.images:
            return files_beside(place, ".xml")
        return sorted(name for name in files_below(place) if name.endswith(".xml"))

    def files(self, folder: Path) -> set[str]:
        """The names of the images, and of whatever lies among them."""
        place = folder / self.images
        if self.annotations == self.images:
            return {entry.name for entry in entries_of(place)}
        return set(files_below(place))

    def has_annotations(self, folder: Path) -> bool:
        """Whether it is VOC's by its names, or has .xml files that begin as VOC's do."""
        if (self.annotations, self.images) == _VOC:
            return (folder / self.images).is_dir()
        first = folder / self.annotations / f"{self.named(folder)[0][0]}.xml"
        with first.open("rb") as file:
            return b"<annotation" in file.read(_START_BYTES).lower()


def find_parts(folder: Path) -> list[VocPart]:
    """The parts of a folder: that of VOC's own, or those in folders called train, val and test.

    The .xml files are in a folder beside that of the images, or beside the images. Raises SourceError where a folder
    cannot be read, or several mean one split.
    """
    whole = _find_part(folder, "", None)
    if whole is not None:
        return [whole]
    found = (_find_part(folder, f"{name}/", split) for split, name in split_folders(folder))
    return [part for part in found if part is not None]


def left_out(folder: Path, parts: list[VocPart]) -> list[str]:
    """Say which folders of splits have no annotations."""
    used = {part.split for part in parts}
    names = [name for split, name in (split_folders(folder) if None not in used else ()) if split not in used]
    return [f"{folder}: {', '.join(names)} left out, without .xml files"] if names else []


def _find_part(folder: Path, inside: str, split: str | None) -> VocPart | None:
    top = folder / inside
    # By what they are called, and not by whether they are there: to Windows and macOS, images is Images as well.
    names = {entry.name for entry in entries_of(top) if is_folder(entry)}
    if _VOC[0] in names and (_VOC[1] in names or names.isdisjoint(images for _, images in _OTHERS)):
        return VocPart(inside + _VOC[0], inside + _VOC[1], split)
    for texts, images in _OTHERS:
        if {texts, images} <= names and any((top / texts).glob("*.xml")):
            return VocPart(inside + texts, inside + images, split)
    beside = inside.rstrip("/")
    return VocPart(beside, beside, split) if files_beside(top, ".xml") else None
