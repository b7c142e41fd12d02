"""Labels from the names of folders: of each level, of those that hold images, or of those at the top."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from dali_rec._numbers import counted
from dali_rec.errors import SourceError
from dali_rec.sources.archives.folder import ArchiveFolder
from dali_rec.sources.sample import SPLIT_NAMES
from dali_rec.sources.walk import FolderTree, file_in, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dali_rec.sources.walk import Folder

FolderLabels = Literal["levels", "leaf", "top"]

#: What may have the labels of images that lie in no folders.
_TABLES = (".csv", ".tsv", ".jsonl", ".json")


@dataclass(frozen=True, slots=True)
class FolderLabeller:
    """Gives the labels of a folder, by its parts."""

    of: Callable[[tuple[str, ...]], tuple[float, ...]]
    classes: tuple[str, ...] | None = None
    label_classes: tuple[tuple[str, ...] | None, ...] | None = None
    notes: tuple[str, ...] = ()


def choose_labels(trees: list[FolderTree], labels: FolderLabels, classes: Sequence[str] | None) -> FolderLabeller:
    """What gives the labels of the folders in these trees, of which each is a split, or one is all.

    Raises SourceError for folders that are not in ``classes``, and for layouts that give no labels: see
    ``read_folder``.
    """
    depths = set().union(*(tree.depths for tree in trees))
    if depths == {0}:
        return _label_0(trees)
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
    return _by_levels(trees, classes)


def _label_0(trees: list[FolderTree]) -> FolderLabeller:
    count = sum(len(names) for tree in trees for _, names in tree.images)
    place = trees[0].top if len(trees) == 1 else trees[0].top.parent
    note = f"{place} has no class folders in it: its {count} images all get label 0"
    tables = [(tree.top, name) for tree in trees for name in tree.others if name.lower().endswith(_TABLES)]
    hint = "; --label-pattern finds labels in names"
    if tables:
        top, name = tables[0]
        remedy = (
            "unpack and pack that, with the archive for its --root" if isinstance(top, ArchiveFolder) else "pack that"
        )
        hint = f"; if {file_in(top, name)} has their labels, {remedy}"
    return FolderLabeller(lambda _parts: (0.0,), notes=(note + hint,))


def _by_levels(trees: list[FolderTree], classes: Sequence[str] | None) -> FolderLabeller:
    """A label for each level at which folders differ; all of their images lie at one depth."""
    found = [sorted(set(level)) for level in zip(*(parts for tree in trees for parts, _ in tree.images), strict=True)]
    levels = [level for level, names in enumerate(found) if len(names) > 1] or [len(found) - 1]
    if len(levels) == 1 and any(name.lower() in SPLIT_NAMES for name in found[levels[0]]):
        levels = list(range(len(found)))  # no labels to be had alone, and all are said
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
        + " / ".join(map(shown, columns))
        + "); --leaf-labels and --top-labels give one"
    )
    return FolderLabeller(
        lambda parts: tuple(table[parts[level]] for table, level in zip(numbers, levels, strict=True)),
        label_classes=columns,
        notes=(note,),
    )


def _only_level(trees: list[FolderTree], level: int, classes: Sequence[str] | None) -> FolderLabeller:
    """One label, of the level at which folders differ."""
    empty = [name for tree in trees for name in tree.classes] if level == 0 else []
    labeller = _single_column(trees, lambda parts: parts[level], classes, empty)
    parts, _ = next(tree.images[0] for tree in trees if tree.images)
    others = [name for number, name in enumerate(parts) if number != level]
    note = f"{trees[0].top}: all images lie in folders called {' and '.join(others)}, which became no label"
    return replace(labeller, notes=(note, *labeller.notes))


def _refuse_other_layouts(trees: list[FolderTree]) -> None:
    """Raise SourceError for a split whose folders are not those of another: val/images beside train/CLASS/images."""
    first = next(tree for tree in trees if tree.images)
    of_first = {name for parts, _ in first.images for name in parts}
    for tree in trees:
        inside = {parts[0] for parts, _ in tree.images}
        if inside and not tree.depths & first.depths and not inside & {parts[0] for parts, _ in first.images}:
            like = f", as {first.top} has" if len(of_first) > 1 else ""
            raise SourceError(
                f"{tree.top} has no folders of classes{like}, but {shown(sorted(inside))}: move its images into class "
                f"folders, or pack {first.top} by itself and {tree.top} by a list or table of its labels"
            )


def _single_column(
    trees: list[FolderTree], name_of: Callable[[tuple[str, ...]], str], classes: Sequence[str] | None, more: list[str]
) -> FolderLabeller:
    """One label: the number of the class that ``name_of`` names. Folders without images (``more``) keep a number."""
    with_images = {name_of(parts): parts for tree in trees for parts, _ in tree.images}
    found = sorted(with_images.keys() | set(more))
    if classes is None:
        names = tuple(found)
    else:
        names = tuple(classes)
        unknown = sorted(set(found).difference(names))
        if unknown:
            folders = counted(len(unknown), "folder is", "folders are")
            raise SourceError(f"{trees[0].top}: {folders} not in --classes: {shown(unknown)}")
    numbers = {name: float(number) for number, name in enumerate(names)}
    empty = [name for name in names if name not in with_images]
    notes = [f"{counted(len(empty), 'class has', 'classes have')} no images: {shown(empty)}"] if empty else []
    if classes is None:
        notes += _numbered_names(trees[0].top, names)
    first = {name_of(parts) for parts, _ in trees[0].images}
    if len(with_images) == 1:
        notes.append(f"{trees[0].top}: all images are of one class, {next(iter(with_images))!r}")
    new = [name for name in names if name in with_images and name not in first]
    if new:
        count = counted(len(new), "class has no images", "classes have no images")
        notes.append(f"{count} in {trees[0].top}, but a number: {shown(new)}")
    return FolderLabeller(lambda parts: (numbers[name_of(parts)],), names, notes=tuple(notes))


def _numbered_names(top: Folder, names: tuple[str, ...]) -> list[str]:
    """Say it where folders are called by numbers, as those of Flowers-102, and have others for labels."""
    if not all(name.isdecimal() for name in names):
        return []
    label = next((label for label, name in enumerate(names) if int(name) != label), None)
    if label is None:
        return []
    found = f"{top}: the class {names[label]!r} has label {label}, by its place among the sorted names"
    return [f"{found}; --classes FILE gives others"]


def _flat_split(trees: list[FolderTree]) -> SourceError:
    flat = next(tree.top for tree in trees if 0 in tree.depths)
    parted = next(tree.top for tree in trees if tree.depths and 0 not in tree.depths)
    return SourceError(
        f"{flat} has no class folders in it, as {parted} has, so its images have no labels: move them into class "
        f"folders, or pack {parted} by itself and {flat} by a list or table of its labels"
    )


def _ragged(trees: list[FolderTree]) -> SourceError:
    by_depth: dict[int, list[Folder]] = {}
    for tree in trees:
        for parts, _ in tree.images:
            by_depth.setdefault(len(parts), []).append(tree.top.joinpath(*parts))
    usual = max(by_depth, key=lambda depth: len(by_depth[depth]))
    odd = min((depth for depth in by_depth if depth != usual), key=lambda depth: len(by_depth[depth]))
    return SourceError(
        f"{by_depth[odd][0]} holds images at depth {odd}, {by_depth[usual][0]} and most others at depth {usual}: "
        "labels for each level need one depth. Move them, or say --leaf-labels (a class for each folder that "
        "holds images) or --top-labels (a class for each folder at the top)"
    )
