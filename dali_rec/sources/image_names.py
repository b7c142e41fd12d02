"""Names of images that a table or an archive may have, among them such as the loader does not read."""

from __future__ import annotations

import os

from dali_rec.images import LOADABLE_EXTENSIONS

_EXTENSIONS = LOADABLE_EXTENSIONS | {".gif", ".avif"}


def names_image(name: str) -> bool:
    """Whether a file is called as an image, by its extension."""
    return os.path.splitext(name)[1].lower() in _EXTENSIONS  # noqa: PTH122  # ten times as fast as a Path
