"""The DALI graph: records in, (images, labels, where each came from) out."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from dali_rec.errors import DatasetError, MissingDependencyError
from dali_rec.loading.derived_index import write_derived_index
from dali_rec.packing.options import available_cores

if TYPE_CHECKING:
    from dali_rec.dataset import Dataset
    from dali_rec.loading.device import Device

Augment = Literal["train", "eval"] | Callable[[Any], Any] | None
DType = Literal["float32", "float16", "uint8"]

#: Mean and standard deviation of ImageNet's pixels, RGB, for images of 0…1.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

#: What "eval" resizes the shorter side to, over the size of its centre crop: 256 for 224.
EVAL_RESIZE_RATIO = 256 / 224


@dataclass(frozen=True, slots=True)
class ImageSpec:
    """What the images of a batch are to be.

    ``size``: (height, width) in pixels. ``dtype``: "float32" or "float16" gives normalised NCHW, "uint8" plain NHWC.
    ``mean`` and ``std``: of the channels R, G, B in images of 0…1. ``antialias``: whether resizing averages over the
    pixels it drops.
    """

    size: tuple[int, int]
    augment: Augment = "train"
    dtype: DType = "float32"
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    antialias: bool = True

    def __post_init__(self) -> None:
        if len(self.size) != 2 or min(self.size) < 1:
            raise ValueError(f"image_size is {self.size}: expected a side or (height, width), in pixels")
        if self.dtype not in ("float32", "float16", "uint8"):
            raise ValueError(f"dtype is {self.dtype!r}: expected 'float32', 'float16' or 'uint8'")
        if not (self.augment is None or self.augment in ("train", "eval") or callable(self.augment)):
            raise ValueError(f"augment is {self.augment!r}: expected 'train', 'eval', None or a function of DALI nodes")
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise ValueError(f"mean {self.mean} and std {self.std}: three numbers each, R G B, std above 0")


@dataclass(frozen=True, slots=True)
class ReaderSpec:
    """Which records are read and in what order.

    ``shuffle_files``: also permute the order of the files each epoch; the rank then sticks to its share of them.
    """

    rank: int = 0
    world_size: int = 1
    shuffle: bool = False
    shuffle_buffer: int = 4096
    shuffle_files: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}: from 0 up")
        if self.shuffle_buffer < 1:
            raise ValueError(f"shuffle_buffer is {self.shuffle_buffer}: at least 1 record")


@dataclass(frozen=True, slots=True)
class Execution:
    """How DALI runs it."""

    device: Device
    batch_size: int
    threads: int | None = None
    prefetch: int = 2

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ValueError(f"batch_size is {self.batch_size}: at least 1")
        if self.threads is not None and self.threads < 1:
            raise ValueError(f"threads is {self.threads}: at least 1")
        if self.prefetch < 1:
            raise ValueError(f"prefetch is {self.prefetch}: at least 1 batch")


def import_dali() -> Any:
    """The module nvidia.dali. Raises MissingDependencyError with the line that installs it."""
    try:
        import nvidia.dali
    except ImportError as error:
        raise MissingDependencyError(
            f"loading needs NVIDIA DALI ({error}); install it with: pip install 'dali-rec[cuda12]', or "
            "'dali-rec[cuda13]' for drivers of CUDA 13"
        ) from None
    return nvidia.dali


def build_pipeline(
    dataset: Dataset, image: ImageSpec, reader: ReaderSpec, execution: Execution, *, with_source: bool
) -> Any:
    """Build the pipeline. Its outputs: images, labels as float32 and, ``with_source``, what a RecordFinder takes.

    Raises DatasetError where there are fewer records than ranks.
    """
    dali = import_dali()
    if len(dataset) < reader.world_size:
        raise DatasetError(
            f"{dataset.name}: {len(dataset)} records cannot be shared among {reader.world_size} ranks; use fewer ranks"
        )
    pipeline = dali.Pipeline(
        batch_size=execution.batch_size,
        num_threads=execution.threads or available_cores(),
        # Without a GPU the device must be None: types.CPU_ONLY_DEVICE_ID looks for a driver.
        device_id=execution.device.index,
        seed=_pipeline_seed(reader),
        prefetch_queue_depth=execution.prefetch,
    )
    with tempfile.TemporaryDirectory(prefix="dali-rec-") as folder:
        index = Path(folder, "derived.idx")
        files = write_derived_index(dataset, index)
        with pipeline:
            encoded, labels = _read(dali.fn, files, index, reader)
            images = _decode(dali, encoded, dataset, image, execution.device)
            images = _finish(dali, images, image, mirror=image.augment == "train")
            outputs = [images, labels]
            if with_source:
                outputs.append(dali.fn.get_property(encoded, key="source_info"))
            pipeline.set_outputs(*outputs)
        pipeline.build()  # the index is read here
    return pipeline


def _pipeline_seed(reader: ReaderSpec) -> int:
    """A seed of its own for each rank, so that ranks do not crop alike."""
    return int(np.random.SeedSequence([reader.seed, reader.rank]).generate_state(1)[0]) & 0x7FFFFFFF


def _read(fn: Any, files: list[Path], index: Path, reader: ReaderSpec) -> Any:
    options: dict[str, Any] = {}
    if reader.shuffle_files:
        # The same on every rank, or ranks would share records.
        options = {"shuffle_after_epoch": True, "shuffle_after_epoch_seed": reader.seed & 0x7FFFFFFF}
    return fn.readers.mxnet(
        path=[os.fspath(file) for file in files],
        index_path=[os.fspath(index)],
        name="reader",
        random_shuffle=reader.shuffle,
        initial_fill=reader.shuffle_buffer,
        shard_id=reader.rank,
        num_shards=reader.world_size,
        pad_last_batch=True,  # what makes epochs exact: see loading/epoch.py
        **options,
    )


def _decode(dali: Any, encoded: Any, dataset: Dataset, image: ImageSpec, device: Device) -> Any:
    """Decode and bring to size: uint8 HWC of ``image.size``, on the device."""
    fn = dali.fn
    decoder: dict[str, Any] = {"device": "mixed" if device.is_gpu else "cpu", "output_type": dali.types.RGB}
    if device.is_gpu and dataset.manifest is not None:
        # Buffers are made once and never grow in the middle of an epoch.
        decoder["preallocate_width_hint"] = dataset.manifest.max_width
        decoder["preallocate_height_hint"] = dataset.manifest.max_height
    height, width = image.size
    resize = {"interp_type": dali.types.INTERP_LINEAR, "antialias": image.antialias}
    if image.augment == "train":
        # Inception's crop, as torchvision's RandomResizedCrop has it; only the crop is decoded.
        crop = fn.decoders.image_random_crop(
            encoded, random_area=[0.08, 1.0], random_aspect_ratio=[3 / 4, 4 / 3], num_attempts=10, **decoder
        )
        return fn.resize(crop, size=[height, width], **resize)
    images = fn.decoders.image(encoded, **decoder)
    if image.augment == "eval":
        # The shorter side of the image covers the crop's, times the ratio; the crop itself is cut in _finish.
        target = [round(side * EVAL_RESIZE_RATIO) for side in image.size]
        return fn.resize(images, size=target, mode="not_smaller", **resize)
    if callable(image.augment):
        images = image.augment(images)
    return fn.resize(images, size=[height, width], **resize)


def _finish(dali: Any, images: Any, image: ImageSpec, *, mirror: bool) -> Any:
    """Crop at the centre, flip, normalise."""
    fn, types = dali.fn, dali.types
    options: dict[str, Any] = {
        "crop": image.size,
        "crop_pos_x": 0.5,
        "crop_pos_y": 0.5,
        "mirror": fn.random.coin_flip(probability=0.5) if mirror else 0,
    }
    if image.dtype == "uint8":
        return fn.crop_mirror_normalize(images, dtype=types.UINT8, output_layout="HWC", **options)
    return fn.crop_mirror_normalize(
        images,
        dtype=types.FLOAT16 if image.dtype == "float16" else types.FLOAT,
        output_layout="CHW",
        mean=[255 * value for value in image.mean],
        std=[255 * value for value in image.std],
        **options,
    )
