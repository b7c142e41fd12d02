"""What several commands print."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

from dali_rec._numbers import counted
from dali_rec._sizes import shown_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dali_rec.manifest import Manifest


def describe_set(manifest: Manifest) -> str:
    """A data set in a few words: ``1,000 records in 10 classes in 8 shards, 121 MB``."""
    in_classes = f" in {counted(len(manifest.classes), 'class', 'classes')}" if manifest.classes else ""
    in_shards = f" in {len(manifest.shards)} shards" if len(manifest.shards) > 1 else ""
    records = counted(manifest.records, "record")
    return f"{records}{in_classes}{in_shards}, {shown_size(manifest.bytes)}"


@contextlib.contextmanager
def without_loader_lines() -> Iterator[None]:
    """Leave out the line that each new Loader logs, unless --debug asks for everything."""
    logger = logging.getLogger("dali_rec")
    level = logger.level
    if logger.getEffectiveLevel() == logging.INFO:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)
