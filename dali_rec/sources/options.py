"""How a source is read, and which of that goes with which kind of source."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from dali_rec.errors import SourceError
from dali_rec.sources.detection import (
    EMPTY,
    FLAGGED,
    FORMATS,
    KINDS,
    WITH_ATTRIBUTE,
    WITH_FLAGS,
    WITH_ROOT,
    Empty,
    Flagged,
    Format,
)
from dali_rec.sources.folders.name_labels import compile_pattern
from dali_rec.sources.tables.columns import TableOptions

if TYPE_CHECKING:
    import os

    from dali_rec.sources.folders.folder_labels import FolderLabels


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """How to read a source.

    label_pattern: a regular expression whose groups are the labels of a folder's images, by their paths in it.
    root: where the relative paths of a list, table or file of annotations begin: a folder, by default that of the list,
    or an archive.
    labels, classes: see ``read_folder``. table: see ``read_table``. label_width: of a list whose columns are parted by
    any white space, see ``read_list``.
    format: of annotations for object detection; "auto" finds it by what is there. flagged: what becomes of boxes that
    VOC calls difficult and COCO a crowd, and of the like in other formats, empty: of images without objects; see
    ``BoxSamples``.
    """

    root: str | os.PathLike[str] | None = None
    labels: FolderLabels = "levels"
    classes: tuple[str, ...] | None = None
    table: TableOptions = field(default_factory=TableOptions)
    label_width: int | None = None
    format: Format = "auto"
    flagged: Flagged = "column"
    empty: Empty = "keep"
    label_pattern: str | None = None

    def __post_init__(self) -> None:
        if self.labels not in ("levels", "leaf", "top"):
            raise ValueError(f"labels is {self.labels!r}: expected 'levels', 'leaf' or 'top'")
        if self.label_pattern is not None:
            compile_pattern(self.label_pattern)
            if self.labels != "levels":
                raise ValueError("labels are those of folders, or found by label_pattern: choose one")
        for name, choices in (("format", FORMATS), ("flagged", FLAGGED), ("empty", EMPTY)):
            value = getattr(self, name)
            if value not in choices:
                raise ValueError(f"{name} is {value!r}: expected one of {', '.join(map(repr, choices))}")


def refuse_other_options(name: str, kind: str, options: SourceOptions) -> None:
    """Raise SourceError for an option that does not go with this kind of source, and would be passed over."""
    with_classes = (
        *("folder", ".lst", "table", "parquet", "tfrecord", "arrays", "object", "packed", "webdataset"),
        *KINDS,
    )
    only_label = TableOptions(labels=options.table.labels)
    of_shards = replace(only_label, location=options.table.location)
    for kinds, is_given, names, what in (
        (("folder",), options.labels != "levels", "--leaf-labels and --top-labels go", "a folder of classes"),
        (("folder",), options.label_pattern is not None, "--label-pattern goes", "a folder of images"),
        (
            (
                *("table", "parquet", "tfrecord", "arrays", "object"),
                *(WITH_ATTRIBUTE if options.table == only_label else ()),
                *(("webdataset",) if options.table == of_shards else ()),
            ),
            options.table != TableOptions(),
            "--columns, --label-column and the like go",
            "a table",
        ),
        ((".lst",), options.label_width is not None, "--label-width goes", "a .lst"),
        (
            (".lst", "table", "parquet", *WITH_ROOT),
            options.root is not None,
            "--root goes",
            "a list, a table, Parquet, or annotations in one file",
        ),
        (with_classes, options.classes is not None, "--classes goes", "classes"),
        (
            (*WITH_FLAGS, "tfrecord"),
            options.flagged != "column",
            "--flagged goes",
            "COCO and VOC, and formats like these that flag boxes",
        ),
        ((*KINDS, "tfrecord"), options.empty != "keep", "--empty goes", "annotations of boxes"),
    ):
        if is_given and kind not in kinds:
            raise SourceError(f"{name}: {names} with {what}, which this is not; leave it out")
