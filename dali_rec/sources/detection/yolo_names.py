"""The class names of a YOLO data set: ``names:`` of data.yaml, or classes.txt."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from dali_rec.errors import SourceError
from dali_rec.sources.text_lines import text_lines
from dali_rec.sources.yaml_text import parse_yaml

if TYPE_CHECKING:
    from pathlib import Path

#: What a .yaml is called that a folder has.
YAML_FILES = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
_TEXT_FILES = ("classes.txt", "obj.names", "_darknet.labels")
_TEXT_FOLDERS = ("", "labels", "train")


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
    return any("kpt_shape" in _values(file) for file in _yaml_files(path))


def _yaml_files(path: Path) -> list[Path]:
    return [path] if path.is_file() else [path / name for name in YAML_FILES if (path / name).is_file()]


def _values(path: Path) -> dict[str, Any]:
    return parse_yaml(path, "\n".join(text_lines(path)))


def _of_yaml(path: Path) -> tuple[str, ...] | None:
    values = _values(path)
    if "names" not in values:
        return None
    names = _in_order(path, values["names"])
    for name in names:
        if not isinstance(name, str) or not name:
            raise SourceError(f"{path}: expected a list of names, found {name!r} in it")
    count = values.get("nc")
    if count is not None and count != str(len(names)):
        raise SourceError(f"{path}: nc is {count}, and there are {len(names)} names")
    return tuple(names)


def _in_order(path: Path, names: Any) -> list[Any]:
    """The names of a list, or of a mapping whose keys are their numbers."""
    if isinstance(names, list):
        numbered = dict(enumerate(names))
    elif isinstance(names, dict) and all(key.isdecimal() for key in names):
        numbered = {int(key): name for key, name in names.items()}
    else:
        raise SourceError(f"{path}: names: expected a list, or 0: NAME and so on, found {str(names)[:40]!r}")
    if sorted(numbered) != list(range(len(numbered))) or not numbered:
        raise SourceError(f"{path}: the names have the numbers {sorted(numbered)[:8]}, expected 0, 1, 2 …")
    return [numbered[number] for number in range(len(numbered))]
