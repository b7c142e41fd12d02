"""What only a GPU can show; tools/gpu_check runs these and writes down what came of them."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from runs_of import runs_of
from support import encoded, on_host, picture, require_on_gpu

import dali_rec
from dali_rec import Loader
from dali_rec.bench.crop_probe import why_not_in_decoder
from dali_rec.demo import write_images
from dali_rec.loading import Augmentation, BoxAugmentation, Tuned, choose_device

pytestmark = pytest.mark.gpu


BUSY = {
    "torch": lambda torch: torch.rand(4096, 4096, device="cuda"),
    "cupy": lambda cupy: cupy.random.rand(4096, 4096, dtype="float32"),
    "jax": lambda jax: jax.random.uniform(jax.random.key(0), (4096, 4096)),
    "tensorflow": lambda tensorflow: tensorflow.random.uniform((4096, 4096)),
}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """160 drawn JPEGs of many sizes, some grey, some progressive, packed into three shards."""
    folder = tmp_path_factory.mktemp("drawn")
    write_images(folder / "images", per_class=20)
    dali_rec.pack(folder / "images", folder / "x", shards=3)
    return folder / "x"


def assert_alike(images, others):
    """Equal but for the transform, and for chroma at edges, which the GPU's decoder scales up by repeating it."""
    difference = np.abs(images.astype(int) - others.astype(int))
    assert difference.mean() <= 1
    assert (difference > 8).mean() <= 0.01


@pytest.mark.parametrize("augment", ["eval", None])
def test_pixels_of_the_gpu_are_those_of_the_cpu(drawn, augment):
    options = {"augment": augment, "dtype": "uint8", "framework": "numpy", "shuffle": False}
    on_gpu = Loader(drawn, 16, 96, device="gpu", **options)
    on_cpu = Loader(drawn, 16, 96, device="cpu", **options)
    for (gpu_images, gpu_labels), (cpu_images, cpu_labels) in zip(on_gpu, on_cpu, strict=True):
        assert np.array_equal(gpu_labels, cpu_labels)
        assert_alike(gpu_images, cpu_images)


EVERYTHING = Augmentation(jitter=(0.1, 0.1, 0.1, 0.1), grey=0.2, blur=0.5, erase=0.5, views=2)


@pytest.mark.parametrize(
    "augment",
    ["train", "randaugment", "trivialaugment", "autoaugment", EVERYTHING],
    ids=lambda augment: augment if isinstance(augment, str) else "everything",
)
def test_augmentations_of_the_gpu_are_those_of_the_cpu(drawn, augment):
    options = {"augment": augment, "dtype": "uint8", "framework": "numpy", "shuffle": False, "seed": 7}
    with runs_of(1):  # for the same random numbers; of others the mean difference is 27 and more
        on_gpu, on_cpu = (Loader(drawn, 16, 96, device=device, **options) for device in ("gpu", "cpu"))
    for (gpu_images, _), (cpu_images, _) in zip(on_gpu, on_cpu, strict=True):
        assert np.abs(np.asarray(gpu_images).astype(int) - np.asarray(cpu_images).astype(int)).mean() <= 4


@pytest.mark.parametrize(
    "settings",
    [
        Tuned(hw_decoder_load=0.0),
        Tuned(hw_decoder_load=1.0, pad_memory=True),
        Tuned(threads=3, prefetch=4, preallocate=False),
        Tuned(preallocate=True),
    ],
)
def test_tuned_settings_change_no_image(drawn, settings):
    options = {"augment": "train", "dtype": "uint8", "framework": "numpy", "shuffle": True, "device": "gpu"}
    plain, tuned = (Loader(drawn, 16, 96, tuned=choice, **options) for choice in (False, settings))
    for (images, labels), (same_images, same_labels) in zip(plain, tuned, strict=True):
        assert np.array_equal(labels, same_labels)
        assert_alike(images, same_images)


