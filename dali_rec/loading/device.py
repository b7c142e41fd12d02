"""Which device decodes and resizes: a GPU where there is one, the CPU otherwise."""

from __future__ import annotations

import contextlib
import ctypes
from dataclasses import dataclass

from dali_rec.errors import DeviceUnavailableError

_LIBRARIES = ("libcuda.so.1", "libcuda.so", "nvcuda.dll")


@dataclass(frozen=True, slots=True)
class Device:
    """Where the pipeline runs. ``index`` is the CUDA device, None for the CPU; ``why`` says how it was chosen."""

    index: int | None
    why: str

    @property
    def is_gpu(self) -> bool:
        """Whether images are decoded and resized on a GPU."""
        return self.index is not None

    def __str__(self) -> str:
        return f"GPU {self.index}" if self.is_gpu else "CPU"


def choose_device(wanted: str | int, local_rank: int = 0) -> Device:
    """The device for ``wanted``: "auto", "gpu", "cpu", or the index of a CUDA device.

    "auto" and "gpu" take the GPU of the process' rank on this machine, ``local_rank``; where each process sees only its
    own, that is the first.

    Raises DeviceUnavailableError if a GPU is wanted and there is none, ValueError for anything else.
    """
    if wanted == "cpu":
        return Device(None, "as asked")
    count, why_not = count_gpus()
    if wanted == "auto":
        return Device(local_rank % count, f"{count} found") if count else Device(None, why_not)
    if wanted == "gpu":
        wanted = local_rank % count if count else 0
    if isinstance(wanted, bool) or not isinstance(wanted, int) or wanted < 0:
        raise ValueError(f"device is {wanted!r}: expected 'auto', 'gpu', 'cpu' or the index of a CUDA device")
    if not count:
        raise DeviceUnavailableError(f"no GPU can be used: {why_not}; device='cpu' or 'auto' loads without one")
    if wanted >= count:
        raise DeviceUnavailableError(f"no GPU {wanted}: {count} found, numbered from 0")
    return Device(wanted, "as asked")


def count_gpus() -> tuple[int, str]:
    """How many CUDA devices the driver shows, and if none, why."""
    driver = load_driver()
    if driver is None:
        return 0, "no NVIDIA driver found (libcuda)"
    status = driver.cuInit(0)
    if status:
        return 0, f"the NVIDIA driver does not start (CUDA error {status})"
    count = ctypes.c_int()
    status = driver.cuDeviceGetCount(ctypes.byref(count))
    if status or not count.value:
        return 0, "the NVIDIA driver shows no device"
    return count.value, ""


def load_driver() -> ctypes.CDLL | None:
    """The library of the NVIDIA driver, or None where there is none."""
    for name in _LIBRARIES:
        with contextlib.suppress(OSError):
            return ctypes.CDLL(name)
    return None
