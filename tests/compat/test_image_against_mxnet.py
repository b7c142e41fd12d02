"""mx.image, mx.nd and ImageIter beside MXNet 1.9.1, whose results ``tools/peers/mxnet_image.py`` stored."""

import runpy
from pathlib import Path

import numpy as np
import pytest
from support import DATA

import dali_rec.compat.mxnet as mx

CASES = runpy.run_path(str(Path(__file__).parents[2] / "tools" / "peers" / "mxnet_image.py"))
STORED = np.load(DATA / "mxnet_image.npz")
# Where OpenCV 5 and 3.4, which MXNet has inside, differ: cubic interpolation, 1 level of 255.
CUBIC = (
    *("resize_short down 2", "resize_short up 2", "resize_short up 9", "fixed_crop 2", "fixed_crop 9", "center_crop"),
    *("random_crop", "random_size_crop", "ResizeAug", "CropAug", "SizedCropAug", "CreateAugmenter"),
    *("ImageIter", "ImageDetIter"),
)


@pytest.fixture(scope="module")
def ours():
    return CASES["results"](mx, str(DATA))


@pytest.mark.parametrize("name", STORED.files)
def test_result_is_that_of_mxnet(ours, name):
    expected, found = STORED[name], ours[name]
    assert found.shape == expected.shape
    if name.endswith("shapes"):
        assert found.item() == expected.item()
        return
    if expected.dtype != np.int64:  # numbers of Python
        assert found.dtype == expected.dtype
    apart = np.abs(found.astype(np.float64) - expected)
    cubic = any(part in name for part in CUBIC) and not name.endswith(("place", "labels", "pad", "objects"))
    assert apart.max(initial=0) <= (1.001 if cubic else 2e-4)


def test_nothing_else_is_made(ours):
    assert ours.keys() == set(STORED.files)
