"""``dali-rec demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dali_rec.commands._options import parse_device


def demo(
    *,
    images: Annotated[Path | None, typer.Option(help="Pack this folder instead of drawing images.")] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Where to leave the files; by default a temporary folder.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, gpu, cpu, or the number of a GPU.")] = "auto",
) -> None:
    """Go the whole way on a small data set: make, pack, verify, load two epochs, measure.

    Example: dali-rec demo --images photos/train
    """
    from dali_rec.demo import run_demo

    run_demo(images, folder=folder, device=parse_device(device), say=print)
