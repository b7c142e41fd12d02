"""Batches made by DALI, for the settings that it meets: at most one linear resize, crop, mirror, mean and deviation.

What is done to each image is drawn by the same plan as in opencv_engine.py.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dali_rec._dali import DALI_ERRORS, dali_reason, import_dali
from dali_rec.compat.mxnet.io.dali_samples import Sample, make_sample, placeholder
from dali_rec.compat.mxnet.io.draws import draws_of
from dali_rec.compat.mxnet.io.normalise import rounded
from dali_rec.compat.mxnet.io.threads import RecordThreads
from dali_rec.errors import LoaderError
from dali_rec.loading.decoding import Decoder, cuts_in_decoder, parsed

if TYPE_CHECKING:
    from collections.abc import Callable

    from dali_rec.compat.mxnet.io.parameters import ImageRecordParameters
    from dali_rec.compat.mxnet.io.passes import BatchRows
    from dali_rec.dataset import Dataset
    from dali_rec.loading.device import Device

_MOST_AT_ONCE = 3


def obstacles(parameters: ImageRecordParameters) -> list[str]:
    """Which of the settings DALI does not meet, or not with MXNet's pixels."""
    cuts_then_scales = parameters.has_random_resized_crop or parameters.has_crop_size
    found = {
        "4 channels": parameters.channels == 4,
        f"inter_method={parameters.inter_method}": parameters.inter_method != 1,
        "rotation, shear, random scale, aspect ratio or image size": parameters.has_affine,
        "pad": parameters.pad > 0,
        "resize with a crop that is resized again": parameters.resize != -1 and cuts_then_scales,
        "brightness, contrast or saturation": parameters.has_jitter,
        "random_h, random_s or random_l": parameters.has_hls,
        "pca_noise": parameters.pca_noise > 0,
        "max_random_contrast or max_random_illumination": parameters.has_gain,
        "mean_img": bool(parameters.mean_img),
        "scale=0": parameters.scale == 0,
    }
    return [name for name, is_there in found.items() if is_there]


@dataclass(slots=True, eq=False)
class _Begun:
    """A batch on its way: what waits for its samples, what went wrong, and whether DALI failed on it before."""

    batch: BatchRows
    samples: Callable[[], list[Sample]]
    error: Exception | None = None
    failed_before: bool = False


