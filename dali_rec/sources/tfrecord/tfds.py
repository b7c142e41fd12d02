"""What TensorFlow Datasets writes beside its TFRecord files: the names of the splits, and those of the classes.

(tensorflow/datasets: core/dataset_info.py, dataset_info.json; core/features/class_label_feature.py, label.labels.txt;
of a feature in another one, such as objects/label, the file is objects-label.labels.txt.)
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from dali_rec.errors import SourceError
from dali_rec.sources.text_lines import text_lines

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_INFO = "dataset_info.json"
_NAMES = ".labels.txt"


def split_names(folder: Path, files: Sequence[str]) -> tuple[str, ...]:
    """The splits that the folder of the first file says to have; none where it says nothing of them."""
    path = (folder / files[0]).parent / _INFO
    if not path.is_file():
        return ()
    try:
        content: Any = json.loads(path.read_bytes())
        names = [one["name"] for one in content["splits"]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return ()
    return tuple(name for name in names if isinstance(name, str))


def class_names(folder: Path, files: Sequence[str], feature: str) -> tuple[str, ...] | None:
    """The names of the classes in a feature, in the order of their numbers; None where they are not there.

    Raises SourceError where the folders of two splits have others.
    """
    found: dict[tuple[str, ...], Path] = {}
    for place in dict.fromkeys((folder / file).parent for file in files):
        path = place / f"{feature.replace('/', '-')}{_NAMES}"
        if path.is_file():
            found.setdefault(tuple(name for line in text_lines(path) if (name := line.strip())), path)
    if len(found) > 1:
        first, second = list(found.values())[:2]
        raise SourceError(f"{second}: other classes than in {first}; pack them one by one")
    return next(iter(found), None)
