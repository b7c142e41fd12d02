"""``Loader``: a packed data set as batches of tensors, epoch after epoch."""

from __future__ import annotations

import importlib
import logging
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from dali_rec.dataset import Dataset, open_dataset
from dali_rec.errors import DatasetError, LoaderError
from dali_rec.loading.derived_index import RecordFinder
from dali_rec.loading.device import choose_device
from dali_rec.loading.epoch import EpochPlan, LastBatch
from dali_rec.loading.graph import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Augment,
    DType,
    Execution,
    ImageSpec,
    ReaderSpec,
    build_pipeline,
    import_dali,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

logger = logging.getLogger("dali_rec")

Framework = Literal["torch", "numpy"]
_FRAMEWORKS = ("torch", "numpy")
_SEED_STEP = 1_000_003


class Loader:
    """Iterates over a packed data set; each ``for`` loop over it is one epoch of ``(images, labels)`` batches.

    dataset: a Dataset, or what ``dali_rec.open`` takes.
    batch_size: images a batch, on this rank.
    image_size: height and width of the images, or one number for both, in pixels.
    augment: "train": random resized crop (8 % to 100 % of the area, aspect 3:4 to 4:3) and random flip. "eval": resize
        so that the shorter side is 256/224 of ``image_size``, and centre crop. None: resize to ``image_size``, aspect
        not kept. A function: takes the node of decoded images (uint8 HWC RGB, on the pipeline's device) and returns the
        node to be resized to ``image_size``.
    framework: "torch" or "numpy": the kind of array that comes out. Torch tensors lie on the pipeline's device.
    device: "auto" (a GPU where there is one), "gpu", "cpu", or the index of a CUDA device.
    dtype: "float32" or "float16": normalised, shape (batch, 3, height, width). "uint8": 0…255, shape (batch, height,
        width, 3).
    mean, std: of R, G, B for images of 0…1; ImageNet's by default. Not used with uint8.
    antialias: average over the pixels that resizing drops, as Pillow does. Off is faster on the CPU, and noisier.
    shuffle: True draws from a buffer of ``shuffle_buffer`` records that slides over the file, and permutes the .rec
        files each epoch; by default with "train". Data sorted by class wants shuffling when it is packed.
    seed: of the order and of the augmentation. The same seed, data and options give the same batches.
    rank, world_size: this process' number among those that share an epoch, and their count.
    last_batch: "partial", the last batch is shorter where it does not fill; "drop"; or "pad", it repeats its last
        image.
    with_ids: also yield the record ids: ``(images, labels, ids)``, uint64.
    threads: for decoding and resizing on the CPU; by default one a core.
    prefetch: batches made ahead.

    Labels are int64 of shape (batch,) where each record has one class index, and float32 of shape (batch, labels)
    otherwise. Every epoch yields every record exactly once over all ranks, "drop" and "pad" aside.

    Raises DatasetError, DeviceUnavailableError, MissingDependencyError on construction, LoaderError while iterating.
    """

    def __init__(
        self,
        dataset: Dataset | str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        batch_size: int,
        image_size: int | tuple[int, int],
        *,
        augment: Augment = "train",
        framework: Framework = "torch",
        device: str | int = "auto",
        dtype: DType = "float32",
        mean: tuple[float, float, float] = IMAGENET_MEAN,
        std: tuple[float, float, float] = IMAGENET_STD,
        antialias: bool = True,
        shuffle: bool | None = None,
        shuffle_buffer: int = 4096,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        last_batch: LastBatch = "partial",
        with_ids: bool = False,
        threads: int | None = None,
        prefetch: int = 2,
    ) -> None:
        if framework not in _FRAMEWORKS:
            raise ValueError(f"framework is {framework!r}: expected one of {_FRAMEWORKS}")
        if last_batch not in ("partial", "drop", "pad"):
            raise ValueError(f"last_batch is {last_batch!r}: expected 'partial', 'drop' or 'pad'")
        if not 0 <= rank < world_size:
            raise ValueError(f"rank is {rank} of world_size {world_size}: ranks count from 0")
        import_dali()
        self._arrays: Any = importlib.import_module(f"dali_rec.loading.{framework}")
        self.dataset = dataset if isinstance(dataset, Dataset) else open_dataset(dataset)
        size = (image_size, image_size) if isinstance(image_size, int) else (image_size[0], image_size[1])
        self._image = ImageSpec(size, augment, dtype, mean, std, antialias)
        self.device = choose_device(device)
        self._execution = Execution(self.device, batch_size, threads, prefetch)
        shuffle = augment == "train" if shuffle is None else shuffle
        shuffle_files = shuffle and len(self.dataset.shards) > 1
        self._reader = ReaderSpec(rank, world_size, shuffle, shuffle_buffer, shuffle_files, seed)
        # DALI's readers stick to their shard when they shuffle the files, and move on to the next one otherwise.
        self._plan = EpochPlan(len(self.dataset), rank, world_size, batch_size, last_batch, rotate=not shuffle_files)
        self._with_ids = with_ids
        self._finder = RecordFinder(self.dataset)
        self._labels_are_classes = self.dataset.has_class_labels
        self._epoch = 0
        self._broken_off = False
        logger.info("Loader: %s; decode and resize on the %s (%s)", self.dataset, self.device, self.device.why)
        self._pipeline = self._build()

    @property
    def batch_size(self) -> int:
        """Images in a full batch."""
        return self._plan.batch_size

    @property
    def epoch(self) -> int:
        """Number of the epoch that is running, or comes next; the first is 0."""
        return self._epoch

    def __len__(self) -> int:
        """Batches in the epoch that is running, or comes next."""
        return self._plan.batches(self._epoch)

    def _build(self) -> Any:
        """A pipeline that begins with the current epoch."""
        base = self._reader
        reader = ReaderSpec(
            self._plan.shard(self._epoch),
            base.world_size,
            base.shuffle,
            base.shuffle_buffer,
            base.shuffle_files,
            # DALI counts epochs from its own beginning; a pipeline begun later must not repeat the first one's order.
            base.seed + _SEED_STEP * self._epoch,
        )
        return build_pipeline(self.dataset, self._image, reader, self._execution, with_source=self._with_ids)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        """One epoch. A loop that was left early has ended its epoch: the next begins a new one."""
        if self._broken_off:
            self._epoch += 1
            self._pipeline = self._build()
        epoch = self._epoch
        self._broken_off = True
        for number in range(self._plan.pipeline_batches):
            outputs = self._run(epoch, number)
            valid = self._plan.valid(epoch, number)
            if valid:
                yield self._batch(outputs, valid)
        self._broken_off = False
        self._epoch = epoch + 1

    def _run(self, epoch: int, number: int) -> Any:
        try:
            return self._pipeline.run()
        except RuntimeError as error:
            raise LoaderError(
                f"{self.dataset.name}: DALI stopped at batch {number} of epoch {epoch}; 'dali-rec verify "
                f"{self.dataset.name}' finds records that cannot be read or decoded. DALI said: {_reason(error)}"
            ) from error

    def _batch(self, outputs: Any, valid: int) -> tuple[Any, ...]:
        arrays = self._arrays
        image_array = arrays.from_images(outputs[0].as_tensor(), self.device)
        label_array = self._convert_labels(outputs[1])
        padded = valid < self._plan.batch_size
        batch = (image_array[:valid] if padded else image_array, arrays.from_host(label_array[:valid], self.device))
        if not self._with_ids:
            return batch
        return (*batch, self._ids(outputs[2], valid))

    def _convert_labels(self, labels: Any) -> NDArray[Any]:
        """Labels as int64 of shape (batch,) or float32 of shape (batch, labels)."""
        if not labels.is_dense_tensor():
            widths = sorted({shape[0] for shape in labels.shape()})
            raise DatasetError(
                f"{self.dataset.name}: its records have different numbers of labels ({widths[0]} to {widths[-1]}), "
                "which do not make one tensor"
            )
        values = np.asarray(labels.as_tensor())
        if self._labels_are_classes is None:
            # A .rec without a manifest: one whole number a record is taken for a class.
            self._labels_are_classes = values.shape[1] == 1 and bool(np.all(values == np.floor(values)))
        if not self._labels_are_classes:
            return values.copy()
        classes = values[:, 0].astype(np.int64)
        if values.shape[1] != 1 or not np.array_equal(classes, values[:, 0]):
            raise DatasetError(
                f"{self.dataset.name}: expected one class index a record, found the labels {values[:3].tolist()}; "
                "'dali-rec verify' checks the records"
            )
        return classes

    def _ids(self, sources: Any, valid: int) -> NDArray[np.uint64]:
        positions = [self._finder.position(np.asarray(sources[row]).tobytes()) for row in range(valid)]
        return self.dataset.keys[positions]


