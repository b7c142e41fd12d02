"""``dali-rec demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dali_rec.commands._options import parse_device
from dali_rec.commands._printing import without_loader_lines


def demo(
    *,
    images: Annotated[Path | None, typer.Option(help="Pack this folder instead of drawing images.")] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Where to leave the files; by default a temporary folder.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, gpu, cpu, or the number of a GPU.")] = "auto",
) -> None:
    """Try it all on a small data set: pack, verify, load, measure.

    Example: dali-rec demo --images photos/train
    """
    from dali_rec.demo import run_demo

    with without_loader_lines():
        run_demo(images, folder=folder, device=parse_device(device), say=print)
