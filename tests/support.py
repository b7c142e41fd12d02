"""Small data for tests, made in a line or two."""

from __future__ import annotations

import importlib
import io
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

DATA = Path(__file__).parent / "data"
PHOTOGRAPHS = Path(__file__).resolve().parents[2] / "shared" / "images"


def picture(seed: int = 0, size: tuple[int, int] = (40, 32), mode: str = "RGB") -> Image.Image:
    """A smooth, coloured picture of (width, height) that differs from seed to seed."""
    noise = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC).convert(mode)


def encoded(image: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    """The picture as the bytes of a file."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def jpeg(seed: int = 0, size: tuple[int, int] = (40, 32), **options: object) -> bytes:
    """A small JPEG that differs from seed to seed."""
    return encoded(picture(seed, size), "JPEG", **options)


def make_class_folder(folder: Path, classes: dict[str, int], size: tuple[int, int] = (40, 32)) -> Path:
    """FOLDER/class/class_000.jpg …: so many JPEGs, all different, for each class."""
    seed = 0
    for name, count in classes.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            (folder / name / f"{name}_{number:03d}.jpg").write_bytes(jpeg(seed, size))
            seed += 1
    return folder


def peak_memory(code: str) -> tuple[str, int]:
    """Run Python ``code`` in a process of its own; gives what it prints and the most memory it had, in kilobytes.

    The code may call ``peak()`` itself. Not by getrusage, whose figure begins with that of the process that started it.
    """
    prelude = """
def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
"""
    command = [sys.executable, "-c", f"{prelude}\n{code}\nprint(peak())"]
    *lines, kilobytes = subprocess.run(command, capture_output=True, check=True, text=True).stdout.splitlines()
    return "\n".join(lines), int(kilobytes)


def traced_peak(function: Callable[[], object]) -> int:
    """The most bytes that Python and NumPy have allocated at a time while ``function`` runs."""
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def require_on_gpu(framework: str) -> ModuleType:
    """The framework's module; the test is skipped where it is not installed, or is a build for the CPU."""
    module = pytest.importorskip(framework)
    why_not = importlib.import_module(f"dali_rec.loading.{framework}").why_no_gpu()
    if why_not is not None:
        pytest.skip(why_not)
    return module


def on_host(array: Any) -> Any:
    """An array of any framework, copied from the GPU, where it is to lie."""
    if hasattr(array, "get"):  # of CuPy, all of whose arrays lie there
        return array.get()
    where = str(getattr(array, "device", ""))
    assert "cuda" in where.lower() or "gpu" in where.lower()
    return array.cpu().numpy() if hasattr(array, "cpu") else np.asarray(array)
