"""CUB-200 and data sets of its layout, such as NABirds: lists that give images ids, and ids classes and splits.

images.txt has ``id path`` on each line, image_class_labels.txt ``id class``, train_test_split.txt ``id 1`` for train
and ``id 0`` for test, and classes.txt ``class name``; the paths begin in images/.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from dali_rec.errors import SourceError
from dali_rec.sources.sample import Sample, SampleTable, Source, Split
from dali_rec.sources.text_lines import text_lines

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_IMAGES, _LABELS, _SPLITS, _NAMES = "images.txt", "image_class_labels.txt", "train_test_split.txt", "classes.txt"


def is_cub(path: Path) -> bool:
    """Whether a folder has the lists of CUB-200."""
    return all((path / name).is_file() for name in (_IMAGES, _LABELS, _SPLITS))


def read_cub(path: Path, classes: Sequence[str] | None = None) -> Source:
    """The images of a folder with the lists of CUB-200, in their order, parted into train and test.

    Classes get the numbers 0, 1, 2 … in the order of classes.txt, or of ``classes``; those without images get none, and
    those of one name are one.
    Raises SourceError, with the line, for an image without class or split, and a class without a name.
    """
    images = _read(path / _IMAGES)
    labels, splits = _read(path / _LABELS), _read(path / _SPLITS)
    named = _read(path / _NAMES) if (path / _NAMES).is_file() else {label: label for label in sorted(labels.values())}
    used = set(labels.values())
    found = [name for label, name in named.items() if label in used]
    names = tuple(classes) if classes is not None else tuple(dict.fromkeys(found))
    number_of = {name: float(number) for number, name in enumerate(names)}
    parts: dict[str, list[Sample]] = {"train": [], "test": []}
    for key, location in images.items():
        name = named.get(labels.get(key, ""))
        split = {"1": "train", "0": "test"}.get(splits.get(key, ""))
        if name is None or name not in number_of or split is None:
            lacks = _SPLITS if split is None else _LABELS if key not in labels else "--classes" if classes else _NAMES
            raise SourceError(
                f"{path / _IMAGES}: the image {key}, {location}, has no match in {lacks}; correct one of them"
            )
        parts[split].append(Sample(0, (number_of[name],), f"images/{location}"))
    samples = SampleTable.of(sample for part in parts.values() for sample in part).renumbered()
    middle = len(parts["train"])
    parted = (Split("train", 0, middle), Split("test", middle, len(samples)))
    notes = [
        f"{path}: classes and splits are those of {_LABELS} and {_SPLITS}; pack {path / 'images'} to have no splits"
    ]
    if len(set(found)) < len(found):
        twice = next(name for name, count in Counter(found).items() if count > 1)
        notes.append(f"{path / _NAMES}: several classes are called {twice!r}: they became one class")
    return Source(
        samples,
        str(path),
        names,
        shuffled_by_default=True,
        notes=tuple(notes),
        splits=tuple(split for split in parted if split.start < split.stop),
    )


def _read(path: Path) -> dict[str, str]:
    """What stands behind the first word of each line, by that word. Raises SourceError, with the line."""
    values: dict[str, str] = {}
    for number, line in enumerate(text_lines(path), 1):
        key, _, value = line.strip().partition(" ")
        if not key:
            continue
        if not value or key in values:
            what = "stands twice" if key in values else "has nothing behind it"
            raise SourceError(f"{path}, line {number}: {key[:80]!r} {what}")
        values[key] = value.strip()
    return values
