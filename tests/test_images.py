import base64
import io
import re
import struct

import numpy as np
import pytest
from PIL import Image
from support import encoded, picture

from dali_rec.images import html_thumbnail
from dali_rec.orientation import orientation_of

_XMP = b'http://ns.adobe.com/xap/1.0/\x00<x:xmpmeta><rdf:Description tiff:Orientation="8"/></x:xmpmeta>'


def jpeg(exif_orientation=None, xmp=None, size=(32, 24)):
    image, file = Image.new("RGB", size, (200, 40, 90)), io.BytesIO()
    exif = Image.Exif()
    if exif_orientation is not None:
        exif[0x0112] = exif_orientation
    image.save(file, "JPEG", exif=exif, **({} if xmp is None else {"xmp": xmp}))
    return file.getvalue()


def segment(marker, body):
    return bytes((0xFF, marker)) + struct.pack(">H", 2 + len(body)) + body


def pillow_orientation(data):
    with Image.open(io.BytesIO(data)) as image:
        return image.getexif().get(0x0112, 1)


@pytest.mark.parametrize(
    "data",
    [
        jpeg(),
        *(jpeg(orientation) for orientation in range(1, 9)),
        jpeg(xmp=_XMP[29:]),
        jpeg(6)[:2] + segment(0xE2, b"\xff\xda" * 30_000) + jpeg(6)[2:],  # a colour profile that looks like a scan
        jpeg(6)[:2] + b"\xff\xff" + jpeg(6)[2:],  # fill bytes before a marker
        jpeg(6)[:2] + segment(0xFE, b"a note") + b"\x00" + jpeg(6)[2:],  # what Pillow passes over
        jpeg(6)[:2] + segment(0xFE, b"") * 20 + jpeg(6)[2:],
    ],
)
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_orientation_of_a_jpeg_is_pillows(data, kind):
    assert orientation_of(kind(data)) == pillow_orientation(data)


def test_exif_behind_the_first_scan_counts_for_nothing():
    data = jpeg()
    exif = jpeg(6)[2:]
    exif = exif[exif.index(b"\xff\xe1") :]
    behind = data[:-2] + exif[: 2 + struct.unpack(">H", exif[2:4])[0]] + data[-2:]
    assert b"Exif\x00" in behind
    assert orientation_of(behind) == pillow_orientation(behind) == 1


@pytest.mark.parametrize("length", range(0, 700, 7))
def test_a_jpeg_that_breaks_off_has_some_orientation(length):
    assert orientation_of(jpeg(6)[:length]) in (1, 6)


@pytest.mark.parametrize(("size", "wanted"), [((40, 32), (40, 32)), ((1000, 500), (256, 128))])
def test_thumbnail_in_html_is_no_larger_than_it_need_be(size, wanted):
    shown = html_thumbnail(encoded(picture(1, size), "PNG"))
    head, data, tail = re.split('base64,|">', shown)
    assert (head, tail) == ('<img src="data:image/jpeg;', "")
    with Image.open(io.BytesIO(base64.b64decode(data))) as thumbnail:
        assert thumbnail.size == wanted
        small = np.asarray(picture(1, size).resize(wanted), np.int64)
        assert abs(np.asarray(thumbnail, np.int64) - small).mean() < 5


def test_thumbnail_in_html_says_that_there_is_no_image():
    assert html_thumbnail(b"<b>no image") == "<div>(no image that can be decoded)</div>"
