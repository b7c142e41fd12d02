"""Which columns of a table are the labels, the location, the id and the split: by their names, or by their order."""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dali_rec.errors import SourceError
from dali_rec.sources.image_names import names_image
from dali_rec.sources.pixels import is_base64, is_pixels
from dali_rec.sources.remote import is_url
from dali_rec.sources.sample import SPLIT_NAMES
from dali_rec.sources.tables.split_column import is_split

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dali_rec.sources.tables.pixel_columns import PixelColumns

_DEFAULT_LABELS, _DEFAULT_LOCATION = ("label",), "location"
DEFAULT_ID = "id"
#: What ``labels`` is for all columns that are nothing else.
ALL_LABELS = ("*",)
#: What helps where there are no labels.
WITHOUT_LABELS = "; --label-column '' does without labels"
#: What else the columns are often called, without blanks, hyphens and underscores.
_LABEL_SYNONYMS = frozenset({"class", "classname", "category"})
_LOCATION_SYNONYMS = frozenset(
    {
        "path",
        "file",
        "filename",
        "filepath",
        "image",
        "imagefile",
        "imagename",
        "imagepath",
        "imageurl",
        "url",
        "sourceref",
    }
)
#: Names of columns that may be those of the files, mostly without an extension, where no other column is.
_FILE_ID_SYNONYMS = (frozenset({"imageid", "imgid", "idcode", "isicid", "img", "imageindex"}), frozenset({"id"}))
# Of pandas' index once it has been written and read again, as is "".
_PANDAS_INDEX = re.compile(r"unnamed:0(?:\.\d+)*")
_BOX_COLUMNS = (
    frozenset({"xmin", "ymin", "xmax", "ymax"}),
    frozenset({"x1", "y1", "x2", "y2"}),
    frozenset({"roi.x1", "roi.y1", "roi.x2", "roi.y2"}),
    frozenset({"x", "y", "width", "height"}),
    frozenset({"bbox"}),
)
#: Of Open Images' labels of whole images, where 0 says that people did not find the class in the image.
_VERIFIED_COLUMNS = ("labelname", "confidence")
_SPLIT_SYNONYMS = frozenset({"split", "datasplit", "subset", "partition", "dataset", "mluse"})
_NEVER_LABELS = _SPLIT_SYNONYMS.union(*_FILE_ID_SYNONYMS)
#: Of columns that say yes or no, as fastai has them.
_SPLIT_FLAGS = frozenset(f"is{name}" for name in SPLIT_NAMES)


@dataclass(frozen=True, slots=True)
class TableOptions:
    """Which columns of a table mean what.

    labels: the columns of the labels, in their order; ("*",) for all that are nothing else, ("",) for none: all get
    label 0. location: the column of the paths, URLs or pixels. id: the column of the ids, if there is one; "" where
    there is none. It must be there if it is called otherwise than "id", and is none if it is the location or a label.
    columns: the names of all columns of a CSV without a header.
    split: the column that says to which split a row belongs; "" where there is none; None for one that is called
    "split" or the like and has train, val and test in it.
    """

    labels: tuple[str, ...] = _DEFAULT_LABELS
    location: str = _DEFAULT_LOCATION
    id: str = DEFAULT_ID
    columns: tuple[str, ...] | None = None
    split: str | None = None


def without_empty_label(options: TableOptions) -> TableOptions:
    """The options with no labels at all where ("",) asks for that."""
    return replace(options, labels=()) if options.labels == ("",) else options


