"""What the parts work with: images, and lists of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Work(NamedTuple):
    """What a part works with.

    data: the folder that all share, with images/ where they were drawn, and packed.rec. images: those to measure with.
    """

    data: Path
    images: Path

    @property
    def packed(self) -> Path:
        """The prefix of the packed images."""
        return self.data / "packed"


def list_many(work: Work, name: str, lines_wanted: int, suits: Callable[[Path], bool] = lambda _path: True) -> Path:
    """A list of the images, or those that suit, over and over, to at least so many lines."""
    from dali_rec.images import LOADABLE_EXTENSIONS

    files = sorted(path for path in work.images.rglob("*") if path.suffix.lower() in LOADABLE_EXTENSIONS)
    files = [path for path in files if suits(path)]
    if not files:
        raise RuntimeError(f"{work.images}: none of the images there can be used")
    times = -(-lines_wanted // len(files))
    lines = (f"{key}\t0\t{path.resolve()}\n" for key, path in enumerate(files * times))
    (work.data / name).write_text("".join(lines))
    return work.data / name