@pytest.mark.parametrize("augment", ["train", BoxAugmentation(zoom_out=2.0, fit="pad", jitter=(0.1, 0.1, 0.1, 0.0))])
def test_boxes_of_the_gpu_are_those_of_the_cpu(tmp_path, augment):
    write_images(tmp_path / "images", per_class=4)
    names = sorted(path.relative_to(tmp_path / "images").as_posix() for path in (tmp_path / "images").rglob("*.jpg"))
    rows = [f"{key}\t2\t5\t{key}\t0.{key % 5}\t0.1\t0.9\t0.8\t{name}\n" for key, name in enumerate(names)]
    (tmp_path / "boxes.lst").write_text("".join(rows))
    dali_rec.pack(tmp_path / "boxes.lst", tmp_path / "x", root=tmp_path / "images")
    options = {"augment": augment, "boxes": "pad", "dtype": "uint8", "framework": "numpy", "shuffle": False, "seed": 2}
    with runs_of(1):  # for the same random numbers
        on_gpu, on_cpu = (Loader(tmp_path / "x", 8, 96, device=device, **options) for device in ("gpu", "cpu"))
    for (gpu_images, gpu_boxes), (cpu_images, cpu_boxes) in zip(on_gpu, on_cpu, strict=True):
        assert np.array_equal(gpu_boxes, cpu_boxes)
        assert np.abs(gpu_images.astype(int) - cpu_images.astype(int)).mean() <= 2


@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8"])
def test_torch_tensors_lie_on_the_gpu(drawn, dtype):
    shape = (16, 96, 96, 3) if dtype == "uint8" else (16, 3, 96, 96)
    loader = Loader(drawn, 16, 96, dtype=dtype)
    assert loader.device.is_gpu
    images, labels = next(iter(loader))
    assert (images.device, labels.device) == (torch.device("cuda", 0), torch.device("cuda", 0))
    assert (tuple(images.shape), images.dtype, labels.dtype) == (shape, getattr(torch, dtype), torch.int64)


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("batch_size", [7, 64])
def test_every_epoch_yields_every_record_once(drawn, batch_size, shuffle):
    loader = Loader(drawn, batch_size, 32, device="gpu", shuffle=shuffle, with_ids=True)
    for _ in range(3):
        assert sorted(np.concatenate([ids for _, _, ids in loader]).tolist()) == list(range(160))


def test_tensors_stay_valid_after_later_batches(drawn):
    kept = [(images, images.clone()) for images, _ in Loader(drawn, 16, 64, device="gpu")]
    assert all(torch.equal(images, copy) for images, copy in kept)


def test_same_seed_gives_the_same_batches(drawn):
    first, again = (list(Loader(drawn, 16, 64, device="gpu", seed=5)) for _ in range(2))
    for (images, labels), (same_images, same_labels) in zip(first, again, strict=True):
        assert torch.equal(labels, same_labels)
        # Which images the JPEG engines take is a matter of timing, and their pixels are not quite those of others.
        assert (images - same_images).abs().mean() < 0.05


@pytest.mark.parametrize("shuffle", [True, "global"])
def test_a_state_goes_on_in_the_middle_of_an_epoch(drawn, shuffle):
    options = {"device": "gpu", "seed": 3, "shuffle": shuffle, "augment": "ssl", "with_ids": True}
    whole = Loader(drawn, 16, 64, **options)
    batches = iter(whole)
    for _ in range(4):
        next(batches)
    resumed = Loader(drawn, 16, 64, **options)
    resumed.load_state_dict(json.loads(json.dumps(whole.state_dict())))
    for (views, labels, ids), (same_views, same_labels, same_ids) in zip(batches, resumed, strict=True):
        assert np.array_equal(ids, same_ids)
        assert torch.equal(labels, same_labels)
        assert all((one - same).abs().mean() < 0.05 for one, same in zip(views, same_views, strict=True))


