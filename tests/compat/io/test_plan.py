"""Where and how much, over many draws: the distributions that MXNet's source says, of image_aug_default.cc."""

import math
from collections import Counter

import numpy as np
import pytest

from dali_rec.compat.mxnet.io.draws import Draws
from dali_rec.compat.mxnet.io.parameters import ImageRecordParameters
from dali_rec.compat.mxnet.io.plan import plan_image
from dali_rec.compat.mxnet.io.steps import Border, Crop, Jitter, Noise, Scale, Shift, Warp

COUNT = 4000


def plans(size=(100, 120), count=COUNT, shape=(3, 40, 50), **settings):
    given = {"path_imgrec": "x.rec", "data_shape": shape, "batch_size": 1, **settings}
    parameters = ImageRecordParameters.from_keywords(given)
    return [plan_image(parameters, size, Draws([11, number])) for number in range(count)]


def steps(kind, **settings):
    return [step for plan in plans(**settings) for step in plan.steps if isinstance(step, kind)]


def assert_even(values, low, high, bins=8):
    """Evenly spread from low to high, by five standard deviations."""
    values = np.asarray(values, np.float64)
    assert values.min() >= low - 1e-5
    assert values.max() <= high + 1e-5
    counts, _ = np.histogram(values, bins, (low, high))
    likely = len(values) / bins
    assert np.abs(counts - likely).max() < 5 * math.sqrt(likely)


def test_without_randomness_the_crop_is_at_the_centre():
    (plan,) = plans(count=1)
    assert plan.steps == (Crop(30, 35, 40, 50),)
    assert (plan.mirror, plan.gain, plan.lift) == (False, 1.0, 0.0)


@pytest.mark.parametrize(
    ("size", "expected"), [((100, 121), (64, 77)), ((121, 100), (77, 64)), ((30, 50), (64, 106)), ((64, 64), (64, 64))]
)
def test_resize_has_whole_number_division_and_enlarges_too(size, expected):
    (plan,) = plans(size=size, count=1, resize=64)
    assert plan.steps[0] == Scale(*expected, 1)


def test_small_images_are_enlarged_side_by_side():
    (plan,) = plans(size=(20, 30), count=1)
    assert plan.steps == (Scale(40, 60, 1), Crop(0, 5, 40, 50))
    (plan,) = plans(size=(60, 30), count=1)
    assert plan.steps == (Scale(100, 50, 1), Crop(30, 0, 40, 50))
    (plan,) = plans(size=(39, 10), count=1)
    assert plan.steps == (Scale(40, 10, 1), Scale(200, 50, 1), Crop(80, 0, 40, 50))


def test_automatic_interpolation_is_cubic_up_area_down_and_linear_between():
    assert [
        plans(size=size, count=1, resize=64, inter_method=9)[0].steps[0].method for size in ((30, 40), (100, 90))
    ] == [2, 3]
    (plan,) = plans(size=(64, 100), count=1, resize=64, inter_method=9)
    assert plan.steps[0].method == 1


def test_random_interpolation_is_any_of_five():
    counts = Counter(step.method for step in steps(Scale, resize=64, inter_method=10))
    assert set(counts) == {0, 1, 2, 3, 4}
    assert max(abs(count - COUNT / 5) for count in counts.values()) < 5 * math.sqrt(COUNT / 5)


def test_random_crops_are_anywhere():
    crops = steps(Crop, rand_crop=True)
    assert {(crop.height, crop.width) for crop in crops} == {(40, 50)}
    tops, lefts = Counter(crop.top for crop in crops), Counter(crop.left for crop in crops)
    assert set(tops) == set(range(61))
    assert set(lefts) == set(range(71))
    assert_even([crop.top + 0.5 for crop in crops], 0, 61)


def test_areas_and_ratios_are_even_and_sides_change_places():
    crops = steps(
        Crop,
        size=(1000, 1000),
        random_resized_crop=True,
        min_random_area=0.1,
        max_random_area=0.4,
        min_aspect_ratio=1.0,
        max_aspect_ratio=1.5,
    )
    assert len(crops) == COUNT
    assert_even([crop.height * crop.width / 1e6 for crop in crops], 0.1 - 1e-3, 0.4 + 1e-3)
    longer = [max(crop.height, crop.width) / min(crop.height, crop.width) for crop in crops]
    assert_even(longer, 1 - 1e-2, 1.5 + 1e-2)
    lying = sum(crop.width > crop.height for crop in crops)
    standing = sum(crop.height > crop.width for crop in crops)
    assert abs(lying - standing) < 5 * math.sqrt(COUNT)


def test_an_area_that_never_fits_becomes_a_plain_crop():
    made = plans(count=50, random_resized_crop=True, min_random_area=2.0, max_random_area=3.0)
    assert {plan.steps for plan in made} == {(Crop(30, 35, 40, 50),)}


