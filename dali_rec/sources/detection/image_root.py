"""Where the file names in a file of annotations begin."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dali_rec.errors import SourceError
from dali_rec.sources.archives.reader import TAR, ZIP
from dali_rec.sources.file_finder import find_files
from dali_rec.sources.image_names import with_slashes
from dali_rec.sources.leading_folders import has_file, leading_folders, shorten_all, without_leading
from dali_rec.sources.remote import is_url

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dali_rec.sources.archives.folder import ArchiveFolder
    from dali_rec.sources.walk import Folder

_NAMES_TRIED = 20


class MissingImagesError(SourceError):
    """No folder near the annotations has one of the first images."""


def find_images(
    path: Path, names: Sequence[str], root: Folder | None, subset: str, notes: list[str]
) -> tuple[Folder, list[str]]:
    """Where the file names begin, and all of them: in ``root``, or in the folder that has the first, if it is no URL.

    subset: what a folder of these images may be called, such as val2017, near the annotations. The first image that is
    there is looked for, as some may be missing. Folders that stand before all of them are left out where the rest is
    there: see ``leading_folders``. In an archive they are found as those of a table: see ``find_files``. Raises
    MissingImagesError where no folder has one of the first images, and SourceError where several have one of that name.
    """
    names = [with_slashes(name) for name in names]
    if root is not None and not isinstance(root, Path):
        return root, _find_inside(path, names, root, notes)
    if root is None and is_url(names[0]):
        return path.parent, names
    root = root if root is not None else _find_root(path, names, subset)
    row = next((row for row, name in enumerate(names[:_NAMES_TRIED]) if _is_in(root, name)), 0)
    shorter = shorten_all(names, leading_folders(names[row], root))
    if shorter is None or shorter == names:
        return root, names
    notes.append(f"{path}: its images are found elsewhere: {names[row][:80]!r} is {root / shorter[row]}")
    return root, shorter


def _find_inside(path: Path, names: list[str], archive: ArchiveFolder, notes: list[str]) -> list[str]:
    try:
        found = find_files(path, names, archive)
    except ValueError as error:
        raise SourceError(f"{path}: {error} in {archive}; unpack it, and say --root FOLDER") from None
    if found is None:
        raise MissingImagesError(
            f"{path}: its images, {names[0][:100]!r} and so on, are not in {archive}; name the archive that has them"
        )
    notes += found.notes
    return found.locations


def _is_in(folder: Path, name: str) -> bool:
    return has_file(folder, name) or leading_folders(name, folder) is not None


def _find_root(path: Path, names: list[str], subset: str) -> Path:
    """The folder near the annotations that has the first of the images that is there."""
    beside = [path.parent, path.parent / "images", path.parent / subset]
    above = path.parent.parent
    beside += [above / subset, above / "images" / subset, above / "images", above, above / subset.rpartition("_")[2]]
    beside.append(path.parent / "data")  # FiftyOne's
    for name in names[:_NAMES_TRIED]:
        found = {folder: folder / name for folder in beside if has_file(folder, name)}
        if not found:
            counts = {folder: leading_folders(name, folder) for folder in beside}
            found = {
                folder: folder / without_leading(name, count) for folder, count in counts.items() if count is not None
            }
        if not found:
            continue
        folder, file = next(iter(found.items()))
        other = next((one for one, place in found.items() if not place.samefile(file)), None)
        if other is not None:
            raise SourceError(
                f"{path}: its image {name[:100]!r} is in {folder} and in {other}; say --root FOLDER, where the file "
                "names begin"
            )
        return folder
    archives = (place / f"{subset}{suffix}" for place in (path.parent, above) for suffix in (ZIP, TAR))
    archive = next(filter(Path.is_file, archives), None)
    remedy = "FOLDER, or an archive, where the file names begin" if archive is None else str(archive)
    raise MissingImagesError(
        f"{path}: its images, {names[0][:100]!r} and so on, are neither beside it nor in {beside[2]} or {beside[3]}; "
        f"say --root {remedy}"
    )
