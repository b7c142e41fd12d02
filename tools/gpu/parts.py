"""The parts: what each measures of the Loader, and how much of the time it may take."""

from __future__ import annotations

import dataclasses
import math
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from gpu.marked_tests import run_tests
from gpu.packing import count_engines, measure_packing
from gpu.processes import ROOT, keep
from gpu.work import Work, list_many

if TYPE_CHECKING:
    from collections.abc import Callable

RECORDS = 8000
BATCH_SIZE = 256
IMAGE_SIZE = 224
FARTHEST = 2.0  # levels that the pixels of the GPU's batch may be off the CPU's, on average
RUNS = 5
SHORTEST_RUN = 1.0  # seconds; below that a rate is mostly noise
STAGE_ROUNDS, STAGE_SECONDS = 3, 1.5
TUNING_ROUNDS, TUNING_SECONDS = 3, 1.0


class Part(NamedTuple):
    """What is done, by a process of its own. share: the most that it may take of the minutes there are."""

    do: Callable[[Work], Any]
    share: float


def make_data(work: Work) -> dict[str, Any]:
    """Draw the images, where none are given, and pack them, over and over, to at least RECORDS records."""
    import dali_rec
    from dali_rec.demo import write_images

    if work.images.parent == work.data:
        write_images(work.images)
    listed = list_many(work, "many.lst", RECORDS)
    report = dali_rec.pack(listed, work.packed, shuffle=True)
    return {"records": report.records, "bytes": report.bytes, "seconds": round(report.seconds, 1)}


def smoke(work: Work) -> dict[str, Any]:
    """How many JPEG engines there are, one batch of the GPU beside the CPU's, and an epoch of random crops counted."""
    import numpy as np

    import dali_rec

    found: dict[str, Any] = {"JPEG engines": count_engines()}
    keep(found)
    options = {"augment": "eval", "dtype": "uint8", "framework": "numpy", "shuffle": False}
    batches = {}
    for device in ("gpu", "cpu"):
        began = time.perf_counter()
        batches[device] = next(iter(dali_rec.Loader(work.packed, BATCH_SIZE, IMAGE_SIZE, device=device, **options)))
        found[f"seconds to a batch, {device}"] = round(time.perf_counter() - began, 1)
        keep(found)
    apart = np.abs(batches["gpu"][0].astype(int) - batches["cpu"][0])
    found |= {"levels apart": round(float(apart.mean()), 3), "over 8 apart": round(float((apart > 8).mean()), 4)}
    keep(found)
    began = time.perf_counter()
    for images, labels in (one := loader(work.packed, "gpu")):
        if not images.is_cuda == labels.is_cuda == one.device.is_gpu:
            raise RuntimeError(f"images lie on {images.device} and labels on {labels.device}, made on {one.device}")
        if not bool(images.isfinite().all()):
            raise RuntimeError("a batch has pixels that are no numbers")
        found["images"] = found.get("images", 0) + len(labels)
    found["seconds of the first epoch"] = round(time.perf_counter() - began, 1)
    keep(found)
    if found["images"] != len(one.dataset):
        raise RuntimeError(f"an epoch had {found['images']} images, not {len(one.dataset)}")
    if not np.array_equal(batches["gpu"][1], batches["cpu"][1]):
        raise RuntimeError("the batch of the GPU has other labels than the CPU's")
    if apart.mean() > FARTHEST:
        raise RuntimeError(f"the batch of the GPU is {apart.mean():.1f} levels off the CPU's on average")
    return found


def try_crops(work: Work) -> str:
    """Whether this GPU's decoder cuts out crops (dali_rec/loading/decoding.py)."""
    from dali_rec import open as open_dataset
    from dali_rec.bench.crop_probe import why_not_in_decoder
    from dali_rec.loading import choose_device

    return why_not_in_decoder(open_dataset(work.packed), choose_device("gpu")) or "it works"


