"""Checks of options that several commands have."""

from __future__ import annotations

import math

import typer


def seconds_above_zero(value: float) -> float:
    """The value, if it is a time to work with. Raises BadParameter for zero, less, infinity and NaN."""
    if not 0 < value < math.inf:
        raise typer.BadParameter(f"{value:g}: expected a number of seconds, more than 0")
    return value
