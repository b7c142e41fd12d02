"""A search for faster settings: one at a time, from the best so far.

A value is measured in rounds that take turns with those of the best so far, so that a machine that gets slower slows
both, and it counts by the ratio of neighbouring rounds. It wins only by more than that ratio varied.
"""

from __future__ import annotations

import dataclasses
import statistics
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from dali_rec._dali import DALI_ERRORS
from dali_rec.loading.tuned import DEFAULTS, Tuned

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    #: Prepares a trial; what it returns measures one round of it, in images a second.
    OpenTrial = Callable[["Trial"], Callable[[], float]]

LEAST_GAIN = 0.03


@dataclass(frozen=True, slots=True)
class Trial:
    """What is measured: ``step`` is that of the simulated training, in seconds a batch."""

    batch_size: int
    shuffle_buffer: int
    settings: Tuned = DEFAULTS
    step: float = 0.0

    def with_value(self, name: str, value: Any) -> Trial:
        """The same with another value of one setting, of DALI's or of the trial itself."""
        if name in ("batch_size", "shuffle_buffer"):
            return dataclasses.replace(self, **{name: value})
        return dataclasses.replace(self, settings=dataclasses.replace(self.settings, **{name: value}))


@dataclass(frozen=True, slots=True)
class Knob:
    """A setting, its default as people know it, and the other values to try.

    paced: measured with a training step that takes as long as a batch: what is made ahead counts only then.
    """

    name: str
    default: Any
    values: tuple[Any, ...]
    paced: bool = False


@dataclass(frozen=True, slots=True)
class Candidate:
    """A value that was tried. ``rates``: images/s of each round; ``failure``: why it cannot be used, if so.

    gain: median over the rounds of its rate over that of the best so far, less 1. spread: half the range of that.
    """

    value: Any
    rates: tuple[float, ...]
    gain: float
    spread: float
    failure: str | None = None

    @property
    def wins(self) -> bool:
        """Whether it is faster by more than noise would make it."""
        return self.failure is None and self.gain > max(LEAST_GAIN, self.spread)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Candidates beside the best so far: ``rates`` are those of the latter, whose value is ``value``."""

    name: str
    value: Any
    rates: tuple[float, ...]
    candidates: tuple[Candidate, ...]
    paced: bool = False

    @property
    def winner(self) -> Candidate | None:
        """The fastest of those that win, or None: then the value that was there stays."""
        return max((one for one in self.candidates if one.wins), key=lambda one: one.gain, default=None)

    def as_json(self) -> dict[str, Any]:
        """Everything as plain data, with the value that won, or null."""
        return {**asdict(self), "winner": None if self.winner is None else asdict(self.winner)["value"]}


@dataclass(frozen=True, slots=True)
class SearchResult:
    """best: what won, which a last comparison with the start has borne out. confirmation: that, if there was one."""

    best: Trial
    comparisons: tuple[Comparison, ...]
    confirmation: Comparison | None


class Search:
    """The search itself. ``rounds``: of each trial. progress: called with (rounds done, rounds expected).

    on_comparison: called with each comparison as soon as it is done.
    """

    def __init__(
        self,
        open_trial: OpenTrial,
        rounds: int,
        expected: int,
        progress: Callable[[int, int], None] | None = None,
        on_comparison: Callable[[Comparison], None] | None = None,
    ) -> None:
        self._open_trial = open_trial
        self._rounds = rounds
        self._done, self._expected = 0, expected
        self._progress = progress
        self._on_comparison = on_comparison

    def run(self, start: Trial, knobs: Sequence[Knob]) -> SearchResult:
        """Go through the knobs in order, each from the best so far, and hold what won against the start once more.

        What was chosen at full speed and is not borne out there, by rounds that did not choose it, is dropped.
        """
        best, at_full_speed, comparisons, rate = start, start, [], 0.0
        for knob in knobs:
            base = best
            if knob.paced:
                rate = rate or self._open_trial(best)()
                base = dataclasses.replace(best, step=best.batch_size / rate)
            comparison = self.compare(base, knob)
            comparisons.append(comparison)
            winner = comparison.winner
            if winner is not None:
                best = best.with_value(knob.name, winner.value)
                if not knob.paced:
                    at_full_speed = at_full_speed.with_value(knob.name, winner.value)
            if not knob.paced:
                rate = statistics.median(comparison.rates if winner is None else winner.rates)
        confirmation = None
        chosen = at_full_speed.settings
        if chosen != start.settings:
            confirmation = self._in_turn("all together", start, [at_full_speed], start.settings, [chosen])
            if confirmation.winner is None:
                dropped = dict.fromkeys(chosen.changed)
                best = dataclasses.replace(best, settings=dataclasses.replace(best.settings, **dropped))
        return SearchResult(best, tuple(comparisons), confirmation)

    def compare(self, base: Trial, knob: Knob) -> Comparison:
        """All values of one knob beside ``base``."""
        trials = [base.with_value(knob.name, value) for value in knob.values]
        return self._in_turn(knob.name, base, trials, knob.default, knob.values, paced=knob.paced)

    def _in_turn(
        self,
        name: str,
        base: Trial,
        others: Sequence[Trial],
        base_value: Any,
        values: Sequence[Any],
        *,
        paced: bool = False,
    ) -> Comparison:
        base_runner = _Runner(self._open_trial, base)
        if base_runner.failure is not None:
            raise base_runner.failure
        runners = [base_runner, *(_Runner(self._open_trial, trial) for trial in others)]
        for number in range(self._rounds):
            # There and back again: nobody always follows the same.
            for runner in runners if number % 2 == 0 else runners[::-1]:
                runner.measure()
                if runner is base_runner and runner.failure is not None:
                    raise runner.failure
                self._advance()
        found = [runner.candidate(value, base_runner.rates) for runner, value in zip(runners[1:], values, strict=True)]
        comparison = Comparison(name, base_value, tuple(base_runner.rates), tuple(found), paced)
        if self._on_comparison is not None:
            self._on_comparison(comparison)
        return comparison

    def _advance(self) -> None:
        self._done += 1
        if self._progress is not None:
            self._progress(self._done, max(self._done, self._expected))


class _Runner:
    """A trial that is measured until it fails: a batch may not fit into the GPU's memory."""

    def __init__(self, open_trial: OpenTrial, trial: Trial) -> None:
        self.rates: list[float] = []
        self.failure: Exception | None = None
        self._measure: Callable[[], float] | None = None
        try:
            self._measure = open_trial(trial)
        except DALI_ERRORS as error:
            self.failure = error

    def measure(self) -> None:
        if self._measure is None:
            return
        try:
            self.rates.append(self._measure())
        except DALI_ERRORS as error:
            self.failure, self._measure = error, None

    def candidate(self, value: Any, beside: Sequence[float]) -> Candidate:
        if self.failure is not None:
            lines = str(self.failure).strip().splitlines()
            return Candidate(value, tuple(self.rates), 0.0, 0.0, lines[0] if lines else type(self.failure).__name__)
        gains = [rate / other - 1 for rate, other in zip(self.rates, beside, strict=True)]
        return Candidate(value, tuple(self.rates), statistics.median(gains), (max(gains) - min(gains)) / 2)
