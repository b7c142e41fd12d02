"""What the lines of a new Loader are to several commands."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


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