def classes_without_labels(where: str) -> SourceError:
    """The error for names of classes where there are no labels."""
    return SourceError(f"{where}: --classes numbers the names of classes, and there are no labels; leave it out")


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a table.

    names: of all columns, in their order. options: what they mean, by these names, without labels where there are none.
    is_header: whether the first row is where the names stand. notes: what the user should hear. are_file_ids: whether
    the location is a column of ids, which may be the names of files or not. pixels: where a column for each pixel
    stands for that of the location.
    """

    names: tuple[str, ...]
    options: TableOptions
    is_header: bool
    notes: tuple[str, ...] = ()
    are_file_ids: bool = False
    pixels: PixelColumns | None = None


def find_columns(
    where: str, first: Sequence[str], second: Sequence[str] | None, root: str, options: TableOptions
) -> Columns:
    """The columns of a CSV by its first two rows.

    The first row is a header where it has a name that ``options`` or custom knows, and no field that may be an image.
    Names match in capitals or not. Where ``options`` has the defaults, "path", "file", "image", "url" and the like will
    do for "location", "class" and "category" for "label". Two columns without a header are label and location, the one
    that may be an image being the location; before them may stand a whole number, the id, or "train", "TEST" and the
    like, the split.

    where: the file and line of the first row, for messages. second: None where there is no second row. root: what
    relative locations are relative to.

    Raises SourceError where a column is missing or there twice, and where the first row may be a header or not.
    """
    names = tuple(first)
    if options.columns is not None:
        _refuse_twice(options.columns, _wanted(options), "--columns")
        is_header = [*map(_folded, names)] == [*map(_folded, options.columns)]
        return Columns(options.columns, _with_others(options.columns, options), is_header)
    images = [number for number, field in enumerate(names) if _may_be_image(field, root)]
    if not images and any(_is_known(name, options) for name in names):
        return named_columns(where, names, options)
    by_order = _columns_by_order(names, images, options)
    if by_order is None:
        raise _missing(where, options.location, names, "--location-column")
    label = by_order.index(options.labels[0])
    if label in images and names_image(names[label]):
        raise several_images(where, names[label], by_order)
    if images and by_order.index(options.location) not in images:
        raise SourceError(
            f"{where}: {names[images[0]][:80]!r} stands where a label is expected; the columns of a table without a "
            f"header are {', '.join(by_order)}: name them in their order by --columns"
        )
    if not images and second is not None and any(_may_be_image(field, root) for field in second):
        raise SourceError(
            f"{where}: no image among {_shown(names)}, as there is on the next line: if these are the names of "
            f"columns, say which by --label-column and --location-column; if not, name all columns by --columns "
            f"{','.join(by_order)}"
        )
    note = (
        f"{where}: no image among {_shown(names)}, nor on the next line: taken for {', '.join(by_order)}; if these are "
        "names of columns, say which by --label-column and --location-column"
    )
    return Columns(by_order, _with_others(by_order, options), is_header=False, notes=() if images else (note,))


def named_columns(where: str, names: tuple[str, ...], options: TableOptions) -> Columns:
    """The columns of a table by their names, which ``options`` or custom knows.

    A column of ids, such as "image_id", will do for the location where nothing else does, and the only column that is
    nothing else for the label. Raises SourceError, with ``where``, for a column that is missing or there twice.
    """
    location, are_file_ids = _find_location(where, names, options)
    if options.split is None and len(matches := _split_columns(names, options)) > 1:
        raise SourceError(
            f"{where}: {' and '.join(map(repr, matches))} may both be the column of splits: name one by "
            "--split-column, '' for none"
        )
    found = _with_others(names, replace(options, location=location, id=_called(names, options.id)))
    if found.labels == options.labels:
        labels = tuple(_find(where, names, name, "--label-column") for name in options.labels)
        found = replace(found, labels=labels)
    _refuse_twice(names, _wanted(found), where)
    taken = [(location, options.location)]
    if options.labels != ALL_LABELS:
        taken = [*zip(found.labels, options.labels, strict=True), *taken]
    notes = tuple(
        f"{where}: the column {name!r} is taken for {wanted!r}"
        for name, wanted in taken
        if _folded(name) != _folded(wanted)
    )
    if not found.split and options.split is None:
        notes += tuple(
            f"{where}: the column {name!r} is passed over, and all rows become one data set; --split-column {name!r} "
            "makes splits of what it names"
            for name in names
            if _plain(name) in _SPLIT_FLAGS and name not in found.labels
        )
    if options.labels == ALL_LABELS:
        notes += (f"{where}: the labels are {_shown(found.labels)}",)
    others = {_plain(name) for name in names}.difference(map(_plain, found.labels))
    if any(others >= corners for corners in _BOX_COLUMNS):
        notes += (
            f"{where}: the columns of boxes are passed over; --format csv reads corners, write other boxes as COCO",
        )
    return Columns(names, found, is_header=True, notes=notes, are_file_ids=are_file_ids)


def verified_column(columns: Columns) -> str | None:
    """The column that says whether a label holds, as in Open Images; None where there is none, or it is a label."""
    by_plain = {_plain(name): name for name in columns.names}
    found = [by_plain.get(name) for name in _VERIFIED_COLUMNS]
    return None if None in found or found[1] in columns.options.labels else found[1]


def _with_others(names: tuple[str, ...], options: TableOptions) -> TableOptions:
    """With the column of the splits, and what is left for the labels: all where all are wanted, or a single one."""
    split = _find_split(names, options)
    taken = (options.location, options.id, split)
    others = [name for name in names if name not in taken and not _is_index(name) and not _describes(name, names)]
    if options.labels == ALL_LABELS and others:
        return replace(options, split=split, labels=tuple(others))
    is_label = options.labels == _DEFAULT_LABELS and len(others) == 1 and options.location in names
    return replace(options, split=split, labels=tuple(others) if is_label else options.labels)


def _called(names: tuple[str, ...], wanted: str) -> str:
    """The column of this name, or of this name in other capitals; the name itself where there is none."""
    alike = (name for name in names if _folded(name) == _folded(wanted))
    return wanted if wanted in names else next(alike, wanted)


def _is_index(name: str) -> bool:
    """Whether a column is one that only numbers the rows."""
    return _plain(name) in (DEFAULT_ID, "") or _PANDAS_INDEX.fullmatch(_plain(name)) is not None


def _describes(name: str, names: tuple[str, ...]) -> bool:
    """Whether a column only describes another, as in SageMaker's manifests."""
    return name.endswith("-metadata") and name.removesuffix("-metadata") in names


