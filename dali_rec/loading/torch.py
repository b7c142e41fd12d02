"""Batches as PyTorch tensors, on the device of the pipeline."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from dali_rec.errors import MissingDependencyError
from dali_rec.loading.batch_mix import mix_rows, mix_whole

try:
    import torch
except ImportError as error:
    raise MissingDependencyError(
        f"framework='torch' needs PyTorch ({error}); install it with: pip install torch, or take framework='numpy'"
    ) from None

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

    from dali_rec.loading.batch_mix import Mixture
    from dali_rec.loading.device import Device


def why_no_gpu() -> str | None:
    """Why this PyTorch has no tensors on GPUs, or None."""
    return None if torch.cuda.is_available() else f"PyTorch {torch.__version__} cannot use it"


def on_device(device: Device) -> AbstractContextManager[Any]:
    """Make the pipeline's GPU the current one: DALI asks for its default stream by the current GPU."""
    return torch.cuda.device(device.index) if device.is_gpu else nullcontext()


def current_stream(device: Device) -> Any:
    """The CUDA stream on which torch works, None on the CPU: it waits there for DALI's work, and Python goes on."""
    return torch.cuda.current_stream(device.index) if device.is_gpu else None


def from_images(tensor: Any, _device: Device) -> torch.Tensor:
    """A DALI tensor as a torch tensor, without a copy; DLPack orders it after DALI's work on torch's current stream.

    DALI uses the memory of a tensor that was dropped again when the GPU has done all that was begun before
    (DLTensorGraveyard in its dltensor.cc), whatever the framework.
    """
    return torch.from_dlpack(tensor)


def mixed(images: torch.Tensor, mixture: Mixture, device: Device) -> Any:
    """The images mixed; see loading/batch_mix.py."""
    if device.is_gpu:
        return mix_whole(torch, images, mixture, lambda mask: from_host(mask, device))
    if images.dtype == torch.float16 and mixture.box is None:
        return mix_rows(images, mixture)  # NumPy has no fast arithmetic of halves
    # In the same memory, by NumPy: torch's own threads get in the way of DALI's (docs/performance.md).
    mix_rows(images.numpy(), mixture)
    return images


def from_host(array: NDArray[Any], device: Device) -> torch.Tensor:
    """An array that was made in host memory, such as labels, moved to the device of the images."""
    tensor = torch.from_numpy(array)
    return tensor.cuda(device.index, non_blocking=True) if device.is_gpu else tensor
