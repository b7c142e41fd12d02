import numpy as np
import pytest
from support import DATA, encoded, picture

import dali_rec
import dali_rec.compat.mxnet as mx
from dali_rec.errors import DatasetError


def write(path, *labels):
    with dali_rec.RecordWriter(path) as writer:
        for number, label in enumerate(labels):
            writer.write_image(encoded(picture(number, (12, 10)), "PNG"), label, number)
    return path


def iterator(rec, **parameters):
    return mx.image.ImageDetIter(**{"batch_size": 2, "data_shape": (3, 10, 12), "path_imgrec": rec, **parameters})


BOX = [0, 0.1, 0.2, 0.5, 0.6]


def test_objects_are_padded_to_the_most_of_an_image(tmp_path):
    rec = write(tmp_path / "x.rec", [2, 5, *BOX], [4, 5, 12, 10, *BOX, 1, 0, 0, 1, 1])
    batch = next(iterator(rec))
    expected = np.float32([[BOX, [-1] * 5], [BOX, [1, 0, 0, 1, 1]]])
    assert np.array_equal(batch.label[0].asnumpy(), expected)
    assert np.array_equal(batch.data[0][1].asnumpy().transpose(1, 2, 0), np.asarray(picture(1, (12, 10))))


def test_image_without_objects_has_rows_of_minus_1(tmp_path):
    rec = write(tmp_path / "x.rec", [2, 5], [2, 5, 0, 0.5, 0.5, 0.5, 0.6])
    iterated = iterator(rec, rand_crop=1, rand_pad=1, rand_mirror=True)
    assert iterated.provide_label == [("label", (2, 1, 5))]
    assert (next(iterated).label[0].asnumpy() == -1).all()


@pytest.mark.parametrize(
    "labels", [[[2, 5, *BOX], [2, 6, *BOX, 1]], [[2, 5, 1]], [[2, 4, *BOX[:4]]], [3.0], [[9, 5, *BOX]], [[1, 5, *BOX]]]
)
def test_labels_of_another_form_are_refused(tmp_path, labels):
    with pytest.raises(DatasetError, match=r"id 0: its label of \d numbers|have 5 numbers, of others 6"):
        iterator(write(tmp_path / "x.rec", *labels), batch_size=1)


def test_iterators_are_given_room_for_as_many_objects(tmp_path):
    small = iterator(write(tmp_path / "x.rec", [2, 5, *BOX]), batch_size=1)
    large = iterator(write(tmp_path / "y.rec", [2, 5, *BOX, *BOX, *BOX]), batch_size=1)
    assert small.sync_label_shape(large) is large
    assert next(small).label[0].shape == next(large).label[0].shape == (1, 3, 5)
    with pytest.raises(ValueError, match=r"at least \(3, 5\), of the same width"):
        large.reshape(label_shape=(2, 5))


def test_boxes_stay_on_what_they_bound():
    """A white box on black: wherever image and box go, the box is white and the rest is not."""
    image = np.zeros((60, 80, 3), np.uint8)
    image[20:40, 30:60] = 255
    steps = mx.image.CreateDetAugmenter(
        (3, 60, 80), rand_crop=0.7, rand_pad=0.7, rand_mirror=True, min_object_covered=0.5, inter_method=0, pad_val=0
    )
    seen = set()
    for _ in range(60):
        made, objects = image, np.float32([[3, 30 / 80, 20 / 60, 60 / 80, 40 / 60]])
        for step in steps:
            made, objects = step(made, objects)
        left, top, right, bottom = np.round(objects[0, 1:5] * [80, 60, 80, 60]).astype(int)
        assert (made[top + 2 : bottom - 2, left + 2 : right - 2] == 255).all()
        outside = np.ones((60, 80), bool)
        outside[max(0, top - 2) : bottom + 2, max(0, left - 2) : right + 2] = False
        assert not made[outside].any()
        seen.add((left, top, right, bottom))
    assert len(seen) > 20


@pytest.mark.parametrize(
    "parameters",
    [
        {"area_range": (0.5, 0.1)},
        {"aspect_ratio_range": (0, 1)},
        {"min_object_covered": [1, 2], "max_attempts": [1] * 3},
    ],
)
def test_ranges_that_are_empty_are_refused(parameters):
    with pytest.raises(ValueError, match=r"above 0, in order|one or 3 each"):
        iterator(DATA / "detection.rec", rand_crop=1, **parameters)
