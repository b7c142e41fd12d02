"""A contact sheet: samples of a data set in one picture, each under its class and id."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont, ImageOps

from dali_rec._files import as_path, atomic_write
from dali_rec.errors import ImageRejectedError
from dali_rec.images import decode_image

if TYPE_CHECKING:
    import os

    from dali_rec.dataset import Dataset
    from dali_rec.recordio import Record

_MARGIN = 12
_GAP = 8
_CAPTION = 32
_PAPER, _INK, _FAINT, _TILE = (250, 250, 248), (28, 28, 30), (120, 120, 124), (236, 236, 232)


def contact_sheet(
    dataset: Dataset, path: str | os.PathLike[str], *, count: int = 40, columns: int = 8, tile: int = 144, seed: int = 0
) -> None:
    """Draw ``count`` records of ``dataset``, evenly over its classes as far as they go, as a PNG at ``path``.

    tile: side of each picture in pixels. The choice follows ``seed``. An image that cannot be decoded is said to be so
    in its place.
    """
    chosen = _choose(dataset, count, seed)
    columns = max(1, min(columns, len(chosen)))
    rows = -(-len(chosen) // columns)
    width = 2 * _MARGIN + columns * tile + (columns - 1) * _GAP
    height = 2 * _MARGIN + rows * (tile + _CAPTION) + (rows - 1) * _GAP
    sheet = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=12)
    for number, record in enumerate(chosen):
        x = _MARGIN + number % columns * (tile + _GAP)
        y = _MARGIN + number // columns * (tile + _CAPTION + _GAP)
        draw.rectangle((x, y, x + tile - 1, y + tile - 1), fill=_TILE)
        picture = _picture(record, tile)
        if picture is None:
            draw.text((x + 8, y + tile // 2 - 8), "cannot be decoded", fill=_INK, font=font)
        else:
            sheet.paste(picture, (x + (tile - picture.width) // 2, y + (tile - picture.height) // 2))
        draw.text((x, y + tile + 3), _shorten(_class_name(dataset, record), tile, font), fill=_INK, font=font)
        draw.text((x, y + tile + 16), _shorten(f"id {record.key}", tile, font), fill=_FAINT, font=font)
    with atomic_write(as_path(path)) as file:
        sheet.save(file, "PNG")


def _choose(dataset: Dataset, count: int, seed: int) -> list[Record]:
    """Records in order of class: one of each class in turn from a random sample, until there are enough."""
    generator = random.Random(seed)  # noqa: S311  # a repeatable choice, not a secret
    positions = generator.sample(range(len(dataset)), min(len(dataset), 50 * count))
    by_class: dict[float, list[int]] = {}
    for position in positions:
        by_class.setdefault(_label(dataset[position]), []).append(position)
    chosen: list[int] = []
    classes = list(by_class.values())
    while len(chosen) < count and any(classes):
        chosen += [members.pop() for members in classes if members][: count - len(chosen)]
    return sorted((dataset[position] for position in chosen), key=lambda record: (_label(record), record.key))


def _label(record: Record) -> float:
    return float(record.labels[0]) if len(record.labels) else -1.0


def _class_name(dataset: Dataset, record: Record) -> str:
    classes, label = dataset.classes, _label(record)
    if classes is not None and label.is_integer() and 0 <= label < len(classes):
        return classes[int(label)]
    return " ".join(f"{value:g}" for value in record.labels[:4].tolist())


def _picture(record: Record, tile: int) -> Image.Image | None:
    try:
        picture = Image.fromarray(decode_image(record.image))
    except ImageRejectedError:
        return None
    return ImageOps.contain(picture, (tile, tile), Image.Resampling.LANCZOS)


def _shorten(text: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"