def _find_location(where: str, names: tuple[str, ...], options: TableOptions) -> tuple[str, bool]:
    """The column of the locations, and whether it is one of ids."""
    found = _match(where, names, options.location, "--location-column")
    if found is not None:
        return found, False
    for synonyms in _FILE_ID_SYNONYMS if options.location == _DEFAULT_LOCATION else ():
        ids = [name for name in names if _plain(name) in synonyms and name not in options.labels]
        if len(ids) == 1:
            return ids[0], True
    raise _missing(where, options.location, names, "--location-column")


def several_images(where: str, label: str, names: Sequence[str]) -> SourceError:
    """The error for a label that is an image too, where columns have no names."""
    return SourceError(
        f"{where}: {label[:80]!r} stands where a label is expected, and is an image too; name the columns in their "
        f"order, as in --columns {','.join(names)}"
    )


def _find_split(names: tuple[str, ...], options: TableOptions) -> str:
    """The column of the splits, "" where there is none."""
    if options.split is not None:
        return _called(names, options.split)
    matches = _split_columns(names, options)
    return matches[0] if len(matches) == 1 else ""


def _split_columns(names: tuple[str, ...], options: TableOptions) -> list[str]:
    """What may be the column of the splits; "split" goes before the others."""
    matches = [name for name in names if _plain(name) in _SPLIT_SYNONYMS and name not in options.labels]
    return [name for name in matches if _plain(name) == "split"] or matches


def _find(where: str, names: tuple[str, ...], wanted: str, option: str) -> str:
    """The column that ``wanted`` means. Raises SourceError where there is none."""
    found = _match(where, names, wanted, option)
    if found is None:
        raise _missing(where, wanted, names, option)
    return found