class DaliEngine:
    """Makes batches in one DALI pipeline, a few ahead; see ``Engine``.

    Threads make the samples of a batch while it is in ``_planned``; it goes to ``_running`` when DALI asks for it, and
    DALI gives back images in that order.

    ``framework``: the module of dali_rec.loading whose arrays come out. Raises MissingDependencyError without DALI.
    """

    def __init__(self, dataset: Dataset, parameters: ImageRecordParameters, framework: Any, device: Device) -> None:
        self._dataset = dataset
        self._parameters = parameters
        self._framework = framework
        self._device = device
        self._planned: deque[_Begun] = deque()
        self._running: deque[_Begun] = deque()
        self._threads = RecordThreads(dataset, parameters.preprocess_threads)
        self._pipeline = _build(self._feed, parameters, device)

    def begin(self, batch: BatchRows) -> Callable[[], tuple[Any]]:
        """Begin to make the images of a batch."""
        begun = _Begun(batch, self._samples(batch, as_stored=True))
        self._planned.append(begun)
        return lambda: (self._finish(begun),)

    def forget(self) -> None:
        """Drop what was begun; what DALI has already it makes to the end."""
        self._planned.clear()

    def close(self) -> None:
        """End the threads."""
        self._threads.close()

    def _samples(self, batch: BatchRows, *, as_stored: bool) -> Callable[[], list[Sample]]:
        parameters = self._parameters

        def make(place: int) -> Sample:
            image = self._dataset[int(batch.rows[place])].image
            draws = draws_of(batch, place, parameters.seed, parameters.seed_aug)
            return make_sample(image, parameters, draws, as_stored=as_stored)

        return self._threads.begin(batch, len(batch.rows), make)

    def _feed(self) -> tuple[list[Any], ...]:
        """The next batch for DALI, which asks for some ahead. What goes wrong is said when the batch is wanted."""
        begun = self._planned.popleft()
        self._running.append(begun)
        try:
            samples = begun.samples()
        except LoaderError as error:
            begun.error = error
        if begun.error is not None:
            samples = [placeholder()] * len(begun.batch.rows)
        return tuple(list(values) for values in zip(*samples, strict=True))

    def _finish(self, begun: _Begun) -> Any:
        made, images = self._next()
        while made is not begun:  # it was begun before forget()
            made, images = self._next()
        if begun.error is not None:
            raise begun.error
        return self._framework.from_images(images.as_tensor(), self._device)

    def _next(self) -> tuple[_Begun, Any]:
        """The batch that DALI makes next."""
        images = self._run()
        while images is None:
            images = self._run()
        return self._running.popleft(), images

    def _run(self) -> Any:
        """What DALI makes next; None where it failed, and the pipeline was built anew."""
        try:
            with self._framework.on_device(self._device):
                (images,) = self._pipeline.run(self._framework.current_stream(self._device))
        except DALI_ERRORS as error:
            self._go_on_after(error)
            return None
        return images

    def _go_on_after(self, error: Exception) -> None:
        """A pipeline that failed makes nothing more: all it had goes to another.

        DALI stops at damage past which OpenCV goes on, so the batch is tried once more with images that OpenCV made.
        """
        failed = self._running[0]
        if failed.failed_before:
            failed.error = LoaderError(f"{self._dataset.name}: DALI stopped: {dali_reason(error)}")
        else:
            failed.samples = self._samples(failed.batch, as_stored=False)
        failed.failed_before = True
        self._planned.extendleft(reversed(self._running))
        self._running.clear()
        self._pipeline = _build(self._feed, self._parameters, self._device)


def _build(feed: Callable[[], tuple[list[Any], ...]], parameters: ImageRecordParameters, device: Device) -> Any:
    dali = import_dali()
    fn, types = dali.fn, dali.types
    pipeline = dali.Pipeline(
        batch_size=parameters.batch_size,
        num_threads=parameters.preprocess_threads,
        device_id=device.index,
        seed=0,
        prefetch_queue_depth=min(_MOST_AT_ONCE, parameters.prefetch_buffer),
    )
    kinds = [types.UINT8, types.INT32, types.INT32, types.FLOAT, types.FLOAT, types.INT32]
    dtype = {"float32": types.FLOAT, "uint8": types.UINT8, "int8": types.INT8}[parameters.output_dtype.name]
    means = np.array(parameters.means, np.float32)
    if parameters.output_dtype == np.int8:
        means = rounded(means)
    options = {"output_type": types.GRAY if parameters.channels == 1 else types.RGB}
    if device.is_gpu:
        # Chroma is scaled up as OpenCV's decoder does it, and the CPU's.
        options["jpeg_fancy_upsampling"] = True
    decoder = Decoder(dali, device, options, cuts=cuts_in_decoder(device, wanted=None))
    with pipeline:
        images, starts, shapes, roi_starts, roi_ends, mirrors = fn.external_source(
            source=feed, num_outputs=len(kinds), dtype=kinds, ndim=[1, 1, 1, 1, 1, 0]
        )
        decoded = decoder.window(parsed(dali, images), starts, shapes)
        cropped = fn.resize(
            decoded,
            size=parameters.size,
            roi_start=roi_starts,
            roi_end=roi_ends,
            interp_type=types.INTERP_LINEAR,
            antialias=False,
        )
        normalised = fn.crop_mirror_normalize(
            cropped,
            dtype=dtype,
            output_layout="CHW",
            mirror=mirrors,
            mean=means.tolist(),
            std=[std / parameters.scale for std in parameters.stds],
        )
        pipeline.set_outputs(normalised)
    pipeline.build()
    return pipeline
