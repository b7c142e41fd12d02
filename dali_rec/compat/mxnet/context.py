"""mx.cpu, mx.gpu and mx.Context: the names of devices."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dali_rec.compat.mxnet.missing import missing_from
from dali_rec.errors import DeviceUnavailableError

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Context", "check_context", "cpu", "cpu_pinned", "current_context", "gpu", "num_gpus"]


class Context(NamedTuple):
    """A device: "cpu", "cpu_pinned" or "gpu", and its number."""

    device_type: str
    device_id: int = 0

    def __repr__(self) -> str:
        return f"{self.device_type}({self.device_id})"

    def __enter__(self) -> Self:
        check_context(self)
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to undo: all arrays are in host memory."""


def cpu(device_id: int = 0) -> Context:
    """Host memory."""
    return Context("cpu", device_id)


def cpu_pinned(device_id: int = 0) -> Context:
    """Host memory too: arrays of NumPy are not pinned."""
    return Context("cpu_pinned", device_id)


def gpu(device_id: int = 0) -> Context:
    """A GPU."""
    return Context("gpu", device_id)


def num_gpus() -> int:
    """0: arrays are in host memory, whatever GPUs there are, so that scripts that ask choose the CPU."""
    return 0


def current_context() -> Context:
    """Where arrays are made: in host memory."""
    return cpu()


def check_context(context: Context | None) -> None:
    """Raise DeviceUnavailableError for a GPU."""
    if context is not None and context.device_type == "gpu":
        raise DeviceUnavailableError(
            f"these arrays are in host memory, not on {context!r}: an iterator with framework='torch' or another hands "
            "out batches on the GPU"
        )


__getattr__ = missing_from(__name__)
