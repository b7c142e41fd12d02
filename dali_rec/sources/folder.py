"""Folders of images: flat, a folder for each class, classes within classes, and any of these under train/val/test."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from dali_rec._files import is_work_folder
from dali_rec.errors import SourceError
from dali_rec.images import LOADABLE_EXTENSIONS
from dali_rec.sources.sample import Sample, SampleTable, Source, Split

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

FolderLabels = Literal["levels", "leaf", "top"]

#: The usual names of split folders, and what the split is called.
SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}
#: What macOS puts into its archives, and Synology's disks into every folder: names of images that are none.
_FOREIGN_FOLDERS = ("__MACOSX", "@eaDir")
#: Folders beside each other in data sets for segmentation.
_PARTS = frozenset({"images", "image", "imgs", "masks", "mask", "annotations", "labels", "segmentations", "gt"})
#: What may have the labels of images that lie in no folders.
_TABLES = (".csv", ".tsv", ".jsonl", ".json")
#: Files that hold many images, and what to do with them.
ARCHIVES = (".parquet", ".arrow", ".tar")
LOAD_ARCHIVES = "Load it with datasets.load_dataset of Hugging Face, and give that to dali_rec.pack (docs/packing.md)"
_SHOWN = 5
_WORDS = re.compile("[a-z]+")


@dataclass(slots=True)
class _Tree:
    """What was found under one folder: image names by folder, as parts of the path from the top."""

    top: Path
    images: list[tuple[tuple[str, ...], list[str]]] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)

    @property
    def depths(self) -> set[int]:
        return {len(parts) for parts, _ in self.images}


def read_folder(folder: Path, labels: FolderLabels = "levels", classes: Sequence[str] | None = None) -> Source:
    """The images under ``folder`` with labels from the names of the folders that they lie in.

    labels: "levels" gives one label for each level of folders, numbered by sorted name as torchvision's ImageFolder
        does: one for FOLDER/class/image, two for FOLDER/species/breed/image; a level at which all images lie in folders
        of one name, as in FOLDER/images/class/image, gives none. "leaf" gives one label for each folder that holds
        images, named by its path, "top" one for each folder at the top, whatever lies in it.
    classes: the class names in the order of their numbers, where there is one label; by default sorted.

    Images that lie directly in a folder without class folders all get label 0, and the notes say so. Where all folders
    at the top are called train, val or test, or as is usual for these, they are splits with one table of classes.
    Symbolic links are followed, without loops; hidden files and folders (a leading dot, or __MACOSX and @eaDir), and
    folders in which a data set is being made, are passed over; files with other extensions than the loader's formats
    are counted in the notes.

    Raises SourceError if there are no images, if images lie at different depths and ``labels`` is "levels", if one
    split has class folders and another has none, if a folder is not in ``classes``, or if one cannot be read.
    """
    splits = _split_folders(folder)
    inside = [] if splits else _folders(folder)
    if len(inside) == 1 and _split_folders(folder / inside[0]):  # as an archive in a folder of its own leaves them
        source = read_folder(folder / inside[0], labels, classes)
        return replace(source, notes=(f"{folder}: the splits in {inside[0]} are packed", *source.notes))
    trees = [_scan(folder / name) for _, name in splits] if splits else [_scan(folder)]
    if not any(tree.images for tree in trees):
        raise _no_images(folder, [name for tree in trees for name in tree.others])
    notes = [note for tree in trees for note in _leave_out_loose(tree)]
    if splits:
        _, beside = next(walk(folder))
        notes += _left_out(folder, beside)
    labeller = _choose_labels(trees, labels, classes)
    if not splits:
        notes += _look_like_no_classes(trees[0], are_levels=labeller.label_classes is not None)
    samples, bounds = SampleTable(), []
    for tree in trees:
        start = len(samples)
        prefix = "" if tree.top == folder else f"{tree.top.name}/"
        for parts, names in tree.images:
            values = labeller.of(parts)
            path = prefix + "".join(f"{part}/" for part in parts)
            for name in names:
                samples.append(Sample(len(samples), values, path + name))
        bounds.append((start, len(samples)))
    others = [name for tree in trees for name in tree.others]
    if others:
        notes.append(f"{len(others)} files that are not images by their extension were left out: {_some(others)}")
    return Source(
        samples,
        str(folder),
        labeller.classes,
        shuffled_by_default=True,
        notes=(*notes, *labeller.notes),
        splits=tuple(Split(name, *bound) for (name, _), bound in zip(splits, bounds, strict=True)) if splits else (),
        label_classes=labeller.label_classes,
    )


def _split_folders(folder: Path) -> list[tuple[str, str]]:
    """The (split, folder name) of each folder, if all of them are splits by their names."""
    names = _folders(folder)
    splits = [(SPLIT_NAMES.get(name.lower()), name) for name in names]
    found = [(split, name) for split, name in splits if split is not None]
    if not found or len(found) < len(names):
        return []
    for split in {split for split, _ in found}:
        same = [name for other, name in found if other == split]
        if len(same) > 1:
            raise SourceError(f"{folder}: the folders {' and '.join(same)} both mean the split {split!r}; rename one")
    return sorted(found, key=lambda item: ("train", "val", "test").index(item[0]))


def _folders(folder: Path) -> list[str]:
    """The names of the folders in ``folder`` that are not hidden, sorted."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if is_folder(entry) and _is_seen(entry))
    except OSError as error:
        raise unreadable(folder, error) from None


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether it is a folder, or a link to one.

    A link that leads nowhere, to itself or to where nobody may look counts as a file: packing says why it is rejected.
    """
    try:
        return entry.is_dir()
    except OSError:
        return False


def unreadable(folder: str | os.PathLike[str], error: OSError) -> SourceError:
    """The error for a folder whose names cannot be had, which may hold any number of images."""
    return SourceError(
        f"{os.fspath(folder)}: cannot be read ({error.strerror or error}); get the right to read and enter it "
        "(chmod u+rx), or move it out of the way"
    )


def _scan(top: Path) -> _Tree:
    tree = _Tree(top)
    for parts, names in walk(top):
        images = [name for name in names if _is_image(name)]
        tree.others += ["/".join((*parts, name)) for name in names if not _is_image(name)]
        if images:
            tree.images.append((parts, images))
        if len(parts) == 1:
            tree.classes.append(parts[0])
    return tree


def walk(
    folder: Path, parts: tuple[str, ...] = (), above: frozenset[tuple[int, int]] = frozenset()
) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """Each folder that is not hidden with the names of its files, sorted; links are followed, without loops.

    parts: the way to ``folder`` from where it began. above: identifies the folders on that way.
    """
    folders: list[str] = []
    files: list[str] = []
    try:
        status = folder.stat()
        identity = (status.st_dev, status.st_ino)
        if identity in above:
            return  # a symbolic link back up
        with os.scandir(folder) as entries:
            for entry in entries:
                if _is_seen(entry):
                    (folders if is_folder(entry) else files).append(entry.name)
    except OSError as error:
        raise unreadable(folder, error) from None
    yield parts, sorted(files)
    for name in sorted(folders):
        yield from walk(folder / name, (*parts, name), above | {identity})


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is passed over, as it is none of the user's."""
    return name.startswith(".") or name in _FOREIGN_FOLDERS


