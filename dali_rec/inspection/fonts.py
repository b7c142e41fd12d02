"""Fonts for class names in whatever script: Pillow's own knows little beyond ASCII."""

from __future__ import annotations

import functools
import unicodedata
from typing import NamedTuple

from PIL import ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

_SIZE = 12
#: What systems have, by file name; Pillow looks for them where the system keeps its fonts.
_SYSTEM_FONTS = (
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "LiberationSans-Regular.ttf",
    "Arial.ttf",
    "arial.ttf",
    "NotoSansCJK-Regular.ttc",
    "wqy-microhei.ttc",
    "wqy-zenhei.ttc",
    "DroidSansFallbackFull.ttf",
    "Arial Unicode.ttf",
    "PingFang.ttc",
    "msyh.ttc",
)
_NO_CHARACTER = "\U0010ffff"


class Written(NamedTuple):
    """A text as it can be drawn, and the font that has all of its characters."""

    text: str
    font: Font


def write(text: str) -> Written:
    """``text`` in a font that has its characters; where there is none, without accents or as escapes."""
    for font in _fonts():
        if all(_has(font, character) for character in text):
            return Written(text, font)
    decomposed = unicodedata.normalize("NFKD", text)
    plain = "".join(character for character in decomposed if not unicodedata.combining(character))
    return Written(plain.encode("ascii", "backslashreplace").decode(), _fonts()[0])


@functools.cache
def _fonts() -> tuple[Font, ...]:
    system = [_system_font(name) for name in _SYSTEM_FONTS]
    return (ImageFont.load_default(size=_SIZE), *(font for font in system if font is not None))


def _system_font(name: str) -> Font | None:
    try:
        return ImageFont.truetype(name, _SIZE)
    except OSError:
        return None


@functools.cache
def _has(font: Font, character: str) -> bool:
    """Whether the font draws the character, rather than what it draws for those that it lacks."""
    return character.isspace() or _drawn(font, character) != _drawn(font, _NO_CHARACTER)


@functools.cache
def _drawn(font: Font, character: str) -> tuple[tuple[int, int], bytes]:
    mask = font.getmask(character)
    return mask.size, bytes(mask)
