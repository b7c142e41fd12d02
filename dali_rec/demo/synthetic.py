"""A small, varied set of JPEGs to try things on: drawn, seeded, nobody's property."""

from __future__ import annotations

import io
import math
import random
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_SCALE = 2  # drawn larger and scaled down, for smooth edges


def write_images(folder: Path, per_class: int = 40) -> int:
    """Write ``per_class`` JPEGs of each of eight kinds of picture to class folders; returns how many in all.

    They vary in size (96 to 640 pixels), aspect, colour, subsampling and quality; some are grey, some progressive. The
    files are the same each time, for the same version of Pillow.
    """
    for name, draw in sorted(_KINDS.items()):
        class_folder = folder / name
        class_folder.mkdir(parents=True, exist_ok=True)
        for number in range(per_class):
            generator = random.Random(f"0/{name}/{number}")  # noqa: S311  # pictures, not secrets
            (class_folder / f"{name}_{number:04d}.jpg").write_bytes(_jpeg(draw, generator, number))
    return per_class * len(_KINDS)


def _jpeg(
    draw: Callable[[ImageDraw.ImageDraw, int, int, random.Random], None], rng: random.Random, number: int
) -> bytes:
    width, height = (rng.randrange(96, 641, 8) for _ in range(2))
    width, height = max(width, height // 2), max(height, width // 2)
    image = _background(width * _SCALE, height * _SCALE, rng)
    draw(ImageDraw.Draw(image), width * _SCALE, height * _SCALE, rng)
    image = image.resize((width, height), Image.Resampling.BOX)
    image = _grain(image, rng)
    if number % 10 == 3:
        image = image.convert("L")
    file = io.BytesIO()
    image.save(
        file,
        "JPEG",
        quality=rng.randint(70, 95),
        progressive=number % 8 == 5,
        **({} if image.mode == "L" else {"subsampling": rng.choice(("4:2:0", "4:2:2", "4:4:4"))}),
    )
    return file.getvalue()


def _background(width: int, height: int, rng: random.Random) -> Image.Image:
    """A soft gradient between two muted colours, at an angle."""
    first, second = (np.array([rng.randint(60, 220) for _ in range(3)]) for _ in range(2))
    angle = rng.uniform(0, 2 * math.pi)
    y, x = np.mgrid[0:64, 0:64] / 63 - 0.5
    share = np.clip(x * math.cos(angle) + y * math.sin(angle) + 0.5, 0, 1)[..., np.newaxis]
    pixels = (first * (1 - share) + second * share).astype(np.uint8)
    return Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR)


def _grain(image: Image.Image, rng: random.Random) -> Image.Image:
    noise = np.random.default_rng(rng.getrandbits(32)).normal(0, rng.uniform(2, 9), (image.height, image.width, 1))
    pixels = np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8)
    picture = Image.fromarray(pixels)
    return picture.filter(ImageFilter.GaussianBlur(0.6)) if rng.random() < 0.3 else picture


def _colour(rng: random.Random) -> tuple[int, int, int]:
    return (rng.randint(0, 255), rng.randint(0, 255), rng.randint(0, 255))


def _spot(width: int, height: int, rng: random.Random, low: float = 0.12, high: float = 0.3) -> tuple[int, int, int]:
    """Centre and radius of something that lies mostly within the picture."""
    radius = int(min(width, height) * rng.uniform(low, high))
    return rng.randint(radius, width - radius), rng.randint(radius, height - radius), radius


def _circles(draw: ImageDraw.ImageDraw, width: int, height: int, rng: random.Random) -> None:
    for _ in range(rng.randint(2, 6)):
        x, y, r = _spot(width, height, rng)
        draw.ellipse((x - r, y - r, x + r, y + r), fill=_colour(rng))


def _rings(draw: ImageDraw.ImageDraw, width: int, height: int, rng: random.Random) -> None:
    x, y, r = _spot(width, height, rng, 0.3, 0.45)
    colours = _colour(rng), _colour(rng)
    for number in range(count := rng.randint(4, 8)):
        inner = r * (count - number) // count
        draw.ellipse((x - inner, y - inner, x + inner, y + inner), fill=colours[number % 2])


def _polygon(x: float, y: float, radius: float, corners: int, turn: float) -> list[tuple[float, float]]:
    angles = (turn + 2 * math.pi * corner / corners for corner in range(corners))
    return [(x + radius * math.cos(angle), y + radius * math.sin(angle)) for angle in angles]


def _triangles(draw: ImageDraw.ImageDraw, width: int, height: int, rng: random.Random) -> None:
    for _ in range(rng.randint(2, 6)):
        x, y, r = _spot(width, height, rng)
        draw.polygon(_polygon(x, y, r, 3, rng.uniform(0, 2 * math.pi)), fill=_colour(rng))


def _stars(draw: ImageDraw.ImageDraw, width: int, height: int, rng: random.Random) -> None:
    for _ in range(rng.randint(1, 4)):
        x, y, r = _spot(width, height, rng, 0.15, 0.35)
        turn, points = rng.uniform(0, 2 * math.pi), rng.choice((5, 6, 7))
        outer = _polygon(x, y, r, points, turn)
        inner = _polygon(x, y, r * 0.42, points, turn + math.pi / points)
        draw.polygon([corner for pair in zip(outer, inner, strict=True) for corner in pair], fill=_colour(rng))


def _stripes(draw: ImageDraw.ImageDraw, width: int, height: int, rng: random.Random) -> None:
    step = rng.randint(max(16, min(width, height) // 12), min(width, height) // 4)
    lean, colour = rng.randint(-height, height), _colour(rng)
    for x in range(-height - width, width + height, 2 * step):
        draw.polygon([(x, 0), (x + step, 0), (x + step + lean, height), (x + lean, height)], fill=colour)


def _checks(draw: ImageDraw.ImageDraw, width: int, height: int, rng: random.Random) -> None:
    step, colour = rng.randint(max(16, min(width, height) // 10), min(width, height) // 3), _colour(rng)
    for row in range(height // step + 1):
        for column in range(row % 2, width // step + 1, 2):
            draw.rectangle((column * step, row * step, (column + 1) * step, (row + 1) * step), fill=colour)


def _waves(draw: ImageDraw.ImageDraw, width: int, height: int, rng: random.Random) -> None:
    for _ in range(rng.randint(3, 7)):
        middle, swing = rng.uniform(0, height), rng.uniform(0.05, 0.2) * height
        length, start = rng.uniform(0.2, 0.8) * width, rng.uniform(0, 2 * math.pi)
        line = [(x, middle + swing * math.sin(start + 2 * math.pi * x / length)) for x in range(0, width + 8, 8)]
        draw.line(line, fill=_colour(rng), width=max(8, min(width, height) // rng.randint(14, 30)), joint="curve")


def _crosses(draw: ImageDraw.ImageDraw, width: int, height: int, rng: random.Random) -> None:
    for _ in range(rng.randint(2, 5)):
        x, y, r = _spot(width, height, rng)
        turn, colour = rng.uniform(0, math.pi / 2), _colour(rng)
        for angle in (turn, turn + math.pi / 2):
            dx, dy = r * math.cos(angle), r * math.sin(angle)
            draw.line((x - dx, y - dy, x + dx, y + dy), fill=colour, width=max(8, r // 3))


_KINDS: dict[str, Callable[[ImageDraw.ImageDraw, int, int, random.Random], None]] = {
    "checks": _checks,
    "circles": _circles,
    "crosses": _crosses,
    "rings": _rings,
    "stars": _stars,
    "stripes": _stripes,
    "triangles": _triangles,
    "waves": _waves,
}
