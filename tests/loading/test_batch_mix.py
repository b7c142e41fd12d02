import numpy as np
import pytest
from PIL import Image
from support import encoded, picture

import dali_rec
from dali_rec import Loader
from dali_rec.errors import LoaderError
from dali_rec.loading import BatchMix
from dali_rec.loading.batch_mix import draw_mixture, mix_labels

pytest.importorskip("nvidia.dali", reason="DALI is not installed")

CLASSES = 5


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """23 pictures of 5 classes, each of one colour, which tells the class."""
    folder = tmp_path_factory.mktemp("mix")
    with dali_rec.RecordWriter(folder / "x.rec") as writer:
        for key in range(23):
            pixels = np.full((32, 32, 3), 40 * (key % CLASSES), np.uint8)
            writer.write_image(encoded(Image.fromarray(pixels), "PNG"), float(key % CLASSES), key)
    return folder / "x.rec"


def loader(data, mix, **options):
    options = {"framework": "numpy", "augment": None, "mean": (0, 0, 0), "std": (1, 1, 1), "seed": 3, **options}
    return Loader(data, 8, 32, device="cpu", threads=2, batch_mix=mix, **options)


def classes_of(images):
    """What the labels of mixed one-coloured images must be, from their pixels: how much of each class' colour."""
    return images.mean(axis=(1, 2, 3)) * 255 / 40


@pytest.mark.parametrize("mix", [BatchMix(cutmix=0, classes=5), BatchMix(mixup=0, classes=5), BatchMix(classes=5)])
def test_labels_are_mixed_as_the_images_are(data, mix):
    mixed = 0
    batches = [batch for _ in range(3) for batch in loader(data, mix, shuffle="global", seed=mixed)]
    for images, labels in batches:
        assert labels.shape == (len(images), CLASSES)
        assert labels.dtype == np.float32
        assert np.allclose(labels.sum(axis=1), 1, atol=1e-5)
        assert np.allclose(classes_of(images), labels @ np.arange(CLASSES), atol=0.02)
        mixed += int(((labels > 0.001).sum(axis=1) > 1).any())
    assert mixed


def test_mixup_is_an_average_and_cutmix_a_rectangle(data):
    for images, _ in loader(data, BatchMix(cutmix=0, classes=5), shuffle=True):
        assert all(len(np.unique(image)) == 1 for image in images)
    rectangles = 0
    for images, labels in loader(data, BatchMix(mixup=0, classes=5), shuffle=True):
        originals = [set(np.flatnonzero(label > 0.001)) for label in labels]
        shown = [set(np.rint(np.unique(image) * 255 / 40).astype(int)) for image in images]
        assert shown == originals
        rectangles += sum(len(values) == 2 for values in shown)
    assert rectangles


def test_without_chance_labels_are_one_hot_and_smoothed(data):
    plain = loader(data, None, shuffle=False)
    for (images, labels), (before, classes) in zip(
        loader(data, BatchMix(chance=0, smoothing=0.1, classes=5), shuffle=False), plain, strict=True
    ):
        assert np.array_equal(images, before)
        assert np.array_equal(labels.argmax(axis=1), classes)
        assert np.allclose(np.sort(labels, axis=1), [0.02, 0.02, 0.02, 0.02, 0.92])


def test_resume_mixes_the_same(data):
    whole = loader(data, BatchMix(classes=5), shuffle="global")
    epochs = [[(np.array(images), labels) for images, labels in whole] for _ in range(2)]
    stopped = loader(data, BatchMix(classes=5), shuffle="global")
    list(stopped)
    batches = iter(stopped)
    next(batches)
    state = stopped.state_dict()
    resumed = loader(data, BatchMix(classes=5), shuffle="global")
    resumed.load_state_dict(state)
    rest = list(resumed)
    assert len(rest) == len(epochs[1]) - 1
    for (images, labels), (same_images, same_labels) in zip(rest, epochs[1][1:], strict=True):
        assert np.array_equal(images, same_images)
        assert np.array_equal(labels, same_labels)
    assert not np.array_equal(epochs[0][0][1], epochs[1][0][1])


