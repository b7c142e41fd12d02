import re

import numpy as np
import pytest
from support import encoded, picture

import dali_rec
from dali_rec import Loader
from dali_rec.loading import Augmentation

pytest.importorskip("nvidia.dali", reason="DALI is not installed")

STILL = Augmentation(area=(1.0, 1.0), aspect=(1.0, 1.0), flip=0.0)


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    """One square picture, 64 times: what differs between the rows of a batch is the augmentation."""
    folder = tmp_path_factory.mktemp("augment")
    with dali_rec.RecordWriter(folder / "x.rec") as writer:
        for key in range(64):
            writer.write_image(encoded(picture(1, (32, 32)), "PNG"), float(key), key)
    return folder / "x.rec"


def images_of(photo, augment, **options):
    options = {"dtype": "uint8", "shuffle": False, **options}
    (batch,) = Loader(photo, 64, 32, augment=augment, framework="numpy", device="cpu", threads=2, **options)
    return [np.array(view, float) for view in batch[0]] if isinstance(batch[0], tuple) else np.array(batch[0], float)


def different(images, original):
    return (abs(images - original).max(axis=(1, 2, 3)) > 1).mean()


ORIGINAL = np.asarray(picture(1, (32, 32)), float)


def test_without_chances_the_image_stays_as_it_is(photo):
    assert abs(images_of(photo, STILL) - ORIGINAL).max() <= 1


@pytest.mark.parametrize(
    "change",
    [
        {"policy": "randaugment"},
        {"policy": "trivialaugment"},
        {"policy": "autoaugment"},
        {"jitter": (0.4, 0.4, 0.4, 0.1)},
        {"blur": 1.0},
        {"erase": 1.0},
        {"grey": 1.0},
    ],
)
def test_augmentation_changes_images_and_follows_the_seed(photo, change):
    augment = Augmentation(area=(1.0, 1.0), aspect=(1.0, 1.0), flip=0.0, **change)
    first, again, other = (images_of(photo, augment, seed=seed) for seed in (1, 1, 2))
    assert different(first, ORIGINAL) > 0.5
    assert np.array_equal(first, again)
    if change != {"grey": 1.0}:
        assert not np.array_equal(first, other)


@pytest.mark.parametrize("name", ["blur", "erase", "grey", "flip"])
def test_chance_is_the_share_of_images_changed(photo, name):
    augment = Augmentation(area=(1.0, 1.0), aspect=(1.0, 1.0), **{"flip": 0.0, name: 0.5})
    assert 0.25 < different(images_of(photo, augment), ORIGINAL) < 0.75


def test_grey_images_have_equal_channels(photo):
    grey = images_of(photo, Augmentation(area=(1.0, 1.0), aspect=(1.0, 1.0), flip=0.0, grey=1.0))
    assert np.ptp(grey, axis=3).max() <= 2


def test_erased_rectangles_have_the_mean_colour_and_the_area_said(photo):
    erased = images_of(photo, Augmentation(area=(1.0, 1.0), aspect=(1.0, 1.0), flip=0.0, erase=1.0))
    mean = np.round(255 * np.array(dali_rec.loading.IMAGENET_MEAN))
    for image in erased:
        hit = (abs(image - mean) <= 1).all(axis=2) & (abs(image - ORIGINAL).max(axis=2) > 2)
        rows, columns = np.nonzero(hit)
        height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert hit.sum() > 0.9 * height * width
        assert 0.01 < height * width / 32**2 < 0.4


def test_jitter_moves_brightness_no_further_than_said(photo):
    jitter = Augmentation(area=(1.0, 1.0), aspect=(1.0, 1.0), flip=0.0, jitter=(0.2, 0.0, 0.0, 0.0))
    ratios = images_of(photo, jitter).mean(axis=(1, 2, 3)) / ORIGINAL.mean()
    assert 0.78 < ratios.min() < 0.9
    assert 1.1 < ratios.max() < 1.22


def test_views_are_different_versions_of_the_same_images(photo):
    first, second = images_of(photo, "ssl", shuffle=True)
    assert first.shape == second.shape == (64, 32, 32, 3)
    assert (abs(first - second).max(axis=(1, 2, 3)) > 5).all()
    three = Augmentation(area=(1.0, 1.0), aspect=(1.0, 1.0), flip=0.0, views=3)
    assert all(abs(view - ORIGINAL).max() <= 1 for view in images_of(photo, three))


@pytest.mark.parametrize(
    "wrong",
    [
        {"area": (0.5, 0.1)},
        {"area": 0.3},
        {"aspect": (0, 1)},
        {"policy": "strong"},
        {"jitter": (0.4, 0.4)},
        {"jitter": 0.4},
        {"erase": 1.5},
        {"views": 0},
        {"views": 2.0},
        {"rand_layers": 1.5},
        {"rand_magnitude": 31},
    ],
)
def test_senseless_augmentation_is_refused(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(ValueError, match=re.escape(f"{name} is {value!r}")):
        Augmentation(**wrong)
