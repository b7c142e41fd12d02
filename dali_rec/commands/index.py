"""``dali-rec index``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dali_rec._numbers import counted
from dali_rec.commands._options import expanded


def index(
    files: Annotated[list[Path], typer.Argument(metavar="FILE.rec", help="One or more .rec files.")],
) -> None:
    """Rebuild the .idx of .rec files, with the ids in the records.

    Example: dali-rec index data/train.rec
    """
    from dali_rec.progress import progress_bar
    from dali_rec.recordio import RecordReader, index_path_of, write_index

    for path in expanded(files):
        if not path.exists() and (rec := path.with_name(f"{path.name}.rec")).exists():
            raise typer.BadParameter(f"{path}: no such file; the .rec is called {rec}", param_hint="FILE.rec")
        with RecordReader(path) as reader, progress_bar("indexing", "bytes") as progress:
            rebuilt = reader.build_index(progress)
        write_index(index_path_of(path), rebuilt)
        print(f"{index_path_of(path)}: {counted(len(rebuilt), 'record')}")
        if rebuilt.repeated:
            what = "its ids stand for several records; MXNet's reader finds only the last of them"
            print(f"note: {rebuilt.repeated:,} of {what}; 'tools/rec2idx.py --renumber' numbers them from 0")