def _reason(error: RuntimeError) -> str:
    """The line of DALI's message that says what happened."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if "encountered:" in lines:
        following = lines[lines.index("encountered:") + 1 :]
        if following:
            return following[0]
    return lines[0] if lines else "nothing"


def image_pipeline(
    dataset: Dataset | str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    batch_size: int,
    image_size: int | tuple[int, int],
    *,
    augment: Augment = "train",
    device: str | int = "auto",
    dtype: DType = "float32",
    mean: tuple[float, float, float] = IMAGENET_MEAN,
    std: tuple[float, float, float] = IMAGENET_STD,
    antialias: bool = True,
    shuffle: bool | None = None,
    shuffle_buffer: int = 4096,
    seed: int = 0,
    rank: int = 0,
    world_size: int = 1,
    threads: int | None = None,
    prefetch: int = 2,
) -> Any:
    """The Loader's pipeline by itself, built, for DALI's own iterators; the parameters are the Loader's.

    Outputs: images and labels (float32, shape (labels,) each). The reader is called "reader" and pads its last batch,
    so iterate with ``last_batch_policy=PARTIAL`` and ``reader_name="reader"``.
    """
    dataset = dataset if isinstance(dataset, Dataset) else open_dataset(dataset)
    size = (image_size, image_size) if isinstance(image_size, int) else (image_size[0], image_size[1])
    shuffle = augment == "train" if shuffle is None else shuffle
    return build_pipeline(
        dataset,
        ImageSpec(size, augment, dtype, mean, std, antialias),
        ReaderSpec(rank, world_size, shuffle, shuffle_buffer, shuffle and len(dataset.shards) > 1, seed),
        Execution(choose_device(device), batch_size, threads, prefetch),
        with_source=False,
    )