def test_a_state_of_another_mix_is_refused(data):
    state = loader(data, BatchMix(classes=5)).state_dict()
    with pytest.raises(LoaderError, match="batch_mix"):
        loader(data, BatchMix(mixup=0.4, classes=5)).load_state_dict(state)


@pytest.mark.parametrize("framework", ["torch", "jax", "tensorflow"])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_every_framework_mixes_alike(data, framework, dtype):
    pytest.importorskip(framework)
    for mix in (BatchMix(mixup=0, classes=5), BatchMix(cutmix=0, classes=5)):
        theirs = loader(data, mix, framework=framework, dtype=dtype, shuffle="global")
        ours = loader(data, mix, dtype=dtype, shuffle="global")
        for (images, labels), (expected, targets) in zip(theirs, ours, strict=True):
            assert dtype in str(images.dtype)
            assert np.allclose(np.asarray(images), expected, atol=2e-3)
            assert np.allclose(np.asarray(labels), targets)


def test_keras_shapes(data):
    spec = loader(data, BatchMix(classes=5), last_batch="drop").element_spec
    assert spec[1] == ((8, 5), "float32")


def test_several_labels_are_mixed_as_rows(tmp_path):
    with dali_rec.RecordWriter(tmp_path / "x.rec") as writer:
        for key in range(8):
            writer.write_image(encoded(picture(key, (32, 32)), "JPEG"), [1.0, float(key % 2)], key)
    for _, labels in loader(tmp_path / "x.rec", BatchMix(cutmix=0), shuffle=False):
        assert np.allclose(labels[:, 0], 1)
        assert ((labels[:, 1] > 0) & (labels[:, 1] < 1)).all()


def test_what_cannot_be_mixed_is_refused(data):
    with pytest.raises(ValueError, match="classes"):
        loader(data, "mixup")
    with pytest.raises(ValueError, match="normalised"):
        loader(data, BatchMix(classes=5), dtype="uint8")
    with pytest.raises(ValueError, match="one view"):
        loader(data, BatchMix(classes=5), augment="ssl")
    with pytest.raises(ValueError, match="'mixup', 'cutmix', 'both'"):
        loader(data, "blend")
    for wrong in (
        {"mixup": -1},
        {"mixup": 0, "cutmix": 0},
        {"chance": 2},
        {"smoothing": 1},
        {"classes": 0},
        {"classes": 5.0},
    ):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            BatchMix(**wrong)
    with pytest.raises(ValueError, match="has 3 classes"):
        list(loader(data, BatchMix(classes=3)))


def test_the_share_of_cutmix_is_the_area_that_shows():
    for seed in range(200):
        mixture = draw_mixture(BatchMix(mixup=0, classes=5), (40, 60), (seed,))
        top, bottom, left, right = mixture.box
        assert 0 <= top <= bottom <= 40
        assert 0 <= left <= right <= 60
        assert mixture.weight == pytest.approx(1 - (bottom - top) * (right - left) / 2400)
    weights = [draw_mixture(BatchMix(mixup=0), (200, 200), (seed,)).weight for seed in range(2000)]
    assert np.mean(weights) > 0.5  # what the borders cut off belongs to the image itself
    drawn = [draw_mixture(BatchMix(chance=0.25), (40, 40), (seed,)) for seed in range(2000)]
    assert np.mean([one is not None for one in drawn]) == pytest.approx(0.25, abs=0.03)
    assert np.mean([one.box is not None for one in drawn if one]) == pytest.approx(0.5, abs=0.08)


def test_mixed_labels_by_hand():
    mixed = mix_labels(np.array([0, 2]), 3, 0.0, draw_mixture(BatchMix(cutmix=0), (4, 4), (1,)))
    weight = mixed[0, 0]
    assert np.allclose(mixed, [[weight, 0, 1 - weight], [1 - weight, 0, weight]])
