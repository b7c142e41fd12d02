"""Where images and labels come from. Each source yields samples: an id, labels, and where the image is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dali_rec.errors import SourceError
from dali_rec.sources.folder import read_folder
from dali_rec.sources.lst import format_label, format_list, read_list
from dali_rec.sources.sample import Sample, SampleTable, Source

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "Sample",
    "SampleTable",
    "Source",
    "format_label",
    "format_list",
    "open_source",
    "read_folder",
    "read_list",
]


def open_source(path: Path, root: Path | None = None) -> Source:
    """The source at ``path``: a folder of images or a .lst. ``root`` is where the paths of a list begin."""
    if path.is_dir():
        if root is not None:
            raise SourceError(f"{path} is a folder: --root goes with a list, whose paths it completes")
        return read_folder(path)
    if not path.exists():
        raise SourceError(f"{path}: no such file or folder")
    if path.suffix.lower() == ".lst":
        return read_list(path, root)
    raise SourceError(f"{path}: not a folder and not a .lst file; those are what can be packed")
