"""Images of many kinds, as cameras, scanners and other programs write them: each 48 × 48, and of the same picture."""

from __future__ import annotations

import contextlib
import io
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np
import PIL
from PIL import Image, TiffImagePlugin
from support import encoded, picture

SIDE = 48
COLOUR = np.asarray(picture(3, (SIDE, SIDE))).copy()
COLOUR[:4, :8], COLOUR[4:8, :8] = 255, 0
IMAGE = Image.fromarray(COLOUR)
GREY = np.asarray(IMAGE.convert("L"))
_SINCE_PILLOW_13 = ("TIFF grey and a channel more", "TIFF YCbCr", "TIFF YCbCr without sampling")
ALPHA = np.dstack([COLOUR, np.full_like(GREY, 128)])

_XMP = b'<x:xmpmeta><rdf:Description tiff:Orientation="%d"/></x:xmpmeta>'


class Kind(NamedTuple):
    """An image file, whether it is to be stored as it is, and its pixels, where Pillow's are not what it holds."""

    name: str
    data: bytes
    kept: bool
    pixels: np.ndarray | None = None


def deep(values: np.ndarray, highest: int) -> np.ndarray:
    """Grey of more than eight bits as the pixels that it is shown with."""
    return np.stack([np.round(values.astype(float) * 255 / highest)] * 3, axis=-1).astype(int)


def packed(values: np.ndarray, bits: int) -> bytes:
    """Samples of so many bits side by side, each row beginning with a byte."""
    rows = values.astype(int).reshape(len(values), -1)
    return np.packbits(((rows[..., None] >> np.arange(bits - 1, -1, -1)) & 1).reshape(len(rows), -1), axis=1).tobytes()


def tiff(samples: bytes, bits: list[int], photometric: int, more: dict[int, list[int] | bytes] | None = None) -> bytes:
    """An uncompressed TIFF in one strip, little endian."""
    tags = {256: [SIDE], 257: [SIDE], 258: bits, 259: [1], 262: [photometric], 273: [8], 277: [len(bits)]}
    tags = {**tags, 278: [SIDE], 279: [len(samples)], **(more or {})}
    file = bytearray(b"II*\0\0\0\0\0" + samples)
    entries = b""
    for tag, value in sorted(tags.items()):
        content = value if isinstance(value, bytes) else struct.pack(f"<{len(value)}H", *value)
        head = struct.pack("<HHI", tag, 1 if isinstance(value, bytes) else 3, len(value))
        if len(content) > 4:
            entries += head + struct.pack("<I", len(file))
            file += content + b"\0" * (len(content) % 2)
        else:
            entries += head + content.ljust(4, b"\0")
    struct.pack_into("<I", file, 4, len(file))
    return bytes(file + struct.pack("<H", len(tags)) + entries + bytes(4))


def bmp(bits: int, compression: int, pixels: bytes, palette: bytes = b"", masks: bytes = b"") -> bytes:
    """A BMP with a header of 40 bytes."""
    head = struct.pack("<IiiHHIIiiII", 40, SIDE, SIDE, 1, bits, compression, len(pixels), 0, 0, len(palette) // 4, 0)
    start = 14 + len(head + masks + palette)
    return b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start) + head + masks + palette + pixels


