"""``bench``: how fast a data set is read, decoded and loaded on this machine, and what holds it up."""

from __future__ import annotations

import statistics
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from dali_rec.bench.machine import Machine, processor_seconds, this_machine
from dali_rec.bench.stages import (
    BenchOptions,
    Stage,
    decoding_stage,
    device_of,
    pipeline_stage,
    reading_stage,
    training_stage,
)
from dali_rec.dataset import Dataset
from dali_rec.loading.tuned import choose_tuned
from dali_rec.opening import open_dataset

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

SHORTEST_ROUND = 1.0  # seconds
FEWEST_BATCHES = 10
WARM_UP_BATCHES = 5
WAIT, LONGEST_WAIT = 0.04, 2.0  # seconds; the clock of processor time has ticks of 0.01


@dataclass(frozen=True, slots=True)
class Round:
    """One timed run of a stage. ``seconds``: wall time; ``processor_seconds``: over all cores."""

    images: int
    batches: int
    seconds: float
    processor_seconds: float

    @property
    def images_per_second(self) -> float:
        """Images a second."""
        return self.images / self.seconds

    @property
    def is_long_enough(self) -> bool:
        """Whether the rate can be quoted: at least a second and ten batches."""
        return self.seconds >= SHORTEST_ROUND and self.batches >= FEWEST_BATCHES


@dataclass(frozen=True, slots=True)
class StageResult:
    """The rounds of one stage."""

    name: str
    rounds: tuple[Round, ...]

    @property
    def is_quotable(self) -> bool:
        """Whether all rounds were long enough."""
        return all(one.is_long_enough for one in self.rounds)

    @property
    def rates(self) -> list[float]:
        """Images a second of each round, from the slowest to the fastest."""
        return sorted(one.images_per_second for one in self.rounds)

    @property
    def images_per_second(self) -> float:
        """The median over the rounds."""
        return statistics.median(self.rates)

    @property
    def processor_seconds_per_image(self) -> float:
        """Processor time for an image, in seconds, over all rounds."""
        return sum(one.processor_seconds for one in self.rounds) / sum(one.images for one in self.rounds)

    def busy_cores(self) -> float:
        """How many cores were busy on average."""
        return sum(one.processor_seconds for one in self.rounds) / sum(one.seconds for one in self.rounds)


@dataclass(frozen=True, slots=True)
class BenchReport:
    """What was measured, on what. ``bytes_per_image``: of the encoded images with their headers.

    tuned: the settings that the Loader took, and why.
    """

    machine: Machine
    device: str
    dataset: str
    records: int
    bytes_per_image: float
    options: BenchOptions
    stages: tuple[StageResult, ...]
    limit: str
    tuned: str = ""

    def stage(self, name: str) -> StageResult:
        """The stage of this name: read, decode, pipeline or train."""
        return next(stage for stage in self.stages if stage.name == name)

    def as_json(self) -> dict[str, Any]:
        """Everything as plain data, with the rates worked out; a rate that cannot be quoted is null."""
        stages = [
            {
                "name": stage.name,
                "images_per_second": stage.images_per_second if stage.is_quotable else None,
                "megabytes_per_second": stage.images_per_second * self.bytes_per_image / 1e6
                if stage.is_quotable
                else None,
                "rounds": [asdict(one) for one in stage.rounds],
            }
            for stage in self.stages
        ]
        return {**asdict(self), "stages": stages}


