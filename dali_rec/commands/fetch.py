"""``dali-rec fetch``."""

from __future__ import annotations

from typing import Annotated

import typer

from dali_rec._numbers import counted
from dali_rec._shard_names import dataset_name
from dali_rec.progress import progress_bar


def fetch(
    url: Annotated[
        str, typer.Argument(metavar="URL", help="Prefix, manifest or .rec file: s3://, gs://, https://, … or a path.")
    ],
    out: Annotated[str, typer.Argument(metavar="OUT", help="Folder to bring it to, or prefix of the files to make.")],
    *,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a data set of the same name that was not fetched from there.")
    ] = False,
) -> None:
    """Bring a packed data set here from an object store or web server.

    Example: dali-rec fetch s3://bucket/sets/train data/

    What is here already and whole is not fetched again: a fetch that broke off goes on, and one of a changed data set
    brings what is new.
    """
    from dali_rec.fetching import fetch as run

    with progress_bar("fetching", "bytes") as progress:
        dataset = run(url, out, overwrite=overwrite, progress=progress)
    if dataset.manifest is None:
        print(f"{counted(len(dataset), 'record')}: {dataset.name}")
    else:
        first = dataset.shards[0].path
        print(f"{dataset.manifest.in_few_words()}: {first.with_name(dataset_name(first.stem))}.json")