def _is_seen(entry: os.DirEntry[str]) -> bool:
    return not is_hidden(entry.name) and not is_work_folder(entry)


def _leave_out_loose(tree: _Tree) -> list[str]:
    """Drop the images beside the class folders, which belong to no class."""
    if tree.depths <= {0}:
        return []
    loose = [name for parts, names in tree.images for name in names if not parts]
    loose += [name for name in tree.others if "/" not in name]
    tree.images = [item for item in tree.images if item[0]]
    tree.others = [name for name in tree.others if "/" in name]
    return _left_out(tree.top, loose)


def _left_out(folder: Path, files: list[str]) -> list[str]:
    return [f"{len(files)} files directly in {folder} were left out: {_some(files)}"] if files else []


def _look_like_no_classes(tree: _Tree, *, are_levels: bool) -> list[str]:
    """Say it where folders called as splits, somehow after them (cars_train, cars_test), or as masks are labels."""
    found = [name for name in tree.classes if name.lower() in SPLIT_NAMES]
    others = [name for name in tree.classes if name.lower() not in SPLIT_NAMES]
    if found and are_levels:
        return [f"{tree.top}: {_some(found)} became labels and no splits, as {_some(others)} lies beside; move it away"]
    drawn = sorted({parts[0] for parts, _ in tree.images if parts and parts[0].lower() in _PARTS})
    if len(drawn) > 1:
        return [f"{tree.top}: {_some(drawn)} became labels; if they are images and what was drawn of them, pack one"]
    like = {
        name: {SPLIT_NAMES[word] for word in _WORDS.findall(name.lower()) if word in SPLIT_NAMES} for name in others
    }
    if len(set().union(*like.values())) < 2:  # one alone may be a class, such as the vehicle
        return []
    told = _some([name for name, splits in like.items() if splits])
    remedy = "pack each by itself, or call them train, val and test, with no other folder beside them"
    return [f"{tree.top}: {told} became labels and no splits: {remedy}"]


