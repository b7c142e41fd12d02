import io
import struct
import sys
import zlib

import numpy as np
import pytest
from PIL import Image, features
from support import encoded, jpeg, picture

import dali_rec
from dali_rec.errors import ImageRejectedError, MissingDependencyError
from dali_rec.images import check_image, decode_image, inspect_image
from dali_rec.packing import ImageOptions
from dali_rec.packing.transform import transform_image

WIDTH, HEIGHT = 64, 48
GRAY16 = Image.fromarray(np.linspace(0, 65535, WIDTH * HEIGHT).reshape(HEIGHT, WIDTH).astype(np.uint16))


def image_of(mode):
    return GRAY16 if mode == "I;16" else picture(3, (WIDTH, HEIGHT), mode)


def opened(prepared):
    return Image.open(io.BytesIO(prepared.data))


# Every format in every mode is loaded as Pillow shows it

UNTOUCHED = [
    *(("JPEG", mode) for mode in ("L", "RGB", "CMYK")),
    *(("PNG", mode) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")),
    *(("TIFF", mode) for mode in ("L", "P", "RGB", "RGBA", "CMYK", "I;16")),
    *(("BMP", mode) for mode in ("1", "L", "P", "RGB")),
    *(("JPEG2000", mode) for mode in ("L", "RGB", "RGBA")),
    *(("PPM", mode) for mode in ("1", "L", "RGB", "I;16")),
    *(("WEBP", mode) for mode in ("RGB", "RGBA")),
]
TRANSCODED = [("GIF", "P"), ("TIFF", "1"), ("TIFF", "LA"), ("JPEG2000", "LA"), ("TGA", "RGB"), ("PCX", "RGB")]
if "avif" in features.get_supported():
    TRANSCODED.append(("AVIF", "RGB"))


def loaded(tmp_path, data):
    """What the loader makes of one image."""
    (tmp_path / "image").write_bytes(data)
    (tmp_path / "x.lst").write_text("0\t0\timage\n")
    dali_rec.pack(tmp_path / "x.lst", tmp_path / "out" / "x")
    record = dali_rec.open(tmp_path / "out" / "x")[0]
    size = decode_image(record.image).shape[:2]
    loader = dali_rec.Loader(
        tmp_path / "out" / "x", 1, size, augment=None, framework="numpy", dtype="uint8", device="cpu"
    )
    return next(iter(loader))[0][0].astype(int), record


@pytest.mark.parametrize(("kind", "mode"), UNTOUCHED)
def test_image_is_stored_untouched_and_loaded_as_pillow_shows_it(tmp_path, kind, mode):
    pytest.importorskip("nvidia.dali", reason="DALI is not installed")
    data = encoded(image_of(mode), kind)
    found, record = loaded(tmp_path, data)
    assert bytes(record.image) == data
    if mode == "I;16":
        wanted = np.stack([np.round(np.asarray(GRAY16) / 257)] * 3, axis=-1)
    else:
        wanted = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)
    assert np.abs(found - wanted).max() <= 1


@pytest.mark.parametrize(("kind", "mode"), TRANSCODED)
def test_image_that_the_loader_cannot_decode_is_encoded_anew(tmp_path, kind, mode):
    pytest.importorskip("nvidia.dali", reason="DALI is not installed")
    data = encoded(image_of(mode), kind)
    found, record = loaded(tmp_path, data)
    wanted = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)
    assert inspect_image(record.image).format == ("JPEG" if kind in ("AVIF", "JPEG2000") else "PNG")
    assert np.abs(found - wanted).mean() < 2


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", [1, 2, 3, 4, 5, 6, 7, 8])
def test_orientation_is_applied_by_the_loader(tmp_path, kind, orientation):
    pytest.importorskip("nvidia.dali", reason="DALI is not installed")
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(picture(3, (WIDTH, HEIGHT)), kind, exif=exif)
    found, record = loaded(tmp_path, data)
    assert bytes(record.image) == data
    assert found.shape[:2] == ((HEIGHT, WIDTH) if orientation < 5 else (WIDTH, HEIGHT))
    assert np.array_equal(found, decode_image(data))


def test_first_frame_of_an_animation_is_stored():
    frames = [picture(seed, (WIDTH, HEIGHT)) for seed in range(3)]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    found = opened(transform_image(data, ImageOptions()))
    assert np.abs(np.asarray(found).astype(int) - np.asarray(frames[0])).mean() < 12