@pytest.mark.parametrize("framework", BUSY)
def test_batches_are_mixed_on_the_gpu(drawn, framework):
    require_on_gpu(framework)
    options = {"augment": "eval", "shuffle": False, "batch_mix": "both"}
    on_gpu = Loader(drawn, 16, 64, device="gpu", framework=framework, **options)
    for (images, labels), (same_images, same_labels) in zip(
        on_gpu, Loader(drawn, 16, 64, device="gpu", framework="numpy", **options), strict=True
    ):
        assert np.abs(on_host(images) - same_images).mean() < 0.02
        assert np.allclose(on_host(labels), same_labels)


@pytest.mark.parametrize("framework", BUSY)
def test_memory_is_not_used_again_before_the_work_on_it_is_done(drawn, framework):
    # The work of each batch is queued behind much other work, and the batch is dropped at once.
    module = require_on_gpu(framework)
    mean = module.reduce_mean if framework == "tensorflow" else lambda images: images.mean()
    busy = BUSY[framework](module)
    loader = Loader(drawn, 16, 96, device="gpu", augment="eval", shuffle=False, framework=framework)
    wanted = [float(mean(images)) for images, _ in loader]
    means = []
    for images, _ in loader:
        for _ in range(20):
            busy = busy @ busy / 4096
        means.append(mean(images))
    assert [float(one) for one in means] == pytest.approx(wanted, abs=0.005)


def test_crops_cut_out_by_the_decoder_are_those_of_the_whole_image(drawn):
    why_not = why_not_in_decoder(dali_rec.open(drawn), choose_device("gpu"))
    if why_not is not None:
        pytest.skip(f"this GPU's decoder does not cut out crops: {why_not}")
    options = {"dtype": "uint8", "framework": "numpy", "device": "gpu", "seed": 7}
    whole, cut = (Loader(drawn, 16, 96, tuned=Tuned(crop_in_decoder=cuts), **options) for cuts in (False, True))
    for (images, labels), (same_images, same_labels) in zip(whole, cut, strict=True):
        assert np.array_equal(labels, same_labels)
        assert_alike(images, same_images)


SKIPPING = """
import sys
import dali_rec
loader = dali_rec.Loader(sys.argv[1], 128, 64, device="gpu", on_error="skip")
for _ in range(3):
    print(sum(len(labels) for _, labels in loader), len(loader.skipped))
"""


def loaded_and_skipped(path):
    """What a process of its own, which may crash, prints of each of three epochs: images, and images skipped so far."""
    command = [sys.executable, "-c", SKIPPING, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return [tuple(map(int, line.split())) for line in done.stdout.splitlines()]


def test_large_batches_survive_images_without_a_header(tmp_path):
    write_images(tmp_path / "images", per_class=2)
    files = sorted((tmp_path / "images").rglob("*.jpg"))
    with dali_rec.RecordWriter(tmp_path / "x.rec") as writer:
        for key in range(640):
            image = b"<html>no image</html>" if key % 200 == 77 else files[key % len(files)].read_bytes()
            writer.write_image(image, 0.0, key)
    assert loaded_and_skipped(tmp_path / "x") == [(637, 3), (637, 6), (637, 9)]


def test_images_damaged_behind_the_header_are_counted(tmp_path):
    # Which of them the GPU's decoder takes all the same, we leave to it.
    write_images(tmp_path / "images", per_class=2)
    files = sorted((tmp_path / "images").rglob("*.jpg"))
    photo, drawing = files[0].read_bytes(), encoded(picture(), "PNG")
    middle = len(photo) // 2
    damaged = [photo[:middle], photo[:middle] + bytes(range(256)) + photo[middle + 256 :], drawing[: len(drawing) // 2]]
    with dali_rec.RecordWriter(tmp_path / "x.rec") as writer:
        for key in range(640):
            image = damaged[key // 100 % 3] if key % 100 == 77 else files[key % len(files)].read_bytes()
            writer.write_image(image, 0.0, key)
    before = 0
    for loaded, skipped in loaded_and_skipped(tmp_path / "x"):
        assert loaded + skipped - before == 640
        assert 2 <= skipped - before <= 6  # of a PNG that breaks off nothing comes
        before = skipped
