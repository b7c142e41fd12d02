"""Batches made by DALI, for the settings that it meets: at most one linear resize, crop, mirror, mean and deviation.

What is done to each image is drawn by the same plan as in threads.py; DALI gets a part of the image to decode, where
the crop lies in it, and whether it is mirrored.
"""

from __future__ import annotations

import math
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np
import simplejpeg

from dali_rec._dali import DALI_ERRORS, dali_reason, import_dali
from dali_rec.compat.mxnet.io.normalise import rounded
from dali_rec.compat.mxnet.io.pixels import carry_out, decode
from dali_rec.compat.mxnet.io.plan import plan_image
from dali_rec.compat.mxnet.io.steps import Crop, Plan, Scale
from dali_rec.compat.mxnet.io.threads import draws_of, failure
from dali_rec.errors import ImageRejectedError, LoaderError, RecordError
from dali_rec.images import is_jpeg
from dali_rec.loading.decoding import Decoder, cuts_in_decoder, parsed
from dali_rec.orientation import orientation_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from dali_rec.compat.mxnet.io.draws import Draws
    from dali_rec.compat.mxnet.io.parameters import ImageRecordParameters
    from dali_rec.compat.mxnet.io.passes import BatchRows
    from dali_rec.dataset import Dataset
    from dali_rec.loading.device import Device

_MOST_AT_ONCE = 3
_END_OF_IMAGE = b"\xff\xd9"
_EXIF = b"Exif\0\0"
_EXIF_WITHIN = 65536


class Sample(NamedTuple):
    """One image as DALI takes it.

    ``image``: encoded, uint8. ``start`` and ``shape``: the part to decode, int32 (y, x). ``roi_start`` and ``roi_end``:
    where in that part the output comes from, float32 (y, x). ``mirror``: int32.
    """

    image: np.ndarray[Any, Any]
    start: np.ndarray[Any, Any]
    shape: np.ndarray[Any, Any]
    roi_start: np.ndarray[Any, Any]
    roi_end: np.ndarray[Any, Any]
    mirror: np.ndarray[Any, Any]


def obstacles(parameters: ImageRecordParameters) -> list[str]:
    """What of the settings DALI does not do, or not to MXNet's pixels."""
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
    """A batch on its way: what plans its samples, what went wrong, and whether DALI failed on it before."""

    batch: BatchRows
    tasks: list[Future[list[Sample]]]
    error: Exception | None = None
    failed_before: bool = False