@dataclass(frozen=True, slots=True)
class _Labeller:
    """Gives the labels of a folder, by its parts."""

    of: Callable[[tuple[str, ...]], tuple[float, ...]]
    classes: tuple[str, ...] | None = None
    label_classes: tuple[tuple[str, ...] | None, ...] | None = None
    notes: tuple[str, ...] = ()


def _choose_labels(trees: list[_Tree], labels: FolderLabels, classes: Sequence[str] | None) -> _Labeller:
    depths = set().union(*(tree.depths for tree in trees))
    if depths == {0}:
        count = sum(len(names) for tree in trees for _, names in tree.images)
        note = f"{trees[0].top} has no class folders in it: its {count} images all get label 0"
        tables = [tree.top / name for tree in trees for name in tree.others if name.lower().endswith(_TABLES)]
        hint = f"; if {tables[0]} has their labels, pack that" if tables else ""
        return _Labeller(lambda _parts: (0.0,), notes=(note + hint,))
    if 0 in depths:
        raise _flat_split(trees)
    if labels != "levels" or len(depths) > 1:
        _refuse_other_layouts(trees)
    if labels == "leaf":
        return _single_column(trees, "/".join, classes, [])
    if labels == "top" or depths == {1}:
        return _single_column(trees, lambda parts: parts[0], classes, [name for tree in trees for name in tree.classes])
    if len(depths) > 1:
        raise _ragged(trees)
    found = [sorted(set(level)) for level in zip(*(parts for tree in trees for parts, _ in tree.images), strict=True)]
    levels = [level for level, names in enumerate(found) if len(names) > 1] or [len(found) - 1]
    if len(levels) == 1 and any(name.lower() in SPLIT_NAMES for name in found[levels[0]]):
        levels = list(range(len(found)))
    if len(levels) == 1:
        return _only_level(trees, levels[0], classes)
    if classes is not None:
        raise SourceError(
            f"{trees[0].top}: its folders have several levels, and --classes names those of one; say --leaf-labels or "
            "--top-labels"
        )
    columns = tuple(tuple(found[level]) for level in levels)
    numbers = [{name: float(number) for number, name in enumerate(names)} for names in columns]
    note = (
        f"{trees[0].top}: {len(columns)} labels an image, one for each level of folders ("
        + " / ".join(map(_some, columns))
        + "); --leaf-labels and --top-labels give one"
    )
    return _Labeller(
        lambda parts: tuple(table[parts[level]] for table, level in zip(numbers, levels, strict=True)),
        label_classes=columns,
        notes=(note,),
    )


def _only_level(trees: list[_Tree], level: int, classes: Sequence[str] | None) -> _Labeller:
    """One label, of the level at which folders differ."""
    empty = [name for tree in trees for name in tree.classes] if level == 0 else []
    labeller = _single_column(trees, lambda parts: parts[level], classes, empty)
    others = [name for number, name in enumerate(trees[0].images[0][0]) if number != level]
    note = f"{trees[0].top}: all images lie in folders called {' and '.join(others)}, which became no label"
    return replace(labeller, notes=(note, *labeller.notes))


