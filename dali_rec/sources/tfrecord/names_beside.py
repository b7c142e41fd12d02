"""Names of classes that stand in the records beside their numbers, as TF-slim's programs write them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Where names may stand, by the feature of the numbers; the first counts whose names are all different.
NAMES_BESIDE: Mapping[str, tuple[str, ...]] = {"image/class/label": ("image/class/text", "image/class/synset")}
_MOST = 1 << 20


class NamesBeside:
    """Gathers the names that stand beside the numbers in a feature.

    A feature says no names if a number has two of them, two numbers have one (ImageNet's texts: two classes are called
    "crane"), or a record has none.
    """

    def __init__(self, label: str) -> None:
        self._names: dict[str, dict[int, str]] = {name: {} for name in NAMES_BESIDE[label]}

    @property
    def features(self) -> tuple[str, ...]:
        """Those that may have names, as far as has been seen."""
        return tuple(self._names)

    def add(self, number: float, texts: Mapping[str, str | None]) -> None:
        """Take note of what stands beside the number of a record."""
        for feature in self.features:
            text, known = texts.get(feature), self._names[feature]
            is_number = isinstance(number, int) and 0 <= number < _MOST
            if not is_number or not text or known.setdefault(int(number), text) != text:
                del self._names[feature]

    def names(self) -> tuple[str, ...] | None:
        """The names in the order of their numbers, a number that never stands there for its own; None without any."""
        for known in self._names.values():
            names = [known.get(number, str(number)) for number in range(max(known, default=-1) + 1)]
            if known and len(names) <= 2 * len(known) and len(set(names)) == len(names):
                return tuple(names)
        return None