def test_deep_colour_is_scaled_to_eight_bits():
    found = decode_image(encoded(GRAY16, "PNG"))
    assert (found[0, 0].tolist(), found[-1, -1].tolist()) == ([0, 0, 0], [255, 255, 255])


def test_floating_point_pixels_are_rejected():
    data = encoded(Image.fromarray(np.zeros((4, 4), np.float32)), "TIFF")
    with pytest.raises(ImageRejectedError, match="floating-point"):
        transform_image(data, ImageOptions())


# Sizes


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({"resize": 100}, (133, 100)),
        ({"resize": 100, "resize_mode": "longer"}, (100, 75)),
        ({"resize": 100, "resize_mode": "exact"}, (100, 100)),
        ({"resize": 100, "resize_mode": "fill"}, (100, 100)),
        ({"resize": 100, "center_crop": True}, (100, 100)),
        ({"center_crop": True}, (300, 300)),
        ({"resize": 350}, (400, 300)),
        ({"resize": 450, "resize_mode": "longer"}, (400, 300)),
        ({"resize": 350, "resize_mode": "exact"}, (350, 300)),
        ({"resize": 350, "resize_mode": "fill"}, (350, 300)),
        ({"resize": 600, "upscale": True}, (800, 600)),
        ({"resize": 600, "resize_mode": "longer", "upscale": True}, (600, 450)),
        ({"resize": 500, "resize_mode": "exact", "upscale": True}, (500, 500)),
        ({"resize": 500, "resize_mode": "fill", "upscale": True}, (500, 500)),
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_size_follows_the_mode(options, size, kind):
    prepared = transform_image(encoded(picture(1, (400, 300)), kind), ImageOptions(**options))
    assert opened(prepared).size == (prepared.width, prepared.height) == size


def test_fill_is_the_middle_of_the_scaled_image():
    original = picture(5, (400, 300))
    data = encoded(original, "PNG")
    found = np.asarray(opened(transform_image(data, ImageOptions(resize=60, resize_mode="fill")))).astype(int)
    wanted = np.asarray(original.resize((80, 60), Image.Resampling.BOX).crop((10, 0, 70, 60))).astype(int)
    assert np.abs(found - wanted).max() <= 2


@pytest.mark.parametrize(
    ("interpolation", "resampling"),
    [("nearest", Image.Resampling.NEAREST), ("linear", Image.Resampling.BILINEAR), ("cubic", Image.Resampling.BICUBIC)],
)
def test_interpolation_is_that_of_its_name(interpolation, resampling):
    original = picture(5, (40, 30))
    options = ImageOptions(resize=60, upscale=True, interpolation=interpolation)
    found = np.asarray(opened(transform_image(encoded(original, "PNG"), options))).astype(int)
    wanted = np.asarray(original.resize((80, 60), resampling)).astype(int)
    assert np.abs(found - wanted).mean() < 1


def test_by_default_it_is_pillows_bicubic():
    random = np.random.default_rng(0)
    original = Image.fromarray(random.integers(0, 256, (133, 200, 3), np.uint8))
    found = np.asarray(opened(transform_image(encoded(original, "PNG"), ImageOptions(resize=60)))).astype(int)
    wanted = np.asarray(original.resize((90, 60), Image.Resampling.BICUBIC)).astype(int)
    assert np.abs(found - wanted)[2:-2, 2:-2].max() <= 1  # beyond the edges Pillow leaves out what the others repeat


def test_without_numba_scaling_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "dali_rec.resampling", None)
    data = encoded(picture(5, (40, 30)), "PNG")
    with pytest.raises(MissingDependencyError, match=r"pip install numba, or take --interpolation area"):
        transform_image(data, ImageOptions(resize=20))
    assert opened(transform_image(data, ImageOptions(resize=15, interpolation="area"))).size == (20, 15)


# Encodings and colours


@pytest.mark.parametrize(("encoding", "kind"), [("jpeg", "JPEG"), ("png", "PNG"), ("webp", "WEBP")])
@pytest.mark.parametrize("source", ["JPEG", "PNG", "WEBP", "BMP"])
def test_images_of_another_encoding_are_encoded_anew(encoding, kind, source):
    data = encoded(picture(2, (WIDTH, HEIGHT)), source)
    prepared = transform_image(data, ImageOptions(encoding=encoding))
    assert opened(prepared).format == kind
    assert (prepared.data == data) is (source == kind)
    assert np.abs(decode_image(prepared.data).astype(int) - decode_image(data)).mean() < 3


