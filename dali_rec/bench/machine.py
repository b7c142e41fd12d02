"""What a figure was measured on."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import time
from dataclasses import dataclass

from dali_rec._cores import available_cores
from dali_rec._hardware import cpu_name
from dali_rec._version import __version__

_PACKAGES = (
    "nvidia-dali-cuda120",
    "nvidia-dali-cuda130",
    "torch",
    "numpy",
    "pillow",
    "simplejpeg",
    "opencv-python-headless",
)


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine, its software, and when: ``cores`` are those that this process may run on."""

    date: str
    cpu: str
    cores: int
    gpus: tuple[str, ...]
    python: str
    versions: dict[str, str]

    def __str__(self) -> str:
        gpus = ", ".join(self.gpus) or "no GPU"
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        return f"{self.date}, {self.cpu}, {self.cores} cores, {gpus}, Python {self.python}, {versions}"


def this_machine() -> Machine:
    """The machine that this process runs on."""
    installed = {package.metadata["Name"]: package.version for package in importlib.metadata.distributions()}
    versions = {"dali-rec": __version__} | {name: installed[name] for name in _PACKAGES if name in installed}
    return Machine(
        time.strftime("%Y-%m-%d"), cpu_name(), available_cores(), _gpu_names(), platform.python_version(), versions
    )


def _gpu_names() -> tuple[str, ...]:
    command = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(line.strip() for line in found.stdout.splitlines() if line.strip())


def processor_seconds() -> float:
    """Processor time of this process and its threads so far, in seconds."""
    times = os.times()
    return times.user + times.system
