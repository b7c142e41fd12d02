"""Data for object detection: annotations of COCO, Pascal VOC, YOLO and others as samples with boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from dali_rec.errors import SourceError
from dali_rec.sources.detection.annotated import gather
from dali_rec.sources.detection.bdd100k import is_bdd100k, read_bdd100k
from dali_rec.sources.detection.box_csv import is_box_csv, read_box_csv
from dali_rec.sources.detection.boxes import EMPTY, FLAGGED, Empty, Flagged, count_objects
from dali_rec.sources.detection.coco import is_coco, read_coco
from dali_rec.sources.detection.coco_folder import is_coco_folder, read_coco_folder
from dali_rec.sources.detection.createml import is_createml, read_createml
from dali_rec.sources.detection.crowdhuman import is_crowdhuman, read_crowdhuman
from dali_rec.sources.detection.cvat import FILE as CVAT_FILE
from dali_rec.sources.detection.cvat import is_cvat, read_cvat
from dali_rec.sources.detection.dota import is_dota, read_dota
from dali_rec.sources.detection.groundtruth import is_groundtruth, read_groundtruth
from dali_rec.sources.detection.kitti import is_kitti, read_kitti
from dali_rec.sources.detection.labelme import is_labelme, read_labelme
from dali_rec.sources.detection.openimages import is_openimages, read_openimages
from dali_rec.sources.detection.via import is_via, read_via
from dali_rec.sources.detection.visdrone import is_visdrone, read_visdrone
from dali_rec.sources.detection.voc import is_voc, read_voc
from dali_rec.sources.detection.widerface import is_widerface, read_widerface
from dali_rec.sources.detection.yolo import is_yolo, read_yolo
from dali_rec.sources.walk import folder_names

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from dali_rec.sources.detection.annotated import Annotations
    from dali_rec.sources.sample import Source
    from dali_rec.sources.walk import Folder

__all__ = [
    "EMPTY",
    "FLAGGED",
    "FORMATS",
    "KINDS",
    "WITH_ATTRIBUTE",
    "WITH_FLAGS",
    "WITH_ROOT",
    "Empty",
    "Flagged",
    "Format",
    "Kind",
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

Kind = Literal[
    "coco",
    "voc",
    "kitti",
    "yolo",
    "dota",
    "visdrone",
    "labelme",
    "via",
    "createml",
    "csv",
    "widerface",
    "crowdhuman",
    "openimages",
    "bdd100k",
    "groundtruth",
    "cvat",
]
Format = Literal["auto", Kind]
KINDS: tuple[Kind, ...] = get_args(Kind)
FORMATS: tuple[Format, ...] = ("auto", *KINDS)
_IS: dict[Kind, Callable[[Path], bool]] = {
    "coco": is_coco,
    "voc": is_voc,
    "kitti": is_kitti,
    "yolo": is_yolo,
    "dota": is_dota,
    "visdrone": is_visdrone,
    "labelme": is_labelme,
    "via": is_via,
    "createml": is_createml,
    "csv": is_box_csv,
    "widerface": is_widerface,
    "crowdhuman": is_crowdhuman,
    "openimages": is_openimages,
    "bdd100k": is_bdd100k,
    "groundtruth": is_groundtruth,
    "cvat": is_cvat,
}
_READ_FILE: dict[Kind, Callable[[Path, Folder | None], Annotations]] = {
    "createml": read_createml,
    "csv": read_box_csv,
    "widerface": read_widerface,
    "crowdhuman": read_crowdhuman,
    "openimages": read_openimages,
    "bdd100k": read_bdd100k,
    "cvat": read_cvat,
}
_READ_ATTRIBUTE: dict[Kind, Callable[[Path, Folder | None, str | None], Annotations]] = {
    "via": read_via,
    "groundtruth": read_groundtruth,
}
_READ_FOLDER: dict[Kind, Callable[[Path], Annotations]] = {
    "kitti": read_kitti,
    "dota": read_dota,
    "visdrone": read_visdrone,
    "labelme": read_labelme,
}
#: The formats whose objects may be flagged, and those of one file, whose paths --root completes.
WITH_FLAGS: tuple[Kind, ...] = ("coco", "voc", "kitti", "dota", "visdrone", "widerface", "crowdhuman", "openimages")
WITH_ROOT: tuple[Kind, ...] = ("coco", *_READ_FILE, *_READ_ATTRIBUTE)
#: Those in which the class of a box is an attribute that may be named.
WITH_ATTRIBUTE: tuple[Kind, ...] = tuple(_READ_ATTRIBUTE)
_DEEPEST = 4  # folders in which nothing but a folder is


def find_format(path: Path) -> Kind | None:
    """Which annotations these are, by what is there; None where they are none."""
    found = next((kind for kind in KINDS if _IS[kind](path)), None)
    # Last, as many a folder of VOC or YOLO has COCO's files too, perhaps of a part of it.
    return "coco" if found is None and is_coco_folder(path) else found


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
    kind: Kind,
    root: Folder | None = None,
    classes: Sequence[str] | None = None,
    flagged: Flagged = "column",
    empty: Empty = "keep",
    attribute: str | None = None,
) -> Source:
    """The images and boxes of annotations of this format.

    root: the folder, also in an archive, where the file names of formats of one file begin. classes: the names in the
    order of their numbers. flagged, empty: see ``BoxSamples``. attribute: of the VGG Image Annotator, which is the
    class; of Ground Truth, the name of the job.

    Raises SourceError, with the file and the entry, for what cannot be understood.
    """
    if root is not None and kind not in WITH_ROOT:
        raise SourceError(f"{path}: --root goes with annotations in one file, such as COCO's, whose paths it completes")
    source = _read(path, kind, root, classes, flagged, empty, attribute)
    if not len(source.samples):
        raise SourceError(f"{path}: no image has an object, and --empty drop leaves out those without")
    return source


def _read(
    path: Path,
    kind: Kind,
    root: Folder | None,
    classes: Sequence[str] | None,
    flagged: Flagged,
    empty: Empty,
    attribute: str | None,
) -> Source:
    if kind == "coco":
        return (read_coco_folder if path.is_dir() else read_coco)(path, root, classes, flagged, empty)
    if kind == "voc":
        return read_voc(path, classes, flagged, empty)
    if kind == "yolo":
        return read_yolo(path, classes, empty)
    if kind == "cvat" and path.is_dir():
        path /= CVAT_FILE
    if kind in WITH_ROOT and not path.is_file():
        raise SourceError(f"{path}: not a file of annotations, as --format {kind} says")
    if kind in _READ_ATTRIBUTE:
        found = _READ_ATTRIBUTE[kind](path, root, attribute)
    elif kind in _READ_FILE:
        found = _READ_FILE[kind](path, root)
    else:
        found = _READ_FOLDER[kind](path)
    return gather(path, found, classes, flagged, empty)
