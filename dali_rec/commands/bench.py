"""``dali-rec bench``: measure or tune, and print a table."""

from __future__ import annotations

import contextlib
import json
import logging
import statistics
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from dali_rec.bench import BenchOptions, bench, tune
from dali_rec.bench.chart import LABELS, draw
from dali_rec.progress import progress_bar

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dali_rec.bench import BenchReport, TuneReport


def run_bench(dataset: Path | None, *, as_json: bool, plot: Path | None, **options: Any) -> None:
    """Measure ``dataset``, or one made for the purpose, and print what came of it."""
    with tempfile.TemporaryDirectory(prefix="dali-rec-bench-") as folder:
        if dataset is None:
            dataset = _make_dataset(Path(folder))
        with progress_bar("measuring", "rounds") as progress:
            report = bench(dataset, BenchOptions(**options), progress=progress)
    if plot is not None:
        draw(report, plot)
    if as_json:
        print(json.dumps(report.as_json(), indent=1))  # noqa: T201
    else:
        _print(report)


def run_tune(dataset: Path, *, as_json: bool, **options: Any) -> None:
    """Search for the fastest settings for ``dataset``, print what came of it, and keep them beside it."""
    with _without_a_line_each_loader(), progress_bar("tuning", "rounds") as progress:
        report = tune(dataset, BenchOptions(**options), progress=progress)
    if as_json:
        print(json.dumps(report.as_json(), indent=1))  # noqa: T201
    else:
        _print_tuned(report)
    report.save()
    if not as_json:
        Console(soft_wrap=True).print(
            f"Kept in {report.path}; the Loader takes it on this machine by itself.", highlight=False, markup=False
        )


@contextlib.contextmanager
def _without_a_line_each_loader() -> Iterator[None]:
    logger = logging.getLogger("dali_rec")
    level = logger.level
    if logger.getEffectiveLevel() == logging.INFO:  # with --debug they are wanted
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


def _print_tuned(report: TuneReport) -> None:
    console = Console(highlight=False, markup=False)
    console.print(f"{report.dataset}: {report.records:,} records, {report.device}")
    console.print(str(report.machine))
    table = Table("setting", box=None, pad_edge=False)
    for column in ("value", "images/s", "beside", "±", ""):
        table.add_column(column, justify="left" if not column else "right")
    for one in (*report.comparisons, *([report.confirmation] if report.confirmation else []), *report.advice):
        name = f"{one.name}, with a training step" if one.paced else one.name
        table.add_row(name, str(one.value), f"{statistics.median(one.rates):,.0f}", "", "", "")
        for other in one.candidates:
            if other.failure is not None:
                table.add_row("", str(other.value), "failed", "", "", other.failure)
            else:
                rate, gain = f"{statistics.median(other.rates):,.0f}", f"{100 * other.gain:+.1f} %"
                mark = "✓" if other == one.winner else ""
                table.add_row("", str(other.value), rate, gain, f"{100 * other.spread:.1f}", mark)
    console.print(table)
    for sentence in report.summary():
        console.print(sentence)


def _make_dataset(folder: Path) -> Path:
    from dali_rec.demo import write_images
    from dali_rec.packing import pack

    write_images(folder / "images")
    pack(folder / "images", folder / "drawn")
    return folder / "drawn"


def _print(report: BenchReport) -> None:
    console = Console()
    console.print(
        f"{report.dataset}: {report.records:,} records of {report.bytes_per_image / 1e3:,.0f} kB, {report.device}"
    )
    console.print(str(report.machine), highlight=False)
    console.print(f"settings: {report.tuned}", highlight=False, markup=False)
    table = Table("stage", box=None, pad_edge=False)
    for column in ("images/s", "slowest", "fastest", "MB/s", "cores busy"):
        table.add_column(column, justify="right")
    for stage in report.stages:
        if stage.is_quotable:
            rate = stage.images_per_second
            cells = (rate, stage.rates[0], stage.rates[-1], rate * report.bytes_per_image / 1e6)
            table.add_row(LABELS[stage.name], *(f"{cell:,.0f}" for cell in cells), f"{stage.busy_cores():.1f}")
        else:
            table.add_row(LABELS[stage.name], "too short to quote")
    console.print(table)
    console.print(report.limit, highlight=False)
