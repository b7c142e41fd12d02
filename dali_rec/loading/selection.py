"""Which records a Loader takes part of, and how likely each is drawn."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from dali_rec.dataset import Dataset
from dali_rec.errors import DatasetError
from dali_rec.loading.order import balanced_weights, check_weights, mixed_weights
from dali_rec.opening import join_datasets, open_dataset

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dali_rec.recordio import Record

Subset = float | Sequence[int] | Sequence[str] | Callable[["Record"], bool]


Data = Dataset | str | os.PathLike[str] | Sequence[Dataset | str | os.PathLike[str]]


def select(data: Data, subset: Subset | None) -> tuple[Dataset, list[int]]:
    """The data set, or the subset of it, and how many records each of several given ones has in it.

    One that is given twice is there twice. Raises DatasetError if nothing is left.
    """
    parts: list[Dataset] = []
    if isinstance(data, Dataset):
        whole = data
    elif isinstance(data, (str, os.PathLike)) or not isinstance(data, Iterable):
        whole = open_dataset(data)
    else:
        parts = [_apart(one) if isinstance(one, Dataset) else open_dataset(one) for one in data]
        whole = join_datasets(parts)
    chosen = whole if subset is None else _subset(whole, subset)
    if not len(chosen):
        raise DatasetError(f"{whole.name}: no records are left in the subset {subset!r}")
    if not parts:
        return chosen, [len(chosen)]
    # Not by the paths, which a data set that is given twice has twice. The subset has the readers of the whole.
    part_of = [number for number, part in enumerate(parts) for _ in part.shards]
    number_of = {id(shard.reader): number for shard, number in zip(whole.shards, part_of, strict=True)}
    sizes = [0] * len(parts)
    for shard in chosen.shards:
        sizes[number_of[id(shard.reader)]] += len(shard)
    return chosen, sizes


def _apart(dataset: Dataset) -> Dataset:
    """The same records with readers of its own, so that two views of one data set can be told apart."""
    shards = [copy.copy(shard) for shard in dataset.shards]
    for shard in shards:
        shard.reader = copy.copy(shard.reader)
    return Dataset(shards, dataset.manifest)


def _subset(dataset: Dataset, subset: Subset) -> Dataset:
    if callable(subset):
        return dataset.filter(subset)
    if isinstance(subset, (float, np.floating)):
        return dataset.subset(fraction=float(subset))
    if isinstance(subset, str) or not isinstance(subset, Iterable):
        # A TypeError would escape those who catch what options raise.
        raise ValueError(f"subset is {subset!r}: expected a share such as 0.1, class names, ids, or a function")  # noqa: TRY004
    # Also a tensor, or a set, which has no first.
    chosen: Any = np.asarray(subset) if hasattr(subset, "__array__") else list(subset)
    if len(chosen) and isinstance(chosen[0], str):
        return dataset.subset(classes=chosen)
    return dataset.subset(ids=chosen)


def choose_weights(
    records: int,
    weights: Sequence[float] | NDArray[Any] | None,
    balance: Literal["class"] | None,
    mix: Sequence[float] | None,
    sizes: Sequence[int],
    classes: Callable[[], NDArray[np.int64]],
) -> NDArray[np.float64] | None:
    """How likely each of the records is drawn, shape (N,), or None where each comes once an epoch.

    sizes: how many records there are of each of several data sets. classes: finds the class of each record. Raises
    ValueError for options that contradict each other, or weights that are none.
    """
    if balance not in (None, "class"):
        raise ValueError(f"balance is {balance!r}: expected None or 'class'")
    if mix is not None and np.ndim(mix) != 1:
        raise ValueError(f"mix is {mix!r}: expected a share for each of several data sets")
    if mix is not None and weights is not None:
        raise ValueError("weights and mix are both given: multiply the shares into the weights")
    if weights is None and balance is None and mix is None:
        return None
    drawn: NDArray[np.float64] = np.ones(records)
    if mix is not None:
        drawn = mixed_weights(sizes, mix)
    if weights is not None:
        try:
            drawn = np.array(weights, dtype=np.float64)
        except (TypeError, ValueError):
            what = type(weights).__name__
            raise ValueError(f"weights is a {what}: expected one number for each of the {records} records") from None
        check_weights(drawn, records)
    if balance is not None:
        drawn = drawn * balanced_weights(classes())
    return drawn
