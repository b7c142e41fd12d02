"""``im2rec.py --list``: lists of the images under a folder, numbered, shuffled and parted as MXNet does."""

from __future__ import annotations

import os
import random
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dali_rec._files import write_text_atomically
from dali_rec.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator

_SHUFFLE_SEED = 100


@dataclass(frozen=True, slots=True)
class ListOptions:
    """im2rec.py's options for lists, with its defaults."""

    exts: tuple[str, ...] = (".jpeg", ".jpg", ".png")
    chunks: int = 1
    train_ratio: float = 1.0
    test_ratio: float = 0.0
    recursive: bool = False
    shuffle: bool = True

    def __post_init__(self) -> None:
        if self.chunks < 1:
            raise ValueError(f"--chunks is {self.chunks}: at least 1")
        ratios = (self.train_ratio, self.test_ratio)
        # With all images for training MXNet makes one list, whatever the other ratio.
        if min(ratios) < 0 or max(ratios) > 1 or (self.train_ratio < 1 and sum(ratios) > 1):
            raise ValueError(f"--train-ratio {self.train_ratio} and --test-ratio {self.test_ratio}: at most 1 together")


def make_lists(prefix: Path, root: Path, options: ListOptions) -> tuple[list[Path], dict[str, int]]:
    """Write PREFIX.lst, or PREFIX_train.lst and so on; returns the files and the label of each folder.

    An id is the number of the image in the order of the walk; a label, with ``recursive``, the number of its folder in
    the order in which folders with images are met. Raises SourceError if there are no images.
    """
    images = list(_walk(root, options))
    if not images:
        raise SourceError(f"{root}: no images with the extensions {' '.join(options.exts)}{_hint(options)}")
    labels: dict[str, int] = {}
    rows = []
    for key, path in enumerate(images):
        label = labels.setdefault(os.path.dirname(path) or ".", len(labels)) if options.recursive else 0  # noqa: PTH120
        rows.append(f"{key}\t{label:f}\t{path}\n")
    if options.shuffle:
        random.Random(_SHUFFLE_SEED).shuffle(rows)  # noqa: S311  # MXNet's order
    written = []
    for suffix, part in _parts(rows, options):
        listed = prefix.with_name(f"{prefix.name}{suffix}.lst")
        write_text_atomically(listed, "".join(part))
        written.append(listed)
    return written, labels


def _hint(options: ListOptions) -> str:
    if not all(ext.startswith(".") for ext in options.exts):
        return "; extensions begin with a dot"
    return "" if options.recursive else "; --recursive looks deeper"


def _walk(root: Path, options: ListOptions) -> Iterator[str]:
    """Paths relative to ``root``, with / everywhere; the files of a folder come before those of the folders in it."""
    wanted = {ext.lower() for ext in options.exts}
    for folder, folders, files in os.walk(root, followlinks=True):
        # Links back up are left out: MXNet's tool follows them until the path is too long.
        folders[:] = sorted(name for name in folders if not _leads_up(folder, name))
        for name in sorted(files):
            path = os.path.join(folder, name)  # noqa: PTH118
            if os.path.splitext(name)[1].lower() in wanted and os.path.isfile(path):  # noqa: PTH113, PTH122
                yield os.path.relpath(path, root).replace(os.sep, "/")
        if not options.recursive:
            return


def _leads_up(folder: str, name: str) -> bool:
    path = os.path.join(folder, name)  # noqa: PTH118
    if sys.platform != "win32" and not os.path.islink(path):  # noqa: PTH114  # there also a junction, which is no link
        return False
    return Path(os.path.realpath(folder)).is_relative_to(os.path.realpath(path))


def _parts(rows: list[str], options: ListOptions) -> Iterator[tuple[str, list[str]]]:
    size = -(-len(rows) // options.chunks)
    for number in range(options.chunks):
        chunk = rows[number * size : (number + 1) * size]
        suffix = f"_{number}" if options.chunks > 1 else ""
        if options.train_ratio == 1.0:
            yield suffix, chunk
            continue
        train, test = int(size * options.train_ratio), int(size * options.test_ratio)
        if options.test_ratio:
            yield f"{suffix}_test", chunk[:test]
        if options.train_ratio + options.test_ratio < 1.0:
            yield f"{suffix}_val", chunk[test + train :]
        yield f"{suffix}_train", chunk[test : test + train]