class DaliEngine:
    """Makes batches in one DALI pipeline, a few ahead.

    ``framework``: the module of dali_rec.loading whose arrays come out. Raises MissingDependencyError without DALI.
    """

    def __init__(self, dataset: Dataset, parameters: ImageRecordParameters, framework: Any, device: Device) -> None:
        self._dataset = dataset
        self._parameters = parameters
        self._framework = framework
        self._device = device
        self._planned: deque[_Begun] = deque()
        self._running: deque[_Begun] = deque()
        self._pool = ThreadPoolExecutor(parameters.preprocess_threads, thread_name_prefix="dali-rec-plan")
        self._pipeline = _build(self._feed, parameters, device)

    def begin(self, batch: BatchRows) -> Callable[[], Any]:
        """Begin to make the images of a batch; see ``ThreadEngine.begin``."""
        begun = _Begun(batch, self._plan(batch, as_it_is=True))
        self._planned.append(begun)
        return lambda: self._finish(begun)

    def forget(self) -> None:
        """Drop what was begun; what DALI has already it makes to the end."""
        self._planned.clear()

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _plan(self, batch: BatchRows, *, as_it_is: bool) -> list[Future[list[Sample]]]:
        """Samples to come. ``as_it_is``: DALI gets images as they are stored, where it shows them as OpenCV does."""
        size = len(batch.rows)
        share = -(-size // (2 * self._parameters.preprocess_threads))
        parts = [range(at, min(at + share, size)) for at in range(0, size, share)]
        return [self._pool.submit(self._samples, batch, part, as_it_is) for part in parts]

    def _feed(self) -> tuple[list[Any], ...]:
        """The next batch for DALI, which asks for some ahead. What goes wrong is said when the batch is wanted."""
        begun = self._planned.popleft()
        self._running.append(begun)
        try:
            samples = [sample for task in begun.tasks for sample in task.result()]
        except LoaderError as error:
            begun.error = error
        if begun.error is not None:
            samples = [_PLACEHOLDER] * len(begun.batch.rows)
        return tuple(list(values) for values in zip(*samples, strict=True))

    def _finish(self, begun: _Begun) -> Any:
        made, images = self._next()
        while made is not begun:  # what was begun before forget()
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
            failed.tasks = []
        else:
            failed.tasks = self._plan(failed.batch, as_it_is=False)
        failed.failed_before = True
        self._planned.extendleft(reversed(self._running))
        self._running.clear()
        self._pipeline = _build(self._feed, self._parameters, self._device)

    def _samples(self, batch: BatchRows, places: range, as_it_is: bool) -> list[Sample]:  # for submit
        return [self._sample(batch, place, as_it_is=as_it_is) for place in places]

    def _sample(self, batch: BatchRows, place: int, *, as_it_is: bool) -> Sample:
        row, draws = int(batch.rows[place]), draws_of(self._parameters, batch, place)
        try:
            image = self._dataset[row].image
            return self._planned_sample(image, plain_jpeg_size(image) if as_it_is else None, draws)
        except (ImageRejectedError, RecordError, ValueError, cv2.error) as error:
            raise failure(self._dataset, row, error) from None

    def _planned_sample(self, image: memoryview, size: tuple[int, int] | None, draws: Draws) -> Sample:
        parameters = self._parameters
        if size is None:
            pixels = decode(image, parameters.channels)
            return _finished(pixels, plan_image(parameters, (pixels.shape[0], pixels.shape[1]), draws))
        plan = plan_image(parameters, size, draws)
        if sum(isinstance(step, Scale) for step in plan.steps) > 1:
            return _finished(decode(image, parameters.channels), plan)
        return _part(np.frombuffer(image, np.uint8), size, plan)


def plain_jpeg_size(image: memoryview) -> tuple[int, int] | None:
    """Height and width of a JPEG that every decoder shows alike; None for other images."""
    if not is_jpeg(image) or bytes(image[-2:]) != _END_OF_IMAGE:
        return None
    try:
        height, width, space, _ = simplejpeg.decode_jpeg_header(image)
    except ValueError:
        return None
    if space not in ("YCbCr", "Gray"):
        return None
    if _EXIF in bytes(image[:_EXIF_WITHIN]) and orientation_of(image) != 1:
        return None
    return height, width


def _finished(pixels: Any, plan: Plan) -> Sample:
    """An image that DALI might show otherwise: made here, and given to DALI without loss."""
    made = carry_out(plan.steps, pixels)
    encoded = cv2.imencode(".png", made, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].reshape(-1)
    return _sample_of(encoded, (0, 0), made.shape[:2], (0.0, 0.0), made.shape[:2], plan)


def _part(image: Any, size: tuple[int, int], plan: Plan) -> Sample:
    """What of the image DALI decodes, and where in it the output comes from."""
    first, *rest = plan.steps
    if isinstance(first, Crop) and rest:
        part = (first.height, first.width)
        return _sample_of(image, (first.top, first.left), part, (0.0, 0.0), part, plan)
    scaled = (first.height, first.width) if isinstance(first, Scale) else size
    crop = plan.steps[-1]
    assert isinstance(crop, Crop)
    factors = [own / other for own, other in zip(size, scaled, strict=True)]
    begin = [at * factor for at, factor in zip((crop.top, crop.left), factors, strict=True)]
    end = [
        (at + length) * factor
        for at, length, factor in zip((crop.top, crop.left), (crop.height, crop.width), factors, strict=True)
    ]
    # One pixel more on each side, between which and the next it is interpolated.
    start = [max(0, math.floor(at) - 1) for at in begin]
    stop = [min(side, math.ceil(at) + 1) for side, at in zip(size, end, strict=True)]
    shape = [last - one for one, last in zip(start, stop, strict=True)]
    return _sample_of(
        image,
        start,
        shape,
        [at - one for at, one in zip(begin, start, strict=True)],
        [at - one for at, one in zip(end, start, strict=True)],
        plan,
    )


def _sample_of(image: Any, start: Any, shape: Any, roi_start: Any, roi_end: Any, plan: Plan) -> Sample:
    return Sample(
        image,
        np.array(start, np.int32),
        np.array(shape, np.int32),
        np.array(roi_start, np.float32),
        np.array(roi_end, np.float32),
        np.array(plan.mirror, np.int32),
    )


_PLACEHOLDER = _finished(np.zeros((1, 1, 3), np.uint8), Plan((), mirror=False, gain=1.0, lift=0.0))


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
    colours = {"output_type": types.GRAY if parameters.channels == 1 else types.RGB}
    decoder = Decoder(dali, device, colours, cuts=cuts_in_decoder(device, wanted=None))
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
