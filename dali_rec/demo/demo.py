"""``dali-rec demo``: the whole way on a small data set: make, pack, verify, load, measure, look."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dali_rec.demo.synthetic import write_images
from dali_rec.errors import DatasetError, LoaderError
from dali_rec.inspection import contact_sheet, verify
from dali_rec.loading import Loader
from dali_rec.opening import open_dataset
from dali_rec.packing import pack

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from dali_rec.dataset import Dataset

EPOCHS = 2
BATCH_SIZE = 32
IMAGE_SIZE = 224


@dataclass(frozen=True, slots=True)
class EpochResult:
    """One pass over the data set. ``seconds`` is wall time; the first epoch includes DALI's start."""

    images: int
    seconds: float

    @property
    def images_per_second(self) -> float:
        """Images handed out a second."""
        return self.images / self.seconds


@dataclass(frozen=True, slots=True)
class DemoReport:
    """Where the demo left things, and what it measured."""

    prefix: Path
    sheet: Path
    epochs: tuple[EpochResult, ...]


def run_demo(
    images: str | os.PathLike[str] | None = None,
    *,
    folder: str | os.PathLike[str] | None = None,
    device: str | int = "auto",
    say: Callable[[str], None],
) -> DemoReport:
    """Pack, check and load a small data set, saying each step through ``say``.

    images: a folder to pack; by default 320 JPEGs are drawn. folder: where to leave everything; by default a new
    temporary folder, which is not removed.

    Raises what packing and loading raise, and DatasetError if the check finds a fault.
    """
    work = Path(folder) if folder is not None else Path(tempfile.mkdtemp(prefix="dali-rec-demo-"))
    work.mkdir(parents=True, exist_ok=True)
    source = Path(images) if images is not None else work / "images"
    if images is None:
        began = time.perf_counter()
        count = write_images(source)
        say(f"made      {count} JPEGs in 8 classes, {time.perf_counter() - began:.1f} s: {source}")

    report = pack(source, work / "packed", overwrite=True)
    for note in report.notes:
        say(f"note      {note}")
    classes = f"{len(report.manifest.classes)} classes" if report.manifest.classes else "no class names"
    say(
        f"packed    {report.records} records, {classes}, {report.manifest.bytes / 1e6:.1f} MB, "
        f"{len(report.rejections)} rejected, {report.images_per_second:,.0f} images/s: {report.manifest_path}"
    )

    began = time.perf_counter()
    check = verify(work / "packed")
    if not check.ok:
        raise DatasetError(f"{work / 'packed'}: {len(check.faults)} faults: {check.faults[0]}")
    rate = check.records / (time.perf_counter() - began)
    say(f"verified  {check.records} records framed, indexed and decoded, {rate:,.0f} images/s")

    dataset = open_dataset(work / "packed")
    epochs = _load(dataset, device, say)
    sheet = work / "contact-sheet.png"
    contact_sheet(dataset, sheet)
    say(f"look      {sheet}")
    return DemoReport(work / "packed", sheet, epochs)


def _load(dataset: Dataset, device: str | int, say: Callable[[str], None]) -> tuple[EpochResult, ...]:
    began = time.perf_counter()
    loader = Loader(dataset, BATCH_SIZE, IMAGE_SIZE, framework="numpy", dtype="float32", device=device, with_ids=True)
    say(f"loader    {loader.device} ({loader.device.why}), built in {time.perf_counter() - began:.1f} s")
    results = []
    for epoch in range(EPOCHS):
        began = time.perf_counter()
        ids = []
        shape: tuple[int, ...] = ()
        for images, _, batch_ids in loader:
            shape = shape or images.shape
            ids.append(batch_ids)
        result = EpochResult(sum(map(len, ids)), time.perf_counter() - began)
        if not np.array_equal(np.sort(np.concatenate(ids)), np.sort(dataset.keys)):
            raise LoaderError(f"{dataset.name}: epoch {epoch} did not yield every record exactly once")
        say(
            f"epoch {epoch}   {result.images} images, each exactly once, as {len(loader)} batches of {shape} float32, "
            f"{result.images_per_second:,.0f} images/s"
        )
        results.append(result)
    return tuple(results)
