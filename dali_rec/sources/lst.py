r"""MXNet's .lst: ``id\tlabel[\tlabel…]\tpath``, one image a line, as im2rec.py reads and writes it."""

from __future__ import annotations

import itertools
import math
from array import array
from typing import TYPE_CHECKING

import numpy as np

from dali_rec._numbers import counted, parse_float, parse_int
from dali_rec.errors import SourceError
from dali_rec.recordio.header import MAX_ID
from dali_rec.sources.image_names import with_slashes
from dali_rec.sources.sample import Sample, SampleTable, Source
from dali_rec.sources.text_lines import refuse_utf_16

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from dali_rec.sources.walk import Folder

_MIN_COLUMNS = 3
_LINES_AT_ONCE = 8192


def read_list(path: Path, root: Folder | None = None, label_width: int | None = None) -> Source:
    """The images that a .lst names, in its order and under its ids; paths are relative to ``root`` or to the list.

    label_width: the columns are parted by any white space, as the C++ im2rec has it, and so many of them are labels.

    Raises SourceError, with the line, for a line that is not id, labels and path parted by tabs, and for an id that
    stands twice.
    """
    samples = SampleTable()
    numbers = array("Q")
    for number, line in _lines(path):
        samples.append(_parse(line, f"{path}, line {number}", label_width))
        numbers.append(number)
    if not len(samples):
        raise SourceError(f"{path}: the list is empty")
    _refuse_repeated_ids(path, samples, numbers)
    return Source(samples, str(root if root is not None else path.parent), keys_are_given=True)


def _refuse_repeated_ids(path: Path, samples: SampleTable, numbers: array[int]) -> None:
    keys = samples.keys
    order = np.argsort(keys, kind="stable")
    repeats = order[1:][keys[order[1:]] == keys[order[:-1]]]
    if len(repeats):
        row = int(repeats.min())
        first = int((keys == keys[row]).argmax())
        raise SourceError(
            f"{path}, line {numbers[row]}: id {keys[row]} stands on line {numbers[first]} already; "
            "an id names one record: number the lines anew"
        )


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    with path.open("rb") as beginning:
        refuse_utf_16(path, beginning.read(2))
    # newline="\n": a lone carriage return may stand in a file name.
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="\n") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield number, line.rstrip("\n").removesuffix("\r")


def _parse(line: str, where: str, label_width: int | None) -> Sample:
    columns = line.split("\t") if label_width is None else line.strip().split(None, label_width + 1)
    if label_width is not None and len(columns) < label_width + 2:
        raise SourceError(f"{where}: {line[:80]!r} is not an id, {label_width} labels and a path")
    if len(columns) < _MIN_COLUMNS:
        raise SourceError(
            f"{where}: {line[:80]!r} is not 'id<TAB>label<TAB>path': it has {counted(len(columns), 'column')}; "
            "--label-width reads columns parted by blanks"
        )
    try:
        key = _whole_number(columns[0])
    except ValueError:
        raise SourceError(f"{where}: id {columns[0]!r} is not a whole number from 0 up") from None
    try:
        labels = tuple(map(parse_float, columns[1:-1]))
    except ValueError:
        raise SourceError(
            f"{where}: the labels {columns[1:-1]} are not all numbers; text labels need a class folder or numbers"
        ) from None
    if not all(math.isfinite(label) for label in labels):
        raise SourceError(f"{where}: the labels {columns[1:-1]} are not all finite numbers")
    location = columns[-1]
    if not location.strip():
        raise SourceError(f"{where}: the path is empty")
    return Sample(key, labels, with_slashes(location))


def _whole_number(text: str) -> int:
    # im2rec.py reads ids by int(), lists written by other tools have them as 12.0.
    if "." in text:
        value = parse_float(text)
        number = int(value) if value.is_integer() else -1
    else:
        number = parse_int(text)
    if not 0 <= number <= MAX_ID:
        raise ValueError(text)
    return number


def format_list(samples: Iterable[Sample]) -> Iterator[bytes]:
    """The bytes of a .lst that ``read_list`` reads back to these samples, many lines at a time."""
    lines = (
        "\t".join([str(sample.key), *map(format_label, sample.labels), sample.location]) + "\n" for sample in samples
    )
    while text := "".join(itertools.islice(lines, _LINES_AT_ONCE)):
        yield text.encode("utf-8", "surrogateescape")


def format_label(label: float) -> str:
    """A label as short as reads back to the same float32: ``3``, ``0.25``."""
    return str(int(label)) if label.is_integer() else str(np.float32(label))
