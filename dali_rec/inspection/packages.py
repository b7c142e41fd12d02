"""Which of the packages that dali-rec can use are installed, by their metadata alone: nothing is imported."""

from __future__ import annotations

import importlib.metadata
import re
from typing import NamedTuple


class Package(NamedTuple):
    """A package that dali-rec uses, under any of several names on the package index.

    extra: the optional dependency that installs it, or None where dali-rec itself needs it, or what the GPU's driver
    says decides. needs_gpu: it does nothing on the CPU.
    """

    name: str
    distributions: tuple[str, ...]
    purpose: str
    extra: str | None = None
    needs_gpu: bool = False


class Installed(NamedTuple):
    """A distribution that is installed, by the name that it has there."""

    distribution: str
    version: str


CORE = (
    Package("NumPy", ("numpy",), "arrays"),
    Package("Pillow", ("pillow", "pillow-simd"), "formats other than JPEG"),
    Package("simplejpeg", ("simplejpeg",), "JPEG headers, checks and encoding"),
    Package(
        "OpenCV",
        (
            "opencv-python-headless",
            "opencv-python",
            "opencv-contrib-python-headless",
            "opencv-contrib-python",
        ),
        "resizing",
    ),
    Package("Numba", ("numba",), "resizing on the CPU, in the Loader too"),
    Package("fsspec", ("fsspec",), "images behind URLs"),
    Package("aiohttp", ("aiohttp",), "http:// and https://"),
    Package("PyYAML", ("pyyaml",), "the .yaml of YOLO, README.md of the Hub"),
)
#: By the Loader's names for them, the one to take first before the others.
FRAMEWORKS = {
    "torch": Package("PyTorch", ("torch",), 'framework="torch"', "torch"),
    "jax": Package("JAX", ("jax",), 'framework="jax"', "jax"),
    "tensorflow": Package(
        "TensorFlow",
        ("tensorflow", "tensorflow-cpu", "tensorflow-gpu", "tf-nightly"),
        'framework="tensorflow"',
        "tensorflow",
    ),
    "cupy": Package(
        "CuPy", ("cupy-cuda12x", "cupy-cuda13x", "cupy-cuda11x", "cupy"), 'framework="cupy"', needs_gpu=True
    ),
}
OTHERS = (
    Package("s3fs", ("s3fs",), "s3://", "s3"),
    Package("gcsfs", ("gcsfs",), "gs://", "gcs"),
    Package("PyArrow", ("pyarrow",), "Parquet and Arrow files", "parquet"),
    Package("h5py", ("h5py",), "HDF5 files", "hdf5"),
    Package("Ray", ("ray",), "packing on many machines", "ray"),
    Package("Matplotlib", ("matplotlib",), "bench --plot", "plots"),
)

_DALI = re.compile(r"nvidia-dali(?:-nightly|-weekly)?-cuda\d+")
_CODEC = re.compile(r"nvidia-nvimgcodec-.+")


def installed() -> dict[str, str]:
    """Name, in its normal form, and version of every distribution that is installed."""
    found: dict[str, str] = {}
    for distribution in importlib.metadata.distributions():
        name = distribution.metadata["Name"]
        if name:  # broken metadata have none
            found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), distribution.version)
    return found


def find(package: Package, versions: dict[str, str]) -> Installed | None:
    """The first of the package's distributions that is installed."""
    return next((Installed(name, versions[name]) for name in package.distributions if name in versions), None)


def find_dali(versions: dict[str, str]) -> list[Installed]:
    """The builds of DALI that are installed; more than one overwrite each other."""
    return [Installed(name, version) for name, version in versions.items() if _DALI.fullmatch(name)]


def find_codec(versions: dict[str, str]) -> list[Installed]:
    """The builds of nvImageCodec that are installed."""
    return [Installed(name, version) for name, version in versions.items() if _CODEC.fullmatch(name)]
