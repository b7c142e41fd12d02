"""Batches as TensorFlow tensors, and a Loader as a tf.data.Dataset."""

from __future__ import annotations

import importlib
import logging
import os
import shutil
import tempfile
import weakref
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dali_rec.errors import DeviceUnavailableError, MissingDependencyError
from dali_rec.loading.batch_mix import mix_whole

try:
    import tensorflow as tf
except ImportError as error:
    raise MissingDependencyError(
        f"framework='tensorflow' needs TensorFlow ({error}); install it with: pip install tensorflow, or take "
        "framework='numpy'"
    ) from None

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

    from dali_rec.loading.batch_mix import Mixture
    from dali_rec.loading.device import Device
    from dali_rec.loading.loader import Loader

logger = logging.getLogger("dali_rec")


def why_no_gpu() -> str | None:
    """Why this TensorFlow has no tensors on GPUs, or None."""
    return None if tf.config.get_visible_devices("GPU") else f"TensorFlow {tf.__version__} cannot use it"


def on_device(_device: Device) -> AbstractContextManager[None]:
    """Nothing to do: TensorFlow goes by the names of devices."""
    return nullcontext()


def current_stream(_device: Device) -> None:
    """No CUDA stream to order batches on: TensorFlow does not show its own."""


def from_images(tensor: Any, _device: Device) -> Any:
    """A DALI tensor as a TensorFlow tensor, without a copy where TensorFlow takes the memory as it is."""
    # TensorFlow names no stream to wait on; none is needed, since Pipeline.run() without a stream returns outputs that
    # are complete. When DALI uses the memory again is said in loading/torch.py.
    return tf.experimental.dlpack.from_dlpack(tensor.__dlpack__())


def mixed(images: Any, mixture: Mixture, device: Device) -> Any:
    """The images mixed; see loading/batch_mix.py."""
    return mix_whole(tf, images, mixture, lambda mask: from_host(mask, device))


def from_host(array: NDArray[Any], device: Device) -> Any:
    """An array that was made in host memory, such as labels, moved to the device of the images."""
    with tf.device(_name_of(device)):
        return tf.constant(array)


def _name_of(device: Device) -> str:
    """TensorFlow's name of the pipeline's device: it numbers the GPUs that it was told to use."""
    if not device.is_gpu:
        return "/CPU:0"
    visible = [one.name for one in tf.config.get_visible_devices("GPU")]
    for number, name in enumerate(visible):
        if name.endswith(f":{device.index}"):
            return f"/GPU:{number}"
    raise DeviceUnavailableError(
        f"images are made on {device}, and TensorFlow uses only {', '.join(visible)}; take the same with device=…"
    )


def as_dataset(loader: Loader) -> Any:
    """The loader as a tf.data.Dataset of (images, labels) that Keras' ``fit`` takes; one pass over it is one epoch.

    ``loader`` is one with ``framework="tensorflow"`` or ``"numpy"``, and no ids. Every shape is static but for the
    number of images where a batch may be shorter. Keras knows how many batches an epoch has. Where not all have as many
    (the rest of one after ``load_state_dict``, ranks without ``even=True``, ``on_error="skip"``) it is told the most,
    and warns at the end of a shorter one; a dataset made of this one by ``map`` and the like tells it nothing, and
    epochs longer than its first are cut short.

    Raises ValueError for a loader whose batches are not one tensor of images and one of labels.
    """
    signature = tuple(tf.TensorSpec(part.shape, part.dtype) for part in loader.element_spec)

    def batches() -> Iterator[tuple[Any, ...]]:
        yield from loader

    dataset = tf.data.Dataset.from_generator(batches, output_signature=signature)
    most, always = loader.most_batches()
    if always:
        return dataset.apply(tf.data.experimental.assert_cardinality(most))
    # TensorFlow takes a shorter epoch than was asserted for an error. Keras asks for the number here, and not knowing
    # it goes by its first epoch.
    dataset.cardinality = lambda: tf.constant(most, tf.int64)
    return dataset


def as_endless_dataset(loader: Loader) -> Any:
    """The loader as a tf.data.Dataset without end, one epoch after the other: Keras wants ``steps_per_epoch`` with it.

    DALI's TensorFlow plugin makes the batches where it is installed and the loader allows it: no Python in between, and
    images stay on the GPU. That takes ``last_batch="pad"`` (``even=True`` with several ranks) and a fresh loader in the
    order of DALI's reader, whose ``state_dict`` then stands still; on the CPU also ``resizer="dali"``, which is the
    slower way there, and batches so large that they are made one at a time (``batches_at_once``). Otherwise the loader
    itself makes them, as for ``as_dataset``; the logger "dali_rec" says why (level INFO). The batches are the same both
    ways.

    Raises ValueError for a loader whose batches are not one tensor of images and one of labels.
    """
    signature = tuple(tf.TensorSpec(part.shape, part.dtype) for part in loader.element_spec)
    try:
        return _plugin_dataset(loader, signature)
    except (ImportError, RuntimeError, ValueError, tf.errors.OpError) as error:
        logger.info("%s: without DALI's TensorFlow plugin: %s", loader.dataset, error)

    def batches() -> Iterator[tuple[Any, ...]]:
        while True:
            yield from loader

    endless = tf.data.Dataset.from_generator(batches, output_signature=signature)
    return endless.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))


def _plugin_dataset(loader: Loader, signature: tuple[Any, ...]) -> Any:
    plugin = importlib.import_module("nvidia.dali.plugin.tf")
    # A pipeline is made from it whenever an iteration begins, so it goes only with the data set.
    folder = tempfile.mkdtemp(prefix="dali-rec-")
    try:
        pipeline = loader.plugin_pipeline(Path(folder, "derived.idx"))
    except ValueError:
        shutil.rmtree(folder)
        raise
    device = loader.device
    with tf.device(_name_of(device)):
        dataset = plugin.DALIDataset(
            pipeline=pipeline,
            batch_size=loader.batch_size,
            output_shapes=tuple((loader.batch_size, *spec.shape[1:]) for spec in signature),
            output_dtypes=tuple(spec.dtype for spec in signature),
            device_id=device.index,
            num_threads=pipeline.num_threads,
            prefetch_queue_depth=pipeline.cpu_queue_size,
        )
    weakref.finalize(dataset, _remove, folder, os.getpid())
    return dataset


def _remove(folder: str, pid: int) -> None:
    """Remove a folder, unless this process was forked from the one with this ``pid``, which still needs it."""
    if os.getpid() == pid:
        shutil.rmtree(folder, ignore_errors=True)
