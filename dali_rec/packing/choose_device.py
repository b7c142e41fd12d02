"""Whether images are packed on the CPU or on a GPU: as asked, or by the clock."""

from __future__ import annotations

import contextlib
import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from dali_rec._dali import DALI_ERRORS, dali_reason
from dali_rec._hardware import count_gpus
from dali_rec.errors import DaliRecError, DeviceUnavailableError
from dali_rec.packing.batches import BATCH_SIZE, import_nvimgcodec
from dali_rec.packing.plan import ShardPlan
from dali_rec.packing.shard import prepare_all

if TYPE_CHECKING:
    from collections.abc import Callable

    from dali_rec.packing.options import Device, PackOptions, RunOptions
    from dali_rec.packing.plan import Plan

logger = logging.getLogger("dali_rec")

#: How many times as fast the GPU must be: its pixels are other ones, and it may be wanted for training.
WORTH_IT = 1.1
_BATCHES_TIMED = 4


def choose_device(
    options: PackOptions, run: RunOptions, plan: Plan, begun: str | None, *, rate: Callable[..., float] | None = None
) -> PackOptions:
    """The options with "cpu" or "gpu" for "auto".

    "auto" is what the run that is resumed had (``begun``), and otherwise the GPU only if there is one, images are
    changed and it packs the first of them faster. rate: images a second of a device, for the tests.

    Raises DeviceUnavailableError or MissingDependencyError where a GPU is asked for and cannot be had, ValueError where
    machines would have to choose each for itself.
    """
    wanted = options.image.device
    if wanted == "auto" and run.is_shared:
        raise ValueError("device is 'auto': machines that share the work must use the same; say 'cpu' or 'gpu'")
    if wanted == "gpu" and run.engine == "ray":
        raise ValueError(
            "device is 'gpu': Ray's tasks pack on the CPU; take the local engine, on each machine its part"
        )
    gpus, why_not = count_gpus()
    if wanted == "gpu":
        if not gpus:
            raise DeviceUnavailableError(f"no GPU can be used: {why_not}; --device cpu packs without one")
        import_nvimgcodec()
        return options
    if wanted == "cpu":
        return options
    if begun in ("cpu", "gpu"):
        return _with_device(options, "gpu" if begun == "gpu" else "cpu")
    if not gpus or options.image.keeps_bytes or run.engine == "ray":
        return _with_device(options, "cpu")
    measure = rate or _rate
    try:
        on_gpu = measure(_with_device(options, "gpu"), plan)
    except (*DALI_ERRORS, DaliRecError) as error:
        logger.warning("packing: not on the GPU, which failed at the first images: %s", dali_reason(error))
        return _with_device(options, "cpu")
    on_cpu = measure(_with_device(options, "cpu"), plan)
    logger.info("packing: %.0f images/s on the GPU, %.0f on the CPU, over the first images", on_gpu, on_cpu)
    return _with_device(options, "gpu" if on_gpu > WORTH_IT * on_cpu else "cpu")


def _with_device(options: PackOptions, device: Device) -> PackOptions:
    return replace(options, image=replace(options.image, device=device))


def _rate(options: PackOptions, plan: Plan) -> float:
    """Images a second over a few batches, after one that does not count."""
    stop = min(len(plan.samples), (1 + _BATCHES_TIMED) * BATCH_SIZE)
    first = min(BATCH_SIZE, stop // 2)
    with contextlib.closing(prepare_all([(plan, ShardPlan("", 0, stop))], options, len(plan.samples))) as prepared:
        for _ in range(first):
            next(prepared)
        began = time.perf_counter()
        for _ in prepared:
            pass
        return (stop - first) / (time.perf_counter() - began)
