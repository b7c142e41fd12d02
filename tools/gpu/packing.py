"""Packing on the GPU: in its steps, beside the CPU, and with other settings."""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpu.processes import keep
from gpu.work import Work, list_many

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKED = 30_000  # a GPU needs a few seconds to begin
PACKED_SECONDS = 10  # fewer images are packed where those would take longer
PACKED_SIDE = 256
PACKINGS = 3
BATCHES_ALONE = 20
NVJPEG_BACKEND_HARDWARE = 3  # nvjpeg.h
#: Beside the defaults, of which the second measurement shows the noise. With "trust" the processor checks no JPEG.
SETTINGS: tuple[dict[str, Any], ...] = (
    {},
    {"trust": True},
    {"encodes_on_cpu": True},
    {"hw_decoder_load": 0.65},
    {"hw_decoder_load": 0.0},
    {"transformers": 3},
    {"transformers": 4},
    {"batch_size": 256},
    {"batch_size": 64},
    {"encoder_threads": 4},
    {"encoder_threads": 15},
    {},
)


def measure_packing(work: Work) -> dict[str, Any]:
    """Images a second of packing with the shorter side at 256, on the GPU and on the CPU in turn.

    Of JPEGs in colour that are larger than that: what is packed as it is, or is no JPEG, goes over the processor.
    """
    listed = list_many(work, "large.lst", PACKED, goes_by_gpu)
    found: dict[str, Any] = {"engines": has_engines(), "steps": steps_alone(listed), "runs": [], "settings": []}
    found |= {"same bytes": None, "auto": None}
    keep(found)
    lines = listed.read_text().splitlines(keepends=True)
    to_pack = listed.with_name("packed.lst")
    to_pack.write_text("".join(lines[: int(PACKED_SECONDS * found["steps"]["rates"]["all"])]))
    made: list[list[str]] = []
    for _ in range(PACKINGS):
        for device in ("gpu", "cpu"):
            run, checksums, _ = pack_once(to_pack, work.data / device, device)
            found["runs"].append(run)
            if device == "gpu":
                made.append(checksums)
                found["same bytes"] = all(one == made[0] for one in made) if len(made) > 1 else None
            keep(found)
        if not found["settings"]:
            try_settings(listed, found)
    _, _, found["auto"] = pack_once(to_pack, work.data / "auto", "auto")
    return found


def has_engines() -> bool:
    """Whether there is the driver's library for video, without which nvJPEG leaves the chip's JPEG engines alone."""
    try:
        ctypes.CDLL("libnvcuvid.so.1")
    except OSError:
        return False
    return True


def count_engines() -> int | None:
    """How many JPEG engines nvJPEG finds on the chip; None where there is no nvJPEG that says so."""
    nvidia = importlib.util.find_spec("nvidia")
    folders = [] if nvidia is None else nvidia.submodule_search_locations or []
    for library in (path for folder in folders for path in Path(folder).glob("*/lib/libnvjpeg.so.*")):
        with contextlib.suppress(OSError, AttributeError):
            nvjpeg = ctypes.CDLL(str(library))
            handle, engines, cores = ctypes.c_void_p(), ctypes.c_uint(), ctypes.c_uint()
            if nvjpeg.nvjpegCreateEx(NVJPEG_BACKEND_HARDWARE, None, None, 0, ctypes.byref(handle)):
                return 0
            nvjpeg.nvjpegGetHardwareDecoderInfo(handle, ctypes.byref(engines), ctypes.byref(cores))
            nvjpeg.nvjpegDestroy(handle)
            return engines.value
    return None


def goes_by_gpu(path: Path) -> bool:
    from dali_rec.images import inspect_image

    info = inspect_image(path.read_bytes())
    return (info.format, info.mode) == ("JPEG", "RGB") and min(info.width, info.height) > PACKED_SIDE


def steps_alone(listed: Path) -> dict[str, Any]:
    """Images a second of a decoder and an encoder by themselves, one batch after the other, of images in memory."""
    from dali_rec.packing import batches
    from dali_rec.packing.options import ImageOptions, PackOptions

    options = PackOptions(image=ImageOptions(resize=PACKED_SIDE))
    lines = listed.read_text().splitlines()[: batches.BATCH_SIZE]
    data = [Path(line.split("\t")[-1]).read_bytes() for line in lines]
    with ThreadPoolExecutor(options.worker_count) as pool:
        transformer = batches.BatchTransformer(options.image, pool, on_gpu=True, threads=options.worker_count)
        images = [batches.see(one, options.image) for one in data]
        for _ in range(2):  # the second batch no longer needs fresh memory
            transformer.transform(images)
        before, began = dict(transformer.seconds), time.perf_counter()
        for _ in range(BATCHES_ALONE):
            transformer.transform(images)
        seconds = time.perf_counter() - began
    count = BATCHES_ALONE * len(images)
    steps = {step: transformer.seconds[step] - before[step] for step in before}
    return {
        "images": count,
        "one by one": transformer.alone,
        "rates": {**{step: count / taken for step, taken in steps.items() if taken}, "all": count / seconds},
    }


def pack_once(listed: Path, out: Path, device: str) -> tuple[dict[str, Any], list[str], str]:
    """A run of packing, the checksums of its shards, and the device that it took."""
    import dali_rec

    passed: list[tuple[int, float]] = []

    def note(done: int, total: int) -> None:
        # From the first third on, so that beginning, and bringing the files to the disk, do not count.
        if (not passed and 3 * done >= total) or (len(passed) == 1 and done == total):
            passed.append((done, time.perf_counter()))

    with counted() as ways:
        report = dali_rec.pack(listed, out, resize=PACKED_SIDE, device=device, overwrite=True, progress=note)
    (first, began), (last, ended) = passed
    run = {
        "device": device,
        "images": report.images,
        "rate": report.images_per_second,
        "steady": (last - first) / (ended - began),
        "one by one": ways[-1][1] if ways else None,
    }
    manifest = report.manifest
    return run, [shard.sha256 for shard in manifest.shards], manifest.options["device"]


def try_settings(listed: Path, found: dict[str, Any]) -> None:
    """Images a second, nothing written, with each of SETTINGS."""
    from dali_rec.packing import batches
    from dali_rec.packing.choose_device import rate_of
    from dali_rec.packing.options import ImageOptions, PackOptions
    from dali_rec.packing.plan import ShardPlan
    from dali_rec.packing.run import plan_pack
    from dali_rec.sources import SourceOptions

    options = PackOptions(image=ImageOptions(resize=PACKED_SIDE))
    _, (plan,) = plan_pack(listed, listed.with_name("settings"), options, SourceOptions())
    shards = [(plan, ShardPlan("", 0, len(plan.samples)))]
    for changes in SETTINGS:
        row: dict[str, Any] = {"settings": changes}
        try:
            others = {name: value for name, value in changes.items() if name != "trust"}
            image = ImageOptions(resize=PACKED_SIDE, trust="trust" in changes)
            prepared = batches.prepare_by_batches(
                shards, PackOptions(image=image), settings=batches.DEFAULTS._replace(**others)
            )
            with counted() as ways:
                row["rate"] = rate_of(prepared)
            row["one by one"] = ways[-1][1]
        except (RuntimeError, ValueError) as error:
            row["failure"] = str(error)
        found["settings"].append(row)
        keep(found)


@contextlib.contextmanager
def counted() -> Iterator[list[Any]]:
    """How many images went by batches and how many one by one, as packing logs it."""
    ways: list[Any] = []

    class Ways(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "by batches" in record.msg:
                ways.append(record.args)

    logger, handler = logging.getLogger("dali_rec"), Ways()
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        yield ways
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
