"""Decoding as DALI nodes: of whole images, of random crops, of windows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dali_rec._hardware import knows_near_cores

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dali_rec.dataset import Dataset
    from dali_rec.loading.device import Device
    from dali_rec.loading.specs import Execution

#: DALI's own, in bytes a thread.
DEVICE_PADDING, HOST_PADDING = 16 << 20, 8 << 20

# What the buffers of the chip's JPEG engines may take from the start, in bytes.
_MOST_PREALLOCATED = 1 << 30
_CHANNELS = 3
_LARGEST_SIDE = 1 << 24


class Decoder:
    """DALI's decoders, on one device and with the same options.

    cuts: whether a crop is cut out by the decoder, which then decodes no more than it; otherwise the whole image is
    decoded first. The pixels, and the random numbers, are the same.
    """

    def __init__(self, dali: Any, device: Device, options: Mapping[str, Any] | None = None, *, cuts: bool) -> None:
        self._dali = dali
        self._cuts = cuts
        self._options = {
            "device": "mixed" if device.is_gpu else "cpu",
            "output_type": dali.types.RGB,
            **(options or {}),
        }
        if device.index is not None and not knows_near_cores(device.index):
            # DALI ties the decoder's threads to cores near the GPU, and fails where NVML does not tell it which.
            self._options["affine"] = False

    def whole(self, encoded: Any) -> Any:
        """The whole image, uint8 HWC."""
        return self._dali.fn.decoders.image(encoded, **self._options)

    def random_crop(self, encoded: Any, area: tuple[float, float], aspect: tuple[float, float]) -> Any:
        """Inception's crop, as torchvision's RandomResizedCrop has it: a share of the area, and width over height."""
        fn = self._dali.fn
        chosen = {"random_area": list(area), "random_aspect_ratio": list(aspect), "num_attempts": 10}
        if self._cuts:
            return fn.decoders.image_random_crop(encoded, **chosen, **self._options)
        images = self.whole(encoded)
        anchor, shape = fn.random_crop_generator(images.shape(), **chosen)
        return fn.slice(images, start=anchor, shape=shape, axes=[0, 1])

    def part(self, encoded: Any, begin: Any, size: Any) -> Any:
        """The part that begins at ``begin`` and is as large as ``size``, each (x, y) in parts of the image."""
        fn = self._dali.fn
        if self._cuts:
            return fn.decoders.image_slice(encoded, begin, size, **self._options)
        return fn.slice(self.whole(encoded), begin, size, axis_names="WH")

    def window(self, encoded: Any, start: Any, shape: Any) -> Any:
        """The part that begins at ``start`` and has this shape, each (y, x) in pixels."""
        fn = self._dali.fn
        if self._cuts:
            return fn.decoders.image_slice(encoded, start=start, shape=shape, axis_names="HW", **self._options)
        return fn.slice(self.whole(encoded), start=start, shape=shape, axis_names="HW")


def parsed(dali: Any, encoded: Any) -> Any:
    """``encoded`` as it is, but not before its headers have been read; an image without a size is an error here.

    DALI 2.4's decoders leave work behind in their threads when they meet such an image in a batch of 32 or more, and
    the program ends at it. What they stop at later, in the pixels, they survive. A checkpoint names all operators, so
    with other ones here no state that was saved before goes on.
    """
    fn, types = dali.fn, dali.types
    shape = fn.peek_image_shape(encoded, image_type=types.ANY_DATA)
    smallest, largest = (reduce(shape, keep_dims=True) for reduce in (fn.reductions.min, fn.reductions.max))
    sound = fn.cast((smallest > 0) & (largest < _LARGEST_SIDE), dtype=types.FLOAT)
    # The decoder waits for what it gets, and so for this; bytes cannot be reshaped to none.
    return fn.reshape(encoded, rel_shape=sound)


def cuts_in_decoder(device: Device, wanted: bool | None) -> bool:
    """Whether crops are cut out by the decoder: always on the CPU, on a GPU only where it is wanted.

    nvImageCodec 0.9, which DALI 2.3 and 2.4 need, fails at parts of JPEGs on some GPUs, and takes the program with it
    on others (H100, B200): https://github.com/NVIDIA/nvImageCodec/issues/55.
    """
    return not device.is_gpu or bool(wanted)


def decoder_options(dataset: Dataset, execution: Execution) -> dict[str, Any]:
    """What all of DALI's decoders on a GPU are told, whatever part of the image they decode."""
    if not execution.device.is_gpu:
        return {}
    options: dict[str, Any] = {}
    tuned, manifest = execution.tuned, dataset.manifest
    if tuned.hw_decoder_load is not None:
        options["hw_decoder_load"] = float(tuned.hw_decoder_load)
    if manifest is None:
        return options
    largest = _CHANNELS * manifest.max_width * manifest.max_height
    if tuned.preallocate or (tuned.preallocate is None and execution.batch_size * largest <= _MOST_PREALLOCATED):
        # Buffers are made once and never grow in the middle of an epoch.
        options["preallocate_width_hint"] = manifest.max_width
        options["preallocate_height_hint"] = manifest.max_height
    if tuned.pad_memory:
        options["device_memory_padding"] = max(DEVICE_PADDING, largest)
        options["host_memory_padding"] = max(HOST_PADDING, largest)
    return options
