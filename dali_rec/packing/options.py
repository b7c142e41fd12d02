"""What the user may ask of packing."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import Any

SHUFFLE_SEED = 100  # im2rec.py's


@dataclass(frozen=True, slots=True)
class ImageOptions:
    """What packing does to an image.

    ``resize``: length of the shorter side in pixels; larger images are scaled down to it and encoded again as JPEG of
    ``quality``, smaller ones are stored untouched. None stores all bytes untouched.
    """

    resize: int | None = None
    quality: int = 95

    def __post_init__(self) -> None:
        if self.resize is not None and self.resize < 1:
            raise ValueError(f"resize is {self.resize}: the shorter side must be at least 1 pixel")
        if not 1 <= self.quality <= 100:
            raise ValueError(f"quality is {self.quality}: JPEG quality goes from 1 to 100")


@dataclass(frozen=True, slots=True)
class PackOptions:
    """How to pack; see ``pack``. All but ``workers``, ``strict`` and ``max_bad`` shape the output."""

    image: ImageOptions = ImageOptions()
    shards: int = 1
    shuffle: bool | None = None
    seed: int = SHUFFLE_SEED
    workers: int | None = None
    max_bad: float = 0.01
    strict: bool = False

    def __post_init__(self) -> None:
        if self.shards < 1:
            raise ValueError(f"shards is {self.shards}: at least 1")
        if self.workers is not None and self.workers < 1:
            raise ValueError(f"workers is {self.workers}: at least 1")
        if self.max_bad < 0:
            raise ValueError(f"max_bad is {self.max_bad}: a share (0.01) or a number of images, not negative")

    @property
    def worker_count(self) -> int:
        """Threads to use: those asked for, or one for each core that this process may run on."""
        return self.workers if self.workers is not None else available_cores()

    def allowed_bad(self, total: int) -> int:
        """How many of ``total`` images may be rejected: ``max_bad`` below 1 is a share, from 1 up a number."""
        if self.strict:
            return 0
        return int(self.max_bad * total) if self.max_bad < 1 else int(self.max_bad)

    def recorded(self) -> dict[str, Any]:
        """The options that shape the output, for the manifest."""
        return {**asdict(self.image), "shards": self.shards, "shuffle": self.shuffle, "seed": self.seed}


def available_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
