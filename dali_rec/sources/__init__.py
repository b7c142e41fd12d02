"""Where images and labels come from. Each source yields samples: an id, labels, and where the image is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dali_rec._files import as_path
from dali_rec.errors import SourceError
from dali_rec.sources.detection import EMPTY, FLAGGED, FORMATS, Empty, Flagged, Format, find_format, read_detection
from dali_rec.sources.folder import FolderLabels, read_folder
from dali_rec.sources.lst import format_label, format_list, read_list
from dali_rec.sources.pairs import PAIRS_SUFFIX, read_pairs
from dali_rec.sources.pixels import PixelTable
from dali_rec.sources.remote import FetchOptions
from dali_rec.sources.rows import TABLE_SUFFIXES
from dali_rec.sources.sample import Sample, SampleTable, Source, Split
from dali_rec.sources.table import TableOptions, read_table

if TYPE_CHECKING:
    import os
    from pathlib import Path

__all__ = [
    "Empty",
    "FetchOptions",
    "Flagged",
    "FolderLabels",
    "Format",
    "PixelTable",
    "Sample",
    "SampleTable",
    "Source",
    "SourceOptions",
    "Split",
    "TableOptions",
    "format_label",
    "format_list",
    "open_source",
    "read_detection",
    "read_folder",
    "read_list",
    "read_pairs",
    "read_table",
]


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """How to read a source.

    root: where the relative paths of a list or table begin; by default beside it. labels, classes: see ``read_folder``.
    table: see ``read_table``. label_width: of a list whose columns are parted by any white space, see ``read_list``.
    format: of annotations for object detection; "auto" finds it by what is there. flagged: what becomes of boxes that
    VOC calls difficult and COCO a crowd, empty: of images without objects; see ``BoxSamples``.
    """

    root: str | os.PathLike[str] | None = None
    labels: FolderLabels = "levels"
    classes: tuple[str, ...] | None = None
    table: TableOptions = field(default_factory=TableOptions)
    label_width: int | None = None
    format: Format = "auto"
    flagged: Flagged = "column"
    empty: Empty = "keep"

    def __post_init__(self) -> None:
        if self.labels not in ("levels", "leaf", "top"):
            raise ValueError(f"labels is {self.labels!r}: expected 'levels', 'leaf' or 'top'")
        for name, choices in (("format", FORMATS), ("flagged", FLAGGED), ("empty", EMPTY)):
            value = getattr(self, name)
            if value not in choices:
                raise ValueError(f"{name} is {value!r}: expected one of {', '.join(map(repr, choices))}")


def open_source(path: Path, options: SourceOptions | None = None) -> Source:
    """The source at ``path``: a folder of images, a .lst, a table, data for detection, or InsightFace's pairs (.bin).

    Tables are .csv, .tsv, .json and .jsonl. A COCO file, and a folder with the parts of VOC or YOLO, are known by what
    is in them, or by ``format``.
    """
    options = options or SourceOptions()
    if not path.exists():
        raise SourceError(f"{path}: no such file or folder")
    root = None if options.root is None else as_path(options.root)
    annotations = find_format(path) if options.format == "auto" else options.format
    if annotations is not None:
        return read_detection(path, annotations, root, options.classes, options.flagged, options.empty)
    if path.is_dir():
        if options.root is not None:
            raise SourceError(f"{path} is a folder: --root goes with a list, whose paths it completes")
        return read_folder(path, options.labels, options.classes)
    if path.suffix.lower() == ".lst":
        return read_list(path, root, options.label_width)
    if path.suffix.lower() in TABLE_SUFFIXES:
        return read_table(path, root, options.table, options.classes)
    if path.suffix.lower() == PAIRS_SUFFIX:
        if root is not None:
            raise SourceError(f"{path} holds its images: --root goes with a list, whose paths it completes")
        return read_pairs(path)
    raise SourceError(
        f"{path}: not a folder, .lst, {', '.join((*TABLE_SUFFIXES, PAIRS_SUFFIX))}; those are what can be packed"
    )
