"""The command line: parses arguments; each command calls one public function."""

from __future__ import annotations

import logging
import sys
import traceback
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from dali_rec._files import NO_ROOM
from dali_rec._interrupt import INTERRUPTED, interrupt_as_usual
from dali_rec._streams import prepare_streams
from dali_rec._version import __version__
from dali_rec.commands._options import seconds_above_zero
from dali_rec.commands.arrange import merge, shuffle, split
from dali_rec.commands.doctor import doctor
from dali_rec.commands.info import info
from dali_rec.commands.pack import list_images, pack
from dali_rec.commands.show import show
from dali_rec.commands.unpack import unpack
from dali_rec.commands.verify import verify
from dali_rec.errors import DaliRecError

FAILED = 1  # typer itself exits with 2 on wrong usage

app = typer.Typer(
    name="dali-rec",
    help="Pack image data sets into RecordIO and feed them to training through NVIDIA DALI.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"dali-rec {__version__}")
        raise typer.Exit


app.command()(pack)
app.command(name="list")(list_images)
app.command()(merge)
app.command()(split)
app.command()(shuffle)


@app.callback()
def _common(
    *,
    debug: Annotated[bool, typer.Option("--debug", help="Show a traceback when something fails.")] = False,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    logging.basicConfig(level=logging.DEBUG if debug else logging.INFO, format="%(message)s", stream=sys.stderr)


@app.command()
def index(
    files: Annotated[list[Path], typer.Argument(metavar="FILE.rec…", help="One or more .rec files.")],
) -> None:
    """Rebuild the .idx of .rec files, with the ids that are in the records.

    Example: dali-rec index data/train.rec
    """
    from dali_rec.recordio import RecordReader, write_index

    for path in files:
        with RecordReader(path) as reader:
            rebuilt = reader.build_index()
        write_index(path.with_suffix(".idx"), rebuilt)
        print(f"{path.with_suffix('.idx')}: {len(rebuilt):,} records")


app.command()(info)
app.command()(verify)
app.command()(show)
app.command()(unpack)


@app.command()
def bench(
    dataset: Annotated[
        Optional[Path], typer.Argument(help="Prefix, manifest or .rec file; by default a small one is made.")
    ] = None,
    *,
    batch_size: Annotated[int, typer.Option(min=1, help="Images a batch.")] = 64,
    image_size: Annotated[int, typer.Option(min=1, help="Side of the images that come out, in pixels.")] = 224,
    augment: Annotated[str, typer.Option(help="train or eval.")] = "train",
    device: Annotated[str, typer.Option(help="auto, gpu, cpu, or the number of a GPU.")] = "auto",
    threads: Annotated[Optional[int], typer.Option(min=1, help="Threads; by default one a core.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of each stage.")] = 5,
    seconds: Annotated[
        float, typer.Option(callback=seconds_above_zero, help="Seconds a round; below 1 nothing is quoted.")
    ] = 2.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
    plot: Annotated[Optional[Path], typer.Option(help="Also draw a bar chart, as a PNG.")] = None,
    tune: Annotated[
        bool, typer.Option("--tune", help="Search for the fastest settings, and keep them beside DATASET.")
    ] = False,
) -> None:
    """Measure reading, decoding and loading on this machine, and say what holds it up.

    With --tune, try threads, prefetch and the settings of the GPU's decoder one after the other, some minutes, and keep
    what is faster in DATASET.tuned.json: the Loader takes it on this machine. Batch size and shuffle buffer are only
    measured, as training depends on them.

    Example: dali-rec bench data/train --seconds 5

    Example: dali-rec bench data/train --tune
    """
    from dali_rec.commands.bench import run_bench, run_tune

    if augment not in ("train", "eval"):
        raise typer.BadParameter(f"{augment!r}: expected train or eval", param_hint="--augment")
    options: dict[str, Any] = {
        "batch_size": batch_size,
        "image_size": image_size,
        "augment": augment,
        "device": _device(device),
        "threads": threads,
        "rounds": rounds,
        "seconds": seconds,
    }
    if not tune:
        run_bench(dataset, as_json=as_json, plot=plot, **options)
    elif dataset is None:
        raise typer.BadParameter("it keeps what it finds beside a data set: name one", param_hint="--tune")
    elif plot is not None:
        raise typer.BadParameter("what --tune finds is no chart: leave it out", param_hint="--plot")
    else:
        run_tune(dataset, as_json=as_json, **options)


@app.command()
def demo(
    *,
    images: Annotated[Optional[Path], typer.Option(help="Pack this folder instead of drawing images.")] = None,
    folder: Annotated[
        Optional[Path], typer.Option(help="Where to leave the files; by default a temporary folder.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, gpu, cpu, or the number of a GPU.")] = "auto",
) -> None:
    """Go the whole way on a small data set: make, pack, verify, load two epochs, measure.

    Example: dali-rec demo --images photos/train
    """
    from dali_rec.demo import run_demo

    run_demo(images, folder=folder, device=_device(device), say=print)


app.command()(doctor)


def _device(text: str) -> str | int:
    return int(text) if text.isdecimal() else text


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted by Ctrl-C."""
    arguments = sys.argv[1:] if arguments is None else arguments
    prepare_streams()
    try:
        interrupt_as_usual()
        app(arguments)
    except SystemExit as end:  # typer has said what was wrong with the usage, but nothing of an interruption
        if _was_interrupted(end):
            print("interrupted", file=sys.stderr)
            return INTERRUPTED
        return end.code if isinstance(end.code, int) else FAILED
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except (DaliRecError, OSError, ValueError) as error:
        if "--debug" in arguments:
            traceback.print_exc()
        print(f"dali-rec: {_one_line(error)}", file=sys.stderr)
        return FAILED
    return 0


def _was_interrupted(error: BaseException | None) -> bool:
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno in NO_ROOM and error.filename is not None:
        return f"{error.filename}: {error.strerror}; no file is left half-written: make room and run it again"
    return " ".join(str(error).split())