def bench(
    dataset: Dataset | str | os.PathLike[str],
    options: BenchOptions | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
    on_round: Callable[[str, Round], None] | None = None,
) -> BenchReport:
    """Measure reading, decoding, the whole pipeline, and training with a step that takes as long as a batch.

    The stages take turns, round after round, so that a machine that gets slower in between slows all alike. Each stage
    is warmed up before its first round. progress: called with (rounds done, rounds in all). on_round: called with each
    round, and the name of its stage, as soon as it is measured.
    """
    options = options or BenchOptions()
    dataset = dataset if isinstance(dataset, Dataset) else open_dataset(dataset)
    pipeline = pipeline_stage(dataset, options)
    step = options.step
    if step is None:
        trial = time_round(pipeline, options.seconds)
        step = trial.seconds / trial.batches
    stages = [
        reading_stage(dataset, options),
        decoding_stage(dataset, options),
        pipeline,
        training_stage(dataset, options, step),
    ]
    for stage in stages:
        warm_up(stage)
    rounds: dict[str, list[Round]] = {stage.name: [] for stage in stages}
    total = options.rounds * len(stages)
    for done in range(total):
        stage = stages[done % len(stages)]
        rounds[stage.name].append(time_round(stage, options.seconds))
        if on_round is not None:
            on_round(stage.name, rounds[stage.name][-1])
        if progress is not None:
            progress(done + 1, total)
    results = tuple(StageResult(name, tuple(measured)) for name, measured in rounds.items())
    machine = this_machine()
    device = device_of(options)
    settings, why = choose_tuned(wanted=True, dataset=dataset, device=device, world_size=1)
    return BenchReport(
        machine,
        str(device),
        dataset.name,
        len(dataset),
        sum(shard.reader.size for shard in dataset.shards) / len(dataset),
        options,
        results,
        explain(results, machine.cores, on_gpu=device.is_gpu, pace=options.batch_size / step),
        f"{settings} ({why})" if settings.changed else why,
    )


def warm_up(stage: Stage) -> None:
    """Run a few batches that are not timed, and more than were made ahead."""
    for _ in range(WARM_UP_BATCHES * stage.at_once):
        stage.next_batch()
    stage.finish()


def time_round(stage: Stage, seconds: float, fewest_batches: int = 1) -> Round:
    """Run a stage for so long, and until it has made so many batches.

    What the stage made ahead while others had their turn does not count, and they have come to rest before.
    """
    _wait_for_rest()
    warm_up(stage)
    images = batches = 0
    began, processor_began = time.perf_counter(), processor_seconds()
    while time.perf_counter() - began < seconds or batches < fewest_batches:
        images += stage.next_batch()
        batches += 1
    stage.finish()
    return Round(images, batches, time.perf_counter() - began, processor_seconds() - processor_began)


def _wait_for_rest() -> None:
    """Wait until the pipelines of this process have filled their queues, and so do nothing."""
    deadline = time.perf_counter() + LONGEST_WAIT
    before = processor_seconds()
    while time.perf_counter() < deadline:
        time.sleep(WAIT)
        now = processor_seconds()
        if now - before < WAIT / 4:
            return
        before = now


def explain(stages: tuple[StageResult, ...], cores: int, *, on_gpu: bool, pace: float) -> str:
    """Where the time goes and what the limit is, in plain words; ``pace``: images a second of the simulated step."""
    named = {stage.name: stage for stage in stages}
    if not all(stage.is_quotable for stage in stages):
        return "The rounds were too short to say: measure longer, with more --seconds."
    read, decode, pipeline, train = (named[name] for name in ("read", "decode", "pipeline", "train"))
    ceiling = pipeline.images_per_second / decode.images_per_second
    sentences = [f"The pipeline runs at {ceiling:.0%} of the bare decoder's rate."]
    busy = pipeline.busy_cores() / cores
    if read.images_per_second < 1.5 * pipeline.images_per_second:
        sentences.append("Reading is the limit: the disk or network delivers little more than the pipeline takes.")
    elif busy > 0.85:
        whole = pipeline.processor_seconds_per_image
        reading = min(1.0, read.processor_seconds_per_image / whole)
        decoding = max(0.0, decode.processor_seconds_per_image / whole - reading)
        rest = max(0.0, 1 - reading - decoding)
        sentences.append(
            f"The processor is the limit ({busy:.0%} of {cores} cores busy): reading takes {reading:.0%} of its time, "
            f"decoding {decoding:.0%}, resizing and normalising {rest:.0%}."
        )
    elif on_gpu:
        sentences.append(
            f"The GPU is the limit: the processor is only {busy:.0%} busy and reading alone is "
            f"{read.images_per_second / pipeline.images_per_second:.0f} times as fast."
        )
    else:
        sentences.append(f"Neither disk nor processor ({busy:.0%} busy) is at its limit: try more threads or batches.")
    sentences.append(
        f"With a training step that takes {pace:,.0f} images/s, training runs at "
        f"{train.images_per_second / pace:.0%} of that pace."
    )
    return " ".join(sentences)
