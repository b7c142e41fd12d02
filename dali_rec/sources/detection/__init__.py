"""Data for object detection: COCO, Pascal VOC and YOLO annotations as samples with boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from dali_rec.errors import SourceError
from dali_rec.sources.detection.boxes import EMPTY, FLAGGED, Empty, Flagged, count_objects
from dali_rec.sources.detection.coco import is_coco, read_coco
from dali_rec.sources.detection.voc import is_voc, read_voc
from dali_rec.sources.detection.yolo import is_yolo, read_yolo
from dali_rec.sources.walk import folder_names

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dali_rec.sources.sample import Source

__all__ = [
    "EMPTY",
    "FLAGGED",
    "FORMATS",
    "Empty",
    "Flagged",
    "Format",
    "count_objects",
    "find_format",
    "find_inside",
    "is_coco",
    "is_voc",
    "is_yolo",
    "read_coco",
    "read_detection",
    "read_voc",
    "read_yolo",
]

Format = Literal["auto", "coco", "voc", "yolo"]
FORMATS = ("auto", "coco", "voc", "yolo")
_DEEPEST = 4  # folders in which nothing but a folder is


def find_format(path: Path) -> Literal["coco", "voc", "yolo"] | None:
    """Which annotations these are, by what is there; None where they are none."""
    if is_coco(path):
        return "coco"
    if is_voc(path):
        return "voc"
    return "yolo" if is_yolo(path) else None


def find_inside(path: Path) -> Path | None:
    """The folder in a folder that has the annotations: its only one, as archives leave it, or VOC's; None without any.

    Raises SourceError where several folders are VOC's, as VOC2007 and VOC2012 in VOCdevkit.
    """
    for _ in range(_DEEPEST):
        names = folder_names(path)
        several = [name for name in names if (path / name / "JPEGImages").is_dir() and is_voc(path / name)]
        if len(several) > 1:
            raise SourceError(
                f"{path}: {' and '.join(several)} are data sets of VOC; pack each by itself, and put them together by "
                "dali-rec merge"
            )
        if several:
            return path / several[0]
        if len(names) != 1:
            return None
        path /= names[0]
        if find_format(path) is not None:
            return path
    return None


def read_detection(
    path: Path,
    kind: Literal["coco", "voc", "yolo"],
    root: Path | None = None,
    classes: Sequence[str] | None = None,
    flagged: Flagged = "column",
    empty: Empty = "keep",
) -> Source:
    """The images and boxes of annotations of this format.

    root: where COCO's file names begin. classes: the names in the order of their numbers. flagged, empty: see
    ``BoxSamples``.

    Raises SourceError, with the file and the entry, for what cannot be understood.
    """
    source = _read(path, kind, root, classes, flagged, empty)
    if not len(source.samples):
        raise SourceError(f"{path}: no image has an object, and --empty drop leaves out those without")
    return source


def _read(
    path: Path,
    kind: Literal["coco", "voc", "yolo"],
    root: Path | None,
    classes: Sequence[str] | None,
    flagged: Flagged,
    empty: Empty,
) -> Source:
    if kind == "coco":
        return read_coco(path, root, classes, flagged, empty)
    if root is not None:
        raise SourceError(f"{path}: --root goes with a list, table or COCO file, whose paths it completes")
    if kind == "voc":
        return read_voc(path, classes, flagged, empty)
    return read_yolo(path, classes, empty)