def test_crops_of_a_random_size_are_square():
    made = plans(min_crop_size=60, max_crop_size=80)
    crops = [plan.steps[0] for plan in made]
    assert {crop.height for crop in crops} == {crop.width for crop in crops} == set(range(60, 81))
    assert all((crop.top, crop.left) == ((100 - crop.height) // 2, (120 - crop.width) // 2) for crop in crops)
    assert {plan.steps[1] for plan in made} == {Scale(40, 50, 1)}
    placed = steps(Crop, min_crop_size=60, max_crop_size=60, rand_crop=True)
    assert {crop.top for crop in placed} == set(range(41))


def test_an_image_too_small_for_the_crop_size_is_said():
    with pytest.raises(ValueError, match=r"120 × 100 pixels.*max_crop_size 101"):
        plans(count=1, min_crop_size=60, max_crop_size=101)


def angle(warp):
    return math.degrees(math.atan2(-warp.matrix[1, 0], warp.matrix[1, 1]))


def test_angles_are_whole_and_even():
    angles = [round(angle(warp), 3) for warp in steps(Warp, max_rotate_angle=10)]
    assert set(angles) == set(range(-10, 11))
    assert_even(np.array(angles) + 0.5, -10, 11, bins=7)


def test_rotate_and_rotate_list_say_the_angle():
    assert {round(angle(warp)) for warp in steps(Warp, rotate=30, max_rotate_angle=5, count=50)} == {30}
    assert {round(angle(warp)) for warp in steps(Warp, rotate_list="15,-40", count=50)} == {15, -40}


def test_shear_scale_and_ratio_are_even():
    shears = [warp.matrix[0, 1] for warp in steps(Warp, max_shear_ratio=0.2)]
    assert_even(shears, -0.2, 0.2)
    scaled = steps(Warp, min_random_scale=0.5, max_random_scale=1.5)
    assert_even([warp.matrix[0, 0] for warp in scaled], 0.5, 1.5)
    assert {warp.height for warp in scaled} == set(range(50, 150))
    stretched = steps(Warp, max_aspect_ratio=0.25)
    assert_even([warp.matrix[1, 1] / warp.matrix[0, 0] for warp in stretched], 0.75, 1.25)
    assert np.allclose([warp.matrix[0, 0] + warp.matrix[1, 1] for warp in stretched], 2, atol=1e-5)


def test_image_sizes_are_limited():
    assert {(warp.height, warp.width) for warp in steps(Warp, min_img_size=110, count=3)} == {(110, 120)}
    assert {(warp.height, warp.width) for warp in steps(Warp, max_img_size=90, count=3)} == {(90, 90)}


def test_an_image_scaled_to_nothing_keeps_its_size():
    # As OpenCV takes an output of no pixels.
    scaled = {
        (warp.height, warp.width) for warp in steps(Warp, size=(1, 40), max_random_scale=0.5, min_random_scale=0.3)
    }
    assert scaled == {(1, 40)}


def test_the_border_is_put_around_before_the_crop():
    (plan,) = plans(count=1, pad=4)
    assert plan.steps == (Border(4), Crop(34, 39, 40, 50))


def test_brightness_contrast_and_saturation_are_even_and_in_any_order():
    jitters = steps(Jitter, brightness=0.1, contrast=0.2, saturation=0.3)
    for number, most in enumerate((0.1, 0.2, 0.3)):
        assert_even([jitter.factors[number] for jitter in jitters], 1 - most, 1 + most)
    assert len({jitter.order for jitter in jitters}) == 6


def test_hue_lightness_and_saturation_have_mxnets_mixture():
    shifts = steps(Shift, random_h=36, random_s=50, random_l=20)
    for name, most in (("hue", 36), ("saturation", 50), ("lightness", 20)):
        values = np.array([getattr(shift, name) for shift in shifts]) / most
        # (u + 4 v) / 5 of two uniform numbers, from -1 to 1: the variance is 4 (1 + 16) / (25 · 12).
        assert abs(values.mean()) < 0.05
        assert abs(values.var() - 4 * 17 / 300) < 0.03
        assert -1 <= values.min() <= -0.9
        assert 0.9 <= values.max() <= 1


def test_noise_lies_along_the_components_of_imagenets_colours():
    levels = np.array([noise.levels for noise in steps(Noise, pca_noise=0.1)])[:, ::-1]
    vectors = np.array([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]])
    expected = (vectors * np.array([55.46, 4.794, 1.148]) ** 2 * 0.01) @ vectors.T
    assert np.abs(np.cov(levels.T) - expected).max() < 0.1 * expected.max()


def test_images_are_mirrored_half_of_the_time_or_always():
    assert abs(sum(plan.mirror for plan in plans(rand_mirror=True)) - COUNT / 2) < 5 * math.sqrt(COUNT) / 2
    assert all(plan.mirror for plan in plans(mirror=True, count=9))
    assert all(plan.mirror for plan in plans(mirror=True, rand_mirror=True, count=99))


def test_gain_and_lift_are_even_and_scaled():
    made = plans(max_random_contrast=0.3, max_random_illumination=20, scale=0.5)
    assert_even([plan.gain for plan in made], 0.35, 0.65)
    assert_even([plan.lift for plan in made], -10, 10)
