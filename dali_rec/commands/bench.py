"""``dali-rec bench``: measure or tune, and print a table."""

from __future__ import annotations

import json
import statistics
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from dali_rec.commands._options import parse_device, seconds_above_zero
from dali_rec.commands._printing import without_loader_lines
from dali_rec.progress import progress_bar

if TYPE_CHECKING:
    from dali_rec.bench import BenchOptions, BenchReport, TuneReport


def bench(
    dataset: Annotated[
        Path | None,
        typer.Argument(metavar="DATASET", help="Prefix, manifest or .rec file; by default a small one is made."),
    ] = None,
    *,
    batch_size: Annotated[int, typer.Option(metavar="N", min=1, help="Images a batch.")] = 64,
    image_size: Annotated[
        int, typer.Option(metavar="N", min=1, help="Side of the images that come out, in pixels.")
    ] = 224,
    augment: Annotated[Literal["train", "eval"], typer.Option(help="Random crops, or whole images.")] = "train",
    device: Annotated[str, typer.Option(help="auto, gpu, cpu, or the number of a GPU.")] = "auto",
    threads: Annotated[int | None, typer.Option(metavar="N", min=1, help="Threads; by default one a core.")] = None,
    rounds: Annotated[int, typer.Option(metavar="N", min=1, help="Rounds of each stage.")] = 5,
    seconds: Annotated[
        float, typer.Option(callback=seconds_above_zero, help="Seconds a round; below 1 nothing is quoted.")
    ] = 2.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Also draw a bar chart, as a PNG.")] = None,
    tune: Annotated[
        bool, typer.Option("--tune", help="Search for the fastest settings, and keep them beside DATASET.")
    ] = False,
) -> None:
    """Measure reading, decoding and loading; say what holds them up.

    With --tune, try threads, prefetch and the settings of the GPU's decoder one after the other, some minutes, and keep
    what is faster in DATASET.tuned.json: the Loader takes it on this machine. Batch size and shuffle buffer are only
    measured, as training depends on them.

    Example: dali-rec bench data/train --seconds 5

    Example: dali-rec bench data/train --tune
    """
    from dali_rec.bench import BenchOptions

    options = BenchOptions(
        batch_size=batch_size,
        image_size=image_size,
        augment=augment,
        device=parse_device(device),
        threads=threads,
        rounds=rounds,
        seconds=seconds,
    )
    if not tune:
        _run_bench(dataset, options, as_json=as_json, plot=plot)
    elif dataset is None:
        raise typer.BadParameter("it keeps what it finds beside a data set: name one", param_hint="--tune")
    elif plot is not None:
        raise typer.BadParameter("what --tune finds is no chart: leave it out", param_hint="--plot")
    else:
        _run_tune(dataset, options, as_json=as_json)


def _run_bench(dataset: Path | None, options: BenchOptions, *, as_json: bool, plot: Path | None) -> None:
    """Measure ``dataset``, or one made for the purpose, and print what came of it."""
    from dali_rec.bench import bench as run
    from dali_rec.bench.chart import draw

    with tempfile.TemporaryDirectory(prefix="dali-rec-bench-") as folder:
        if dataset is None:
            dataset = _make_dataset(Path(folder))
        with without_loader_lines(), progress_bar("measuring", "rounds") as progress:
            report = run(dataset, options, progress=progress)
    if as_json:
        print(json.dumps(report.as_json(), indent=1))
    else:
        _print(report)
    if plot is not None:
        draw(report, plot)


def _run_tune(dataset: Path, options: BenchOptions, *, as_json: bool) -> None:
    """Search for the fastest settings for ``dataset``, print what came of it, and keep them beside it."""
    from dali_rec.bench import tune as run

    with without_loader_lines(), progress_bar("tuning", "rounds") as progress:
        report = run(dataset, options, progress=progress)
    if as_json:
        print(json.dumps(report.as_json(), indent=1))
    else:
        _print_tuned(report)
    report.save()
    if not as_json:
        Console(soft_wrap=True).print(
            f"Kept in {report.path}; the Loader takes it on this machine by itself.", highlight=False, markup=False
        )


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
    from dali_rec.bench.chart import LABELS

    console = Console(markup=False)  # names may hold brackets
    console.print(
        f"{report.dataset}: {report.records:,} records of {report.bytes_per_image / 1e3:,.0f} kB, {report.device}"
    )
    console.print(str(report.machine), highlight=False)
    console.print(f"settings: {report.tuned}", highlight=False)
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
