"""What a batch is: DALI's outputs as images and labels of the framework, mixed and with ids where that is wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dali_rec.loading.batch_mix import draw_mixture, mix_labels
from dali_rec.loading.labels import LabelReader, PaddedLabels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dali_rec.dataset import Dataset
    from dali_rec.loading.batch_mix import BatchMix
    from dali_rec.loading.boxes import BoxReader
    from dali_rec.loading.device import Device
    from dali_rec.loading.specs import ImageSpec


class ArraySpec(NamedTuple):
    """Shape and dtype of an array; a first dimension of None where a batch may be shorter."""

    shape: tuple[int | None, ...]
    dtype: str


class Part(NamedTuple):
    """A batch within the outputs of a run of the pipeline: these ``samples`` of them.

    ``rows``: which records they are, shape (batch,), where ``BatchMaker.needs_rows``.
    """

    outputs: Any
    samples: range
    rows: NDArray[np.int64] | None


class BatchMaker:
    """Makes batches of DALI's outputs.

    arrays: the module of the framework, such as loading/torch.py. mix: how images of a batch are mixed, or None.
    with_ids: whether the ids of the records come third.

    Raises ValueError where ``mix`` cannot mix what the records are.
    """

    def __init__(
        self,
        dataset: Dataset,
        image: ImageSpec,
        labels: LabelReader | BoxReader,
        arrays: Any,
        device: Device,
        mix: BatchMix | None,
        *,
        with_ids: bool,
    ) -> None:
        self._dataset = dataset
        self._dtype, self._views = image.dtype, image.views
        self._labels = labels
        self._arrays = arrays
        self._device = device
        self._mix = mix
        self._with_ids = with_ids
        self._classes = None if mix is None else self._classes_to_mix(mix)

    @property
    def needs_rows(self) -> bool:
        """Whether ``make`` has to be told which records a batch is of."""
        return self._with_ids or self._labels.needs_rows

    @property
    def is_plain(self) -> bool:
        """Whether a batch is what the pipeline makes: one view and its labels, unmixed, no boxes and without ids."""
        return self._mix is None and self._views == 1 and isinstance(self._labels, LabelReader) and not self.needs_rows

    def specs(self, images: int | None, size: tuple[int, int]) -> tuple[ArraySpec, ArraySpec]:
        """Shapes and dtypes of a batch of so many images of this height and width.

        Raises ValueError where a batch is not just one array of images and one of labels.
        """
        labels = self._labels.one(self._dataset)
        if self._mix is not None and isinstance(labels, np.ndarray):
            labels = mix_labels(labels, self._classes, self._mix.smoothing, None)
        if self._with_ids or self._views > 1 or not isinstance(labels, np.ndarray):
            raise ValueError("a batch is not one array of images and one of labels: it has ids, views or ragged labels")
        shape = (images, *size, 3) if self._dtype == "uint8" else (images, 3, *size)
        return ArraySpec(shape, self._dtype), ArraySpec((images, *labels.shape[1:]), str(labels.dtype))

    def make(self, part: Part, size: tuple[int, int], seeds: tuple[int, ...]) -> tuple[Any, ...]:
        """The batch: images, labels and, where wanted, ids.

        size: height and width of the images. seeds: of how they are mixed.
        """
        images = tuple(self._images(output, part.samples) for output in part.outputs[: self._views])
        labels = self._labels.of_samples(part.outputs[self._views :], part.samples, part.rows)
        if self._mix is not None and isinstance(labels, np.ndarray):
            mixture = draw_mixture(self._mix, size, seeds)
            labels = mix_labels(labels, self._classes, self._mix.smoothing, mixture)
            if mixture is not None:
                images = (self._arrays.mixed(images[0], mixture, self._device),)
        batch = (images[0] if self._views == 1 else images, self._placed(labels))
        return (*batch, self._dataset.keys[part.rows]) if self._with_ids and part.rows is not None else batch

    def _images(self, output: Any, samples: range) -> Any:
        tensor, is_part = output.as_tensor(), len(samples) < len(output)
        if is_part and not self._device.is_gpu:
            # As a tensor of its own, which is saved and sent without the rest of the run.
            tensor, is_part = host_part(tensor, samples), False
        array = self._arrays.from_images(tensor, self._device)
        return array[samples.start : samples.stop] if is_part else array

    def _placed(self, labels: NDArray[Any] | PaddedLabels | list[NDArray[np.float32]]) -> Any:
        """The labels as arrays of the framework, where the images are."""
        if isinstance(labels, np.ndarray):
            return self._arrays.from_host(labels, self._device)
        placed = [self._arrays.from_host(one, self._device) for one in labels]
        return PaddedLabels(*placed) if isinstance(labels, PaddedLabels) else placed

    def _classes_to_mix(self, mix: BatchMix) -> int | None:
        """Of how many classes mixed labels are; None where the records have a number for each."""
        labels = self._labels.one(self._dataset) if isinstance(self._labels, LabelReader) else None
        if not isinstance(labels, np.ndarray) or self._views > 1 or self._dtype == "uint8":
            raise ValueError(
                f"batch_mix is {mix}: it mixes one view of normalised images (dtype 'float32' or 'float16') that "
                "have a class or as many labels each, no boxes"
            )
        if labels.ndim > 1:
            return None
        classes = mix.classes or self._dataset.num_classes
        if classes is None:
            raise ValueError(
                f"{self._dataset.name}: how many classes there are is not written down; say BatchMix(classes=…)"
            )
        return classes


def host_part(tensor: Any, samples: range) -> Any:
    """These samples of a DALI tensor in host memory, as another one, without a copy."""
    from nvidia.dali.tensors import TensorCPU

    # It keeps the view, and that the tensor.
    return TensorCPU(np.asarray(tensor)[samples.start : samples.stop], "")
