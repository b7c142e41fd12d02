import io
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

import dali_rec
from dali_rec import Loader
from dali_rec.loading.finish import choose_resizer

pytest.importorskip("nvidia.dali", reason="DALI is not installed")

SIZES = [(640, 480), (375, 500), (120, 90), (224, 224), (1000, 31), (3, 2)]
AUGMENTS = ("train", "eval", None)


def pack(path, images):
    with dali_rec.RecordWriter(path) as writer:
        for key, pixels in enumerate(images):
            file = io.BytesIO()
            Image.fromarray(pixels).save(file, "PNG")
            writer.write_image(file.getvalue(), float(key), key)
    return path


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    """Of many sizes: what antialiasing and rounding make of it differs the most."""
    random = np.random.default_rng(0)
    images = (random.integers(0, 256, (*SIZES[key % len(SIZES)][::-1], 3), dtype=np.uint8) for key in range(36))
    return pack(tmp_path_factory.mktemp("resize") / "noise.rec", images)


@pytest.fixture(scope="module")
def slopes(tmp_path_factory):
    """Even slopes down and across: where a pixel is taken from can be read from it, and any filter keeps them."""
    sizes = [(480, 640), (641, 479), (333, 500), (97, 301), (256, 256), (1025, 771), (90, 64), (224, 224)]

    def image(height, width):
        down, across = np.linspace(0, 255, height)[:, None], np.linspace(0, 255, width)[None]
        planes = (down + 0 * across, across + 0 * down, (down + across) / 2)
        return np.stack(planes, axis=2).round().astype(np.uint8)

    return pack(tmp_path_factory.mktemp("resize") / "slopes.rec", (image(*size) for size in sizes))


def batches(path, size, resizer, **options):
    options = {"framework": "numpy", "dtype": "uint8", "seed": 4, "resizer": resizer, **options}
    return list(Loader(path, 4, size, device="cpu", **options))


