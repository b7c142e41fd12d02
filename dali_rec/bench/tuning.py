"""``tune``: the settings with which a data set loads fastest on this machine."""

from __future__ import annotations

import dataclasses
import gc
import logging
import statistics
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from dali_rec.bench.crop_probe import why_not_in_decoder
from dali_rec.bench.machine import Machine, this_machine
from dali_rec.bench.measure import FEWEST_BATCHES, SHORTEST_ROUND, time_round, warm_up
from dali_rec.bench.search import Candidate, Comparison, Knob, Search, Trial
from dali_rec.bench.stages import BenchOptions, device_of, execution_of, loader_stage
from dali_rec.dataset import Dataset
from dali_rec.errors import DatasetError
from dali_rec.loading.decoding import DEVICE_PADDING, decoder_options
from dali_rec.loading.specs import DEFAULT_PREFETCH, Execution, default_threads
from dali_rec.loading.tuned import Entry, MachineKey, Tuned, machine_key, rec_bytes, save_tuned, tuned_path
from dali_rec.opening import open_dataset

if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from pathlib import Path

    from dali_rec.loading.device import Device

logger = logging.getLogger("dali_rec")

FEWEST_ROUNDS = 3
SHUFFLE_BUFFER = 4096  # the Loader's default
MOST_BUFFERED = 1 << 30  # bytes

_DALI_HW_DECODER_LOAD = 0.65


@dataclass(frozen=True, slots=True)
class TuneReport:
    """What was tried and what won, on what.

    settings: of the best. comparisons: one a setting, in the order of the search. confirmation: what won at full speed,
    beside the defaults. advice: batch sizes and shuffle buffers beside those of the options; training depends on these,
    so that the Loader takes neither by itself. path: where ``save`` keeps the settings.
    """

    machine: Machine
    key: MachineKey
    device: str
    dataset: str
    records: int
    rec_bytes: tuple[int, ...]
    options: BenchOptions
    settings: Tuned
    comparisons: tuple[Comparison, ...]
    confirmation: Comparison | None
    advice: tuple[Comparison, ...]
    path: Path

    @property
    def gain(self) -> float:
        """How much faster than the defaults the settings are at full speed: 0.1 is 10 %. 0 where the defaults stay."""
        winner = None if self.confirmation is None else self.confirmation.winner
        return 0.0 if winner is None else winner.gain

    def save(self) -> None:
        """Keep the settings beside the data set, for the Loader. Raises DatasetError if that is not possible."""
        options = self.options
        measured = {
            "date": self.machine.date,
            "dali_rec": self.machine.versions["dali-rec"],
            "batch_size": options.batch_size,
            "image_size": options.image_size,
            "augment": options.augment,
            "dtype": options.dtype,
            "threads": options.threads,
            "gain": round(self.gain, 4),
        }
        save_tuned(self.path, Entry(self.key, self.rec_bytes, self.settings, measured))

    def as_json(self) -> dict[str, Any]:
        """Everything as plain data, with the value that won each comparison, or null."""
        return {
            **asdict(self),
            "key": self.key._asdict(),
            "gain": self.gain,
            "comparisons": [one.as_json() for one in self.comparisons],
            "confirmation": None if self.confirmation is None else self.confirmation.as_json(),
            "advice": [one.as_json() for one in self.advice],
            "path": str(self.path),
        }

    def summary(self) -> list[str]:
        """What came of it, in plain words."""
        sentences = []
        if self.confirmation is not None:
            (tried,) = self.confirmation.candidates
            before = statistics.median(self.confirmation.rates)
            beside = f"{_percent(tried)} beside {before:,.0f} images/s with the defaults"
            if tried.wins:
                sentences.append(f"{tried.value}: {statistics.median(tried.rates):,.0f} images/s, {beside}.")
            else:
                sentences.append(f"{tried.value}: {beside}, which is not more than noise, so it is dropped.")
        sentences += [
            f"{one.name} {one.winner.value}: {_percent(one.winner)} with a training step as long as a batch."
            for one in self.comparisons
            if one.paced and one.winner is not None
        ]
        if not self.settings.changed:
            sentences.append("The defaults stay: nothing that was tried beats them by more than the noise.")
        sentences += [
            f"{one.name} {one.winner.value} instead of {one.value} would make {_percent(one.winner)}; training depends "
            "on it, so it is yours to choose."
            for one in self.advice
            if one.winner is not None
        ]
        return sentences


def _percent(one: Candidate) -> str:
    return f"{100 * one.gain:+.1f} % (± {100 * one.spread:.1f})"


