"""What is said where a script asks for a name of MXNet that is not here."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable


WHERE_TO_READ = (
    "it reads and writes data, for PyTorch and others to train with; docs/from-mxnet.md says what there is, and "
    "what to write instead"
)


def missing_from(module: str) -> Callable[[str], NoReturn]:
    """The ``__getattr__`` of a module."""

    def fail(name: str) -> NoReturn:
        raise AttributeError(f"{module} has no {name!r}: {WHERE_TO_READ}")

    return fail
