"""The DALI graph: records in, (images, labels, where each came from) out."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import tempfile
import warnings
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from dali_rec._cores import available_cores
from dali_rec._dali import import_dali
from dali_rec._environment import local_world_size_in_environment
from dali_rec._numbers import whole_number
from dali_rec.errors import DatasetError, LoaderError
from dali_rec.loading.augment import NAMED, Augmentation, decode_views, random_augmentation
from dali_rec.loading.box_augment import BoxAugmentation, decode_boxed
from dali_rec.loading.decoding import Decoder, decoder_options, parsed
from dali_rec.loading.derived_index import write_derived_index
from dali_rec.loading.tuned import DEFAULTS, Tuned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dali_rec.box_layout import BoxLayout
    from dali_rec.dataset import Dataset
    from dali_rec.loading.augment import Augment
    from dali_rec.loading.device import Device
    from dali_rec.loading.feed import RecordFeed
    from dali_rec.loading.finish import Resizer

DType = Literal["float32", "float16", "uint8"]

DEFAULT_PREFETCH = 2

_MOST_THREADS_ON_GPU = 16
# The buffer of data sets that are smaller.
_LEAST_FILL = 4096

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
        for name in ("rank", "world_size", "shuffle_buffer", "seed"):
            object.__setattr__(self, name, whole_number(name, getattr(self, name)))
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}: from 0 up")
        if not 1 <= self.shuffle_buffer < 1 << 31:
            raise ValueError(f"shuffle_buffer is {self.shuffle_buffer}: from 1 record to {(1 << 31) - 1:,}")


@dataclass(frozen=True, slots=True)
class Execution:
    """How DALI runs it; ``tuned`` as in loading/tuned.py, and ``threads`` and ``prefetch`` go before it."""

    device: Device
    batch_size: int
    threads: int | None = None
    prefetch: int | None = None
    tuned: Tuned = DEFAULTS

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
    def queue_depth(self) -> int:
        """Batches made ahead."""
        return self.prefetch or self.tuned.prefetch or DEFAULT_PREFETCH

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


def build_pipeline(
    dataset: Dataset,
    image: ImageSpec,
    reader: ReaderSpec,
    execution: Execution,
    *,
    with_source: bool,
    checkpoint: bytes | None = None,
) -> Any:
    """Build the pipeline over DALI's reader.

    Its outputs: images (one output a view), labels as float32 and, ``with_source``, what a RecordFinder takes.
    checkpoint: of a pipeline built alike, to go on where that stood.

    Raises DatasetError where there are fewer records than ranks.
    """
    if len(dataset) < reader.world_size:
        raise DatasetError(
            f"{dataset.name}: {len(dataset)} records cannot be shared among {reader.world_size} ranks; use fewer ranks"
        )
    with tempfile.TemporaryDirectory(prefix="dali-rec-") as folder:
        index = Path(folder, "derived.idx")
        files = write_derived_index(dataset, index)

        def read(dali: Any) -> tuple[Any, ...]:
            encoded, labels = _read(dali.fn, files, index, reader, len(dataset))
            return (
                (encoded, labels, dali.fn.get_property(encoded, key="source_info"))
                if with_source
                else (encoded, labels)
            )

        # The index is read while it builds.
        return _build(read, dataset, image, execution, rank_seed(reader.seed, reader.rank), checkpoint)


def build_plugin_pipeline(
    dataset: Dataset, image: ImageSpec, reader: ReaderSpec, execution: Execution, index: Path
) -> Any:
    """Build the pipeline for TensorFlow's plugin, which makes another like it: images, and class indices of shape ().

    index: where the derived index is written. The plugin reads it once more, so it must stay.
    """
    files = write_derived_index(dataset, index)

    def read(dali: Any) -> tuple[Any, ...]:
        encoded, labels = _read(dali.fn, files, index, reader, len(dataset))
        classes = dali.fn.cast(dali.fn.squeeze(labels, axes=[0]), dtype=dali.types.INT64)
        return encoded, classes.gpu() if execution.device.is_gpu else classes

    return _build(read, dataset, image, execution, rank_seed(reader.seed, reader.rank), None)


def build_fed_pipeline(
    feed: RecordFeed,
    dataset: Dataset,
    image: ImageSpec,
    execution: Execution,
    seed: int,
    checkpoint: bytes | None = None,
) -> Any:
    """Build the pipeline over a feed of our own (loading/feed.py).

    Its outputs are the images, labels as float32, and the record's row in the data set as int64 of shape (1,).
    """

    def read(dali: Any) -> tuple[Any, ...]:
        types = dali.types
        # With batch_info the feed counts as stateless, which is what DALI's checkpoints ask of a source. no_copy: the
        # feed keeps alive what it handed out.
        outputs = dali.fn.external_source(
            source=feed,
            num_outputs=3,
            batch=True,
            batch_info=True,
            no_copy=True,
            dtype=[types.UINT8, types.FLOAT, types.INT64],
            ndim=[1, 1, 1],
        )
        return tuple(outputs)

    pipeline = _build(read, dataset, image, execution, seed, checkpoint)
    # DALI's graph is a ring of objects that keeps the feed until Python looks for rings, which takes it many pipelines.
    weakref.finalize(pipeline, feed.end).atexit = False
    return pipeline


def build_reader_pipeline(dataset: Dataset, reader: ReaderSpec, batch_size: int) -> Any:
    """DALI's reader alone, in the order in which ``build_pipeline`` has it; its output is what a RecordFinder takes."""
    dali = import_dali()
    with tempfile.TemporaryDirectory(prefix="dali-rec-") as folder:
        index = Path(folder, "derived.idx")
        files = write_derived_index(dataset, index)
        pipeline = dali.Pipeline(batch_size=batch_size, num_threads=1, device_id=None, seed=0)
        with pipeline:
            encoded, _labels = _read(dali.fn, files, index, reader, len(dataset))
            pipeline.set_outputs(dali.fn.get_property(encoded, key="source_info"))
        pipeline.build()
    return pipeline


