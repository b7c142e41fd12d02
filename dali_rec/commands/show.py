"""``dali-rec show``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from dali_rec.commands._options import parse_ids
from dali_rec.commands._printing import without_loader_lines
from dali_rec.progress import progress_bar


def show(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="Prefix, manifest or .rec file.")],
    *,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The contact sheet, a PNG.")] = None,
    page: Annotated[Path | None, typer.Option("--html", help="A page of samples, counts, sizes and formats.")] = None,
    count: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Samples; by default 40, 6 augmented, 120 on a page.")
    ] = None,
    columns: Annotated[int, typer.Option(metavar="N", min=1, help="Pictures in a row of the sheet.")] = 8,
    tile: Annotated[
        int, typer.Option(metavar="N", min=16, max=1024, help="Side of a picture on the sheet, in pixels.")
    ] = 144,
    at_random: Annotated[
        bool, typer.Option("--random", help="Draw records at random, not as many of each class.")
    ] = False,
    ids: Annotated[str | None, typer.Option(metavar="ID,…", help="Show these records.")] = None,
    augmented: Annotated[
        bool, typer.Option("--augmented", help="A row for each image: as stored, and as training would see it.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of the choice, and of the augmentation.")] = 0,
) -> None:
    """Draw a contact sheet of a data set, or write a page about it.

    Example: dali-rec show data/train -o sheet.png --html report.html

    Without -o and --html the sheet goes to NAME.png in this folder.
    """
    from dali_rec.inspection import augmented_sheet, contact_sheet, write_report
    from dali_rec.opening import open_dataset

    if out is None and page is None:
        out = Path(f"{dataset.stem if dataset.suffix in ('.rec', '.json') else dataset.name}.png")
    if out is None and (augmented or at_random or ids is not None):
        raise typer.BadParameter("--ids, --random and --augmented are of the sheet: say -o too, for both")
    if out is not None:
        chosen = parse_ids(ids)
        order: Literal["class", "random"] = "random" if at_random else "class"
        drawn = count or (6 if augmented else 40)
        with without_loader_lines(), open_dataset(dataset) as opened:
            if augmented:
                versions = max(1, columns - 1)
                augmented_sheet(
                    opened, out, count=drawn, versions=versions, tile=tile, seed=seed, order=order, ids=chosen
                )
            else:
                contact_sheet(opened, out, count=drawn, columns=columns, tile=tile, seed=seed, order=order, ids=chosen)
        print(out)
    if page is not None:
        with progress_bar("reading headers", "records") as progress:
            write_report(dataset, page, count=count or 120, seed=seed, progress=progress)
        print(page)
