"""What makes the batches of an iterator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from dali_rec.compat.mxnet.io.passes import BatchRows


class Engine(Protocol):
    """Makes batches, several at a time, in the order in which they are begun."""

    def begin(self, batch: BatchRows) -> Callable[[], tuple[Any, ...]]:
        """Begin to make the arrays of a batch; what is returned waits for them.

        The first has the images, of shape (batch, channels, height, width). It raises LoaderError for a record that
        cannot be used, naming its id, file and offset.
        """

    def forget(self) -> None:
        """What was begun will not be waited for."""

    def close(self) -> None:
        """End the threads."""