@pytest.mark.parametrize(
    ("source", "kind"),
    [("JPEG", "JPEG"), ("PNG", "PNG"), ("WEBP", "WEBP"), ("BMP", "PNG"), ("TIFF", "PNG"), ("JPEG2000", "JPEG")],
)
def test_changed_image_keeps_its_format_or_the_like_of_it(source, kind):
    data = encoded(picture(2, (WIDTH, HEIGHT)), source)
    assert opened(transform_image(data, ImageOptions(resize=20))).format == kind


def test_quality_is_that_of_the_encoder():
    data = encoded(picture(2, (400, 300)), "PNG")
    sizes = [len(transform_image(data, ImageOptions(encoding="jpeg", quality=quality)).data) for quality in (30, 95)]
    assert sizes[0] < sizes[1]


@pytest.mark.parametrize(("color", "mode"), [("rgb", "RGB"), ("gray", "L")])
@pytest.mark.parametrize("source", ["L", "RGB"])
def test_colour_is_changed_where_it_differs(color, mode, source):
    original = picture(2, (WIDTH, HEIGHT), source)
    data = encoded(original, "PNG")
    prepared = transform_image(data, ImageOptions(color=color))
    assert opened(prepared).mode == mode
    assert (prepared.data == data) is (source == mode)
    wanted = np.asarray(original.convert("L").convert("RGB") if color == "gray" else original.convert("RGB"))
    assert np.abs(decode_image(prepared.data).astype(int) - wanted).max() <= 1


# Bombs and damage


def test_image_with_too_many_pixels_is_rejected_before_it_is_decoded():
    with pytest.raises(ImageRejectedError, match=r"40 × 32 pixels are more than the 1,000 that --max-pixels allows"):
        transform_image(jpeg(), ImageOptions(max_pixels=1000))


def test_bomb_is_rejected_by_its_header():
    # A PNG that says 50,000 × 50,000 pixels and holds none.
    header = b"IHDR" + struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    data += struct.pack(">I", 1_000_000) + b"IDAT"
    with pytest.raises(ImageRejectedError, match=r"^more than the 178,956,970 pixels that images other than JPEGs may"):
        transform_image(data, ImageOptions())


@pytest.mark.parametrize(("encoding", "width"), [("jpeg", 65_501), ("webp", 16_384)])
def test_image_that_its_encoding_cannot_hold_is_rejected(encoding, width):
    data = encoded(Image.new("RGB", (width, 2)), "PNG")
    with pytest.raises(ImageRejectedError, match=f"{width} × 2 pixels cannot be stored as {encoding.upper()}: "):
        transform_image(data, ImageOptions(encoding=encoding))


def test_image_that_would_grow_beyond_the_limit_is_rejected():
    data = encoded(Image.new("RGB", (1, 3000)), "PNG")
    with pytest.raises(
        ImageRejectedError, match=r"1 × 3000 pixels would become 300 × 900000, more than the 178,956,970"
    ):
        transform_image(data, ImageOptions(resize=300, upscale=True))


@pytest.mark.parametrize("options", [{}, {"resize": 16}, {"encoding": "webp"}])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"])
def test_cut_image_is_rejected_whatever_is_asked(kind, options):
    data = encoded(picture(4, (200, 160)), kind)
    with pytest.raises(ImageRejectedError, match=r"decoded|damaged"):
        transform_image(data[: len(data) // 2], ImageOptions(**options))


def test_what_is_stored_can_be_checked():
    for kind, mode in (*UNTOUCHED, *TRANSCODED):
        prepared = transform_image(encoded(image_of(mode), kind), ImageOptions())
        info = check_image(prepared.data)
        assert (info.width, info.height) == (prepared.width, prepared.height)


@pytest.mark.parametrize(
    "option", [{"resize_mode": "wide"}, {"interpolation": "magic"}, {"encoding": "gif"}, {"color": "cmyk"}]
)
def test_unknown_choice_is_refused_with_the_known_ones(option):
    ((name, value),) = option.items()
    with pytest.raises(ValueError, match=f"{name} is '{value}': expected one of"):
        ImageOptions(**option)
