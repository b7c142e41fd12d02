"""Whether a GPU's decoder cuts out crops, tried in a process of its own, since some programs end at that."""

from __future__ import annotations

import itertools
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dali_rec.dataset import Dataset
    from dali_rec.loading.device import Device

_SECONDS = 120
_BATCHES = 4
_BATCH_SIZE = 64
_COMMAND = "import sys; sys.path[:] = sys.argv[3:]; from dali_rec.bench.crop_probe import probe; probe(*sys.argv[1:3])"


def why_not_in_decoder(dataset: Dataset, device: Device) -> str | None:
    """None where a few batches of crops are decoded, or else what became of the attempt."""
    path, index = str(dataset.shards[0].path), "cpu" if device.index is None else str(device.index)
    folders = [folder for folder in sys.path if isinstance(folder, str)]
    try:
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-c", _COMMAND, path, index, *folders],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {_SECONDS} s"
    if done.returncode < 0:
        return f"killed by signal {-done.returncode}"
    lines = done.stderr.strip().splitlines()
    return None if not done.returncode else (lines[-1] if lines else f"ended with status {done.returncode}")


def probe(path: str, index: str) -> None:
    """Decode crops of the records of a .rec on this device; what the process does."""
    from dali_rec.loading import Loader, Tuned

    device = index if index == "cpu" else int(index)
    settings = Tuned(crop_in_decoder=True)
    loader = Loader(path, _BATCH_SIZE, 64, framework="numpy", device=device, tuned=settings, rank=0, world_size=1)
    for _ in itertools.islice(loader, _BATCHES):
        pass
