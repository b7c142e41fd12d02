"""The pipelines that make a Loader's runs: one, or on the CPU several in turn.

DALI's CPU operators work one after the other, and at the end of each all threads of a pipeline wait for its last image.
So several pipelines share the threads, and the others go on meanwhile (docs/performance.md). Run n is made by pipeline
n modulo their number, and all get their records from one source, so that what a run holds does not depend on how many
of them work at the same time, which the threads decide.
"""

from __future__ import annotations

import base64
import contextlib
import json
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from dali_rec._dali import DALI_ERRORS
from dali_rec.errors import DaliRecError, LoaderError

if TYPE_CHECKING:
    from collections.abc import Callable

    from dali_rec.loading.specs import Execution


class Pipelines(Protocol):
    """What makes runs, one after the other."""

    @property
    def failures(self) -> int:
        """How many runs have failed since the one after which ``checkpoint`` is."""

    def run(self, stream: Any) -> Any:
        """The outputs of the next run, which counts as made also where DALI fails at it.

        stream: the framework's. Raises DALI's errors, and RecordError of our own reader.
        """

    def checkpoint(self) -> bytes:
        """From where others like it make the run that comes next, but for ``failures``."""


class OnePipeline(Pipelines):
    """A pipeline of DALI's. ``failures``: of runs that come next, and fail once more."""

    def __init__(self, pipeline: Any, failures: int = 0) -> None:
        self._pipeline = pipeline
        self._failures = failures
        for _ in range(failures):
            with contextlib.suppress(*DALI_ERRORS):
                pipeline.run()

    @property
    def failures(self) -> int:
        """How many runs have failed since the checkpoint; DALI's stays behind where they fail."""
        return self._failures

    def run(self, stream: Any) -> Any:
        """The outputs of the next run; see ``Pipelines``."""
        try:
            outputs = self._pipeline.run(stream)
        except DaliRecError:  # of our own reader: the file itself is damaged
            raise
        except DALI_ERRORS:
            self._failures += 1
            raise
        self._failures = 0
        return outputs

    def checkpoint(self) -> bytes:
        """DALI's checkpoint; see ``Pipelines``."""
        made: bytes = self._pipeline.checkpoint()
        return made


class Source(Protocol):
    """Where the records of all pipelines come from: called once a run, as DALI calls its sources."""

    def __call__(self, _info: Any) -> tuple[Any, ...]:
        """What the next run takes, in lists of DALI's. Raises RecordError, or DALI's errors."""

    def checkpoint(self) -> bytes | None:
        """From where another one goes on; None where it begins at any run by itself."""

    def end(self) -> None:
        """End its threads."""


class _Scheduled(NamedTuple):
    """A run that was begun. ``source``: the source's checkpoint before it; ``inputs``: what it said, or its error."""

    source: bytes | None
    inputs: tuple[Any, ...] | Exception


