"""``dali-rec doctor``: what this machine has, and what will be used."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from dali_rec.inspection.doctor import Diagnosis

# As they are, and for encodings that lack them, as those of Windows do.
_MARKS = {"ok": ("✓", "+", "green"), "absent": ("–", "-", "dim"), "problem": ("✗", "x", "bold red")}


def doctor(*, as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False) -> None:
    """Say what this machine has and lacks, and what will be used.

    Example: dali-rec doctor

    Exit status 0, also where something is missing; what is wrong is marked by a cross, with the command that mends it.
    """
    from dali_rec.inspection.doctor import diagnose

    found = diagnose()
    if as_json:
        print(json.dumps(found.as_json(), indent=1))
    else:
        _print(found)


def _print(found: Diagnosis) -> None:
    console = Console(soft_wrap=True, highlight=False)
    table = Table.grid(padding=(0, 2))
    lacks_marks = "✓✗".encode(console.encoding, "replace") == b"??"
    section = None
    for finding in found.findings:
        if finding.section != section:
            section = finding.section
            table.add_row("", Text(section, style="bold"))
        mark, plain_mark, style = _MARKS[finding.status]
        table.add_row(Text(plain_mark if lacks_marks else mark, style=style), finding.name, Text(finding.detail))
        if finding.remedy is not None:
            table.add_row("", "", Text(finding.remedy, style="cyan"))
    console.print(table)
    if found.device is None:
        console.print(f"\nThe loader cannot run: {found.why}.", markup=False)
    else:
        console.print(f'\nThe loader will use the {found.device} and framework="{found.framework}".', markup=False)
        console.print(f"({found.why})", markup=False)