def png(bits: int, colour: int, pixels: np.ndarray, before: bytes = b"", after: bytes = b"") -> bytes:
    """A PNG with these chunks before and after its pixels."""
    rows = [row.astype(">u2").tobytes() if bits == 16 else packed(row[None], bits) for row in pixels]
    head = struct.pack(">IIBBBBB", SIDE, SIDE, bits, colour, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + before + chunk(b"IDAT", data) + after + chunk(b"IEND", b"")


def chunk(name: bytes, content: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def exif(orientation: int, kind: int = 3) -> bytes:
    """EXIF data with an orientation alone, big endian; kind 3 is a number of 16 bits, 4 one of 32."""
    value = struct.pack(">HH", orientation, 0) if kind == 3 else struct.pack(">I", orientation)
    return b"MM\0*" + struct.pack(">IHHHI", 8, 1, 0x0112, kind, 1) + value + bytes(4)


def jpeg_with(*contents: bytes, marker: int = 0xE1, image: bytes | None = None) -> bytes:
    """A JPEG with segments of a marker right behind its beginning."""
    image = encoded(IMAGE, quality=95) if image is None else image
    segments = b"".join(bytes((0xFF, marker)) + struct.pack(">H", 2 + len(one)) + one for one in contents)
    return image[:2] + segments + image[2:]


def jpeg_exif(orientation: int, kind: int = 3) -> bytes:
    """What a segment of EXIF data in a JPEG holds."""
    return b"Exif\0\0" + exif(orientation, kind)


def jpeg_xmp(orientation: int) -> bytes:
    """What a segment of XMP in a JPEG holds."""
    return b"http://ns.adobe.com/xap/1.0/\0" + _XMP % orientation


def webp_with(flags: int, behind: list[tuple[bytes, bytes]], profile: bytes = b"") -> bytes:
    """A WebP in its extended form, with chunks behind the pixels and a colour profile before them."""
    plain = encoded(IMAGE, "WEBP", quality=95)[12:]
    size = struct.pack("<I", SIDE - 1)[:3]
    before = _riff(b"VP8X", bytes([flags | (32 if profile else 0), 0, 0, 0]) + size + size)
    before += _riff(b"ICCP", profile) if profile else b""
    content = b"WEBP" + before + plain + b"".join(_riff(name, one) for name, one in behind)
    return b"RIFF" + struct.pack("<I", len(content)) + content


def _riff(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def pnm(kind: int, highest: int | None, pixels: np.ndarray, *, end: bytes = b"\n") -> bytes:
    """P1 … P6, with the values scaled to ``highest``."""
    head = b"P%d\n%d %d\n" % (kind, SIDE, SIDE) + (b"%d\n" % highest if highest else b"")
    if kind == 4:
        return head + packed(pixels, 1)
    values = pixels if highest is None else scaled(pixels, highest)
    if kind < 4:
        return head + b" ".join(b"%d" % value for value in values.ravel()) + end
    return head + values.astype(">u2" if highest is not None and highest > 255 else "u1").tobytes()


def scaled(pixels: np.ndarray, highest: int) -> np.ndarray:
    """Eight bits as samples up to ``highest``."""
    return pixels.astype(int) * highest // 255


def all_kinds() -> list[Kind]:
    """One of each kind that this Pillow reads."""
    kinds = [*_jpeg(), *_png(), *_webp(), *_tiff(), *_bmp(), *_pnm(), *_jpeg2000()]
    is_older = int(PIL.__version__.split(".")[0]) < 13
    return [kind for kind in kinds if not (is_older and kind.name in _SINCE_PILLOW_13)]


def _jpeg() -> Iterator[Kind]:
    for sampling in ("4:4:4", "4:2:2", "4:2:0", "4:1:1"):
        yield Kind(f"JPEG {sampling}", encoded(IMAGE, subsampling=sampling), kept=True)
    yield Kind("JPEG progressive", encoded(IMAGE, progressive=True), kept=True)
    yield Kind("JPEG restart markers", encoded(IMAGE, restart_marker_blocks=1), kept=True)
    yield Kind("JPEG of RGB", encoded(IMAGE, keep_rgb=True), kept=True)
    yield Kind("JPEG progressive CMYK", encoded(IMAGE.convert("CMYK"), progressive=True), kept=True)
    bare = encoded(IMAGE.convert("CMYK"))
    at = bare.index(b"\xff\xee")
    yield Kind("JPEG CMYK without Adobe's marker", bare[:at] + bare[at + 16 :], kept=False)
    ycck = bare[: at + 15] + b"\2" + bare[at + 16 :]
    yield Kind("JPEG YCCK", ycck, kept=True)
    yield Kind("MPO", encoded(IMAGE, "MPO", save_all=True, append_images=[IMAGE.rotate(90)]), kept=True)
    yield Kind("JPEG turned by XMP", jpeg_with(jpeg_xmp(6)), kept=False)
    yield Kind("JPEG grey turned by XMP", jpeg_with(jpeg_xmp(6), image=encoded(IMAGE.convert("L"))), kept=False)
    yield Kind("JPEG upright by XMP", jpeg_with(jpeg_xmp(1)), kept=True)
    yield Kind("JPEG turned by EXIF and XMP", jpeg_with(jpeg_exif(6), jpeg_xmp(6)), kept=True)
    yield Kind("JPEG turned by EXIF, not as XMP says", jpeg_with(jpeg_xmp(3), jpeg_exif(6)), kept=True)
    yield Kind("JPEG turned by a number of 32 bits", jpeg_with(jpeg_exif(6, kind=4)), kept=False)
    yield Kind("JPEG upright by a number of 32 bits", jpeg_with(jpeg_exif(1, kind=4)), kept=True)
    yield Kind("JPEG turned in two ways", jpeg_with(jpeg_exif(6), jpeg_exif(3)), kept=False)
    yield Kind("JPEG turned twice alike", jpeg_with(jpeg_exif(6), jpeg_exif(6)), kept=True)
    yield Kind("JPEG turned, fill bytes before", _filled(jpeg_with(jpeg_exif(6))), kept=True)


def _filled(jpeg: bytes) -> bytes:
    return jpeg[:2] + b"\xff\xff" + jpeg[2:]


def _png() -> Iterator[Kind]:
    palette = np.random.default_rng(0).integers(0, 256, 768, np.uint8).tobytes()
    for bits in (1, 2, 4, 8):
        few = chunk(b"PLTE", palette[: 3 << bits])
        values = scaled(GREY, (1 << bits) - 1)
        yield Kind(f"PNG grey {bits}", png(bits, 0, values), kept=True)
        yield Kind(f"PNG palette {bits}", png(bits, 3, values, few), kept=True)
        yield Kind(f"PNG palette {bits} with tRNS", png(bits, 3, values, few + chunk(b"tRNS", b"\0\x80")), kept=True)
    deep_colour = ALPHA.astype(int) * 257
    yield Kind("PNG grey 16", png(16, 0, scaled(GREY, 65535)), kept=True, pixels=deep(GREY, 255))
    yield Kind("PNG RGB 16", png(16, 2, deep_colour[..., :3]), kept=True)
    yield Kind("PNG RGBA 16", png(16, 6, deep_colour), kept=True)
    yield Kind("PNG grey and alpha", encoded(IMAGE.convert("LA"), "PNG"), kept=True)
    frames = [IMAGE.rotate(90), IMAGE.rotate(180)]
    yield Kind("APNG", encoded(IMAGE, "PNG", save_all=True, append_images=frames), kept=True)
    apart = encoded(IMAGE, "PNG", save_all=True, append_images=frames, default_image=True)
    yield Kind("APNG with a picture apart", apart, kept=False)
    yield Kind("PNG turned by EXIF", png(8, 2, COLOUR, chunk(b"eXIf", exif(6))), kept=True)
    yield Kind("PNG turned by EXIF behind", png(8, 2, COLOUR, after=chunk(b"eXIf", exif(6))), kept=True)
    for orientation in (1, 6):
        xmp = chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + _XMP % orientation)
        yield Kind(f"PNG XMP {orientation}", png(8, 2, COLOUR, xmp), kept=orientation == 1)
        yield Kind(f"PNG XMP {orientation} behind", png(8, 2, COLOUR, after=xmp), kept=orientation == 1)
        content = jpeg_exif(orientation).hex().encode()
        raw = chunk(b"tEXt", b"Raw profile type exif\0\nexif\n%8d\n" % (len(content) // 2) + content + b"\n")
        yield Kind(f"PNG raw profile {orientation}", png(8, 2, COLOUR, raw), kept=orientation == 1)


def _webp() -> Iterator[Kind]:
    alpha = Image.fromarray(ALPHA)
    yield Kind("WebP", encoded(IMAGE, "WEBP"), kept=True)
    yield Kind("WebP lossless", encoded(IMAGE, "WEBP", lossless=True), kept=True)
    yield Kind("WebP with alpha", encoded(alpha, "WEBP"), kept=True)
    yield Kind("WebP lossless with alpha", encoded(alpha, "WEBP", lossless=True, exact=True), kept=True)
    yield Kind("WebP turned", webp_with(8, [(b"EXIF", exif(6))]), kept=True)
    yield Kind("WebP turned, EXIF as in JPEG", webp_with(8, [(b"EXIF", jpeg_exif(6))]), kept=False)
    yield Kind("WebP EXIF behind an odd chunk", webp_with(8, [(b"EXIF", exif(1))], profile=bytes(501)), kept=False)
    yield Kind("WebP EXIF behind an even chunk", webp_with(8, [(b"EXIF", exif(6))], profile=bytes(500)), kept=True)
    yield Kind("WebP turned by XMP", webp_with(4, [(b"XMP ", _XMP % 6)]), kept=False)
    yield Kind("WebP upright by XMP", webp_with(4, [(b"XMP ", _XMP % 1)]), kept=True)
    frames = {"save_all": True, "append_images": [IMAGE.rotate(90)], "quality": 95}
    yield Kind("WebP animation", encoded(IMAGE, "WEBP", **frames), kept=True)
    yield Kind("WebP animation, turned", encoded(IMAGE, "WEBP", exif=exif(6), **frames), kept=False)


def _tiff() -> Iterator[Kind]:
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "zstd", "lzma"):
        with contextlib.suppress(OSError):  # Pillow 11.2 cannot write zstd
            data = encoded(IMAGE, "TIFF", compression=compression)
            yield Kind(f"TIFF {compression}", data, kept=compression != "lzma")
    for bits in (2, 4):
        yield Kind(f"TIFF grey {bits}", tiff(packed(GREY >> 8 - bits, bits), [bits], 1), kept=False)
        colours = np.random.default_rng(0).integers(0, 65536, 3 << bits).tolist()
        yield Kind(f"TIFF palette {bits}", tiff(packed(GREY >> 8 - bits, bits), [bits], 3, {320: colours}), kept=True)
    twelve = scaled(GREY, 4095)
    yield Kind("TIFF grey 12", tiff(packed(twelve, 12), [12], 1), kept=True, pixels=deep(twelve, 4095))
    sixteen = scaled(GREY, 65535).astype("<u2").tobytes()
    yield Kind("TIFF grey 16", tiff(sixteen, [16], 1), kept=True, pixels=deep(GREY, 255))
    yield Kind("TIFF grey, white is 0", tiff(GREY.tobytes(), [8], 0), kept=True)
    yield Kind("TIFF grey, signed", tiff(GREY.tobytes(), [8], 1, {339: [2]}), kept=False)
    yield Kind("TIFF grey, called YCbCr", tiff(GREY.tobytes(), [8], 6), kept=False)
    two = np.dstack([GREY, GREY]).tobytes()
    yield Kind("TIFF grey and a channel more", tiff(two, [8, 8], 1, {338: [0]}), kept=False)
    yield Kind("TIFF RGB 16", tiff((COLOUR.astype("<u2") * 257).tobytes(), [16] * 3, 2), kept=True)
    for extra in (0, 1, 2):
        for bits, samples in ((8, ALPHA), (16, ALPHA.astype("<u2") * 257)):
            # Colours no brighter than alpha, as premultiplied ones are.
            half = np.minimum(samples, samples[..., 3:]).tobytes()
            yield Kind(f"TIFF RGBA {bits}, {extra}", tiff(half, [bits] * 4, 2, {338: [extra]}), kept=extra != 1)
    inks = np.asarray(IMAGE.convert("CMYK"))
    yield Kind("TIFF CMYK", tiff(inks.tobytes(), [8] * 4, 5), kept=True)
    yield Kind("TIFF CMYK 16", tiff((inks.astype("<u2") * 257).tobytes(), [16] * 4, 5), kept=False)
    yield Kind("TIFF CMYK and more", tiff(np.dstack([inks, GREY]).tobytes(), [8] * 5, 5, {338: [0]}), kept=False)
    luma = np.asarray(IMAGE.convert("YCbCr")).tobytes()
    yield Kind("TIFF YCbCr", tiff(luma, [8] * 3, 6, {530: [1, 1]}), kept=True)
    yield Kind("TIFF YCbCr without sampling", tiff(luma, [8] * 3, 6), kept=False)
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    directory[0x0112] = 6
    yield Kind("TIFF turned", encoded(IMAGE, "TIFF", tiffinfo=directory), kept=True)
    yield Kind("TIFF turned by XMP", tiff(COLOUR.tobytes(), [8] * 3, 2, {700: _XMP % 6}), kept=False)


def _bmp() -> Iterator[Kind]:
    up, grey = COLOUR[::-1], GREY[::-1]
    palette = np.random.default_rng(0).integers(0, 256, (256, 4), np.uint8).tobytes()
    for bits in (1, 4, 8):
        rows = packed(np.pad(grey >> 8 - bits, ((0, 0), (0, 16 if bits == 1 else 0))), bits)
        yield Kind(f"BMP {bits}", bmp(bits, 0, rows, palette[: 4 << bits]), kept=True)
    red, green, blue = (up[..., channel].astype("<u2") for channel in range(3))
    five = (red >> 3 << 10 | green >> 3 << 5 | blue >> 3).tobytes()
    six = (red >> 3 << 11 | green >> 2 << 5 | blue >> 3).tobytes()
    yield Kind("BMP 16", bmp(16, 0, five), kept=False)
    yield Kind("BMP 16 by masks", bmp(16, 3, five, masks=struct.pack("<3I", 0x7C00, 0x3E0, 0x1F)), kept=False)
    yield Kind("BMP 565", bmp(16, 3, six, masks=struct.pack("<3I", 0xF800, 0x7E0, 0x1F)), kept=False)
    yield Kind("BMP 24", bmp(24, 0, up[..., ::-1].tobytes()), kept=True)
    masks = struct.pack("<3I", 0xFF0000, 0xFF00, 0xFF)
    yield Kind("BMP 24 by masks", bmp(24, 3, up[..., ::-1].tobytes(), masks=masks), kept=False)
    alpha = ALPHA[::-1]
    yield Kind("BMP 32", bmp(32, 0, alpha[..., (2, 1, 0, 3)].tobytes()), kept=True)
    yield Kind("BMP 32 by masks", bmp(32, 3, alpha[..., (2, 1, 0, 3)].tobytes(), masks=masks), kept=True)
    others = struct.pack("<3I", 0xFF000000, 0xFF0000, 0xFF00)
    yield Kind("BMP 32 by other masks", bmp(32, 3, alpha[..., (3, 2, 1, 0)].tobytes(), masks=others), kept=False)
    eight = b"".join(bytes([0, SIDE]) + row.tobytes() + b"\0\0" for row in grey) + b"\0\1"
    yield Kind("BMP RLE8", bmp(8, 1, eight, palette), kept=True)
    four = b"".join(b"".join(bytes([1, value & 0xF0]) for value in row) + b"\0\0" for row in grey) + b"\0\1"
    yield Kind("BMP RLE4", bmp(4, 2, four, palette[:64]), kept=False)


def _pnm() -> Iterator[Kind]:
    bits = GREY < 128
    yield Kind("PBM", pnm(4, None, bits), kept=True)
    yield Kind("PBM in ASCII", pnm(1, None, bits), kept=True)
    joined = pnm(1, None, bits).replace(b" ", b"").replace(b"P1\n4848", b"P1\n48 48")
    yield Kind("PBM in ASCII, joined", joined, kept=False)
    yield Kind("PGM with comments", pnm(5, 255, GREY).replace(b"\n", b" # note\n", 2), kept=True)
    for kind, pixels in ((2, GREY), (3, COLOUR), (5, GREY), (6, COLOUR)):
        for highest in (1, 15, 127, 254, 255, 256, 1000, 4095, 65535):
            wanted = deep(scaled(GREY, highest), highest) if pixels is GREY else None
            yield Kind(f"P{kind} {highest}", pnm(kind, highest, pixels), kept=highest in (255, 65535), pixels=wanted)
    for kind, pixels in ((2, GREY), (3, COLOUR)):
        yield Kind(f"P{kind} without an end", pnm(kind, 255, pixels, end=b""), kept=False)


def _jpeg2000() -> Iterator[Kind]:
    for image, name in ((IMAGE, "RGB"), (IMAGE.convert("L"), "grey"), (Image.fromarray(ALPHA), "RGBA")):
        data = encoded(image, "JPEG2000")
        yield Kind(f"JPEG 2000 {name}", data, kept=True)
        stream = encoded(image, "JPEG2000", no_jp2=True)
        yield Kind(f"JPEG 2000 {name}, bare", stream, kept=name != "grey")
        half = image.point(lambda value: value // 2)  # signed samples end at 127
        yield Kind(f"JPEG 2000 {name}, signed", encoded(half, "JPEG2000", signed=True), kept=False)
        at = data.index(b"ihdr") + 14
        yield Kind(f"JPEG 2000 {name}, other depth", data[:at] + b"\x08" + data[at + 1 :], kept=False)
    yield Kind("JPEG 2000 sYCC", encoded(IMAGE.convert("YCbCr"), "JPEG2000"), kept=False)
    for pixels, name in ((COLOUR[..., ::-1], "RGB"), (ALPHA[..., (2, 1, 0, 3)], "RGBA")):
        done, file = cv2.imencode(".jp2", pixels.astype(np.uint16) * 257)
        assert done
        yield Kind(f"JPEG 2000 {name} 16", io.BytesIO(file).getvalue(), kept=True, pixels=COLOUR)
    done, file = cv2.imencode(".jp2", GREY.astype(np.uint16) * 257)
    assert done
    yield Kind("JPEG 2000 grey 16", io.BytesIO(file).getvalue(), kept=False, pixels=deep(GREY, 255))
