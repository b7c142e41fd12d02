"""``dali-rec list``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dali_rec._files import as_path
from dali_rec._numbers import counted
from dali_rec.commands._options import parse_split
from dali_rec.commands._source_options import (
    ClassesOption,
    LeafOption,
    PatternOption,
    SeedOption,
    SplitOption,
    StratifyOption,
    TopOption,
    folder_labels,
    read_classes,
)
from dali_rec.errors import SourceError
from dali_rec.packing.options import SHUFFLE_SEED, PackOptions
from dali_rec.progress import progress_bar
from dali_rec.sources import ArchivedImages, ArrayImages, ParquetImages, SourceOptions, TFRecordImages
from dali_rec.sources.parquet.row_files import kind_of


def list_images(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of images.")],
    out: Annotated[Path, typer.Argument(metavar="OUT.lst", help="The list to write.")],
    *,
    shuffle: Annotated[bool, typer.Option("--shuffle", help="Shuffle the list.")] = False,
    seed: SeedOption = SHUFFLE_SEED,
    split: SplitOption = None,
    stratify: StratifyOption = False,
    leaf_labels: LeafOption = False,
    top_labels: TopOption = False,
    label_pattern: PatternOption = None,
    classes: ClassesOption = None,
) -> None:
    """Write a list of the images in a folder, as im2rec does.

    Example: dali-rec list photos data/photos.lst --split train=0.9,val=0.1

    Splits go to OUT-train.lst and so on. Pack a list with --root FOLDER.
    """
    from dali_rec.packing import plan_pack
    from dali_rec.packing.lists import write_lists

    prefix = as_path(out.with_suffix("") if out.suffix == ".lst" else out)
    options = PackOptions(shuffle=shuffle, seed=seed, split=parse_split(split), stratify=stratify)
    labels = folder_labels(leaf=leaf_labels, top=top_labels)
    source_options = SourceOptions(None, labels, read_classes(classes), label_pattern=label_pattern)
    with progress_bar("listing", "images"):
        source, plans = plan_pack(folder, prefix, options, source_options)
        held = source.pixels
        where = {ArchivedImages: "an archive", ArrayImages: "arrays", TFRecordImages: "TFRecord files"}.get(type(held))
        if isinstance(held, ParquetImages):
            where = f"{kind_of(held.file_of(source.samples[0].location))} files"
        if where is not None:
            raise SourceError(f"{folder}: a list names files, and these images are in {where}: pack it as it is")
        written = write_lists(plans, prefix.parent)
    for note in source.notes:
        print(note)
    for path, count in written:
        print(f"{path}: {counted(count, 'image')}")
