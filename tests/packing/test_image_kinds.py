"""What the loader does not show as Pillow does is encoded anew, kind by kind."""

import contextlib
import io

import numpy as np
import pytest
from image_kinds import SIDE, all_kinds, deep, pnm
from PIL import Image, ImageOps

import dali_rec
from dali_rec.errors import ImageRejectedError
from dali_rec.images import check_image, decode_image, inspect_image
from dali_rec.packing import ImageOptions
from dali_rec.packing.transform import transform_image
from dali_rec.recordio import RecordWriter
from dali_rec.recordio.header import pack_header

pytestmark = pytest.mark.filterwarnings("ignore:Palette images with Transparency")  # by Pillow

KINDS = {kind.name: kind for kind in all_kinds()}


def shown_by_pillow(kind):
    if kind.pixels is not None:
        return np.asarray(kind.pixels).astype(int)
    with Image.open(io.BytesIO(kind.data)) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB")).astype(int)


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """Every kind in one data set, by its place among them: the stored bytes, and what the loader shows."""
    pytest.importorskip("nvidia.dali", reason="DALI is not installed")
    folder = tmp_path_factory.mktemp("kinds")
    for number, kind in enumerate(KINDS.values()):
        (folder / str(number)).write_bytes(kind.data)
    (folder / "x.lst").write_text("".join(f"{number}\t0\t{number}\n" for number in range(len(KINDS))))
    dali_rec.pack(folder / "x.lst", folder / "out", shuffle=False)
    assert dali_rec.verify(folder / "out").ok
    dataset = dali_rec.open(folder / "out")
    assert len(dataset) == len(KINDS)
    options = {"augment": None, "framework": "numpy", "dtype": "uint8", "device": "cpu"}
    loader = dali_rec.Loader(dataset, 1, (SIDE, SIDE), **options)
    images = [batch[0].astype(int) for batch, _ in loader]
    return dict(zip(KINDS, zip((bytes(record.image) for record in dataset), images, strict=True), strict=True))


@pytest.mark.parametrize("name", KINDS)
def test_the_loader_shows_what_pillow_shows(packed, name):
    kind, (stored, shown) = KINDS[name], packed[name]
    difference = np.abs(shown - shown_by_pillow(kind))
    assert (stored == kind.data) is kind.kept
    if kind.kept or inspect_image(stored).format == "PNG":
        assert difference.max() <= 1
    else:
        assert difference.mean() < 3


@pytest.mark.parametrize("name", KINDS)
def test_an_image_is_decoded_to_what_pillow_shows(name):
    kind = KINDS[name]
    assert np.abs(decode_image(kind.data).astype(int) - shown_by_pillow(kind)).max() <= 1


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if not kind.kept])
def test_a_check_says_why_the_loader_does_not_show_it(name):
    with pytest.raises(ImageRejectedError, match=r"the loader does not show this \w+ as it is: .+; convert it to"):
        check_image(KINDS[name].data)


def test_stored_images_that_the_loader_shows_otherwise_are_faults(tmp_path):
    names = ["JPEG turned by XMP", "P5 4095", "P5 255"]
    with RecordWriter(tmp_path / "x.rec", tmp_path / "x.idx") as writer:
        for key, name in enumerate(names):
            writer.write(pack_header(0, key) + KINDS[name].data, key)
    report = dali_rec.verify(tmp_path / "x.rec")
    assert [(fault.kind, fault.key) for fault in report.faults] == [("image", 0), ("image", 1)]
    assert "neither 255 nor 65535" in report.faults[1].message


def test_a_jpeg_turned_by_xmp_is_turned_where_it_is_scaled_too():
    kind = KINDS["JPEG turned by XMP"]
    prepared = transform_image(kind.data, ImageOptions(resize=SIDE // 2))
    wanted = np.asarray(Image.fromarray(shown_by_pillow(kind).astype(np.uint8)).resize((SIDE // 2,) * 2)).astype(int)
    assert np.abs(decode_image(prepared.data).astype(int) - wanted).mean() < 6


@pytest.mark.parametrize("highest", [1, 15, 100, 4095, 65535])
@pytest.mark.parametrize("kind", [2, 5])
def test_grey_is_scaled_by_its_largest_value(kind, highest):
    values = np.arange(SIDE * SIDE).reshape(SIDE, SIDE) % 256
    found = decode_image(pnm(kind, highest, values)).astype(int)
    assert np.abs(found - deep(values * highest // 255, highest)).max() <= 1


@pytest.mark.filterwarnings("ignore")  # Pillow warns of TIFFs that are cut short
@pytest.mark.parametrize("name", KINDS)
def test_a_head_that_breaks_off_is_no_crash(name):
    for length in range(1, 200, 7):
        with contextlib.suppress(ImageRejectedError):
            inspect_image(KINDS[name].data[:length])
