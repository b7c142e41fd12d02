"""The parts of a YOLO data set by its data.yaml: ``path:``, ``train:``, ``val:`` and ``test:``, as Ultralytics has it.

Each is a folder of images, a .txt with the path of an image on each line, or several of these.
"""

from __future__ import annotations

from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING

from dali_rec.errors import SourceError
from dali_rec.sources.detection.yolo_names import YAML_FILES
from dali_rec.sources.leading_folders import leading_folders, shorten_all
from dali_rec.sources.text_lines import text_lines
from dali_rec.sources.yaml_text import parse_yaml, texts

if TYPE_CHECKING:
    from collections.abc import Iterator

_SPLITS = ("train", "val", "test")
_SUFFIXES = (".yaml", ".yml")


def find_yaml(path: Path) -> Path | None:
    """The .yaml that says where train and val are: the file itself, or that of a folder.

    Raises SourceError for one that is no YAML.
    """
    files = [path / name for name in YAML_FILES] if path.is_dir() else [path]
    for file in files:
        if file.suffix.lower() in _SUFFIXES and file.is_file() and not {"train", "val"}.isdisjoint(_values(file)):
            return file
    return None


def read_yaml(path: Path) -> tuple[Path, list[tuple[str, Path]], tuple[str, ...]]:
    """The folder of the data set, the folders and lists of images by split, and what the user should hear.

    What ``path:`` names is looked for beside the file, and what the splits name in there; a leading ``../`` may be one
    too many, as in those of Roboflow, and slashes may be those of Windows. Raises SourceError for a train or val that
    is not there; a test is left out.
    """
    values = _values(path)
    entries = [(split, entry) for split in _SPLITS for entry in values.get(split, ())]
    named = values.get("path", ())
    inside = [path.parent / one for place in named for one in _spellings(place)]
    inside += [path.parent / PureWindowsPath(place).name for place in named]  # which takes both slashes
    tops = [*inside, path.parent]
    there = filter(Path.is_dir, tops)  # to Windows, gone/../val is there
    top = next((top for top in there if any(_place(top, entry) is not None for _, entry in entries)), path.parent)
    parts, notes = [], []
    for split, entry in entries:
        place = _place(top, entry)
        if place is not None:
            parts.append((split, place))
        elif split == "test":
            notes.append(f"{path}: its test, {entry}, is not there and is left out")
        else:
            raise SourceError(
                f"{path}: its {split}, {entry}, is not there, nor below {' or '.join(dict.fromkeys(map(str, tops)))}; "
                "correct it, or take it out"
            )
    return top, parts, tuple(notes)


def listed_images(path: Path) -> Iterator[tuple[Path, Path]]:
    """The images on the lines of a .txt, relative to it, and their label files: those in labels/ for images/.

    Folders that stand before all of them are left out where the rest is there: see ``leading_folders``.
    """
    lines = [line.strip() for line in text_lines(path) if line.strip()]
    count = leading_folders(lines[0], path.parent) if lines else None
    for line in shorten_all(lines, count) or lines:
        image = path.parent / line
        yield image, labels_of(image).with_suffix(".txt")


def labels_of(image: Path) -> Path:
    """Where the labels of an image or a folder of images are: labels/ for the last images/ on the way, or beside it."""
    parts = list(image.parts)
    if "images" in parts:
        parts[len(parts) - 1 - parts[::-1].index("images")] = "labels"
    return Path(*parts)


def _place(top: Path, entry: str) -> Path | None:
    places = (top / start for one in _spellings(entry) for start in (one, one.removeprefix("../")))
    return next((place for place in places if place.is_dir() or (place.suffix == ".txt" and place.is_file())), None)


def _spellings(path: str) -> list[str]:
    """The path, and with / for the slashes of Windows, if it has some."""
    return list(dict.fromkeys((path, path.replace("\\", "/"))))


def _values(path: Path) -> dict[str, list[str]]:
    found = parse_yaml(path, "\n".join(text_lines(path)))
    return {key: entries for key in ("path", *_SPLITS) if (entries := texts(found.get(key)))}
