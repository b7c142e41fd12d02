import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dali_rec.compat.mxnet.io.detection.objects import Objects, Rect
from dali_rec.compat.mxnet.io.detection.parameters import CropSampler

ANYTHING = CropSampler((0, 1), (1, 1), (0, 1), (0, 1), (0, 1), 1)


def objects(*rows):
    return Objects.of(np.array([2, 5, *np.ravel(rows)], np.float32))


def rect(*sides):
    return Rect(*map(np.float32, sides))


def sampler(**ranges):
    return CropSampler(**{**{name: getattr(ANYTHING, name) for name in ANYTHING.__slots__}, **ranges})


@given(st.lists(st.tuples(*[st.floats(0, 1, width=32)] * 4), max_size=5))
def test_mirroring_twice_changes_nothing(boxes):
    before = objects(*((0, min(a, c), min(b, d), max(a, c), max(b, d)) for a, b, c, d in boxes))
    after = before.mirrored().mirrored()
    assert after.values == pytest.approx(before.values, abs=1e-6)
    assert (after.values[:, 1] <= after.values[:, 3]).all()


@given(
    st.tuples(*[st.floats(0, 1, width=32)] * 4),
    st.tuples(*[st.floats(0, 0.5, width=32)] * 2),
    st.tuples(*[st.floats(0.125, 0.5, width=32)] * 2),
)
def test_objects_whose_centre_is_in_the_crop_stay_within_it(corners, origin, size):
    a, b, c, d = corners
    before = objects((3, min(a, c), min(b, d), max(a, c), max(b, d)))
    after = before.cropped(rect(*origin, *size), ANYTHING, None)
    if not len(before.values):
        assert after is before
        return
    x, y = (a + c) / 2, (b + d) / 2
    inside = origin[0] < x < origin[0] + size[0] and origin[1] < y < origin[1] + size[1]
    if after is None:
        assert not inside or min(x - origin[0], origin[0] + size[0] - x, y - origin[1], origin[1] + size[1] - y) < 1e-6
    else:
        assert (after.values[:, 1:] >= 0).all()
        assert (after.values[:, 1:] <= 1).all()


def test_projection_is_in_parts_of_the_crop():
    after = objects((1, 0.25, 0.25, 0.75, 0.5)).cropped(rect(0.25, 0, 0.5, 0.5), ANYTHING, None)
    assert after.values.tolist() == [[1, 0, 0.5, 1, 1]]


def test_the_share_that_must_be_inside_decides_in_overlap_mode():
    one = objects((1, 0.0, 0.0, 0.5, 1.0))
    crop = rect(0.375, 0, 0.5, 1)
    assert one.cropped(crop, ANYTHING, 0.3) is None
    assert one.cropped(crop, ANYTHING, 0.2).values.tolist() == [[1, 0, 0, 0.25, 1]]


@pytest.mark.parametrize(
    ("ranges", "accepted"),
    [
        ({}, True),
        # The object is a quarter of the image, the crop the left half, which holds half of it.
        ({"overlaps": (0.2, 1)}, True),
        ({"overlaps": (0.21, 1)}, False),
        ({"sample_coverages": (0.25, 1)}, True),
        ({"sample_coverages": (0, 0.2)}, False),
        ({"object_coverages": (0.5, 1)}, True),
        ({"object_coverages": (0.6, 1)}, False),
        ({"overlaps": (0.2, 1), "object_coverages": (0.6, 1)}, False),
    ],
)
def test_conditions_on_the_crop(ranges, accepted):
    one = objects((0, 0.25, 0.25, 0.75, 0.75))
    assert (one.cropped(rect(0, 0, 0.5, 1), sampler(**ranges), 0.1) is not None) == accepted


def test_objects_without_area_are_left_out():
    assert objects((1, 0.5, 0.5, 0.5, 0.9), (2, 0, 0, 1, 1), (3, 0.6, 0, 0.5, 1)).values[:, 0].tolist() == [2]
