"""Folders of images: flat, a folder for each class, classes within classes, and any of these under train/val/test."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from dali_rec._numbers import counted
from dali_rec.errors import SourceError
from dali_rec.images import LOADABLE_EXTENSIONS
from dali_rec.sources.archives.reader import TAR, ZIP, refuse_compressed
from dali_rec.sources.arrays.find import is_array
from dali_rec.sources.folders.annotation_files import may_be_annotations, unread_annotations
from dali_rec.sources.folders.folder_labels import FolderLabels, choose_labels
from dali_rec.sources.folders.name_labels import label_by_names
from dali_rec.sources.parquet.row_files import ROW_SUFFIXES
from dali_rec.sources.sample import SPLIT_NAMES, Sample, SampleTable, Source, Split
from dali_rec.sources.walk import Folder, FolderTree, file_in, folder_names, scan, shown, walk

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Folders beside each other in data sets for segmentation.
_PARTS = re.compile(
    r"images?|imgs?|jpegimages|leftimg8bit|masks?|annotations?|labels?|segmentation\w*|gt\w*|ground_?truth"
)
_WORDS = re.compile("[a-z]+")


def read_folder(
    folder: Folder,
    labels: FolderLabels = "levels",
    classes: Sequence[str] | None = None,
    pattern: re.Pattern[str] | None = None,
) -> Source:
    """The images under ``folder``, which may be in an archive, with labels from the names of the folders they lie in.

    labels: "levels" gives one label for each level of folders, numbered by sorted name as torchvision's ImageFolder
        does: one for FOLDER/class/image, two for FOLDER/species/breed/image; a level at which all images lie in folders
        of one name, as in FOLDER/images/class/image, gives none. "leaf" gives one label for each folder that holds
        images, named by its path, "top" one for each folder at the top, whatever lies in it.
    classes: the class names in the order of their numbers, where there is one label; by default sorted.
    pattern: finds the labels in the paths of images instead, as the list of the data set has them (relative to
        ``folder``), whatever folders they lie in: see ``label_by_names``.

    Images that lie directly in a folder without class folders all get label 0, and the notes say so. Where all folders
    at the top are called train, val or test, or as is usual for these, they are splits with one table of classes.
    Symbolic links are followed, without loops; hidden files and folders (see ``is_hidden``), and folders in which a
    data set is being made, are passed over; files with other extensions than the loader's formats are counted in the
    notes.

    Raises SourceError if there are no images, if images lie at different depths and ``labels`` is "levels", if one
    split has class folders and another has none, if a folder is not in ``classes``, or if one cannot be read.
    """
    splits = _split_folders(folder)
    inside = [] if splits else folder_names(folder)
    if len(inside) == 1 and _split_folders(folder / inside[0]):  # as an archive in a folder of its own leaves them
        source = read_folder(folder / inside[0], labels, classes, pattern)
        _, beside = next(walk(folder))
        notes = [f"{folder}: the splits in {inside[0]} are packed", *_left_out(folder, beside)]
        return replace(source, notes=(*notes, *source.notes))
    trees = [scan(folder / name) for _, name in splits] if splits else [scan(folder)]
    if not any(tree.images for tree in trees):
        raise _no_images(folder, [_path(folder, tree, ()) + name for tree in trees for name in tree.others])
    others = [file_in(tree.top, name) for tree in trees for name in tree.others]
    notes = [] if pattern is not None else [note for tree in trees for note in _leave_out_loose(tree)]
    if splits:
        _, beside = next(walk(folder))
        notes += _left_out(folder, beside)
        others += [file_in(folder, name) for name in beside]
    unread = unread_annotations(trees, others)
    if pattern is not None:
        return _by_pattern(folder, trees, splits, pattern, classes, notes, unread)
    labeller = choose_labels(trees, labels, classes)
    if not splits:
        notes += _look_like_no_classes(trees[0], are_levels=labeller.label_classes is not None)
        notes += _splits_below(trees[0])
        notes += _numbered_otherwise(folder, labeller.classes) if classes is None and labels == "levels" else []
    samples, bounds = SampleTable(), []
    for tree in trees:
        start = len(samples)
        for parts, names in tree.images:
            values, path = labeller.of(parts), _path(folder, tree, parts)
            for name in names:
                samples.append(Sample(len(samples), values, path + name))
        bounds.append((start, len(samples)))
    notes += [*_other_files(trees), *unread]
    return Source(
        samples,
        str(folder),
        labeller.classes,
        shuffled_by_default=True,
        notes=(*notes, *labeller.notes),
        splits=_splits(splits, bounds),
        label_classes=labeller.label_classes,
    )


def _by_pattern(
    folder: Folder,
    trees: list[FolderTree],
    splits: list[tuple[str, str]],
    pattern: re.Pattern[str],
    classes: Sequence[str] | None,
    notes: list[str],
    unread: list[str],
) -> Source:
    """The images with labels from their paths, whatever folders they lie in."""
    paths: list[str] = []
    bounds = []
    for tree in trees:
        start = len(paths)
        paths += [_path(folder, tree, parts) + name for parts, names in tree.images for name in names]
        bounds.append((start, len(paths)))
    found = label_by_names(folder, paths, pattern, classes)
    rows = zip(found.rows, paths, strict=True)
    return Source(
        SampleTable.of(Sample(number, labels, path) for number, (labels, path) in enumerate(rows)),
        str(folder),
        found.names[0] if len(found.names) == 1 else None,
        shuffled_by_default=True,
        notes=(*notes, *_other_files(trees), *unread, found.note),
        splits=_splits(splits, bounds),
        label_classes=found.names if len(found.names) > 1 and any(found.names) else None,
    )


def _path(folder: Folder, tree: FolderTree, parts: tuple[str, ...]) -> str:
    """The way from ``folder`` to one in a tree, with a slash at its end unless it is empty."""
    return "".join(f"{part}/" for part in (*([] if tree.top == folder else [tree.top.name]), *parts))


def _splits(splits: list[tuple[str, str]], bounds: list[tuple[int, int]]) -> tuple[Split, ...]:
    return tuple(Split(name, *bound) for (name, _), bound in zip(splits, bounds, strict=True)) if splits else ()


def _other_files(trees: list[FolderTree]) -> list[str]:
    """Say which files were left out as they are no images."""
    others = [name for tree in trees for name in tree.others]
    if not others:
        return []
    return [f"{counted(len(others), 'file')} left out, not images by their extension: {shown(others)}"]


def _split_folders(folder: Folder) -> list[tuple[str, str]]:
    """The (split, folder name) of each folder, if all of them are splits by their names."""
    names = folder_names(folder)
    splits = [(SPLIT_NAMES.get(name.lower()), name) for name in names]
    found = [(split, name) for split, name in splits if split is not None]
    if not found or len(found) < len(names):
        return []
    for split in {split for split, _ in found}:
        same = [name for other, name in found if other == split]
        if len(same) > 1:
            raise SourceError(f"{folder}: the folders {' and '.join(same)} both mean the split {split!r}; rename one")
    return sorted(found, key=lambda item: ("train", "val", "test").index(item[0]))


def _leave_out_loose(tree: FolderTree) -> list[str]:
    """Drop the images beside the class folders, which belong to no class."""
    if tree.depths <= {0}:
        return []
    loose = [name for parts, names in tree.images for name in names if not parts]
    loose += [name for name in tree.others if "/" not in name]
    tree.images = [item for item in tree.images if item[0]]
    tree.others = [name for name in tree.others if "/" in name]
    return _left_out(tree.top, loose)


def _left_out(folder: Folder, files: list[str]) -> list[str]:
    return [f"{counted(len(files), 'file')} directly in {folder} left out: {shown(files)}"] if files else []


def _look_like_no_classes(tree: FolderTree, *, are_levels: bool) -> list[str]:
    """Say it where folders called as splits, somehow after them (cars_train, cars_test), or as masks are labels."""
    found = [name for name in tree.classes if name.lower() in SPLIT_NAMES]
    others = [name for name in tree.classes if name.lower() not in SPLIT_NAMES]
    if found and (are_levels or len({SPLIT_NAMES[name.lower()] for name in found}) > 1):
        return [
            f"{tree.top}: {shown(found)} became labels and no splits, as {shown(others)} lies beside; move that away"
        ]
    drawn = sorted({parts[0] for parts, _ in tree.images if parts and _PARTS.fullmatch(parts[0].lower())})
    if len(drawn) > 1:
        return [f"{tree.top}: {shown(drawn)} became labels; if they are images and what was drawn of them, pack one"]
    like = {
        name: {SPLIT_NAMES[word] for word in _WORDS.findall(name.lower()) if word in SPLIT_NAMES}
        for name in tree.classes
    }
    if len(set().union(*like.values())) < 2:  # one alone may be a class, such as the vehicle
        return []
    told = shown([name for name, splits in like.items() if splits])
    remedy = "pack each by itself, or call them train, val and test, with no other folder beside them"
    return [f"{tree.top}: {told} became labels and no splits: {remedy}"]


def _splits_below(tree: FolderTree) -> list[str]:
    """Say it where folders called as splits lie below others (cat/train, cat/test), and part nothing."""
    for level in range(1, max(tree.depths)):
        names = sorted({parts[level] for parts, _ in tree.images if len(parts) > level})
        if len({SPLIT_NAMES.get(name.lower()) for name in names} - {None}) > 1:
            found = shown([name for name in names if name.lower() in SPLIT_NAMES])
            return [f"{tree.top}: {found} lie below other folders and are no splits: for splits, put them at the top"]
    return []


def _numbered_otherwise(folder: Folder, classes: Sequence[str] | None) -> list[str]:
    """Say it where a split is packed by itself, and another beside it has classes of other numbers."""
    split = SPLIT_NAMES.get(folder.name.lower())
    if split is None or classes is None or not isinstance(folder, Path):
        return []
    top = folder.absolute().parent
    for name in folder_names(top):
        if SPLIT_NAMES.get(name.lower(), split) != split:
            others = folder_names(top / name)
            if others and not set(others).isdisjoint(classes) and others != list(classes):
                note = f"{top / name} has other classes than {folder}, so classes have other numbers: pack {top} whole"
                return [f"{note}, or each with the same --classes FILE"]
    return []


def _no_images(folder: Folder, others: Sequence[str]) -> SourceError:
    ends = (TAR, ZIP, *ROW_SUFFIXES)
    archives = [name for name in others if name.lower().endswith(ends) or is_array(name.rpartition("/")[2])]
    if archives:
        these = "Pack these, or the folder they are in"
        if not any("/" in name for name in archives):  # that is this folder
            these = "Pack these one by one" if len(archives) > 1 else "Pack it by its name"
        remedy = these if isinstance(folder, Path) else "Unpack it, and pack these"
        return SourceError(f"{folder}: no images in it, but {shown(archives)}. {remedy}")
    for name in others if isinstance(folder, Path) else ():
        refuse_compressed(file_in(folder, name))
    lists = [name for name in others if may_be_annotations(name)]
    if lists and not isinstance(folder, Path):
        return SourceError(
            f"{folder}: no images in it, but {shown(lists)}; lists and annotations are not read in archives: unpack "
            "what is to be packed, and give the archive of its images: dali-rec pack FILE OUT --root IMAGES.zip"
        )
    return SourceError(
        f"{folder}: no images in it; expected {folder}/CLASS/IMAGE.jpg or {folder}/IMAGE.jpg, and the extensions "
        + " ".join(sorted(LOADABLE_EXTENSIONS))
    )
