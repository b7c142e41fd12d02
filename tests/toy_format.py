"""A format that a program registers with Pillow: b"TOY!", then what is done when it is opened."""

import io

from PIL import Image

PICTURE = b"TOY!picture"
FAILS = b"TOY!fails"
FAILS_BADLY = b"TOY!fails badly"


class ToyError(Exception):
    """An error that cannot be pickled."""

    def __init__(self, a, b):
        super().__init__(f"{a} and {b}")


def accept(prefix):
    print("a library that prints")  # noqa: T201
    return prefix.startswith(b"TOY!")


def open_toy(file, _name):
    data = file.read()
    if data == FAILS:
        raise RuntimeError("the toy broke")
    if data == FAILS_BADLY:
        raise ToyError("the toy broke", "so did its error")
    png = io.BytesIO()
    Image.new("RGB", (12, 10), (200, 10, 90)).save(png, "PNG")
    image = Image.open(png)
    image.format = "TOY"
    return image
