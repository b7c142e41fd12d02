"""A contact sheet: samples of a data set in one picture, each under its class and id."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from dali_rec._files import as_path, atomic_write
from dali_rec.inspection.fonts import write
from dali_rec.inspection.pictured import Pictured, draw_boxes

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from dali_rec.dataset import Dataset
    from dali_rec.recordio import Record

_MARGIN = 12
_GAP = 8
_CAPTION = 32
_PAPER, _INK, _FAINT, _TILE = (250, 250, 248), (28, 28, 30), (120, 120, 124), (236, 236, 232)


class _Tile(NamedTuple):
    """A picture, or None where it cannot be decoded, and the two lines under it."""

    picture: Image.Image | None
    title: str
    line: str


def contact_sheet(
    dataset: Dataset,
    path: str | os.PathLike[str] | None = None,
    *,
    count: int = 40,
    columns: int = 8,
    tile: int = 144,
    seed: int = 0,
    order: Literal["class", "random"] = "class",
    ids: Sequence[int] | None = None,
) -> Image.Image:
    """Draw ``count`` records of ``dataset``, evenly over its classes as far as they go.

    path: of a PNG that the sheet is written to; a notebook shows the sheet that is returned. Objects are outlined.
    columns: pictures a row. tile: side of each picture in pixels. order: "random" takes any records as they come,
    and not as many of each class. ids: these records and no others. The choice follows ``seed``.
    An image that cannot be decoded is said to be so in its place.
    """
    pictured = Pictured(dataset)
    tiles = [
        _Tile(pictured.thumbnail(record, tile), pictured.title(record), f"id {record.key}")
        for record in choose_records(dataset, count, seed, order=order, ids=ids)
    ]
    return _draw(tiles, path, columns, tile)


def augmented_sheet(
    dataset: Dataset,
    path: str | os.PathLike[str] | None = None,
    *,
    count: int = 6,
    versions: int = 7,
    tile: int = 144,
    seed: int = 0,
    order: Literal["class", "random"] = "class",
    ids: Sequence[int] | None = None,
) -> Image.Image:
    """Draw some records, a row each, and what ``Loader(augment="train")`` makes of them.

    The first picture of a row is the image as it is stored. The rest as in ``contact_sheet``; needs DALI.
    """
    from dali_rec.loading import Loader

    keys = sorted({record.key for record in choose_records(dataset, count, seed, order=order, ids=ids)})
    chosen = dataset.subset(ids=keys)
    pictured = Pictured(chosen)
    loader = Loader(
        chosen,
        len(chosen),
        tile,
        augment="train",
        framework="numpy",
        device="cpu",
        dtype="uint8",
        shuffle=False,
        seed=seed,
        boxes="list" if pictured.layout is not None else "off",
        ragged="pad",
        rank=0,
        world_size=1,
    )
    epochs = [next(iter(loader)) for _ in range(versions)]
    tiles = []
    for row, record in enumerate(chosen):
        tiles.append(_Tile(pictured.thumbnail(record, tile), pictured.title(record), f"id {record.key}"))
        for images, labels in epochs:
            picture = Image.fromarray(np.asarray(images[row]))
            if pictured.layout is not None:
                draw_boxes(picture, np.asarray(labels[row]))
            tiles.append(_Tile(picture, "", ""))
    return _draw(tiles, path, versions + 1, tile)


def _draw(tiles: Sequence[_Tile], path: str | os.PathLike[str] | None, columns: int, tile: int) -> Image.Image:
    columns = max(1, min(columns, len(tiles)))
    rows = -(-len(tiles) // columns)
    width = 2 * _MARGIN + columns * tile + (columns - 1) * _GAP
    height = 2 * _MARGIN + rows * (tile + _CAPTION) + (rows - 1) * _GAP
    sheet = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for number, (picture, title, line) in enumerate(tiles):
        x = _MARGIN + number % columns * (tile + _GAP)
        y = _MARGIN + number // columns * (tile + _CAPTION + _GAP)
        draw.rectangle((x, y, x + tile - 1, y + tile - 1), fill=_TILE)
        if picture is None:
            _draw_text(draw, (x + 8, y + tile // 2 - 8), "cannot be decoded", tile, _INK)
        else:
            sheet.paste(picture, (x + (tile - picture.width) // 2, y + (tile - picture.height) // 2))
        _draw_text(draw, (x, y + tile + 3), title, tile, _INK)
        _draw_text(draw, (x, y + tile + 16), line, tile, _FAINT)
    if path is not None:
        with atomic_write(as_path(path)) as file:
            sheet.save(file, "PNG")
    return sheet


def choose_records(
    dataset: Dataset,
    count: int,
    seed: int,
    *,
    order: Literal["class", "random"] = "class",
    ids: Sequence[int] | None = None,
) -> list[Record]:
    """Some records: these ids, any, or one of each class in turn until there are enough, in order of class."""
    if ids is not None:
        return list(dataset.subset(ids=ids))
    generator = random.Random(seed)  # noqa: S311  # a repeatable choice, not a secret
    if order == "random":
        return [dataset[at] for at in generator.sample(range(len(dataset)), min(len(dataset), count))]
    return _choose(dataset, count, generator)


def _choose(dataset: Dataset, count: int, generator: random.Random) -> list[Record]:
    positions = generator.sample(range(len(dataset)), min(len(dataset), 50 * count))
    class_of = Pictured(dataset).class_of
    by_class: dict[float, list[int]] = {}
    for position in positions:
        by_class.setdefault(class_of(dataset[position]), []).append(position)
    chosen: list[int] = []
    classes = list(by_class.values())
    while len(chosen) < count and any(classes):
        chosen += [members.pop() for members in classes if members][: count - len(chosen)]
    return sorted((dataset[position] for position in chosen), key=lambda record: (class_of(record), record.key))


def _draw_text(
    draw: ImageDraw.ImageDraw, at: tuple[int, int], text: str, width: int, colour: tuple[int, int, int] | str
) -> None:
    """Draw a line of text, cut to ``width`` pixels."""
    text, font = write(text)
    if font.getlength(text) > width:
        while text and font.getlength(text + "...") > width:
            text = text[:-1]
        text += "..."
    draw.text(at, text, fill=colour, font=font)
