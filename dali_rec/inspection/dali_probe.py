"""Whether a pipeline runs here: a few images written and loaded, in a process that may crash by itself.

``python -m dali_rec.inspection.dali_probe cpu`` (or the number of a GPU) prints one line that says how it went.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import simplejpeg

from dali_rec.loading import Loader
from dali_rec.recordio import RecordWriter

_IMAGES = 8
_SIDE = 32
_TIMEOUT = 120.0
_MARK = "probe: "


class Probe(NamedTuple):
    """How a pipeline went: whether its images came out, and if not, why."""

    runs: bool
    reason: str


def start(device: str) -> subprocess.Popen[str]:
    """Start the probe of a device, "cpu" or the number of a GPU, in a process of its own."""
    package = Path(__file__).parents[2]
    path = os.pathsep.join([str(package), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.Popen(  # noqa: S603  # this Python, this module
        [sys.executable, "-m", "dali_rec.inspection.dali_probe", device],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env={**os.environ, "PYTHONPATH": path},
    )


def finish(process: subprocess.Popen[str], timeout: float = _TIMEOUT) -> Probe:
    """Wait for a probe, and end it after ``timeout`` seconds."""
    try:
        out, error = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return Probe(runs=False, reason=f"it did not end within {timeout:.0f} s")
    said = next((line.removeprefix(_MARK) for line in out.splitlines() if line.startswith(_MARK)), None)
    if said is not None:
        return Probe(said == "runs", "" if said == "runs" else said)
    if process.returncode < 0:
        return Probe(runs=False, reason=f"the process was ended by signal {-process.returncode}")
    lines = error.strip().splitlines()
    return Probe(runs=False, reason=lines[-1] if lines else f"the process ended with status {process.returncode}")


def _run(device: str) -> str:
    """Write and load a few images; "runs", or what went wrong in one line."""
    with tempfile.TemporaryDirectory(prefix="dali-rec-doctor-") as folder:
        path = Path(folder) / "images.rec"
        with RecordWriter(path) as writer:
            for key in range(_IMAGES):
                pixels = np.full((2 * _SIDE, 3 * _SIDE, 3), 16 * key, np.uint8)
                writer.write_image(simplejpeg.encode_jpeg(pixels), float(key), key)
        loader = Loader(
            path,
            _IMAGES // 2,
            _SIDE,
            augment="eval",
            framework="numpy",
            device="cpu" if device == "cpu" else int(device),
            threads=1,
        )
        shapes = [images.shape for images, _ in loader]
    expected = [(_IMAGES // 2, 3, _SIDE, _SIDE)] * 2
    return "runs" if shapes == expected else f"batches of the shapes {shapes} came out, {expected} were expected"


def main(device: str) -> None:
    """Run the probe and print its line."""
    try:
        outcome = _run(device)
    except Exception as error:  # noqa: BLE001  # whatever it is, it is the finding
        outcome = " ".join(f"{type(error).__name__}: {error}".split())
    print(f"{_MARK}{outcome}")  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1])
