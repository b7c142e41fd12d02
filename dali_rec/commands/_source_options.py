"""Options of ``pack`` and ``list``: which labels a folder gives, the numbers of the classes, and splits."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dali_rec.errors import SourceError
from dali_rec.manifest import is_manifest, read_manifest
from dali_rec.sources.text_lines import text_lines

if TYPE_CHECKING:
    from dali_rec.sources import FolderLabels

SplitOption = Annotated[
    str | None, typer.Option(metavar="NAME=SHARE,…", help="Deal the images out to splits, as in train=0.9,val=0.1.")
]
StratifyOption = Annotated[
    bool, typer.Option("--stratify", help="Deal out each class in these shares, so that all splits have it.")
]
LeafOption = Annotated[bool, typer.Option("--leaf-labels", help="A class for each folder that holds images.")]
TopOption = Annotated[bool, typer.Option("--top-labels", help="A class for each folder at the top.")]
PatternOption = Annotated[
    str | None,
    typer.Option(
        metavar="REGEX",
        help=r"Labels in the paths of images: each group is one, as in '([^/]+)_\d+\.jpg' or '^(\d+)_c(\d)'.",
    ),
]
ClassesOption = Annotated[
    Path | None,
    typer.Option(
        help="File with the class names in the order of their numbers, one a line; or the .json of a packed data set."
    ),
]
SeedOption = Annotated[int, typer.Option(help="Seed of the shuffle and of the split.")]


def folder_labels(*, leaf: bool, top: bool) -> FolderLabels:
    """What --leaf-labels and --top-labels ask for. Raises BadParameter for both."""
    if leaf and top:
        raise typer.BadParameter("--leaf-labels and --top-labels: choose one")
    return "leaf" if leaf else "top" if top else "levels"


def read_classes(path: Path | None) -> tuple[str, ...] | None:
    """The names in the file of --classes. Raises SourceError for one that has none, or one twice."""
    if path is None:
        return None
    if path.suffix == ".json" and is_manifest(path):
        of_data_set = read_manifest(path).classes
        if of_data_set is None:
            raise SourceError(f"{path}: this data set has no names of classes")
        return of_data_set
    names = tuple(line.strip() for line in text_lines(path) if line.strip())
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice or not names:
        raise SourceError(f"{path}: {f'the class {min(twice)!r} stands twice' if twice else 'no class names in it'}")
    return names