def tune(
    dataset: Dataset | str | os.PathLike[str],
    options: BenchOptions | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
    on_comparison: Callable[[Comparison], None] | None = None,
) -> TuneReport:
    """Search for the settings with which the Loader is fastest on this machine; ``save`` of the report keeps them.

    A few values of one setting after the other, in rounds that alternate with the best so far: some minutes. Threads
    that the options name are not searched for. progress: called with (rounds done, rounds expected). on_comparison:
    called with each comparison as soon as it is done.

    Raises ValueError for fewer than three rounds or rounds under a second, which could not tell a gain from noise.
    """
    options = options or BenchOptions()
    if options.rounds < FEWEST_ROUNDS:
        raise ValueError(f"rounds is {options.rounds}: tuning needs at least {FEWEST_ROUNDS} to tell gain from noise")
    if options.seconds < SHORTEST_ROUND:
        raise ValueError(f"seconds is {options.seconds}: tuning needs rounds of at least {SHORTEST_ROUND:g}")
    dataset = dataset if isinstance(dataset, Dataset) else open_dataset(dataset)
    path = tuned_path(dataset)
    if path is None:
        raise DatasetError(f"{dataset.name}: its files are of several data sets; tune each by itself, or merge them")
    device = device_of(options)
    start = Trial(options.batch_size, SHUFFLE_BUFFER)
    knobs, advised = setting_knobs(dataset, device, options), advice_knobs(dataset, start)

    def open_trial(trial: Trial) -> Callable[[], float]:
        gc.collect()  # pipelines that are done with hold memory of the GPU
        stage = loader_stage(
            "trial",
            dataset,
            dataclasses.replace(options, batch_size=trial.batch_size),
            trial.step,
            tuned=trial.settings,
            shuffle_buffer=trial.shuffle_buffer,
        )
        warm_up(stage)
        return lambda: time_round(stage, options.seconds, FEWEST_BATCHES).images_per_second

    expected = options.rounds * (sum(1 + len(knob.values) for knob in [*knobs, *advised]) + 2)
    search = Search(open_trial, options.rounds, expected, progress, on_comparison)
    found = search.run(start, knobs)
    advice = tuple(search.compare(found.best, knob) for knob in advised)
    return TuneReport(
        this_machine(),
        machine_key(device),
        str(device),
        dataset.name,
        len(dataset),
        rec_bytes(dataset),
        options,
        found.best.settings,
        found.comparisons,
        found.confirmation,
        advice,
        path,
    )


def setting_knobs(dataset: Dataset, device: Device, options: BenchOptions) -> list[Knob]:
    """What the Loader may take by itself, in the order of the search; threads that the options name are not tried.

    The decoder of a GPU comes first: what it leaves to the processor decides how many threads that wants.
    """
    knobs = []
    manifest = dataset.manifest
    if device.is_gpu:
        why_not = why_not_in_decoder(dataset, device) if options.augment == "train" else "there are no crops"
        if why_not is None:
            knobs.append(Knob("crop_in_decoder", default=False, values=(True,)))
        else:
            logger.info("crop_in_decoder is not tried: %s", why_not)
        knobs.append(Knob("hw_decoder_load", _DALI_HW_DECODER_LOAD, (0.1, 0.4, 0.8, 1.0)))
        if manifest is not None:
            preallocates = "preallocate_width_hint" in decoder_options(dataset, Execution(device, options.batch_size))
            knobs.append(Knob("preallocate", preallocates, (not preallocates,)))
            if 3 * manifest.max_width * manifest.max_height > DEVICE_PADDING:
                knobs.append(Knob("pad_memory", default=False, values=(True,)))
    if options.threads is None:
        usual = default_threads(device)
        others = sorted({usual // 2, usual * 3 // 4, usual + max(1, usual // 2)} - {0, usual})
        knobs.append(Knob("threads", usual, tuple(others)))
    execution = execution_of(dataset, device, options)
    at_once = execution.at_once * execution.pipelines  # less than that is made ahead anyway
    ahead = (3, 4) if at_once == 1 else (2 * at_once,)
    knobs.append(Knob("prefetch", DEFAULT_PREFETCH, ahead, paced=True))
    return knobs


def advice_knobs(dataset: Dataset, start: Trial) -> list[Knob]:
    """What changes the batches of a training run, and so is only measured."""
    batch, records = start.batch_size, len(dataset)
    bytes_per_image = sum(shard.reader.size for shard in dataset.shards) / records
    batches = tuple(size for size in (batch // 2, 2 * batch, 4 * batch) if 1 <= size <= records)
    buffers = tuple(
        size
        for size in (start.shuffle_buffer // 4, 4 * start.shuffle_buffer)
        if size < records and size * bytes_per_image <= MOST_BUFFERED
    )
    knobs = [
        Knob("batch_size", batch, batches),
        Knob("shuffle_buffer", start.shuffle_buffer, buffers),
    ]
    return [knob for knob in knobs if knob.values]