class _Inputs:
    """What a pipeline takes next, for DALI to call. It does not hold the pipeline, which ends when it is let go."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[Any, ...]] = deque()

    def __call__(self, _info: Any) -> tuple[Any, ...]:
        return self.waiting.popleft()

    def end(self) -> None:
        """Nothing is left behind."""


class _Turn:
    """One of the pipelines, which takes what is scheduled.

    Where one fails, its random numbers are lost, and another takes its place from the next run on. since: the number of
    the first run of this one, of which its random numbers are.
    """

    def __init__(self, build: Callable[[_Inputs, int, bytes | None], Any], since: int, saved: bytes | None) -> None:
        self._build = build
        self._begin(since, saved)

    def _begin(self, since: int, saved: bytes | None) -> None:
        self.since, self.saved = since, saved
        self._inputs = _Inputs()
        self._pipeline = self._build(self._inputs, since, saved)

    def schedule(self, inputs: tuple[Any, ...]) -> None:
        """Begin a run, behind those that were begun before."""
        self._inputs.waiting.append(inputs)
        self._pipeline.schedule_run()

    def take(self, stream: Any) -> Any:
        """The outputs of the first run that was scheduled."""
        outputs = self._pipeline.share_outputs(stream)
        self._pipeline.release_outputs()  # DALI counts them; the outputs themselves stay
        self.saved = self._pipeline.checkpoint()
        return outputs

    def renew(self, since: int) -> None:
        """Put a new pipeline in place of the one that failed; what was scheduled is to be scheduled again."""
        self._begin(since, None)


class PipelinesInTurn(Pipelines):
    """Several pipelines, which make one run each in turn.

    source: makes what the runs take, from a checkpoint of its own. build: makes a pipeline of the feed that it calls,
    numbers for its seed, and DALI's checkpoint. checkpoint: of others like these.
    """

    failures = 0  # where a run fails, its pipeline is replaced

    def __init__(
        self,
        source: Callable[[bytes | None], Source],
        build: Callable[[Any, tuple[int, int], bytes | None], Any],
        execution: Execution,
        checkpoint: bytes | None,
    ) -> None:
        self._turns: list[_Turn] = []
        begin = _State.of(checkpoint, execution.pipelines)
        self._next = begin.run
        self._ahead = execution.queue_depth
        self._source = source(begin.source)
        weakref.finalize(self, self._source.end).atexit = False
        self._scheduled: deque[_Scheduled] = deque()
        # DALI reads them in place, also while the outputs of their run are in use.
        self._held: deque[Any] = deque(maxlen=self._ahead + 3)

        def build_turn(number: int) -> Callable[[_Inputs, int, bytes | None], Any]:
            # Smaller numbers are those of other seeds.
            return lambda feed, since, saved: build(feed, (2 + number, since), saved)

        self._turns += [_Turn(build_turn(number), *begun) for number, begun in enumerate(begin.pipelines)]

    def __del__(self) -> None:
        """End the pipelines, which work ahead, before what they read."""
        self._turns.clear()

    def run(self, stream: Any) -> Any:
        """The outputs of the next run, and what the source said last; see ``Pipelines``."""
        self._schedule()
        turn, (_, inputs) = self._turn(self._next), self._scheduled[0]
        if isinstance(inputs, DaliRecError):  # no reader gets past it
            raise inputs
        self._next += 1
        self._scheduled.popleft()
        if isinstance(inputs, Exception):
            raise inputs
        try:
            outputs = turn.take(stream)
        except DALI_ERRORS:
            turn.renew(self._next)
            for number, scheduled in enumerate(self._scheduled, self._next):
                if self._turn(number) is turn and not isinstance(scheduled.inputs, Exception):
                    turn.schedule(scheduled.inputs)
            raise
        self._schedule()
        return outputs

    def checkpoint(self) -> bytes:
        """The checkpoints of all of them, as JSON; see ``Pipelines``."""
        source = self._scheduled[0].source if self._scheduled else self._source.checkpoint()
        return _State(self._next, source, [(turn.since, turn.saved) for turn in self._turns]).as_json()

    def _turn(self, run: int) -> _Turn:
        return self._turns[run % len(self._turns)]

    def _schedule(self) -> None:
        """Begin as many runs as are made ahead."""
        while len(self._scheduled) < self._ahead:
            saved = self._source.checkpoint()
            try:
                inputs = self._source(None)
            except (*DALI_ERRORS, DaliRecError) as error:  # said when the run's turn has come
                self._scheduled.append(_Scheduled(saved, error))
            else:
                self._held.append(inputs)
                self._turn(self._next + len(self._scheduled)).schedule(inputs)
                self._scheduled.append(_Scheduled(saved, inputs))


class _State(NamedTuple):
    """Where pipelines in turn stand before ``run``: the source's checkpoint, and of each its first run and its own."""

    run: int
    source: bytes | None
    pipelines: list[tuple[int, bytes | None]]

    @classmethod
    def of(cls, checkpoint: bytes | None, pipelines: int) -> _State:
        if checkpoint is None:
            return cls(0, None, [(0, None)] * pipelines)
        try:
            state = json.loads(checkpoint)
            begun = [(int(since), _decoded(saved)) for since, saved in state["pipelines"]]
            found = cls(int(state["run"]), _decoded(state["source"]), begun)
        except (ValueError, KeyError, TypeError) as error:
            raise LoaderError(f"the state is damaged ({error}); start the epoch anew") from None
        if len(begun) != pipelines:
            raise LoaderError(
                f"the state is damaged (of {len(begun)} pipelines, not {pipelines}); start the epoch anew"
            )
        return found

    def as_json(self) -> bytes:
        begun = [[since, _encoded(saved)] for since, saved in self.pipelines]
        return json.dumps({"run": self.run, "source": _encoded(self.source), "pipelines": begun}).encode("ascii")


def _encoded(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode("ascii")


def _decoded(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text, validate=True)
