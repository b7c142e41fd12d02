import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
from PIL import Image

from dali_rec.resampling import (
    CUBIC,
    LINEAR,
    resize_to_half_planes,
    resize_to_pixels,
    resize_to_planes,
    round_to_half,
)

FILTERS = {LINEAR: Image.Resampling.BILINEAR, CUBIC: Image.Resampling.BICUBIC}
SIZES = [(640, 480), (375, 500), (120, 90), (96, 80), (1000, 31), (3, 2), (1, 1), (1, 77)]
NO_CHANGE = np.ones(3, np.float32), np.zeros(3, np.float32)


def noise(height, width, channels=3):
    return np.random.default_rng([height, width]).integers(0, 256, (height, width, channels), dtype=np.uint8)


def whole(image, shape):
    """The grid of the whole image."""
    return 0.0, 0.0, image.shape[0] / shape[0], image.shape[1] / shape[1]


def to_pixels(image, shape, kind=LINEAR, *, antialias=True, mirror=False, grid=None):
    result = np.full((*shape, image.shape[2]), 77, np.uint8)
    resize_to_pixels(image, grid or whole(image, shape), kind, antialias, mirror, result)
    return result


def to_planes(image, shape, *, scale=(1.0, 1.0, 1.0), shift=(0.0, 0.0, 0.0), mirror=False):
    result = np.full((3, *shape), np.nan, np.float32)
    numbers = (tuple(map(np.float32, values)) for values in (scale, shift))
    resize_to_planes(image, whole(image, shape), LINEAR, True, mirror, *numbers, result)  # noqa: FBT003
    return result


