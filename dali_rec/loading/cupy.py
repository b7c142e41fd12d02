"""Batches as CuPy arrays, on the GPU of the pipeline."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from dali_rec.errors import DeviceUnavailableError, MissingDependencyError
from dali_rec.loading.batch_mix import mix_whole

try:
    import cupy
except ImportError as error:
    raise MissingDependencyError(
        f"framework='cupy' needs CuPy ({error}); install it with: pip install cupy-cuda12x, or take framework='numpy'"
    ) from None

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

    from dali_rec.loading.batch_mix import Mixture
    from dali_rec.loading.device import Device


def why_no_gpu() -> str | None:
    """Why this CuPy has no arrays on GPUs, or None."""
    return None if cupy.cuda.is_available() else f"CuPy {cupy.__version__} cannot use it"


def on_device(device: Device) -> AbstractContextManager[Any]:
    """Make the pipeline's GPU the current one, on which CuPy works; see the same in loading/torch.py."""
    return cupy.cuda.Device(device.index) if device.is_gpu else nullcontext()


def current_stream(device: Device) -> Any:
    """The CUDA stream on which CuPy works, None on the CPU; see the same in loading/torch.py."""
    with on_device(device):
        return cupy.cuda.get_current_stream() if device.is_gpu else None


def from_images(tensor: Any, device: Device) -> Any:
    """A DALI tensor as a CuPy array, without a copy; DLPack orders it after DALI's work on CuPy's current stream."""
    _check(device)
    return cupy.from_dlpack(tensor)


def mixed(images: Any, mixture: Mixture, device: Device) -> Any:
    """The images mixed; see loading/batch_mix.py."""
    return mix_whole(cupy, images, mixture, lambda mask: from_host(mask, device))


def from_host(array: NDArray[Any], device: Device) -> Any:
    """An array that was made in host memory, such as labels, moved to the device of the images."""
    _check(device)
    with on_device(device):
        return cupy.asarray(array)


def _check(device: Device) -> None:
    if not device.is_gpu:
        raise DeviceUnavailableError(
            f"framework='cupy' has arrays on GPUs only, and the pipeline runs on the CPU ({device.why}); take "
            "framework='numpy'"
        )
