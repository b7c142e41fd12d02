"""``dali-rec verify``: check data sets, print what is wrong, and repair them where asked."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dali_rec._numbers import counted
from dali_rec.commands._options import expanded
from dali_rec.progress import progress_bar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dali_rec.inspection import Fault, RepairReport, VerifyReport

_FAULTS_SHOWN = 20
_NOTES_SHOWN = 5


def verify(
    datasets: Annotated[list[Path], typer.Argument(metavar="DATASET", help="Prefix, manifest or .rec file.")],
    *,
    quick: Annotated[bool, typer.Option("--quick", help="Decode nothing: framing, headers, index, checksums.")] = False,
    duplicates: Annotated[
        bool, typer.Option("--duplicates", help="An image that is there twice, byte for byte, is a fault.")
    ] = False,
    repair: Annotated[
        bool, typer.Option("--repair", help="Rewrite .idx, .lst and manifest without the bad records.")
    ] = False,
    drop_missing_shards: Annotated[
        bool,
        typer.Option("--drop-missing-shards", help="With --repair: give up the records of shards that are missing."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print each fault and note as a line of JSON.")] = False,
    workers: Annotated[int | None, typer.Option(metavar="N", min=1, help="Threads; by default one a core.")] = None,
) -> None:
    """Check that every record is whole and every image decodes.

    Example: dali-rec verify data/train --repair

    --repair leaves out what is bad, and never touches a .rec. Exit status 1 if there are faults that were not
    repaired; each is printed with file, offset and record id.
    """
    from dali_rec.inspection import repair as run_repair
    from dali_rec.inspection import verify as run

    if quick and repair:
        raise typer.BadParameter("--repair has to know which images decode: leave out --quick", param_hint="--quick")
    if drop_missing_shards and not repair:
        raise typer.BadParameter("only with --repair", param_hint="--drop-missing-shards")
    failed = False
    for dataset in expanded(datasets):
        with progress_bar("verifying", "bytes") as progress:
            report = run(dataset, decode=not quick, duplicates=duplicates, workers=workers, progress=progress)
        if as_json:
            _print_json(report)
        else:
            _print(report)
        _say(_verdict(dataset, report, quick=quick), to_stderr=as_json)
        if repair and not report.ok:
            repaired = run_repair(report, drop_missing=drop_missing_shards)
            _say(_result(dataset, repaired), to_stderr=as_json)
        elif not report.ok:
            failed = True
            if not as_json:
                options = "--duplicates --repair" if duplicates else "--repair"
                _say(f"'dali-rec verify {dataset} {options}' leaves out what is bad; the .rec stays as it is")
    if failed:
        raise typer.Exit(1)


def _print_json(report: VerifyReport) -> None:
    for fault in report.faults:
        _say(json.dumps(fault.as_json("fault")))
    for note in report.notes:
        _say(json.dumps(note.as_json("note")))


def _print(report: VerifyReport) -> None:
    _print_some(report.faults, _FAULTS_SHOWN, "", "faults")
    _print_some(report.notes, _NOTES_SHOWN, "note: ", "notes")


def _print_some(found: Sequence[Fault], shown: int, label: str, what: str) -> None:
    for one in found[:shown]:
        _say(f"{label}{one}")
    if len(found) > shown:
        _say(f"… and {len(found) - shown:,} more {what}; --json prints all")


def _verdict(dataset: Path, report: VerifyReport, *, quick: bool) -> str:
    count = len(report.faults)
    verdict = counted(count, "fault") if count else "no faults"
    read = counted(report.images, "image header") + " sound, none" if quick else counted(report.images, "image")
    return f"{dataset}: {counted(report.records, 'record')}, {read} decoded, {verdict}"


def _result(dataset: Path, repaired: RepairReport) -> str:
    parts = [counted(repaired.records, "record remains", "records remain")]
    if repaired.left_out:
        shown = ", ".join(map(str, repaired.left_out[:8])) + (", …" if len(repaired.left_out) > 8 else "")
        ids = "id" if len(repaired.left_out) == 1 else "ids"
        parts.append(f"{len(repaired.left_out):,} left out ({ids} {shown})")
    if repaired.dropped:
        parts.append(f"without the shards {', '.join(repaired.dropped)}")
    parts.append(f"written: {', '.join(path.name for path in repaired.written) or 'nothing'}")
    return f"{dataset}: repaired: {'; '.join(parts)}"


def _say(text: str, *, to_stderr: bool = False) -> None:
    print(text, file=sys.stderr if to_stderr else sys.stdout)
