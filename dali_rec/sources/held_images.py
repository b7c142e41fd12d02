"""Images that are no files of their own: in tables, archives, Parquet, TFRecord, arrays, packed files, objects."""

from __future__ import annotations

from typing import Protocol


class HeldImages(Protocol):
    """Images that are no files of their own."""

    @property
    def stays_here(self) -> bool:
        """Whether they are in this process alone, so that no other can read them."""

    def holds(self, location: str) -> bool:
        """Whether the image at ``location`` is one of these."""

    def file_of(self, location: str) -> str:
        """The file that the image is in; empty where it is in none."""

    def listed(self, location: str) -> str:
        """What a .lst says of where the image came from."""

    def read(self, location: str) -> bytes:
        """The encoded image at ``location``. Raises ImageRejectedError, with its place, for one that cannot be had."""

    def absolute(self) -> HeldImages:
        """The same, found from any working folder."""
