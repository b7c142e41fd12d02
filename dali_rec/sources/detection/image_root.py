"""Where the file names in a file of annotations begin."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dali_rec.errors import SourceError
from dali_rec.sources.leading_folders import leading_folders, shorten_all, without_leading
from dali_rec.sources.remote import is_url

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def find_images(
    path: Path, names: Sequence[str], root: Path | None, subset: str, notes: list[str]
) -> tuple[Path, list[str]]:
    """Where the file names begin, and all of them: in ``root``, or in the folder that has the first, if it is no URL.

    subset: what a folder of these images may be called, such as val2017, near the annotations. Folders that stand
    before all of them are left out where the rest is there: see ``leading_folders``. Raises SourceError where no folder
    has the first image, and where several have one of that name.
    """
    names = list(names)
    if root is None and is_url(names[0]):
        return path.parent, names
    root = root if root is not None else _find_root(path, names[0], subset)
    shorter = shorten_all(names, leading_folders(names[0], root))
    if shorter is None or shorter == names:
        return root, names
    notes.append(f"{path}: its images are found elsewhere: {names[0][:80]!r} is {root / shorter[0]}")
    return root, shorter


def _find_root(path: Path, first: str, subset: str) -> Path:
    """The folder near the annotations that has the first image."""
    beside = [path.parent, path.parent / "images", path.parent / subset]
    above = path.parent.parent
    beside += [above / subset, above / "images" / subset, above / "images", above, above / subset.rpartition("_")[2]]
    # os.path, which says no to a name with a null character where a Path raises.
    found = {folder: folder / first for folder in beside if os.path.isfile(folder / first)}  # noqa: PTH113
    if not found:
        counts = {folder: leading_folders(first, folder) for folder in beside}
        found = {
            folder: folder / without_leading(first, count) for folder, count in counts.items() if count is not None
        }
    folder, file = next(iter(found.items()), (None, None))
    other = next((one for one, place in found.items() if file is not None and not place.samefile(file)), None)
    if other is not None:
        raise SourceError(
            f"{path}: its first image, {first[:100]!r}, is in {folder} and in {other}; say --root FOLDER, where the "
            "file names begin"
        )
    if folder is not None:
        return folder
    raise SourceError(
        f"{path}: its first image, {first[:100]!r}, is neither beside it nor in {beside[2]} or {beside[3]}; say "
        "--root FOLDER, where the file names begin"
    )
