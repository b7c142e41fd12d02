"""mx.cpu, mx.gpu and mx.Context: the names of devices."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Context", "cpu", "cpu_pinned", "gpu"]


class Context(NamedTuple):
    """A device: "cpu", "cpu_pinned" or "gpu", and its number."""

    device_type: str
    device_id: int = 0

    def __repr__(self) -> str:
        return f"{self.device_type}({self.device_id})"


def cpu(device_id: int = 0) -> Context:
    """Host memory."""
    return Context("cpu", device_id)


def cpu_pinned(device_id: int = 0) -> Context:
    """Host memory too: arrays of NumPy are not pinned."""
    return Context("cpu_pinned", device_id)


def gpu(device_id: int = 0) -> Context:
    """A GPU."""
    return Context("gpu", device_id)
