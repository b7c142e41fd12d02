"""Fixtures shared by all tests, and what to skip where there is no GPU."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import support
import windows_files

import dali_rec
from dali_rec import _open_files, _workers
from dali_rec._hardware import count_gpus
from dali_rec.sources import remote

# Or JAX and TensorFlow would take the GPU's memory for themselves.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")

# PyTorch for CUDA, as PyPI has it, brings Triton, which crashes as it is imported after TensorFlow (but not before it).
with contextlib.suppress(ImportError):
    import triton  # noqa: F401

# What a shell begins in the background ignores Ctrl-C, and so would the commands to which tests send it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


# How long an example takes is up to the machine, and to what else it does. A fixture's folder serves all examples.
hypothesis.settings.register_profile(
    "dali-rec",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.function_scoped_fixture],
)
hypothesis.settings.load_profile("dali-rec")


_NEEDED = {"gpu": "a GPU", "posix": "a POSIX system"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    gpus, why_not = count_gpus()
    missing = {"gpu": None if gpus else why_not, "posix": "this is Windows" if sys.platform == "win32" else None}
    for item in items:
        for name, reason in missing.items():
            if reason is not None and item.get_closest_marker(name):
                item.add_marker(pytest.mark.skip(reason=f"needs {_NEEDED[name]}: {reason}"))


@pytest.fixture(scope="session", autouse=True)
def unwaited_disk() -> Iterator[None]:
    """No test sees what a power cut leaves, so none waits for the disk; that files are synced is tested by itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", os.fstat)  # which refuses a closed file, too
        yield


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``class_folder`` and ``packed`` are copies of."""
    folder = tmp_path_factory.mktemp("made")
    support.make_class_folder(folder / "photos", {"ant": 3, "bee": 4, "cat": 5})
    dali_rec.pack(folder / "photos", folder / "out" / "photos", shuffle=False)
    return folder


@pytest.fixture
def class_folder(made_once: Path, tmp_path: Path) -> Path:
    """12 JPEGs in the classes ant (3), bee (4) and cat (5)."""
    return shutil.copytree(made_once / "photos", tmp_path / "photos")


@pytest.fixture
def packed(made_once: Path, class_folder: Path, tmp_path: Path) -> Path:
    """The prefix of those images, packed in the order of the folder."""
    shutil.copytree(made_once / "out", tmp_path / "out")
    return tmp_path / "out" / "photos"


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """A real S3 server on loopback."""
    moto_server = pytest.importorskip("moto.server", reason="moto is not installed")
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def bucket(s3_server: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of an empty bucket of that server."""
    s3fs = pytest.importorskip("s3fs", reason="s3fs is not installed")
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    remote.filesystem_for.cache_clear()
    s3fs.S3FileSystem.clear_instance_cache()
    name = request.node.name.replace("_", "-").replace("[", "-").replace("]", "")[:60].rstrip("-")
    s3fs.S3FileSystem().mkdir(name)
    yield name
    s3fs.S3FileSystem.clear_instance_cache()
    remote.filesystem_for.cache_clear()


@pytest.fixture
def open_files_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is open is neither removed nor renamed, as on Windows; and nobody waits long for others to close it."""
    monkeypatch.setattr(_open_files, "_SECONDS_TO_LET_GO", 0.05)
    if sys.platform == "linux":
        windows_files.let_open_files_stay(monkeypatch)
    elif sys.platform != "win32":
        pytest.skip("finds open files by /proc")


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
