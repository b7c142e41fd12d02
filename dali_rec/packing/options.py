"""What the user may ask of packing."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

from dali_rec.images import MAX_PIXELS
from dali_rec.packing.split import check_shares
from dali_rec.sources.remote import FetchOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

SHUFFLE_SEED = 100  # im2rec.py's

ResizeMode = Literal["shorter", "longer", "exact", "fill"]
Interpolation = Literal["area", "nearest", "linear", "cubic", "lanczos"]
Encoding = Literal["keep", "jpeg", "png", "webp"]
Color = Literal["keep", "rgb", "gray"]


@dataclass(frozen=True, slots=True)
class ImageOptions:
    """What packing does to an image. By default all bytes are stored untouched.

    resize: a length in pixels.
    resize_mode: "shorter" and "longer" scale that side to it; "exact" makes it both sides, the aspect not kept; "fill"
        scales the shorter side and cuts a square of it from the centre.
    upscale: also enlarge images; by default those that are small enough stay as they are.
    center_crop: cut the largest square from the centre.
    interpolation: "area" means over the pixels that go into one (and is cubic where it enlarges); the others are
        OpenCV's, which alias when they shrink.
    encoding: "keep" stores a changed image as JPEG, PNG or WebP if it was that, and as the like of it otherwise; the
        others encode every image that is not of that format.
    quality: of JPEG and WebP, 1…100.
    color: "rgb" or "gray" for all images; "keep" leaves them.
    max_pixels: larger images are rejected before they are decoded.
    """

    resize: int | None = None
    resize_mode: ResizeMode = "shorter"
    upscale: bool = False
    center_crop: bool = False
    interpolation: Interpolation = "area"
    encoding: Encoding = "keep"
    quality: int = 95
    color: Color = "keep"
    max_pixels: int = MAX_PIXELS

    def __post_init__(self) -> None:
        if self.resize is not None and self.resize < 1:
            raise ValueError(f"resize is {self.resize}: a side must have at least 1 pixel")
        if not 1 <= self.quality <= 100:
            raise ValueError(f"quality is {self.quality}: it goes from 1 to 100")
        if self.max_pixels < 1:
            raise ValueError(f"max_pixels is {self.max_pixels}: at least 1")
        choices = (
            ("resize_mode", ResizeMode),
            ("interpolation", Interpolation),
            ("encoding", Encoding),
            ("color", Color),
        )
        for name, choice in choices:
            value = getattr(self, name)
            if value not in get_args(choice):
                raise ValueError(f"{name} is {value!r}: expected one of {', '.join(get_args(choice))}")


@dataclass(frozen=True, slots=True)
class PackOptions:
    """How to pack; see ``pack``. All but ``fetch``, ``workers``, ``strict`` and ``max_bad`` shape the output."""

    image: ImageOptions = ImageOptions()
    fetch: FetchOptions = field(default_factory=FetchOptions)
    shards: int = 1
    shuffle: bool | None = None
    seed: int = SHUFFLE_SEED
    split: Mapping[str, float] | None = None
    stratify: bool = False
    workers: int | None = None
    max_bad: float = 0.01
    strict: bool = False

    def __post_init__(self) -> None:
        if self.shards < 1:
            raise ValueError(f"shards is {self.shards}: at least 1")
        if self.workers is not None and self.workers < 1:
            raise ValueError(f"workers is {self.workers}: at least 1")
        if self.split is not None:
            check_shares(self.split)
        if self.stratify and self.split is None:
            raise ValueError("stratify says how to split: it needs the shares of a split")
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
        return {
            **asdict(self.image),
            "shards": self.shards,
            "shuffle": self.shuffle,
            "seed": self.seed,
            "split": None if self.split is None else dict(self.split),
            "stratify": self.stratify,
        }


def available_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
