"""What this machine has: processor, memory, NVIDIA driver and GPUs. Nothing here imports a framework."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
from pathlib import Path
from typing import NamedTuple

_CPUINFO = Path("/proc/cpuinfo")
_MEMINFO = Path("/proc/meminfo")
_MEMORY_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
_DRIVER_VERSION = Path("/proc/driver/nvidia/version")
_DRIVER_LIBRARIES = ("libcuda.so.1", "libcuda.so", "nvcuda.dll")
_MANAGEMENT_LIBRARIES = ("libnvidia-ml.so.1", "libnvidia-ml.so")
_NAME_BYTES = 256
_COMPUTE_MAJOR, _COMPUTE_MINOR = 75, 76  # CUdevice_attribute, cuda.h
_SOCKET = 1  # nvmlAffinityScope_t, nvml.h
_CORE_WORDS = 64  # for the bits of 4096 cores


class Gpu(NamedTuple):
    """A GPU: its CUDA device number, name, memory in bytes, and compute capability, as (9, 0)."""

    number: int
    name: str
    memory: int
    capability: tuple[int, int]


class Driver(NamedTuple):
    """The NVIDIA driver: its version where the system says it, and the CUDA version that it serves, as (12, 8)."""

    version: str | None
    cuda: tuple[int, int]


def cpu_name() -> str:
    """The name of the processor."""
    if _CPUINFO.exists():
        for line in _CPUINFO.read_text("utf-8", "replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def memory() -> tuple[int, int] | None:
    """Bytes of memory, in all and available, or None where the system does not say. A container's limit counts."""
    if not _MEMINFO.exists():
        return None
    lines = dict(line.split(":", 1) for line in _MEMINFO.read_text("utf-8").splitlines() if ":" in line)
    try:
        total, available = (int(lines[name].split()[0]) * 1024 for name in ("MemTotal", "MemAvailable"))
    except (KeyError, ValueError, IndexError):
        return None
    for limit in _MEMORY_LIMITS:
        if limit.exists() and (text := limit.read_text("ascii").strip()).isdigit():
            total = min(total, int(text))
    return total, min(total, available)


def nvidia_driver() -> Driver | None:
    """The driver, or None where there is none that starts."""
    library = _load_driver()
    number = ctypes.c_int()
    if library is None or library.cuInit(0) or library.cuDriverGetVersion(ctypes.byref(number)):
        return None
    version = None
    if _DRIVER_VERSION.exists():  # "NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.86.15  Thu …"
        words = _DRIVER_VERSION.read_text("utf-8", "replace").partition("\n")[0].split()
        version = next((word for word in words if word[:1].isdigit() and "." in word), None)
    return Driver(version, (number.value // 1000, number.value % 1000 // 10))


def count_gpus() -> tuple[int, str]:
    """How many CUDA devices the driver shows to this process, and if none, why."""
    driver = _load_driver()
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


def gpus() -> tuple[Gpu, ...]:
    """The GPUs that this process may use, in the order of their CUDA device numbers."""
    count, _ = count_gpus()
    library = _load_driver()
    return () if library is None else tuple(_gpu(library, index) for index in range(count))


def knows_near_cores(number: int) -> bool:
    """Whether NVIDIA's management library (NVML) says which cores are near a GPU; in some containers it does not."""
    library = _load(_MANAGEMENT_LIBRARIES)
    if library is None or library.nvmlInit_v2():
        return False
    device, cores = ctypes.c_void_p(), (ctypes.c_ulong * _CORE_WORDS)()
    failed = library.nvmlDeviceGetHandleByIndex_v2(
        number, ctypes.byref(device)
    ) or library.nvmlDeviceGetCpuAffinityWithinScope(device, _CORE_WORDS, cores, _SOCKET)
    library.nvmlShutdown()
    return not failed


def _load_driver() -> ctypes.CDLL | None:
    """The library of the NVIDIA driver, or None where there is none."""
    return _load(_DRIVER_LIBRARIES)


def _load(names: tuple[str, ...]) -> ctypes.CDLL | None:
    for name in names:
        with contextlib.suppress(OSError):
            return ctypes.CDLL(name)
    return None


def _gpu(library: ctypes.CDLL, index: int) -> Gpu:
    device, name, size = ctypes.c_int(), ctypes.create_string_buffer(_NAME_BYTES), ctypes.c_size_t()
    library.cuDeviceGet(ctypes.byref(device), index)
    library.cuDeviceGetName(name, _NAME_BYTES, device)
    library.cuDeviceTotalMem_v2(ctypes.byref(size), device)
    capability = []
    for attribute in (_COMPUTE_MAJOR, _COMPUTE_MINOR):
        value = ctypes.c_int()
        library.cuDeviceGetAttribute(ctypes.byref(value), attribute, device)
        capability.append(value.value)
    return Gpu(index, name.value.decode(errors="replace"), size.value, (capability[0], capability[1]))


def total_cores() -> int:
    """Cores of the machine, those included that this process may not use."""
    return os.cpu_count() or 1
