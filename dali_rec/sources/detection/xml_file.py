"""XML files of annotations."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from dali_rec.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def load_xml(path: Path, closed: Callable[[Element], None] | None = None) -> Element:
    """What is in the file. No document types: they are what entities that explode are defined in.

    closed: is called with each element at its end, and may clear it, so that large files take little memory.

    Raises SourceError for broken XML and FileNotFoundError.
    """

    def refuse(*_parts: object) -> None:
        raise SourceError(f"{path}: it has a document type (<!DOCTYPE …>), which annotations do not need; remove it")

    def end(tag: str) -> None:
        element = builder.end(tag)
        if closed is not None:
            closed(element)

    builder = TreeBuilder()
    parser = expat.ParserCreate()
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = refuse
    try:
        with path.open("rb") as file:
            parser.ParseFile(file)
    except (expat.ExpatError, ValueError, LookupError) as error:
        if isinstance(error, SourceError):
            raise
        raise SourceError(f"{path}: broken XML ({error})") from None
    return builder.close()
