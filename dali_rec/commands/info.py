"""``dali-rec info``: what is in a data set, as tables or as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from dali_rec._numbers import counted
from dali_rec.commands._options import expanded
from dali_rec.progress import progress_bar

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dali_rec.inspection import DatasetInfo

_CLASSES_SHOWN = 20
_COLUMNS_SHOWN = 8
_LONGEST_OPTION = 100


def info(
    datasets: Annotated[list[Path], typer.Argument(metavar="DATASET", help="Prefix, manifest or .rec file.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON, one object a data set.")] = False,
) -> None:
    """Say what is in a data set: classes, labels, sizes, formats.

    Example: dali-rec info data/train

    It says too what the GPU's JPEG engine does not take. Reads headers only: a million records in seconds.
    """
    from dali_rec.inspection import info as run

    for dataset in expanded(datasets):
        with progress_bar("reading headers", "records") as progress:
            found = run(dataset, progress=progress)
        if as_json:
            print(json.dumps(found.as_json()))
        else:
            _print(found)


def _print(found: DatasetInfo) -> None:
    console = Console(soft_wrap=True, highlight=False)
    console.print(f"[bold]{_escaped(found.name)}[/]")
    facts = Table.grid(padding=(0, 2))
    for _ in range(2):
        facts.add_column(overflow="fold")  # nothing is left out where it is narrow
    for name, value in _facts(found):
        facts.add_row(name, _escaped(value))
    console.print(facts)
    if found.images:
        console.print(_sizes(found))
    if found.boxes is not None:
        console.print(_classes([(one.index, one.name, one.objects) for one in found.boxes.classes], "objects"))
    elif found.classes:
        console.print(_classes([(one.index, one.name, one.records) for one in found.classes], "records"))


def _facts(found: DatasetInfo) -> Iterable[tuple[str, str]]:
    yield "records", f"{found.records:,}" + (f" ({found.split})" if found.split else "")
    yield "bytes", f"{found.bytes:,} in {counted(len(found.shards), 'shard')}"
    classes = found.boxes.classes if found.boxes is not None else found.classes
    if classes is not None:
        yield "classes", f"{len(classes):,}"
    if found.identities is not None:
        yield "identities", f"{found.identities:,}"
    if found.boxes is not None:
        yield (
            "boxes",
            (
                f"{counted(found.boxes.objects, 'object')} of {found.boxes.width} numbers each, in "
                f"{counted(found.boxes.images, 'image')}"
            ),
        )
    else:
        yield "labels", _labels(found)
    yield "images", f"{found.images:,}"
    yield "formats", _by_kind(found.formats)
    yield "colour", _by_kind(found.modes)
    if found.jpeg:
        yield "JPEG", _by_kind(found.jpeg)
        yield "chroma", _by_kind(found.sampling)
        yield "CMYK JPEG", f"{found.cmyk_jpeg:,}"
    missed = sum(found.engine_missed.values())
    if missed:
        yield "GPU engine", f"misses {counted(missed, 'image')}: {_by_kind(found.engine_missed)}"
    elif found.images:
        yield "GPU engine", "takes every image"
    if found.not_images:
        yield "not images", f"{_by_kind(found.not_images)}; 'dali-rec verify' says where"
    if found.created_by:
        yield "made by", found.created_by
    if found.options:
        yield "with", ", ".join(f"{name}={_shortened(json.dumps(value))}" for name, value in found.options.items())


def _labels(found: DatasetInfo) -> str:
    labels = found.labels
    if not labels.width_at_most:
        return "none"
    width = f"{labels.width} to {labels.width_at_most} a record" if labels.ragged else f"{labels.width} a record"
    parts = [
        width,
        *(
            f"{_place(column.column, labels.width_at_most)}{_range(column.lowest, column.highest)}"
            for column in labels.columns[:_COLUMNS_SHOWN]
            if column.lowest is not None and column.highest is not None
        ),
    ]
    if labels.width_at_most > _COLUMNS_SHOWN and labels.lowest is not None and labels.highest is not None:
        parts.append(f"all {_range(labels.lowest, labels.highest)}")
    if labels.unusable:
        parts.append(f"{labels.unusable:,} NaN or infinite")
    return ", ".join(parts)


def _place(column: int, columns: int) -> str:
    return f"[{column}] " if columns > 1 else ""


def _range(lowest: float, highest: float) -> str:
    return f"{lowest:.6g}" if lowest == highest else f"{lowest:.6g} to {highest:.6g}"


def _sizes(found: DatasetInfo) -> Table:
    table = Table("sizes", box=None, pad_edge=False)
    for heading in ("smallest", "5 %", "25 %", "median", "75 %", "95 %", "largest"):
        table.add_column(heading, justify="right")
    for name, values, form in (
        ("width", found.width, ",.0f"),
        ("height", found.height, ",.0f"),
        ("width / height", found.aspect, ".2f"),
        ("bytes", found.image_bytes, ",.0f"),
    ):
        table.add_row(name, *(format(value, form) for value in values))
    return table


def _classes(classes: Sequence[tuple[int, str | None, int]], counted: str) -> Table:
    table = Table("class", box=None, pad_edge=False)
    table.add_column(counted, justify="right")
    table.add_column("share", justify="right")
    counts = [count for _, _, count in classes]
    total = max(1, sum(counts))
    for index, name, count in classes[:_CLASSES_SHOWN]:
        shown = str(index) if name is None else f"{index} {name}"
        table.add_row(_escaped(shown), f"{count:,}", f"{count / total:.1%}")
    if len(classes) > _CLASSES_SHOWN:
        table.add_row(
            f"… {len(classes):,} in all, of {min(counts):,} to {max(counts):,} {counted}; --json has them", "", ""
        )
    return table


def _by_kind(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items()) or "none"


def _shortened(text: str) -> str:
    """As much as there is room for: of an arranged data set the inputs are described; --json has it all."""
    return text if len(text) <= _LONGEST_OPTION else f"{text[:_LONGEST_OPTION]}…"


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)
