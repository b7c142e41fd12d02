"""The class names of a YOLO data set: ``names:`` of data.yaml, or classes.txt."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from dali_rec.errors import SourceError
from dali_rec.sources.detection.yaml_forms import numbered_texts, without_comment
from dali_rec.sources.text_lines import text_lines

if TYPE_CHECKING:
    from pathlib import Path

#: What a .yaml is called that a folder has.
YAML_FILES = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
_TEXT_FILES = ("classes.txt", "obj.names", "_darknet.labels")
_TEXT_FOLDERS = ("", "labels", "train")
_KEY = re.compile(r"names\s*:(.*)")
_KEYPOINTS = re.compile(r"kpt_shape\s*:")
_COUNT = re.compile(r"nc\s*:\s*(\d+)")


def read_names(path: Path) -> tuple[str, ...] | None:
    """The names in the order of their numbers, of a folder or a .yaml; None where no file has them.

    Raises SourceError, with the line, where they cannot be understood.
    """
    for file in _yaml_files(path):
        names = _of_yaml(file)
        if names is not None:
            return names
    folder = path.parent if path.is_file() else path
    for name in (os.path.join(inside, name) for inside in _TEXT_FOLDERS for name in _TEXT_FILES):  # noqa: PTH118
        if (folder / name).is_file():
            lines = [line.strip() for line in text_lines(folder / name)]
            while lines and not lines[-1]:
                lines.pop()
            if lines and all(lines):
                return tuple(lines)
            raise SourceError(f"{folder / name}: {'an empty line between the names' if lines else 'no names in it'}")
    return None


def has_keypoints(path: Path) -> bool:
    """Whether data.yaml says that keypoints stand behind each box (``kpt_shape:``), which look like an outline."""
    return any(_KEYPOINTS.match(line) for file in _yaml_files(path) for line in text_lines(file))


def _yaml_files(path: Path) -> list[Path]:
    return [path] if path.is_file() else [path / name for name in YAML_FILES if (path / name).is_file()]


def _of_yaml(path: Path) -> tuple[str, ...] | None:
    lines = [without_comment(line) for line in text_lines(path)]
    at = next((number for number, line in enumerate(lines) if _KEY.fullmatch(line)), None)
    if at is None:
        return None
    match = _KEY.fullmatch(lines[at])
    rest = match[1].strip() if match else ""
    numbered = numbered_texts(path, at, rest, lines)
    if sorted(numbered) != list(range(len(numbered))) or not numbered:
        raise SourceError(
            f"{path}, line {at + 1}: the names have the numbers {sorted(numbered)[:8]}, expected 0, 1, 2 …"
        )
    names = tuple(numbered[number] for number in range(len(numbered)))
    counts = [int(found[1]) for found in map(_COUNT.fullmatch, lines) if found]
    if counts and counts[0] != len(names):
        raise SourceError(f"{path}: nc is {counts[0]}, and there are {len(names)} names")
    return names
