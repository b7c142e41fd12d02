"""``dali-rec unpack``."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  # typer reads the annotations when it runs
from typing import Annotated

import typer

from dali_rec.progress import progress_bar
from dali_rec.recordio.header import MAX_ID


def unpack(
    dataset: Annotated[Path, typer.Argument(help="Prefix, manifest or .rec file.")],
    directory: Annotated[Path, typer.Argument(help="Folder to write to; made if it is not there.")],
    *,
    class_name: Annotated[
        list[str] | None, typer.Option("--class", help="Only this class; may be given several times.")
    ] = None,
    ids: Annotated[str | None, typer.Option(metavar="ID,…", help="Only these records.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over files of the same names.")] = False,
) -> None:
    """Write the images of a data set to files, and a list that packs to the same records again.

    Example: dali-rec unpack data/train photos
    """
    from dali_rec.inspection import unpack as run

    with progress_bar("unpacking", "images") as progress:
        report = run(dataset, directory, classes=class_name, ids=parse_ids(ids), force=force, progress=progress)
    print(f"{report.images:,} images: {report.list_path}")  # noqa: T201
    if report.without_image:
        print(f"{report.without_image:,} records have no image and were left out")  # noqa: T201


def parse_ids(text: str | None) -> list[int] | None:
    """``1,2,3`` as numbers, each an id that a record can have."""
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    for part in parts:
        if not (part.isascii() and part.isdecimal()) or len(part) > 20 or int(part) > MAX_ID:
            raise typer.BadParameter(
                f"{part[:40]!r}: expected whole numbers from 0 to 2^64-1, as in 1,2,3", param_hint="--ids"
            )
    return [int(part) for part in parts]
