"""Fixtures shared by all tests, and what to skip where there is no GPU."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import support

import dali_rec
from dali_rec import _workers
from dali_rec._hardware import count_gpus

# Or JAX and TensorFlow would take the GPU's memory for themselves.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    gpus, why_not = count_gpus()
    if gpus:
        return
    skip = pytest.mark.skip(reason=f"needs a GPU: {why_not}")
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(skip)


@pytest.fixture
def class_folder(tmp_path: Path) -> Path:
    """12 JPEGs in the classes ant (3), bee (4) and cat (5)."""
    return support.make_class_folder(tmp_path / "photos", {"ant": 3, "bee": 4, "cat": 5})


@pytest.fixture
def packed(class_folder: Path, tmp_path: Path) -> Path:
    """The prefix of those images, packed in the order of the folder."""
    dali_rec.pack(class_folder, tmp_path / "out" / "photos", shuffle=False)
    return tmp_path / "out" / "photos"


@pytest.fixture(scope="session")
def photographs() -> Path:
    """The folder of real photographs, which is not part of the repository."""
    if not support.PHOTOGRAPHS.is_dir():
        pytest.skip(f"no photographs at {support.PHOTOGRAPHS}")
    return support.PHOTOGRAPHS


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, subprocess.Popen[bytes]]]:
    """The processes that are begun to work for this one: how many threads each has, and its Popen."""
    processes: list[tuple[int, subprocess.Popen[bytes]]] = []

    class Counted(_workers._Process):
        def __init__(self, settings: _workers.Settings) -> None:
            super().__init__(settings)
            processes.append((settings.threads, self._process))

    monkeypatch.setattr(_workers, "_Process", Counted)
    return processes