def measure(work: Work) -> list[dict[str, Any]]:
    """Images a second of the loader, GPU and CPU in turn over the same records."""
    loaders = {device: loader(work.packed, device) for device in ("gpu", "cpu")}
    count = len(loaders["gpu"].dataset)
    epochs, seconds = dict.fromkeys(loaders, 1), {device: [] for device in loaders}
    for device, one in loaders.items():
        time_epochs(one, count)
        # As many epochs a run as it takes to be long enough.
        epochs[device] = math.ceil(1.5 * SHORTEST_RUN / time_epochs(one, count))
    found: list[dict[str, Any]] = []
    for _ in range(RUNS):
        for device, one in loaders.items():
            seconds[device].append(time_epochs(one, count, epochs[device]))
            found = [rates(name, count * epochs[name], taken) for name, taken in seconds.items() if taken]
            keep(found)
    return found


def measure_stages(work: Work) -> dict[str, Any]:
    """What ``dali-rec bench`` prints: reading, the bare decoder, the whole pipeline, and training on the GPU."""
    from dali_rec.bench import BenchOptions, bench

    rounds: dict[str, list[Any]] = {}

    def add(stage: str, measured: Any) -> None:
        rounds.setdefault(stage, []).append(dataclasses.asdict(measured))
        keep({"stages": [{"name": name, "rounds": some} for name, some in rounds.items()]})

    options = BenchOptions(
        BATCH_SIZE, IMAGE_SIZE, dtype="float16", device="gpu", rounds=STAGE_ROUNDS, seconds=STAGE_SECONDS
    )
    return bench(work.packed, options, on_round=add).as_json()


def tune_loader(work: Work) -> dict[str, Any]:
    """The tuning sweep on the GPU, with what it comes to in words under "summary"."""
    from dali_rec.bench import BenchOptions, tune

    comparisons: list[Any] = []

    def add(one: Any) -> None:
        comparisons.append(one.as_json())
        keep({"comparisons": comparisons, "confirmation": None, "advice": [], "summary": ["It was not done."]})

    options = BenchOptions(
        BATCH_SIZE, IMAGE_SIZE, dtype="float16", device="gpu", rounds=TUNING_ROUNDS, seconds=TUNING_SECONDS
    )
    report = tune(work.packed, options, on_comparison=add)
    return {**report.as_json(), "summary": report.summary()}


def compare(work: Work) -> str:
    """What tools/compare_loaders prints, of the peers that this Python has."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(ROOT / "tools" / "compare_loaders"), "--here", "--rounds", "3", "--seconds", "2"]
        command += ["--out", folder, "--images", str(work.images)]
        comparison = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
        page = Path(folder, "compare-loaders.md")
        try:
            while comparison.poll() is None:
                time.sleep(1)
                if page.exists():  # written anew after each round
                    keep(page.read_text())
        finally:
            comparison.send_signal(signal.SIGINT)  # it ends the peers, which stand still and would stay
            comparison.wait()
        if not page.exists():
            raise RuntimeError("no peer could be measured")
        return page.read_text()


def loader(prefix: Path, device: str) -> Any:
    import dali_rec

    return dali_rec.Loader(prefix, BATCH_SIZE, IMAGE_SIZE, augment="train", device=device, dtype="float16")


def time_epochs(one: Any, count: int, epochs: int = 1) -> float:
    import torch

    began = time.perf_counter()
    for _ in range(epochs):
        seen = sum(len(labels) for _, labels in one)
        if seen != count:
            raise RuntimeError(f"an epoch had {seen} images, not {count}")
    torch.cuda.synchronize()
    return time.perf_counter() - began


def rates(device: str, count: int, seconds: list[float]) -> dict[str, Any]:
    each = sorted(count / taken for taken in seconds)
    return {
        "device": device,
        "images": count,
        "runs": len(seconds),
        "images_per_second": statistics.median(each),
        "slowest": each[0],
        "fastest": each[-1],
        "long_enough": min(seconds) >= SHORTEST_RUN,
    }


#: What the others measure with.
DATA = {"data": Part(make_data, 0.25)}
#: In the order of their worth.
PARTS = {
    "smoke": Part(smoke, 0.25),
    "crops": Part(try_crops, 0.1),
    "throughput": Part(measure, 0.2),
    "stages": Part(measure_stages, 0.2),
    "packing": Part(measure_packing, 0.3),
    "tests": Part(lambda _work: run_tests(), 0.5),
    "tuning": Part(tune_loader, 0.4),
    "comparison": Part(compare, 0.25),
}
