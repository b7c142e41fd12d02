"""Parting samples into train, validation and test: arithmetic only."""

from __future__ import annotations

import random
import sys
from array import array
from typing import TYPE_CHECKING

import numpy as np

from dali_rec._files import is_plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

#: Why data sets of boxes cannot be stratified.
STRATIFIED_BOXES = "--stratify needs one class an image, and these have boxes; leave it out"


def parse_shares(text: str) -> dict[str, float]:
    """``train=0.9,val=0.1`` as shares. Raises ValueError if they are not that or do not add up to 1."""
    shares: dict[str, float] = {}
    for part in text.split(","):
        name, equals, share = (piece.strip() for piece in part.partition("="))
        try:
            value = float(share)
        except ValueError:
            value = -1.0
        if not equals or not 0 < value <= 1:
            raise ValueError(f"split {part!r}: expected NAME=SHARE with a share above 0, as in train=0.9,val=0.1")
        if name in shares:
            raise ValueError(f"split {name!r} stands twice in {text!r}")
        shares[name] = value
    check_shares(shares)
    return shares


def check_name(name: str) -> None:
    """Raise ValueError unless the name of a split can be part of a file's."""
    if not name or not name.isprintable() or not is_plain(name):
        marks = "/, \\ or :" if sys.platform == "win32" else "/ or \\"
        raise ValueError(f"split {name!r}: the name becomes part of a file's, and may not be empty or hold {marks}")


def check_shares(shares: Mapping[str, float]) -> None:
    """Raise ValueError unless the names can be part of a file's and the shares are above 0 and add up to 1."""
    for name, share in shares.items():
        check_name(name)
        if not 0 < share <= 1:
            raise ValueError(f"split {name!r} has the share {share:g}: above 0, up to 1")
    total = sum(shares.values())
    if abs(total - 1) > 1e-6:
        raise ValueError(f"the shares of the split add up to {total:g}, not to 1")


def split_rows(
    count: int, shares: Mapping[str, float], seed: int, groups: Sequence[float] | NDArray[np.float64] | None = None
) -> dict[str, NDArray[np.int64]]:
    """Deal ``count`` rows out at random: for each name the rows, in ascending order, as int64.

    groups: a number for each row, such as its class; each group is dealt out in these shares by itself (stratified).
    What does not divide evenly goes to the splits with the largest remainders, the earlier one first.
    """
    generator = random.Random(seed)  # noqa: S311  # a repeatable order, not a secret
    rows: dict[str, list[NDArray[np.int64]]] = {name: [] for name in shares}
    for members in _groups(count, groups):
        order = array("q", members.tobytes())
        generator.shuffle(order)
        start = 0
        for name, size in zip(shares, _sizes(len(order), list(shares.values())), strict=True):
            rows[name].append(np.array(order[start : start + size], dtype=np.int64))
            start += size
    return {name: np.sort(np.concatenate(parts)) for name, parts in rows.items()}


def _groups(count: int, groups: Sequence[float] | NDArray[np.float64] | None) -> list[NDArray[np.int64]]:
    if groups is None:
        return [np.arange(count, dtype=np.int64)]
    order = np.argsort(np.asarray(groups), kind="stable").astype(np.int64)
    _, starts = np.unique(np.asarray(groups)[order], return_index=True)
    return np.split(order, starts[1:])


def _sizes(count: int, shares: Sequence[float]) -> list[int]:
    exact = [count * share for share in shares]
    sizes = [int(size + 1e-9) for size in exact]
    by_remainder = sorted(range(len(shares)), key=lambda number: (sizes[number] - exact[number], number))
    for number in by_remainder[: count - sum(sizes)]:
        sizes[number] += 1
    return sizes
