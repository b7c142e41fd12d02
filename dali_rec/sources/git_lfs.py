"""What Git LFS leaves in the place of large files, as after a clone of the Hugging Face Hub without it."""

from __future__ import annotations

_BEGINNING = b"version https://git-lfs"
#: What to say of it.
IS_POINTER = "it is a pointer of Git LFS, and not the file; fetch that by 'git lfs pull'"


def is_pointer(beginning: bytes) -> bool:
    """Whether a file is such a pointer, by its first 100 bytes."""
    return beginning.startswith(_BEGINNING)