def levels(images, dtype):
    """Normalised images as levels of 0…255 in NHWC."""
    if dtype == "uint8":
        return images.astype(float)
    mean, std = (np.array(values) for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    return 255 * (images.astype(float).transpose(0, 2, 3, 1) * std + mean)


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float16"])
@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("augment", AUGMENTS)
@pytest.mark.parametrize("size", [(96, 80), (33, 47), (224, 224), (64, 17)])
def test_pixels_are_taken_from_where_dali_takes_them(slopes, augment, size, antialias, dtype):
    options = {"augment": augment, "antialias": antialias, "dtype": dtype}
    ours, theirs = (batches(slopes, size, name, **options) for name in ("numba", "dali"))
    for (images, labels), (others, same) in zip(ours, theirs, strict=True):
        assert np.array_equal(labels, same)
        assert (images.shape, images.dtype) == (others.shape, others.dtype)
        difference = np.abs(levels(images, dtype) - levels(others, dtype))
        assert difference.max() < 1.1  # DALI rounds before it normalises


@pytest.mark.parametrize("size", [(96, 80), (33, 47), (50, 34)])
@pytest.mark.parametrize("augment", AUGMENTS)
@pytest.mark.parametrize("antialias", [True, False])
def test_photographs_are_those_of_dali(photographs, tmp_path, antialias, augment, size):
    with dali_rec.RecordWriter(tmp_path / "x.rec") as writer:
        for key, path in enumerate(sorted(photographs.glob("*.JPEG"))[:24]):
            writer.write_image(path.read_bytes(), float(key), key)
    options = {"augment": augment, "antialias": antialias}
    ours, theirs = (batches(tmp_path / "x.rec", size, name, **options) for name in ("numba", "dali"))
    for (images, labels), (others, same) in zip(ours, theirs, strict=True):
        assert np.array_equal(labels, same)
        difference = np.abs(images.astype(int) - others)
        assert difference.max() <= 1
        assert difference.mean() < 0.05


@pytest.mark.parametrize("antialias", [True, False])
def test_whole_images_are_pillows(noise, antialias):
    dataset = dali_rec.open(noise)
    made = np.concatenate(
        [images for images, _ in batches(noise, (96, 80), "auto", augment=None, shuffle=False, antialias=antialias)]
    )
    for image, record in zip(made, dataset, strict=True):
        original = Image.open(io.BytesIO(record.image))
        if antialias:
            wanted = np.asarray(original.resize((80, 96), Image.Resampling.BILINEAR), int)
        else:
            wanted = cv2.resize(np.asarray(original), (80, 96), interpolation=cv2.INTER_LINEAR).astype(int)
        # Pillow's filter leaves out what is beyond the edges.
        difference = np.abs(image - wanted)
        assert (difference[1:-1, 1:-1] if antialias else difference).max() <= 1


def test_random_numbers_go_on_as_without(noise):
    whole = Loader(noise, 8, 64, device="cpu", seed=9)
    assert whole._runs.image.resizer == "numba"
    first, second = ([images.clone() for images, _ in whole] for _ in range(2))
    stopped = Loader(noise, 8, 64, device="cpu", seed=9)
    iterator = iter(stopped)
    next(iterator)
    state = stopped.state_dict()
    resumed = Loader(noise, 8, 64, device="cpu", seed=9)
    resumed.load_state_dict(state)
    rest = [images for images, _ in resumed] + [images for images, _ in resumed]
    assert len(rest) == len(first) + len(second) - 1
    assert all(torch.equal(one, other) for one, other in zip(rest, [*first[1:], *second], strict=True))


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_threads_and_the_size_of_batches_change_no_image(noise, dtype):
    def images(threads):
        made = Loader(
            noise, 5, 50, device="cpu", threads=threads, augment="eval", shuffle=False, dtype=dtype, framework="numpy"
        )
        return np.concatenate([images for images, _ in made])

    assert np.array_equal(images(1), images(3))


@pytest.mark.parametrize("augment", ["ssl", "randaugment", "trivialaugment", "autoaugment"])
def test_views_and_policies_resize_alike(noise, augment):
    ours = list(Loader(noise, 8, 64, device="cpu", augment=augment))
    theirs = list(Loader(noise, 8, 64, device="cpu", augment=augment, resizer="dali"))
    for (images, labels), (others, same) in zip(ours, theirs, strict=True):
        assert torch.equal(labels, same)
        pairs = zip(images, others, strict=True) if augment == "ssl" else [(images, others)]
        assert all((image - other).abs().mean() < 0.1 for image, other in pairs)


def test_the_choice(monkeypatch):
    assert choose_resizer("auto", on_gpu=True) == "dali"
    assert choose_resizer("auto", on_gpu=False) == "numba"
    assert choose_resizer("dali", on_gpu=False) == "dali"
    monkeypatch.setitem(sys.modules, "numba", None)
    assert choose_resizer("auto", on_gpu=False) == "dali"


def test_what_cannot_be_had_is_refused(noise, monkeypatch):
    with pytest.raises(ValueError, match="expected 'auto', 'dali' or 'numba'"):
        Loader(noise, 8, 64, device="cpu", resizer="pillow")
    with pytest.raises(ValueError, match="works on the CPU"):
        choose_resizer("numba", on_gpu=True)
    monkeypatch.setitem(sys.modules, "numba", None)
    with pytest.raises(dali_rec.errors.MissingDependencyError, match="pip install --upgrade numba"):
        Loader(noise, 8, 64, device="cpu", resizer="numba", framework="numpy")


def test_without_numba_dali_does_it(noise, monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    with_dali = batches(noise, 40, "dali")
    for (images, _), (others, _) in zip(batches(noise, 40, "auto"), with_dali, strict=True):
        assert np.array_equal(images, others)


ENDINGS = {
    "falls off the end": "",
    "raises": "raise ValueError('on purpose')",
    "exits": "raise SystemExit(1)",
    "drops the loader": "del loader, batches",
    "is in a thread": "import threading; threading.Thread(target=lambda: [next(batches) for _ in range(2)]).start()",
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_program_may_end_with_batches_in_the_making(noise, ending):
    program = f"""
import dali_rec
loader = dali_rec.Loader({str(noise)!r}, 2, 200, device="cpu", prefetch=4, framework="numpy")
batches = iter(loader)
next(batches)
{ENDINGS[ending]}
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == (1 if ending in ("raises", "exits") else 0), done.stderr
    assert "terminate" not in done.stderr
