"""mx.random and mx.nd.random: numbers at random, from a generator of NumPy that ``seed`` sets.

What is drawn is not what MXNet draws after the same seed. The transforms of images draw from it, too; the augmenters of
mx.image draw from Python's ``random``, as in MXNet.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dali_rec.compat.mxnet.context import Context, check_context
from dali_rec.compat.mxnet.missing import missing_from
from dali_rec.compat.mxnet.ndarray.ndarray import NDArray, viewed

__all__ = ["normal", "randint", "seed", "shuffle", "uniform"]

_Shape = int | tuple[int, ...]
_state = {"generator": np.random.default_rng()}


def generator() -> np.random.Generator:
    """What all these functions draw from."""
    return _state["generator"]


def seed(seed_state: int, ctx: Any = "all") -> None:  # noqa: ARG001  # MXNet's
    """Begin anew: after the same number the same is drawn."""
    _state["generator"] = np.random.default_rng(abs(seed_state))


def uniform(
    low: float = 0, high: float = 1, shape: _Shape = (1,), dtype: Any = "float32", ctx: Context | None = None
) -> NDArray:
    """Between ``low`` and ``high``."""
    check_context(ctx)
    return viewed(generator().uniform(low, high, shape).astype(dtype or "float32"))


def normal(
    loc: float = 0, scale: float = 1, shape: _Shape = (1,), dtype: Any = "float32", ctx: Context | None = None
) -> NDArray:
    """Around ``loc``, with a deviation of ``scale``."""
    check_context(ctx)
    return viewed(generator().normal(loc, scale, shape).astype(dtype or "float32"))


def randint(low: int, high: int, shape: _Shape = (1,), dtype: Any = "int32", ctx: Context | None = None) -> NDArray:
    """Whole numbers from ``low`` to before ``high``."""
    check_context(ctx)
    return viewed(generator().integers(low, high, shape).astype(dtype or "int32"))


def shuffle(data: Any) -> NDArray:
    """A copy with the parts along the first axis in an order at random."""
    return viewed(generator().permutation(np.asarray(data)))


__getattr__ = missing_from(__name__)
