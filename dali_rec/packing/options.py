"""What the user may ask of packing."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args

from dali_rec._cores import available_cores
from dali_rec.images import MAX_PIXELS
from dali_rec.packing.split import check_shares
from dali_rec.sources.remote import FetchOptions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_Task = TypeVar("_Task")

SHUFFLE_SEED = 100  # im2rec.py's

ResizeMode = Literal["shorter", "longer", "exact", "fill"]
Interpolation = Literal["bicubic", "area", "nearest", "linear", "cubic", "lanczos"]
Encoding = Literal["keep", "jpeg", "png", "webp"]
Color = Literal["keep", "rgb", "gray"]
Engine = Literal["local", "ray"]
Device = Literal["cpu", "gpu", "auto"]


@dataclass(frozen=True, slots=True)
class ImageOptions:
    """What packing does to an image. By default all bytes are stored untouched.

    resize: a length in pixels.
    resize_mode: "shorter" and "longer" scale that side to it; "exact" makes it both sides, the aspect not kept; "fill"
        scales the shorter side and cuts a square of it from the centre.
    upscale: also enlarge images; by default those that are small enough stay as they are.
    center_crop: cut the largest square from the centre.
    interpolation: "bicubic" is Pillow's, which averages where it shrinks; "area" means over the pixels that go into one
        (and is cubic where it enlarges); the others are OpenCV's, which alias when they shrink.
    encoding: "keep" stores a changed JPEG, PNG or WebP in its own format, and other formats as JPEG if they are lossy
        (JPEG 2000, AVIF) and as PNG otherwise; the others encode every image that is not of that format.
    quality: of JPEG and WebP, 1…100.
    color: "rgb" or "gray" for all images; "keep" leaves them.
    max_pixels: larger images are rejected before they are decoded.
    trust: images that are stored as they are are checked by their headers alone, and not decoded; those that a GPU
        packs are decoded by it alone.
    device: "gpu" decodes, scales and encodes JPEGs on one, to slightly other pixels (see packing/batches.py); "auto"
        does so where that is faster.
    """

    resize: int | None = None
    resize_mode: ResizeMode = "shorter"
    upscale: bool = False
    center_crop: bool = False
    interpolation: Interpolation = "bicubic"
    encoding: Encoding = "keep"
    quality: int = 95
    color: Color = "keep"
    max_pixels: int = MAX_PIXELS
    trust: bool = False
    device: Device = "cpu"

    @property
    def keeps_bytes(self) -> bool:
        """Whether every image that the loader can decode is stored untouched, whatever it is."""
        return self.resize is None and not self.center_crop and self.encoding == self.color == "keep"

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
            ("device", Device),
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
    shards: int | None = None
    shard_size: int | None = None
    shard_records: int | None = None
    shuffle: bool | None = None
    seed: int = SHUFFLE_SEED
    split: Mapping[str, float] | None = None
    stratify: bool = False
    workers: int | None = None
    max_bad: float = 0.01
    strict: bool = False

    def __post_init__(self) -> None:
        for name in ("shards", "shard_size", "shard_records", "workers"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value}: at least 1")
        if sum(value is not None for value in (self.shards, self.shard_size, self.shard_records)) > 1:
            raise ValueError("shards, shard_size and shard_records are three ways to say one thing: choose one")
        if self.split is not None:
            check_shares(self.split)
        if self.stratify and self.split is None:
            raise ValueError("stratify says how to split: it needs the shares of a split")
        if not 0 <= self.max_bad < math.inf:
            raise ValueError(f"max_bad is {self.max_bad}: a share (0.01) or a number of images, not negative")

    @property
    def worker_count(self) -> int:
        """Threads to use: those asked for, or one for each core that there is to work with."""
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
            "shard_size": self.shard_size,
            "shard_records": self.shard_records,
            "shuffle": self.shuffle,
            "seed": self.seed,
            "split": None if self.split is None else dict(self.split),
            "stratify": self.stratify,
        }


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How this run goes about it; none of it shapes the output.

    resume: go on with a run that was interrupted. overwrite: replace a data set of the same name.
    node_rank, num_nodes: this is one of so many machines that share the work and a file system.
    engine: "local", or "ray" for a Ray cluster, which is that at ``address`` ("auto" is the one that this machine is
    part of) or a new one on this machine.
    """

    resume: bool = False
    overwrite: bool = False
    node_rank: int = 0
    num_nodes: int = 1
    engine: Engine = "local"
    address: str | None = None

    @property
    def is_shared(self) -> bool:
        """Whether several machines share the work, each on a part of its own."""
        return self.num_nodes > 1

    def part(self, tasks: Sequence[_Task]) -> Sequence[_Task]:
        """What of these tasks is this machine's."""
        return tasks[self.node_rank :: self.num_nodes]

    def __post_init__(self) -> None:
        if self.num_nodes < 1:
            raise ValueError(f"num_nodes is {self.num_nodes}: at least 1")
        if not 0 <= self.node_rank < self.num_nodes:
            raise ValueError(f"node_rank is {self.node_rank}: of {self.num_nodes} nodes it is 0…{self.num_nodes - 1}")
        if self.engine not in get_args(Engine):
            raise ValueError(f"engine is {self.engine!r}: expected one of {', '.join(get_args(Engine))}")
        if self.engine == "ray" and self.is_shared:
            raise ValueError("Ray spreads the work over its nodes by itself: leave num_nodes out")
        if self.address is not None and self.engine != "ray":
            raise ValueError("address is that of a Ray cluster: it goes with engine='ray'")
        if self.resume and self.overwrite:
            raise ValueError("resume goes on with a data set, overwrite begins it anew: choose one")
