"""Batches as NumPy arrays, in host memory."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np

from dali_rec.loading.batch_mix import mix_rows

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

    from dali_rec.loading.batch_mix import Mixture
    from dali_rec.loading.device import Device


def why_no_gpu() -> None:
    """Nothing keeps a GPU from decoding: what it makes is copied to host memory."""


def on_device(_device: Device) -> AbstractContextManager[None]:
    """Nothing to do: NumPy knows no GPUs."""
    return nullcontext()


def current_stream(_device: Device) -> None:
    """No CUDA stream to order batches on: each is complete when it is handed out."""


def from_images(tensor: Any, _device: Device) -> NDArray[Any]:
    """A DALI tensor as an array: a view where the pipeline runs on the CPU, a copy from the GPU otherwise."""
    # __array_interface__ keeps the tensor alive, so the view stays valid while later batches are made.
    return np.asarray(tensor.as_cpu())


def mixed(images: NDArray[Any], mixture: Mixture, _device: Device) -> Any:
    """The images mixed, in DALI's memory; see loading/batch_mix.py."""
    return mix_rows(images, mixture)


def from_host(array: NDArray[Any], _device: Device) -> NDArray[Any]:
    """An array that was made in host memory, such as labels and ids."""
    return array
