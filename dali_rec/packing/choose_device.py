"""Whether images are packed on the CPU or on a GPU: as asked, or by the clock."""

from __future__ import annotations

import contextlib
import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from dali_rec._dali import DALI_ERRORS, dali_reason, has_builds_here
from dali_rec._hardware import count_gpus
from dali_rec.errors import DaliRecError, DeviceUnavailableError
from dali_rec.packing.batches import import_nvimgcodec
from dali_rec.packing.plan import ShardPlan
from dali_rec.packing.shard import prepare_all

if TYPE_CHECKING:
    from collections.abc import Generator

    from dali_rec.packing.options import Device, PackOptions, RunOptions
    from dali_rec.packing.plan import Plan

logger = logging.getLogger("dali_rec")

#: How many times as fast the GPU must be: its pixels are other ones, and it may be wanted for training.
WORTH_IT = 1.1
#: Fewer images than this are packed by the time that a GPU is ready.
FEWEST_IMAGES = 8192
# By then all threads and processes have begun, on a GPU too, and what was made ready while they did is used up.
_NOT_TIMED = 1024
_SECONDS_TIMED = 2.0


def choose_device(options: PackOptions, run: RunOptions, plan: Plan, begun: str | None) -> PackOptions:
    """The options with "cpu" or "gpu" for "auto".

    "auto" is what the run that is resumed had (``begun``), and otherwise the GPU only if there is one, many images are
    changed and it packs the first of them faster.

    Raises DeviceUnavailableError or MissingDependencyError where a GPU is asked for and cannot be had, ValueError where
    machines would have to choose each for itself.
    """
    wanted = options.image.device
    if wanted == "auto" and run.is_shared:
        raise ValueError("device is 'auto': machines that share the work must use the same; say 'cpu' or 'gpu'")
    if wanted == "gpu" and run.engine == "ray":
        raise ValueError(
            "device is 'gpu': Ray's tasks pack on the CPU; to use GPUs, run the local engine on each machine"
        )
    if wanted == "cpu":
        return options
    gpus, why_not = count_gpus()  # which starts the driver, and that may take seconds
    if wanted == "gpu":
        if not gpus:
            raise DeviceUnavailableError(f"no GPU can be used: {why_not}; --device cpu packs without one")
        import_nvimgcodec()
        return options
    if begun in ("cpu", "gpu"):
        return _with_device(options, "gpu" if begun == "gpu" else "cpu")
    is_too_small = len(plan.samples) < FEWEST_IMAGES
    if not gpus or not has_builds_here() or options.image.keeps_bytes or run.engine == "ray" or is_too_small:
        return _with_device(options, "cpu")
    try:
        on_gpu = _rate(_with_device(options, "gpu"), plan)
    except (*DALI_ERRORS, DaliRecError) as error:
        logger.warning("packing: not on the GPU, which failed at the first images: %s", dali_reason(error))
        return _with_device(options, "cpu")
    on_cpu = _rate(_with_device(options, "cpu"), plan)
    logger.info("packing: %.0f images/s on the GPU, %.0f on the CPU, over the first images", on_gpu, on_cpu)
    return _with_device(options, "gpu" if on_gpu > WORTH_IT * on_cpu else "cpu")


def _with_device(options: PackOptions, device: Device) -> PackOptions:
    return replace(options, image=replace(options.image, device=device))


def _rate(options: PackOptions, plan: Plan) -> float:
    return rate_of(prepare_all([(plan, ShardPlan("", 0, len(plan.samples)))], options))


def rate_of(prepared: Generator[object]) -> float:
    """Images a second of what makes them ready, over some seconds, after those that do not count."""
    count, seconds = 0, 0.0
    with contextlib.closing(prepared):
        for _ in range(_NOT_TIMED):
            next(prepared)
        began = time.perf_counter()
        for _ in prepared:
            count, seconds = count + 1, time.perf_counter() - began
            if seconds >= _SECONDS_TIMED:
                break
    return count / seconds
