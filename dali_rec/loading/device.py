"""Which device decodes and resizes: a GPU where there is one, the CPU otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dali_rec._hardware import count_gpus
from dali_rec.errors import DeviceUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable


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


def device_for(wanted: str | int, local_rank: int, framework: str, why_no_gpu: Callable[[], str | None]) -> Device:
    """As ``choose_device``, for arrays of a framework: "auto" takes no GPU that it cannot use.

    why_no_gpu: says why the framework cannot use one, or None. Raises DeviceUnavailableError also where that is so.
    """
    device = choose_device(wanted, local_rank)
    reason = why_no_gpu() if device.is_gpu else None
    if reason is None:
        return device
    if wanted == "auto":
        return Device(None, f"a GPU was found, but {reason}")
    raise DeviceUnavailableError(
        f"framework={framework!r} on {device}: {reason}; install a build for CUDA, or take device='cpu' or "
        "framework='numpy'"
    )
