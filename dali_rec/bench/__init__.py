"""What a packed data set is worth on this machine, measured."""

from dali_rec.bench.measure import BenchReport, Round, StageResult, bench, explain
from dali_rec.bench.stages import BenchOptions
from dali_rec.bench.tuning import TuneReport, tune

__all__ = ["BenchOptions", "BenchReport", "Round", "StageResult", "TuneReport", "bench", "explain", "tune"]
