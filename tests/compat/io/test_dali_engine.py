"""The batches that DALI makes, beside those of OpenCV, which are held to MXNet's elsewhere."""

import numpy as np
import pytest
from PIL import Image
from support import encoded, jpeg, picture

import dali_rec.compat.mxnet as mx
from dali_rec.errors import LoaderError
from dali_rec.recordio import RecordWriter

pytest.importorskip("nvidia.dali")


def write(path, count=10, image=lambda key: jpeg(key, (70 + 7 * key, 90 - 3 * key))):
    with RecordWriter(path) as writer:
        for key in range(count):
            writer.write_image(image(key), float(key), key)
    return path


def iterator(rec, engine, **parameters):
    settings = {"path_imgrec": rec, "data_shape": (3, 40, 48), "batch_size": 4, "device": "cpu", "engine": engine}
    return mx.io.ImageRecordIter(**{**settings, **parameters})


def largest_difference(rec, epochs=2, **parameters):
    """Between the two, over some epochs, in levels; the ids are compared too."""
    one, other = iterator(rec, "dali", **parameters), iterator(rec, "opencv", **parameters)
    largest = 0.0
    for _ in range(epochs):
        for first, second in zip(one, other, strict=True):
            assert first.index.tolist() == second.index.tolist()
            assert (first.pad, first.label[0].tolist()) == (second.pad, second.label[0].tolist())
            assert first.data[0].dtype == second.data[0].dtype
            largest = max(largest, float(np.abs(first.data[0].astype(float) - second.data[0]).max()))
        one.reset()
        other.reset()
    return largest


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"data_shape": (1, 40, 48)},
        {"rand_crop": 1, "rand_mirror": 1, "shuffle": 1},
        {"resize": 60, "rand_crop": 1},
        {"resize": 130, "rand_mirror": 1},
        {"data_shape": (3, 200, 210), "rand_crop": 1},
        {"random_resized_crop": 1, "min_random_area": 0.1, "max_aspect_ratio": 0.3, "rand_mirror": 1},
        {"min_crop_size": 30, "max_crop_size": 60, "rand_crop": 1},
        {"mean_r": 120, "mean_b": 100, "std_r": 2, "std_g": 3, "scale": 0.5},
        {"dtype": "uint8", "mirror": 1},
        {"dtype": "int8", "mean_r": 100.5, "mean_g": 90},
        {"round_batch": False, "num_parts": 3, "part_index": 1},
        {"prefetch_buffer": 1, "seed_aug": 3, "rand_crop": 1},
    ],
)
def test_pixels_are_those_of_opencv_within_a_level(tmp_path, settings):
    assert largest_difference(write(tmp_path / "x.rec"), **settings) <= 1


def garbled(data):
    return data[:-500] + bytes(40) + data[-460:]


def stored(kind):
    exif = Image.Exif()
    exif[0x0112] = 6
    image = picture(1, (80, 64))
    return {
        "png": encoded(image, "PNG"),
        "exif": encoded(image, exif=exif, quality=90),
        "cmyk": encoded(image.convert("CMYK"), quality=90),
        "palette": encoded(image.convert("P"), "PNG"),
        "grey": encoded(image.convert("L"), quality=90),
        "small": encoded(picture(1, (20, 11)), quality=90),
        "webp": encoded(image, "WEBP"),
        "cut": encoded(image, quality=90)[:-300],
        "garbled": garbled(encoded(image, quality=90)),
    }[kind]


@pytest.mark.parametrize("kind", ["png", "exif", "cmyk", "palette", "grey", "small", "webp", "cut", "garbled"])
def test_images_that_dali_might_show_otherwise(tmp_path, kind):
    rec = write(tmp_path / "x.rec", 4, image=lambda key: stored(kind) if key % 2 else jpeg(key, (80, 64)))
    assert largest_difference(rec, resize=64, rand_crop=1) <= 1


def test_reset_in_the_middle_begins_anew(tmp_path):
    rec = write(tmp_path / "x.rec")
    made, expected = iterator(rec, "dali", rand_crop=1), iterator(rec, "opencv", rand_crop=1)
    for _ in range(3):
        first, second = made.next(), expected.next()
        assert np.array_equal(first.data[0], second.data[0])
        made.reset()
        expected.reset()
    assert [batch.index.tolist() for batch in made] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 0, 1]]


@pytest.mark.parametrize("content", [b"not an image", jpeg(0)[:200]])
def test_a_record_that_cannot_be_decoded_is_named_and_the_rest_goes_on(tmp_path, content):
    rec = write(tmp_path / "x.rec", 16, image=lambda key: content if key == 5 else jpeg(key, (70, 60)))
    made, plain = iterator(rec, "dali"), iterator(rec, "opencv")
    assert np.array_equal(made.next().data[0], plain.next().data[0])
    with pytest.raises(LoaderError, match=r"x\.rec: the record with id 5 at offset \d+"):
        made.next()
    with pytest.raises(LoaderError, match="id 5"):
        plain.next()
    rest = list(made)
    assert [batch.index.tolist() for batch in rest] == [[8, 9, 10, 11], [12, 13, 14, 15]]
    for first, second in zip(rest, plain, strict=True):
        assert np.array_equal(first.data[0], second.data[0])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rotate": 30}, "rotation, shear"),
        ({"inter_method": 2}, "inter_method=2"),
        ({"pad": 2}, "pad"),
        ({"brightness": 0.1, "pca_noise": 0.1}, "brightness, contrast or saturation; pca_noise"),
        ({"random_h": 3}, "random_h"),
        ({"max_random_contrast": 0.1}, "max_random_contrast"),
        ({"data_shape": (4, 8, 8)}, "4 channels"),
        ({"resize": 50, "min_crop_size": 9, "max_crop_size": 9}, "resize with a crop that is resized again"),
    ],
)
def test_what_dali_does_not_do_is_said(tmp_path, settings, message):
    with pytest.raises(ValueError, match=f"engine='dali' does not go with.*{message}"):
        iterator(write(tmp_path / "x.rec"), "dali", **settings)


@pytest.mark.parametrize("framework", ["torch", "jax", "tensorflow"])
def test_arrays_of_every_framework(tmp_path, framework):
    pytest.importorskip(framework)
    rec = write(tmp_path / "x.rec")
    batch = iterator(rec, "dali", framework=framework).next()
    assert np.array_equal(np.asarray(batch.data[0]), iterator(rec, "dali").next().data[0])


@pytest.mark.parametrize("framework", ["numpy", "torch"])
def test_batches_stay_as_they_are_when_later_ones_are_made(tmp_path, framework):
    pytest.importorskip(framework)
    made = iterator(write(tmp_path / "x.rec", 30), "dali", framework=framework)
    first = made.next().data[0]
    copy = np.asarray(first).copy()
    list(made)
    assert np.array_equal(np.asarray(first), copy)


@pytest.mark.gpu
def test_on_a_gpu_pixels_are_near_those_of_the_cpu(tmp_path):
    rec = write(tmp_path / "x.rec")
    settings = {"resize": 60, "rand_crop": 1, "rand_mirror": 1}
    on_gpu = iterator(rec, "auto", device="gpu", **settings)
    for batch, other in zip(on_gpu, iterator(rec, "opencv", **settings), strict=True):
        apart = np.abs(batch.data[0] - other.data[0])
        assert apart.mean() <= 1  # 1.5 and more where chroma is scaled up by repeating it