def _refuse_other_layouts(trees: list[_Tree]) -> None:
    """Raise SourceError for a split whose folders are not those of another: val/images beside train/CLASS/images."""
    first = next(tree for tree in trees if tree.images)
    of_first = {name for parts, _ in first.images for name in parts}
    for tree in trees:
        inside = {parts[0] for parts, _ in tree.images}
        if inside and not tree.depths & first.depths and not inside & {parts[0] for parts, _ in first.images}:
            like = f", as {first.top} has" if len(of_first) > 1 else ""
            raise SourceError(
                f"{tree.top} has no folders of classes{like}, but {_some(sorted(inside))}: move its images into class "
                f"folders, or pack {first.top} by itself and {tree.top} by a list or table of its labels"
            )


def _single_column(
    trees: list[_Tree], name_of: Callable[[tuple[str, ...]], str], classes: Sequence[str] | None, more: list[str]
) -> _Labeller:
    """One label: the number of the class that ``name_of`` names. Folders without images (``more``) keep a number."""
    with_images = {name_of(parts): parts for tree in trees for parts, _ in tree.images}
    found = sorted(with_images.keys() | set(more))
    if classes is None:
        names = tuple(found)
    else:
        names = tuple(classes)
        unknown = [name for name in found if name not in set(names)]
        if unknown:
            raise SourceError(f"{trees[0].top}: {len(unknown)} folders are not in --classes: {_some(unknown)}")
    numbers = {name: float(number) for number, name in enumerate(names)}
    empty = [name for name in names if name not in with_images]
    notes = [f"{len(empty)} classes have no images: {_some(empty)}"] if empty else []
    first = {name_of(parts) for parts, _ in trees[0].images}
    if len(with_images) == 1:
        notes.append(f"{trees[0].top}: all images are of one class, {next(iter(with_images))!r}")
    new = [name for name in names if name in with_images and name not in first]
    if new:
        notes.append(f"{len(new)} classes have no images in {trees[0].top} and keep a number: {_some(new)}")
    return _Labeller(lambda parts: (numbers[name_of(parts)],), names, notes=tuple(notes))


def _flat_split(trees: list[_Tree]) -> SourceError:
    flat = next(tree.top for tree in trees if 0 in tree.depths)
    parted = next(tree.top for tree in trees if tree.depths and 0 not in tree.depths)
    return SourceError(
        f"{flat} has no class folders in it, as {parted} has, so its images have no labels: move them into class "
        f"folders, or pack {parted} by itself and {flat} by a list or table of its labels"
    )


def _ragged(trees: list[_Tree]) -> SourceError:
    by_depth: dict[int, list[Path]] = {}
    for tree in trees:
        for parts, _ in tree.images:
            by_depth.setdefault(len(parts), []).append(tree.top.joinpath(*parts))
    usual = max(by_depth, key=lambda depth: len(by_depth[depth]))
    odd = min((depth for depth in by_depth if depth != usual), key=lambda depth: len(by_depth[depth]))
    return SourceError(
        f"{by_depth[odd][0]} holds images {odd} folders deep, {by_depth[usual][0]} and most others {usual}: labels for "
        "each level need one depth. Move them, or say --leaf-labels (a class for each folder that holds images) or "
        "--top-labels (a class for each folder at the top)"
    )


def _is_image(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in LOADABLE_EXTENSIONS  # noqa: PTH122  # ten times as fast as a Path


def _no_images(folder: Path, others: Sequence[str]) -> SourceError:
    if any(name.lower().endswith(ARCHIVES) for name in others):
        return SourceError(f"{folder}: no images in it, but {_some(others)}. {LOAD_ARCHIVES}")
    return SourceError(
        f"{folder}: no images in it; expected {folder}/CLASS/IMAGE.jpg or {folder}/IMAGE.jpg, and the extensions "
        + " ".join(sorted(LOADABLE_EXTENSIONS))
    )


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown}, …"
