import io

import numpy as np
import pytest
from PIL import Image
from support import encoded, jpeg, picture

import dali_rec.compat.mxnet as mx
from dali_rec.errors import ImageRejectedError


def test_pixels_are_those_of_pillow():
    image = picture(3)
    assert np.array_equal(mx.image.imdecode(encoded(image, "PNG")), np.asarray(image))
    assert mx.img is mx.image


def test_orientation_is_applied():
    exif = Image.Exif()
    exif[0x0112] = 6
    assert mx.image.imdecode(jpeg(1, (40, 32), exif=exif)).shape == (40, 32, 3)


def test_out_is_filled():
    file = encoded(picture(3), "PNG")
    out = mx.nd.zeros((32, 40, 3), dtype="uint8")
    assert mx.image.imdecode(file, out=out) is out
    assert np.array_equal(out, mx.image.imdecode(file))


@pytest.mark.parametrize("content", [b"", b"not an image"])
def test_what_is_no_image_is_refused(tmp_path, content):
    (tmp_path / "x.jpg").write_bytes(content)
    with pytest.raises(ImageRejectedError, match="cannot be decoded"):
        mx.image.imdecode(content)
    with pytest.raises(ImageRejectedError, match=r"x\.jpg: it cannot be decoded"):
        mx.image.imread(tmp_path / "x.jpg")


@pytest.mark.parametrize(("argument", "flag", "kind"), [("a.jpg", 1, TypeError), (b"", -1, ValueError)])
def test_wrong_arguments_are_refused(argument, flag, kind):
    with pytest.raises(kind, match=r"expected bytes|1 for colour, 0 for grey"):
        mx.image.imdecode(argument, flag)


def test_file_is_read(tmp_path):
    (tmp_path / "x.png").write_bytes(encoded(picture(3), "PNG"))
    assert np.array_equal(mx.image.imread(tmp_path / "x.png", to_rgb=False)[..., ::-1], np.asarray(picture(3)))


def test_file_that_is_not_there_is_an_error_of_mxnets():
    with pytest.raises(mx.MXNetError, match=r"gone\.jpg: no such file") as raised:
        mx.image.imread("gone.jpg")
    assert isinstance(raised.value, FileNotFoundError)


def test_border_is_put_where_it_is_asked_for():
    image = mx.image.imdecode(encoded(picture(3), "PNG"))
    out = mx.nd.zeros((34, 47, 3), dtype="uint8")
    assert mx.image.copyMakeBorder(image, 2, 0, 3, 4, value=9, out=out) is out
    assert np.array_equal(out[2:, 3:-4], image)
    assert (out[:2].min(), out[:2].max()) == (9, 9)


def test_crop_is_a_copy():
    image = mx.image.imdecode(encoded(picture(3), "PNG"))
    mx.image.fixed_crop(image, 0, 0, 5, 5)[...] = 0
    assert np.array_equal(image, np.asarray(Image.open(io.BytesIO(encoded(picture(3), "PNG")))))


def test_unknown_interpolation_is_refused():
    with pytest.raises(ValueError, match="interp is 7: 0 to 4, 9 or 10"):
        mx.image.imresize(mx.nd.zeros((4, 4, 3)), 2, 2, interp=7)


def test_random_resizing_without_cropping_is_refused():
    with pytest.raises(ValueError, match="needs rand_crop=True"):
        mx.image.CreateAugmenter((3, 4, 4), rand_resize=True)
