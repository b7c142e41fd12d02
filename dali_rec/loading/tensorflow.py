"""Batches as TensorFlow tensors, and a Loader as a tf.data.Dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dali_rec.errors import MissingDependencyError

try:
    import tensorflow as tf
except ImportError as error:
    raise MissingDependencyError(
        f"framework='tensorflow' needs TensorFlow ({error}); install it with: pip install tensorflow, or take "
        "framework='numpy'"
    ) from None

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from dali_rec.loading.device import Device
    from dali_rec.loading.loader import Loader

#: The module whose functions work on these arrays.
xp: Any = tf


def current_stream(_device: Device) -> None:
    """No CUDA stream to order batches on: TensorFlow does not show its own."""


def from_images(tensor: Any, _device: Device) -> Any:
    """A DALI tensor as a TensorFlow tensor, without a copy where TensorFlow takes the memory as it is."""
    # TensorFlow names no stream to wait on; none is needed, since Pipeline.run() without a stream returns outputs that
    # are complete.
    return tf.experimental.dlpack.from_dlpack(tensor.__dlpack__())


def from_host(array: NDArray[Any], device: Device) -> Any:
    """An array that was made in host memory, such as labels, moved to the device of the images."""
    with tf.device(f"/GPU:{device.index}" if device.is_gpu else "/CPU:0"):
        return tf.constant(array)


def as_dataset(loader: Loader) -> Any:
    """The loader as a tf.data.Dataset of (images, labels) that Keras' ``fit`` takes; one pass over it is one epoch.

    ``loader`` is one with ``framework="tensorflow"`` or ``"numpy"``, and no ids. Every shape is static but for the
    number of images where the last batch may be shorter; the number of batches of the next epoch is known to Keras.

    Raises ValueError for a loader whose batches are not one tensor of images and one of labels.
    """
    signature = tuple(tf.TensorSpec(part.shape, part.dtype) for part in loader.element_spec)

    def batches() -> Iterator[tuple[Any, ...]]:
        yield from loader

    dataset = tf.data.Dataset.from_generator(batches, output_signature=signature)
    return dataset.apply(tf.data.experimental.assert_cardinality(len(loader)))
