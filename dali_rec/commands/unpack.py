"""``dali-rec unpack``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dali_rec.commands._options import parse_ids
from dali_rec.progress import progress_bar


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
    print(f"{report.images:,} images: {report.list_path}")
    if report.without_image:
        print(f"{report.without_image:,} records have no image and were left out")
