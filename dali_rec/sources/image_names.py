"""Names of images that a table or an archive may have, among them such as the loader does not read."""

from __future__ import annotations

import os

from dali_rec.images import LOADABLE_EXTENSIONS
from dali_rec.sources.remote import is_url

_EXTENSIONS = LOADABLE_EXTENSIONS | {".gif", ".avif"}


def names_image(name: str) -> bool:
    """Whether a file is called as an image, by its extension."""
    return os.path.splitext(name)[1].lower() in _EXTENSIONS  # noqa: PTH122  # ten times as fast as a Path


def with_slashes(location: str) -> str:
    """A path as a list or table has it, on Windows with / for the backslashes, which no name holds there."""
    return location if os.sep == "/" or is_url(location) else location.replace(os.sep, "/")
