"""The stages that are measured, each as a stream of batches that never ends."""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import math
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dali_rec._dali import import_dali
from dali_rec.loading import Loader
from dali_rec.loading.at_once import with_several_at_once
from dali_rec.loading.augmentation import NAMED
from dali_rec.loading.decoding import Decoder, cuts_in_decoder, decoder_options, parsed
from dali_rec.loading.derived_index import write_derived_index
from dali_rec.loading.device import device_for
from dali_rec.loading.specs import Execution, ImageSpec, image_sides
from dali_rec.loading.tuned import DEFAULTS, Tuned, choose_tuned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dali_rec.dataset import Dataset
    from dali_rec.loading.device import Device

SHUFFLE_BUFFER = 1024


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """What to measure.

    ``seconds``: of each round of each stage. ``step``: seconds that a training step takes, for the simulated training;
    None takes as long as the pipeline needs for a batch.
    """

    batch_size: int = 64
    image_size: int = 224
    augment: Literal["train", "eval"] = "train"
    dtype: Literal["float32", "float16", "uint8"] = "float32"
    device: str | int = "auto"
    threads: int | None = None
    rounds: int = 5
    seconds: float = 2.0
    step: float | None = None

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise ValueError(f"rounds is {self.rounds}: at least 1")
        if not 0 < self.seconds < math.inf:
            raise ValueError(f"seconds is {self.seconds}: more than 0, and a number of them")


@dataclass(frozen=True, slots=True)
class Stage:
    """``next_batch`` makes a batch and returns how many images it has; ``finish`` waits until all work is done.

    ``at_once``: batches that are made at once.
    """

    name: str
    next_batch: Callable[[], int]
    finish: Callable[[], None]
    at_once: int = 1


def reading_stage(dataset: Dataset, options: BenchOptions) -> Stage:
    """Records into host memory, by DALI's reader, nothing decoded; by as many pipelines as the Loader has."""
    return _bare_stage("read", dataset, options, None)


def decoding_stage(dataset: Dataset, options: BenchOptions) -> Stage:
    """The decoder that the pipeline uses, over all images, and nothing after it: the ceiling of any pipeline.

    For "train" that is the decoder of a random crop, for "eval" that of the whole image.
    """
    return _bare_stage("decode", dataset, options, options.augment)


def device_of(options: BenchOptions) -> Device:
    """The device of a Loader with these options, on which all stages are measured."""
    arrays = importlib.import_module(f"dali_rec.loading.{_framework()}")
    return device_for(options.device, 0, _framework(), arrays.why_no_gpu)


def _framework() -> Literal["torch", "numpy"]:
    # NumPy would copy each batch from the GPU, which no training on a GPU does.
    return "torch" if importlib.util.find_spec("torch") else "numpy"


def execution_of(dataset: Dataset, device: Device, options: BenchOptions, settings: Tuned = DEFAULTS) -> Execution:
    """How DALI runs for a Loader with these options."""
    image = ImageSpec(image_sides(options.image_size), options.augment, options.dtype)
    execution = Execution(device, options.batch_size, options.threads, tuned=settings)
    return with_several_at_once(execution, dataset, image)


def _bare_stage(name: str, dataset: Dataset, options: BenchOptions, decode: str | None) -> Stage:
    dali = import_dali()
    device, train = device_of(options), NAMED["train"]
    settings, _ = choose_tuned(wanted=True, dataset=dataset, device=device, world_size=1)  # as the Loader beside it
    cuts = cuts_in_decoder(device, settings.crop_in_decoder)
    execution = execution_of(dataset, device, options, settings)
    # As the Loader has them: each works ahead, with its share of the threads, here over its share of the records.
    pipelines = [
        dali.Pipeline(
            batch_size=execution.images_at_once,
            num_threads=execution.of_one_pipeline.num_threads,
            device_id=device.index,
            seed=0,
        )
        for _ in range(min(execution.pipelines, len(dataset)))
    ]
    with tempfile.TemporaryDirectory(prefix="dali-rec-") as folder:
        index = Path(folder, "derived.idx")
        files = write_derived_index(dataset, index)
        for number, pipeline in enumerate(pipelines):
            with pipeline:
                encoded, labels = dali.fn.readers.mxnet(
                    path=files,
                    index_path=[str(index)],
                    random_shuffle=True,
                    initial_fill=SHUFFLE_BUFFER,
                    shard_id=number,
                    num_shards=len(pipelines),
                )
                decoder = Decoder(dali, device, decoder_options(dataset, execution), cuts=cuts)
                if decode == "train":
                    images = decoder.random_crop(parsed(dali, encoded), train.area, train.aspect)
                elif decode == "eval":
                    images = decoder.whole(parsed(dali, encoded))
                else:
                    images = encoded
                pipeline.set_outputs(images, labels)
            pipeline.build()

    def batches() -> Iterator[int]:
        for pipeline in itertools.cycle(pipelines):
            pipeline.run()  # given no stream, it comes back when all is done, on a GPU too
            yield from [options.batch_size] * execution.at_once

    return Stage(name, batches().__next__, lambda: None, execution.at_once * len(pipelines))


def pipeline_stage(dataset: Dataset, options: BenchOptions) -> Stage:
    """The Loader, as a training loop takes its batches."""
    return loader_stage("pipeline", dataset, options)


def training_stage(dataset: Dataset, options: BenchOptions, step: float) -> Stage:
    """The Loader, with a training step of ``step`` seconds after each batch that leaves the processor alone."""
    return loader_stage("train", dataset, options, step)


def loader_stage(
    name: str,
    dataset: Dataset,
    options: BenchOptions,
    step: float = 0.0,
    *,
    tuned: bool | Tuned = True,
    shuffle_buffer: int = SHUFFLE_BUFFER,
) -> Stage:
    """The Loader, with these settings, and with a training step of ``step`` seconds after each batch."""
    loader = Loader(
        dataset,
        options.batch_size,
        options.image_size,
        augment=options.augment,
        framework=_framework(),
        dtype=options.dtype,
        device=options.device,
        threads=options.threads,
        shuffle=True,
        shuffle_buffer=shuffle_buffer,
        tuned=tuned,
    )
    last: list[Any] = []

    def batches() -> Iterator[Any]:
        while True:
            yield from loader

    stream = batches()

    def next_batch() -> int:
        images, labels = next(stream)
        if step:
            time.sleep(step)
        last[:] = [images]
        return len(labels)

    def finish() -> None:
        if last and hasattr(last[0], "cpu"):
            last[0].flatten()[:1].cpu()  # waits for the GPU

    return Stage(name, next_batch, finish, loader.batches_at_once)