@pytest.mark.parametrize("kind", FILTERS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("shape", [(96, 80), (7, 200), (1, 1)])
def test_pixels_are_pillows(size, shape, kind):
    image = noise(*size)
    # Pillow leaves out what is beyond the edges; so they are moved out of its filter's reach.
    down, across = (2 * -(-side // to) + 2 for side, to in zip(size, shape, strict=True))
    box = (across, down, across + size[1], down + size[0])
    padding = ((down, down), (across, across))
    exact = np.stack(
        [
            np.asarray(
                Image.fromarray(np.pad(image[..., channel].astype(np.float32), padding, mode="edge")).resize(
                    shape[::-1], FILTERS[kind], box
                )
            )
            for channel in range(3)
        ],
        axis=2,
    )
    # Half a level is the rounding to uint8; Pillow's floats are single as well.
    assert np.abs(to_pixels(image, shape, kind) - np.clip(exact, 0, 255)).max() < 0.51


@pytest.mark.parametrize("kind", FILTERS)
def test_grey_is_a_channel_of_its_own(kind):
    image = noise(120, 90)
    colour = to_pixels(image, (50, 61), kind)
    for channel in range(3):
        grey = to_pixels(np.ascontiguousarray(image[..., channel : channel + 1]), (50, 61), kind)
        assert np.array_equal(grey[..., 0], colour[..., channel])


def test_without_antialiasing_it_interpolates_between_neighbours():
    for size in SIZES[:5]:
        image = noise(*size)
        wanted = cv2.resize(image, (80, 96), interpolation=cv2.INTER_LINEAR)
        assert np.abs(to_pixels(image, (96, 80), antialias=False).astype(int) - wanted).max() <= 1


def test_the_same_size_changes_nothing():
    image = noise(33, 47)
    for kind in FILTERS:
        assert np.array_equal(to_pixels(image, (33, 47), kind), image)


def test_mirrored_is_the_mirror_image():
    image = noise(120, 90)
    assert np.array_equal(to_pixels(image, (50, 61), mirror=True)[:, ::-1], to_pixels(image, (50, 61)))
    assert np.array_equal(to_planes(image, (50, 61), mirror=True)[:, :, ::-1], to_planes(image, (50, 61)))


def test_planes_are_the_pixels_scaled_and_shifted():
    image = noise(64, 100)
    planes = to_planes(image, (20, 31), scale=(2.0, 3.0, 0.5), shift=(-1.0, 0.0, 7.0))
    plain = to_planes(image, (20, 31))
    assert np.abs(plain.transpose(1, 2, 0) - to_pixels(image, (20, 31))).max() < 0.51
    for channel, (scale, shift) in enumerate(((2.0, -1.0), (3.0, 0.0), (0.5, 7.0))):
        assert np.allclose(planes[channel], plain[channel] * scale + shift, atol=1e-3)


def test_half_planes_are_the_planes_rounded():
    image, shape = noise(64, 100), (20, 31)
    scale, shift = (tuple(map(np.float32, values)) for values in ((0.02, 1e-6, 600.0), (-2.1, 0.0, 0.0)))
    halves = np.zeros((3, *shape), np.uint16)
    resize_to_half_planes(image, whole(image, shape), LINEAR, True, True, scale, shift, halves)  # noqa: FBT003
    with np.errstate(over="ignore"):
        wanted = to_planes(image, shape, scale=scale, shift=shift, mirror=True).astype(np.float16)
    assert np.isinf(wanted[2]).any()
    assert np.array_equal(halves.view(np.float16), wanted)


def test_halves_are_rounded_as_numpy_rounds_them():
    """Each exponent and sign, with those bits behind it that decide how it is rounded."""
    high = np.arange(1 << 19, dtype=np.uint32) << 13
    low = np.array([0, 1, 0xFFF, 0x1000, 0x1001, 0x1FFF], np.uint32)
    values = (high[:, np.newaxis] | low).ravel().view(np.float32)
    halves = np.empty(len(values), np.uint16)
    round_to_half(values, halves)
    with np.errstate(over="ignore", under="ignore"):
        wanted = values.astype(np.float16)
    assert np.array_equal(halves.view(np.float16), wanted, equal_nan=True)
    assert np.array_equal(np.signbit(halves.view(np.float16)), np.signbit(wanted))


def test_a_part_of_the_image_sees_the_pixels_around_it():
    image = noise(100, 100)
    large = to_pixels(image, (50, 50))
    part = to_pixels(image, (20, 10), grid=(2.0 * 15, 2.0 * 20, 2.0, 2.0))
    assert np.array_equal(part, large[15:35, 20:30])


def run(program, **variables):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **variables}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_processors_with_and_without_wide_registers_make_the_same_pixels(tmp_path):
    program = """
import hashlib
import numpy as np
from dali_rec.resampling import *
from numba.core import config
random, found = np.random.default_rng(0), hashlib.sha256()
for height, width in ((300, 411), (97, 64), (224, 224)):
    image = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
    grid = (0.0, 0.0, height / 100, width / 90)
    for kind in (LINEAR, CUBIC):
        pixels = np.zeros((100, 90, 3), np.uint8)
        resize_to_pixels(image, grid, kind, True, False, pixels)
        found.update(pixels)
    planes = np.zeros((3, 100, 90), np.float32)
    numbers = tuple(map(np.float32, (1 / 58, 1 / 57, 1 / 57))), tuple(map(np.float32, (-2.1, -2.0, -1.8)))
    resize_to_planes(image, grid, LINEAR, True, True, *numbers, planes)
    found.update(planes)
    halves = np.zeros((3, 100, 90), np.uint16)
    resize_to_half_planes(image, grid, LINEAR, True, True, *numbers, halves)
    found.update(halves)
print(config.CPU_NAME, found.hexdigest())
"""
    plain = run(program, NUMBA_CPU_NAME="generic", NUMBA_CPU_FEATURES="", NUMBA_CACHE_DIR=str(tmp_path))
    native = run(program)
    assert plain.split()[0] == "generic"
    assert native.split()[0] != "generic"
    assert plain.split()[1] == native.split()[1]


def test_it_works_where_no_cache_can_be_written():
    run("""
import numba.core.caching
numba.core.caching.CacheImpl._locator_classes = []
from dali_rec.resampling import *
import numpy as np
try:
    numba.njit(cache=True)(lambda: 0)
except RuntimeError:
    pass
else:
    raise AssertionError("there is a place for a cache")
out = np.zeros((2, 2, 3), np.uint8)
resize_to_pixels(np.full((4, 4, 3), 9, np.uint8), (0.0, 0.0, 2.0, 2.0), 0, True, False, out)
assert (out == 9).all()
""")
