"""Names of files and folders that are passed over, as they are none of the user's."""

from __future__ import annotations

#: What macOS puts into its archives, and Synology's disks into every folder: names of images that are none. And what
#: Windows has at the top of each disk: what was deleted, and what nobody may read.
_FOREIGN_FOLDERS = ("__macosx", "@eadir", "$recycle.bin", "system volume information")


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is passed over."""
    return name.startswith(".") or name.lower() in _FOREIGN_FOLDERS
