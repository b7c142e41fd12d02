"""``dali-rec merge``, ``dali-rec split`` and ``dali-rec shuffle``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dali_rec._sizes import shown_size
from dali_rec.arrange.classes import LabelChoice
from dali_rec.commands._options import expanded, parse_split, size
from dali_rec.errors import SourceError
from dali_rec.packing.options import SHUFFLE_SEED
from dali_rec.progress import progress_bar
from dali_rec.recordio.header import MAX_ID

if TYPE_CHECKING:
    from dali_rec.arrange import ArrangeReport


DatasetArgument = Annotated[Path, typer.Argument(metavar="DATASET", help="Prefix, manifest or .rec file.")]
OutArgument = Annotated[str, typer.Argument(metavar="OUT", help="Prefix of the files to make.")]
ShardsOption = Annotated[int | None, typer.Option(metavar="N", min=1, help="Number of .rec files; by default one.")]
ShardSizeOption = Annotated[
    str | None, typer.Option(metavar="SIZE", callback=size, help="Most bytes of a .rec file, as in 1GB.")
]
ShardRecordsOption = Annotated[int | None, typer.Option(metavar="N", min=1, help="Most records of a .rec file.")]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace a data set of the same name.")]


def merge(
    datasets: Annotated[
        list[str], typer.Argument(metavar="DATASET… OUT", help="Prefixes, manifests or .rec files; last, the output.")
    ],
    *,
    shards: ShardsOption = None,
    shard_size: ShardSizeOption = None,
    shard_records: ShardRecordsOption = None,
    labels: Annotated[
        LabelChoice, typer.Option(help="Unite classes by their names, or keep all labels as they are.")
    ] = "names",
    renumber: Annotated[bool, typer.Option("--renumber", help="Give the records the ids 0, 1, 2 and so on.")] = False,
    overwrite: OverwriteOption = False,
) -> None:
    """Put packed data sets together; nothing is decoded.

    Example: dali-rec merge data/cats data/dogs.rec data/pets --shard-size 1GB

    Classes of different lists are united by name, and labels renumbered. Ids are kept unless one stands twice.
    """
    from dali_rec.arrange import merge as run

    if len(datasets) < 2:
        raise typer.BadParameter("expected at least one data set and, last, the output", param_hint="DATASET… OUT")
    _check_one_of(shards, shard_size, shard_records)
    with progress_bar("merging", "bytes") as progress:
        report = run(
            expanded([Path(one) for one in datasets[:-1]]),
            datasets[-1],
            shards=shards,
            shard_size=shard_size,
            shard_records=shard_records,
            labels=labels,
            renumber=renumber,
            overwrite=overwrite,
            progress=progress,
        )
    _print(report)


def split(
    dataset: DatasetArgument,
    out: OutArgument,
    *,
    shares: Annotated[
        str | None,
        typer.Option(
            "--split", metavar="NAME=SHARE,…", help="Deal the records out to splits, as in train=0.9,val=0.1."
        ),
    ] = None,
    stratify: Annotated[
        bool, typer.Option("--stratify", help="Deal out each class in these shares, so that all splits have it.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Decides which record goes where.")] = SHUFFLE_SEED,
    class_names: Annotated[
        list[str] | None, typer.Option("--class", metavar="NAME", help="Only this class; may be given several times.")
    ] = None,
    ids: Annotated[Path | None, typer.Option(help="Only the ids in this file: a .lst, or one id a line.")] = None,
    shards: ShardsOption = None,
    shard_size: ShardSizeOption = None,
    shard_records: ShardRecordsOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Divide a packed data set into splits or other shards.

    Example: dali-rec split data/photos data/photos --split train=0.9,val=0.1 --stratify

    Example: dali-rec split data/photos data/sharded --shard-size 1GB
    """
    from dali_rec.arrange import split as run

    parsed = parse_split(shares)
    if stratify and parsed is None:
        raise typer.BadParameter("--stratify says how to split: it needs --split", param_hint="--stratify")
    if all(option is None for option in (shares, class_names, ids, shards, shard_size, shard_records)):
        raise typer.BadParameter("say how: --split, --class, --ids, --shards, --shard-size or --shard-records")
    _check_one_of(shards, shard_size, shard_records)
    with progress_bar("splitting", "bytes") as progress:
        report = run(
            dataset,
            out,
            shares=parsed,
            stratify=stratify,
            seed=seed,
            ids=None if ids is None else _read_ids(ids),
            classes=class_names,
            shards=shards,
            shard_size=shard_size,
            shard_records=shard_records,
            overwrite=overwrite,
            progress=progress,
        )
    _print(report)


def shuffle(
    dataset: DatasetArgument,
    out: OutArgument,
    *,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Decides the order.")] = SHUFFLE_SEED,
    memory: Annotated[
        str,
        typer.Option(
            metavar="SIZE", callback=size, help="Memory for records, 64MiB or more; does not change what comes out."
        ),
    ] = "1GB",
    shards: ShardsOption = None,
    shard_size: ShardSizeOption = None,
    shard_records: ShardRecordsOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Put the records of a packed data set in a random order.

    Example: dali-rec shuffle data/faces data/faces-shuffled --memory 4GB

    The data set may be larger than memory; nothing is decoded.
    """
    from dali_rec.arrange import shuffle as run

    _check_one_of(shards, shard_size, shard_records)
    with progress_bar("shuffling", "bytes") as progress:
        report = run(
            dataset,
            out,
            seed=seed,
            memory=memory,
            shards=shards,
            shard_size=shard_size,
            shard_records=shard_records,
            overwrite=overwrite,
            progress=progress,
        )
    _print(report)


def _check_one_of(shards: int | None, shard_size: str | None, shard_records: int | None) -> None:
    if sum(option is not None for option in (shards, shard_size, shard_records)) > 1:
        raise typer.BadParameter("say one of --shards, --shard-size and --shard-records")


def _read_ids(path: Path) -> list[int]:
    """The first column of a .lst, or of any file of whole numbers."""
    ids = []
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        if not line.strip():
            continue
        column = line.split()[0]
        if not column.isdigit() or int(column) > MAX_ID:
            raise SourceError(f"{path}, line {number}: {column[:40]!r} is not an id, a whole number up to 2^64-1")
        ids.append(int(column))
    return ids


def _print(report: ArrangeReport) -> None:
    for one in report.sets:
        print(f"{one.manifest.in_few_words()}: {one.manifest_path}")
    print(f"{report.seconds:.1f} s, {shown_size(report.bytes / report.seconds)}/s")
