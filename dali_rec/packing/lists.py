"""Plans as .lst files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dali_rec._files import atomic_write
from dali_rec.errors import SourceError
from dali_rec.packing.reading import NOT_LISTABLE, is_listable
from dali_rec.sources import format_list

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dali_rec.packing.plan import Plan


def write_lists(plans: Sequence[Plan], directory: Path) -> list[tuple[Path, int]]:
    """Write each plan's samples, in order, to NAME.lst; returns the files and how many images each names.

    Raises SourceError, before anything is written, for a name that would break its line.
    """
    for sample in (sample for plan in plans for sample in plan.samples if not is_listable(sample.location)):
        raise SourceError(f"{sample.location!r}: {NOT_LISTABLE}")
    written = []
    for plan in plans:
        path = directory / f"{plan.name}.lst"
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as file:
            file.writelines(format_list(map(plan.listed, plan.samples)))
        written.append((path, len(plan.samples)))
    return written
