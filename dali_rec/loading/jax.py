"""Batches as JAX arrays, on the device of the pipeline."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from dali_rec.errors import DeviceUnavailableError, MissingDependencyError
from dali_rec.loading.batch_mix import mix_whole

try:
    import jax
    import jax.dlpack
    import jax.numpy as jnp
except ImportError as error:
    raise MissingDependencyError(
        f"framework='jax' needs JAX ({error}); install it with: pip install jax, or take framework='numpy'"
    ) from None

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

    from dali_rec.loading.batch_mix import Mixture
    from dali_rec.loading.device import Device


def why_no_gpu() -> str | None:
    """Why this JAX has no arrays on GPUs, or None."""
    try:
        return None if jax.local_devices(backend="gpu") else "JAX shows no GPU to this process"
    except RuntimeError as error:
        return f"JAX {jax.__version__} cannot use it ({error})"


def on_device(_device: Device) -> AbstractContextManager[None]:
    """Nothing to do: JAX goes by the devices of its arrays."""
    return nullcontext()


def current_stream(_device: Device) -> None:
    """No CUDA stream to order batches on: JAX keeps its own, and DLPack orders them on it."""


def from_images(tensor: Any, _device: Device) -> jax.Array:
    """A DALI tensor as a JAX array, without a copy where its memory is aligned as JAX wants it."""
    return jax.dlpack.from_dlpack(tensor)


def mixed(images: Any, mixture: Mixture, device: Device) -> Any:
    """The images mixed; see loading/batch_mix.py."""
    return mix_whole(jnp, images, mixture, lambda mask: from_host(mask, device))


def from_host(array: NDArray[Any], device: Device) -> jax.Array:
    """An array that was made in host memory, moved to the device of the images.

    int64 becomes int32 unless JAX runs with ``jax_enable_x64``, as everywhere in JAX.
    """
    if array.dtype == "int64" and not jax.config.read("jax_enable_x64"):
        array = array.astype("int32")
    return jax.device_put(array, _device_of(device))


def _device_of(device: Device) -> Any:
    """JAX's own of the pipeline's device; by its CUDA number, since each process may be shown one GPU of several."""
    devices = jax.local_devices(backend="gpu" if device.is_gpu else "cpu")
    same = [one for one in devices if one.local_hardware_id == device.index] if device.is_gpu else devices
    if not same:
        raise DeviceUnavailableError(
            f"images are made on {device}, and JAX has only {', '.join(map(str, devices))} in this process; take "
            f"device={devices[0].local_hardware_id}"
        )
    return same[0]
