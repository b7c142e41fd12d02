"""What the lines of a .txt are: a path and labels, a path alone, or columns under a line of names."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dali_rec.errors import SourceError
from dali_rec.sources.image_names import names_image, with_slashes
from dali_rec.sources.tables.columns import (
    ALL_LABELS,
    WITHOUT_LABELS,
    Columns,
    TableOptions,
    is_location_name,
    named_columns,
    several_images,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

_WORD = re.compile(r"\S+")
_NUMBERS = re.compile(r"[-+]?[\d.,]+(?:[eE][-+]?\d+)?")  # one, or several with commas between them


@dataclass(frozen=True, slots=True)
class TextLayout:
    """The columns of a .txt, how many lines stand before its rows, and whether labels are the folders of paths."""

    columns: Columns
    before: int = 0
    labels_are_folders: bool = False


def find_layout(path: str, lines: Sequence[str], root: str, options: TableOptions) -> TextLayout:
    """The layout by the first three lines, of which there is one at least.

    A path and as many labels as ``options`` names stand on each line, with blanks between them, and in a label that is
    the only one (see ``path_and_label``); or a path alone, and its folder is the label. The columns may have names on
    the first line, or on the second after their number of rows, as those of CelebA and DeepFashion have; a column of
    the paths without a name comes before them.

    Raises SourceError where there are more fields than that, and for columns that are not there.
    """
    fields = [line.split() for line in lines]
    is_counted = len(lines) > 2 and len(fields[0]) == 1 and fields[0][0].isdecimal() and len(fields[2]) > 1
    names = fields[1] if is_counted else fields[0]
    if is_counted and len(fields[2]) == len(names) + 1:
        names = [options.location, *names]
    is_header = len(lines) > 1 and any(map(is_location_name, names)) and not any(map(names_image, names))
    if is_counted or is_header:
        before = 2 if is_counted else 1
        return TextLayout(named_columns(f"{path}, line {before}", tuple(names), options), before)
    if len(fields[0]) == 2 and names_image(lines[0]) and _is_file(root, fields[0][1]) and not _is_file(root, lines[0]):
        raise SourceError(
            f"{path}, line 1: the image stands behind {fields[0][0][:80]!r}; name the columns in their order, as in "
            f"--columns {(*options.labels, 'label')[0].replace(ALL_LABELS[0], 'label')},{options.location}"
        )
    if len(fields[0]) == 1 or (names_image(lines[0]) and not _is_file(root, fields[0][0])):
        return TextLayout(
            Columns((options.location,), options, is_header=False), labels_are_folders=bool(options.labels)
        )
    columns = (options.location, *options.labels)
    location = lines[0].rsplit(maxsplit=len(options.labels))[0]
    more = len(fields[0]) - len(columns)
    others = (f"other{number}" for number in range(more))
    example = ",".join((*columns, *others)).replace(ALL_LABELS[0], "label")
    is_whole = len(columns) == 2 and path_and_label(location, fields[0][-1], root) is not None
    what = "and a label" if options.labels else "alone"
    if more > 0 and not is_whole and not names_image(location) and not _is_file(root, location):
        raise SourceError(
            f"{path}, line 1: {len(fields[0])} fields, {lines[0][:80]!r}; expected a path {what}. Name all columns in "
            f"their order, as in --columns {example[:200]}"
        )
    if names_image(location) and names_image(fields[0][-1]):
        raise several_images(f"{path}, line 1", fields[0][-1], columns)
    are_file_ids = not any(map(names_image, fields[0]))
    return TextLayout(Columns(columns, options, is_header=False, are_file_ids=are_file_ids))


def path_and_label(before: str, last: str, root: str) -> tuple[str, str] | None:
    """The path and the label of a line, of which ``last`` is the last word and ``before`` what stands before it.

    Both may hold blanks: the path ends with the first word that ends as an image's file does; where none does, it is
    the first word, or all of ``before`` if that is a file below ``root``. None where several numbers end the line,
    which are columns and no label.
    """
    words = list(_WORD.finditer(before))
    at = next((number for number, word in enumerate(words) if names_image(word[0])), None)
    if len(words) < 2 or at == len(words) - 1 or (at is None and _is_file(root, before)):
        return before, last
    if _NUMBERS.fullmatch(words[-1][0]) and _NUMBERS.fullmatch(last):
        return None
    end = words[at or 0].end()
    return before[:end], f"{before[end:].strip()} {last}"


def folder_of(location: str, where: str) -> str:
    """The folder that an image lies in, which is its label. Raises SourceError where there is none."""
    folder = with_slashes(location).strip("/").rpartition("/")[0]
    if not folder:
        raise SourceError(
            f"{where}: {location[:80]!r} has no label behind it, nor a folder that could be one; pack a table of "
            f"labels{WITHOUT_LABELS}"
        )
    return folder


def shared_folders(folders: Sequence[str]) -> int:
    """How many characters are those of folders above all of these, which tell none apart."""
    shared = 0
    for names in zip(*(folder.split("/")[:-1] for folder in folders), strict=False):
        if len(set(names)) > 1:
            break
        shared += len(names[0]) + 1
    return shared


def _is_file(root: str, location: str) -> bool:
    return os.path.isfile(os.path.join(root, location))  # noqa: PTH113, PTH118  # False for what no file can be called
