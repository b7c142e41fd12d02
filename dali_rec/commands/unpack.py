"""``dali-rec unpack``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dali_rec._numbers import counted
from dali_rec.commands._options import parse_ids
from dali_rec.progress import progress_bar


def unpack(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="Prefix, manifest or .rec file.")],
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write to; made if it is not there.")],
    *,
    class_name: Annotated[
        list[str] | None, typer.Option("--class", metavar="NAME", help="Only this class; may be given several times.")
    ] = None,
    ids: Annotated[str | None, typer.Option(metavar="ID,…", help="Only these records.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over files of the same names.")] = False,
) -> None:
    """Write the images of a data set to files, with a list of them.

    Example: dali-rec unpack data/train photos

    The list, photos/train.lst, packs to the same records again.
    """
    from dali_rec.inspection import unpack as run

    with progress_bar("unpacking", "images") as progress:
        report = run(dataset, directory, classes=class_name, ids=parse_ids(ids), force=force, progress=progress)
    print(f"{counted(report.images, 'image')}: {report.list_path}")
    if report.without_image:
        print(f"{counted(report.without_image, 'record')} without an image left out")
