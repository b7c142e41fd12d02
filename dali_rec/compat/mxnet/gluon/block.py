"""mx.gluon.Block and HybridBlock: what transforms of images are made of. There are no parameters and no networks."""

from __future__ import annotations

from typing import Any

from dali_rec.compat.mxnet import ndarray as nd
from dali_rec.compat.mxnet.missing import missing_from

__all__ = ["Block", "HybridBlock"]


class Block:
    """The base: called with arrays, it gives what ``forward`` makes of them."""

    def __call__(self, *args: Any) -> Any:
        """What ``forward`` makes of the arrays."""
        return self.forward(*args)

    def forward(self, *args: Any) -> Any:
        """What a subclass does."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")


class HybridBlock(Block):
    """The base of those that have ``hybrid_forward``, which is given mx.nd as its first argument."""

    def forward(self, *args: Any) -> Any:
        """What ``hybrid_forward`` makes of the arrays."""
        return self.hybrid_forward(nd, *args)

    def hybrid_forward(self, F: Any, *args: Any) -> Any:  # noqa: N803  # MXNet's
        """What a subclass does."""
        raise NotImplementedError(f"{type(self).__name__} has no hybrid_forward")

    def hybridize(self, active: bool = True, **options: Any) -> None:
        """Nothing to do: NumPy computes at once."""


__getattr__ = missing_from(__name__)
