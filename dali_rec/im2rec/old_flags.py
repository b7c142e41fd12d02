"""Flags as im2rec.py took them until MXNet 1.0, with a value: ``--list=1``, ``--recursive True``, ``--shuffle 0``.

Many pages still show them so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_WORDS = {"true": True, "1": True, "false": False, "0": False}
# For each flag what stands for it where it is true, and where it is false.
_FLAGS: dict[str, tuple[str | None, str | None]] = {
    **{flag: (flag, None) for flag in ("--list", "--recursive", "--pass-through", "--center-crop", "--pack-label")},
    "--shuffle": (None, "--no-shuffle"),
}


def without_values(arguments: Sequence[str], *, parted: bool) -> list[str]:
    """The arguments with flags as they are now.

    parted: whether values that a blank parts from their flag are taken as well. ``--list 1 images`` may also mean a
    prefix of the name 1, so this is for arguments that make no sense otherwise.
    """
    plain: list[str] = []
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        flag, equals, value = argument.partition("=")
        if parted and not equals and flag in _FLAGS and rest and rest[0].lower() in _WORDS:
            equals, value = "=", rest.pop(0)
        if flag not in _FLAGS or not equals or value.lower() not in _WORDS:
            plain.append(argument)
            continue
        meant = _FLAGS[flag][0 if _WORDS[value.lower()] else 1]
        if meant:
            plain.append(meant)
    return plain