def _match(where: str, names: tuple[str, ...], wanted: str, option: str) -> str | None:
    """The column that ``wanted`` means: of this name, of this name in other capitals, or of a synonym.

    Raises SourceError where there are several.
    """
    if wanted in names:
        return wanted
    for matches in (
        {name for name in names if _folded(name) == _folded(wanted)},
        {name for name in names if _plain(name) in _synonyms(wanted)},
    ):
        if len(matches) > 1:
            raise SourceError(
                f"{where}: {' and '.join(map(repr, sorted(matches)))} may both be the column {wanted!r}: name one by "
                f"{option}"
            )
        if matches:
            return matches.pop()
    return None


def _synonyms(wanted: str) -> frozenset[str]:
    if wanted == _DEFAULT_LOCATION:
        return _LOCATION_SYNONYMS
    return _LABEL_SYNONYMS if (wanted,) == _DEFAULT_LABELS else frozenset()


def _is_known(name: str, options: TableOptions) -> bool:
    wanted = {_folded(one) for one in (options.location, *options.labels)}
    known = _LABEL_SYNONYMS.union(_LOCATION_SYNONYMS, *_FILE_ID_SYNONYMS)
    return _folded(name) in wanted or _plain(name) in known


def is_location_name(name: str) -> bool:
    """Whether a column of this name is by custom that of the locations."""
    return _plain(name) in {_DEFAULT_LOCATION}.union(_LOCATION_SYNONYMS, _FILE_ID_SYNONYMS[0])


def is_path_name(name: str) -> bool:
    """Whether a column of this name is by custom that of the paths, and none of ids."""
    return _plain(name) in _LOCATION_SYNONYMS


def is_no_label(name: str, options: TableOptions) -> bool:
    """Whether a column of this name is one of ids or splits, or numbers the rows."""
    return _is_index(name) or name in (options.id, options.split) or _plain(name) in _NEVER_LABELS


def _columns_by_order(fields: tuple[str, ...], images: Sequence[int], options: TableOptions) -> tuple[str, ...] | None:
    if options.labels != _DEFAULT_LABELS or len(fields) not in (2, 3):
        return None
    before: tuple[str, ...] = ()
    if len(fields) == 3 and fields[0].isdecimal():
        before = (options.id,)
    elif len(fields) == 3 and options.split != "" and is_split(fields[0]):
        before = (options.split or "split",)
    elif len(fields) == 3:
        return None
    pair = (*_DEFAULT_LABELS, options.location)
    return before + (pair[::-1] if list(images) == [len(before)] else pair)


def _may_be_image(field: str, root: str) -> bool:
    """Whether a field is a URL, pixels, base64, a name with an image's extension, or a file that is there."""
    if names_image(field) or is_url(field) or field.startswith("[") or is_pixels(field) or is_base64(field):
        return True
    return os.path.isfile(os.path.join(root, field))  # noqa: PTH113, PTH118  # False for what no file can be called


def _wanted(options: TableOptions) -> tuple[str, ...]:
    return (*options.labels, options.location, *([options.id] if options.id else []))


def _refuse_twice(names: tuple[str, ...], wanted: Iterable[str], where: str) -> None:
    counts = Counter(names)
    for name in wanted:
        if counts[name] > 1:
            raise SourceError(f"{where}: the column {name!r} stands {counts[name]} times; call the others otherwise")


def _missing(where: str, wanted: str, names: tuple[str, ...], option: str) -> SourceError:
    other = next((character for character in ";\t|" if len(names) == 1 and character in names[0]), None)
    if other is not None:
        return SourceError(
            f"{where}: no column {wanted!r} in {_shown(names)}: its columns are parted by {other!r}; a .csv has commas "
            "there, a .tsv tabs"
        )
    others = ", several times for several ('*' for all others, '' for none)" if option == "--label-column" else ""
    return SourceError(
        f"{where}: no column {wanted!r} in {_shown(names)}; name the column by {option}{others}, or all columns of a "
        "CSV without a header by --columns"
    )


def _shown(names: tuple[str, ...]) -> str:
    return repr(", ".join(names)[:80])


def _folded(name: str) -> str:
    return name.strip().casefold()


def _plain(name: str) -> str:
    return _folded(name).translate({ord(character): None for character in " _-"})