def _build(
    read: Callable[[Any], tuple[Any, ...]],
    dataset: Dataset,
    image: ImageSpec,
    execution: Execution,
    seed: int,
    checkpoint: bytes | None,
) -> Any:
    dali = import_dali()

    def graph() -> tuple[Any, ...]:
        encoded, *others = read(dali)
        encoded = parsed(dali, encoded)
        decoder = Decoder(dali, execution.device, decoder_options(dataset, execution), cuts=image.crop_in_decoder)
        if image.boxes is not None:
            labels, *rest = others
            boxed = decode_boxed(dali, encoded, labels, image.boxes, image, decoder)
            found = [boxed.corners] if boxed.kept is None else [boxed.corners, boxed.kept]
            return (boxed.images, labels, *found, *rest)
        return (*decode_views(dali, encoded, image, decoder), *others)

    random = random_augmentation(image.augment)
    # DALI's own augmentation policies are written with conditionals; autograph rewrites what they run in.
    definition = dali.pipeline_def(graph, enable_conditionals=random is not None and random.policy is not None)
    with _without_dalis_deprecations():
        pipeline = definition(
            batch_size=execution.batch_size,
            num_threads=execution.num_threads,
            # Without a GPU the device must be None: types.CPU_ONLY_DEVICE_ID looks for a driver.
            device_id=execution.device.index,
            seed=seed,
            prefetch_queue_depth=execution.queue_depth,
            enable_checkpointing=True,
            checkpoint=checkpoint,
        )
    try:
        pipeline.build()
    except RuntimeError as error:
        if os.strerror(errno.EAGAIN) not in str(error):
            raise
        raise LoaderError(
            f"DALI cannot start its threads ({error}): take fewer threads=, or raise the limit of memory (ulimit -v) "
            "or of processes (ulimit -u, a container's --pids-limit)"
        ) from None
    return pipeline


@contextlib.contextmanager
def _without_dalis_deprecations() -> Iterator[None]:
    """DALI's policies call operators by names that DALI itself deprecates, and it warns past every filter."""
    with warnings.catch_warnings(record=True) as caught:
        yield
    for warning in caught:
        if "is now deprecated" not in str(warning.message):
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


def rank_seed(*numbers: int) -> int:
    """A seed for DALI of these numbers: each rank has its own, so that ranks do not crop alike."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0]) & 0x7FFFFFFF


def _read(fn: Any, files: list[str], index: Path, reader: ReaderSpec, records: int) -> Any:
    options: dict[str, Any] = {}
    if reader.shuffle_files:
        # The same on every rank, or ranks would share records.
        options = {"shuffle_after_epoch": True, "shuffle_after_epoch_seed": reader.seed & 0x7FFFFFFF}
    return fn.readers.mxnet(
        path=files,
        index_path=[os.fspath(index)],
        name="reader",
        random_shuffle=reader.shuffle,
        # DALI reads the files over and over until it is full.
        initial_fill=min(reader.shuffle_buffer, max(_LEAST_FILL, records)),
        shard_id=reader.rank,
        num_shards=reader.world_size,
        pad_last_batch=True,  # what makes epochs exact: see loading/epoch.py
        seed=rank_seed(reader.seed, reader.rank, 1),  # its own, so that the order can be had without the images
        **options,
    )
