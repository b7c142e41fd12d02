"""What a pipeline is asked for, as plain values that check themselves: images, which records, and how DALI runs."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from dali_rec._cores import available_cores
from dali_rec._environment import local_world_size_in_environment
from dali_rec._numbers import whole_number
from dali_rec.loading.augmentation import NAMED, Augmentation, BoxAugmentation, random_augmentation
from dali_rec.loading.tuned import DEFAULTS, Tuned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dali_rec.box_layout import BoxLayout
    from dali_rec.loading.augmentation import Augment
    from dali_rec.loading.device import Device

DType = Literal["float32", "float16", "uint8"]
Resizer = Literal["dali", "numba"]

DEFAULT_PREFETCH = 2

_MOST_THREADS_ON_GPU = 16

#: Mean and standard deviation of ImageNet's pixels, RGB, for images of 0…1.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class ImageSpec:
    """What the images of a batch are to be.

    ``size``: (height, width) in pixels. ``dtype``: "float32" or "float16" gives normalised NCHW, "uint8" plain NHWC.
    ``mean`` and ``std``: of the channels R, G, B in images of 0…1. ``antialias``: whether resizing averages over the
    pixels it drops. ``boxes``: of labels that hold boxes, which are to follow the augmentation. ``resizer``: what
    resizes (loading/finish.py). ``crop_in_decoder``: whether crops are cut out by the decoder (loading/decoding.py).
    """

    size: tuple[int, int]
    augment: Augment | BoxAugmentation = "train"
    dtype: DType = "float32"
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    antialias: bool = True
    boxes: BoxLayout | None = None
    resizer: Resizer = "dali"
    crop_in_decoder: bool = True

    def __post_init__(self) -> None:
        if len(self.size) != 2 or min(self.size) < 1:
            raise ValueError(f"image_size is {self.size}: expected a side or (height, width), in pixels")
        if self.dtype not in ("float32", "float16", "uint8"):
            raise ValueError(f"dtype is {self.dtype!r}: expected 'float32', 'float16' or 'uint8'")
        object.__setattr__(self, "dtype", str(self.dtype))  # a dtype of NumPy's is equal to its name
        known = (
            self.augment is None or isinstance(self.augment, (Augmentation, BoxAugmentation)) or callable(self.augment)
        )
        if not known and self.augment not in ("eval", *NAMED):
            names = ", ".join(map(repr, ("eval", *NAMED)))
            raise ValueError(
                f"augment is {self.augment!r}: expected {names}, an Augmentation, None or a function of DALI nodes"
            )
        if (self.boxes is not None) != isinstance(self.augment, BoxAugmentation):
            raise ValueError(
                f"augment is {self.augment!r}: with boxes it is 'train', 'eval', None or a BoxAugmentation, without "
                "them none of the last"
            )
        try:
            mean, std = (tuple(float(value) for value in values) for values in (self.mean, self.std))
        except (TypeError, ValueError):
            mean = std = ()
        if len(mean) != 3 or len(std) != 3 or not np.isfinite([*mean, *std]).all() or min(std) <= 0:
            raise ValueError(f"mean {self.mean} and std {self.std}: three numbers each, R G B, std above 0")
        if max(mean) > 1:
            raise ValueError(f"mean is {self.mean}: it is that of images of 0…1; divide mean and std by 255")
        object.__setattr__(self, "mean", mean)
        object.__setattr__(self, "std", std)

    @property
    def crops_boxes(self) -> bool:
        """Whether images with boxes are cropped, so that some of their objects may go."""
        return isinstance(self.augment, BoxAugmentation) and bool(self.augment.overlaps)

    @property
    def views(self) -> int:
        """How many versions of each image are made."""
        random = random_augmentation(self.augment)
        return 1 if random is None else random.views


@dataclass(frozen=True, slots=True)
class ReaderSpec:
    """Which records are read and in what order."""

    rank: int = 0
    world_size: int = 1
    shuffle: bool = False
    shuffle_buffer: int = 4096
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("rank", "world_size", "shuffle_buffer", "seed"):
            object.__setattr__(self, name, whole_number(name, getattr(self, name)))
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}: from 0 up")
        if not 1 <= self.shuffle_buffer < 1 << 31:
            raise ValueError(f"shuffle_buffer is {self.shuffle_buffer}: from 1 record to {(1 << 31) - 1:,}")


@dataclass(frozen=True, slots=True)
class Execution:
    """How DALI runs it; ``tuned`` as in loading/tuned.py, and ``threads`` and ``prefetch`` go before it.

    ``at_once``: batches that one run makes, ``pipelines``: how many make the runs in turn (loading/at_once.py).
    """

    device: Device
    batch_size: int
    threads: int | None = None
    prefetch: int | None = None
    tuned: Tuned = DEFAULTS
    at_once: int = 1
    pipelines: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "batch_size", whole_number("batch_size", self.batch_size))
        for name in ("threads", "prefetch"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, whole_number(name, getattr(self, name)))
        if self.batch_size < 1:
            raise ValueError(f"batch_size is {self.batch_size}: at least 1")
        if self.threads is not None and self.threads < 1:
            raise ValueError(f"threads is {self.threads}: at least 1")
        if self.prefetch is not None and self.prefetch < 1:
            raise ValueError(f"prefetch is {self.prefetch}: at least 1 batch")

    @property
    def num_threads(self) -> int:
        """Threads: as given, as tuned, or the default."""
        return self.threads or self.tuned.threads or default_threads(self.device)

    @property
    def batches_at_once(self) -> int:
        """Batches that are made at the same time."""
        return self.at_once * self.pipelines

    @property
    def images_at_once(self) -> int:
        """Images that one run makes."""
        return self.batch_size * self.at_once

    @property
    def working_pipelines(self) -> int:
        """How many pipelines work at the same time: all of them where all cores may, or no more than threads.

        More where more runs are made ahead (``queue_depth``), as ``prefetch`` may ask for.
        """
        return self.pipelines if self._has_all_cores else min(self.pipelines, self.num_threads)

    @property
    def of_one_pipeline(self) -> Execution:
        """How DALI runs each of several pipelines: with its share of the threads, begun run by run."""
        share = -(-self.num_threads // self.working_pipelines)
        # With two at least the run that is waited for is soon done, and others take the cores that it leaves.
        threads = max(2, share) if self._has_all_cores else share
        return dataclasses.replace(self, threads=threads, prefetch=1, pipelines=1)

    @property
    def _has_all_cores(self) -> bool:
        return self.num_threads >= max(2, available_cores())

    @property
    def queue_depth(self) -> int:
        """Runs made ahead, which is as many batches as are asked for, or more."""
        batches = self.prefetch or self.tuned.prefetch or DEFAULT_PREFETCH
        runs = -(-batches // self.at_once)
        if self.pipelines > 1:
            return max(self.working_pipelines, runs - 1)  # beside the one that is handed out
        # Of two, one is made while the other is handed out.
        return max(min(batches, 2), runs)

    @property
    def in_force(self) -> Tuned:
        """What of ``tuned`` is used."""
        given = {"threads": self.threads, "prefetch": self.prefetch}
        return dataclasses.replace(self.tuned, **{name: None for name, value in given.items() if value is not None})


def default_threads(device: Device) -> int:
    """One a core. Beside a GPU each thread has pinned memory of its own: a rank takes its share, and 16 at most."""
    if not device.is_gpu:
        return available_cores()
    return max(1, min(_MOST_THREADS_ON_GPU, available_cores() // (local_world_size_in_environment() or 1)))


def check_choices(*options: tuple[str, Any, Sequence[Any]]) -> None:
    """Raise ValueError unless each option, (name, value, choices), has one of its values."""
    for name, value, choices in options:
        if value not in choices:
            raise ValueError(f"{name} is {value!r}: expected one of {', '.join(map(repr, choices))}")


def image_sides(image_size: int | tuple[int, int]) -> tuple[int, int]:
    """Height and width, of one number for both or of both. Raises ValueError for anything else."""
    try:
        if np.ndim(image_size) == 0:
            side = whole_number("image_size", image_size)
            return side, side
        height, width = image_size  # type: ignore[misc]
        return whole_number("image_size", height), whole_number("image_size", width)
    except (TypeError, ValueError):
        raise ValueError(f"image_size is {image_size!r}: expected a side or (height, width), in pixels") from None
