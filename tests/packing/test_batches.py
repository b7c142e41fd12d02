"""Packing by batches, as on a GPU, but with DALI's and nvImageCodec's CPU parts where there is none."""

import functools
import io
import json
import math
import re
import subprocess
import sys
import types
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from image_kinds import jpeg_with, jpeg_xmp
from PIL import Image
from support import encoded, jpeg

import dali_rec
from dali_rec.cli import main
from dali_rec.errors import DatasetError, DeviceUnavailableError, ImageRejectedError
from dali_rec.packing import batches, choose_device
from dali_rec.packing.batches import BatchTransformer, see, transform_or_reject
from dali_rec.packing.options import ImageOptions, PackOptions, RunOptions

pytest.importorskip("nvidia.dali", reason="DALI is not installed")
pytest.importorskip("nvidia.nvimgcodec", reason="nvImageCodec is not installed")


def smooth(seed, size=(200, 150)):
    """A picture without hard edges, which resizers agree on."""
    random = np.random.default_rng(seed)
    small = Image.fromarray(random.integers(0, 256, (5, 6, 3), dtype=np.uint8))
    return small.resize(size, Image.Resampling.BICUBIC)


def rotated(seed):
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(smooth(seed), "JPEG", quality=95, exif=exif)


def scrambled():
    """A JPEG that begins and ends as it should, with a table of codes that none can be."""
    data = bytearray(jpeg(3, (120, 90)))
    at = data.index(b"\xff\xc4") + 5
    data[at : at + 16] = b"\xff" * 16
    return bytes(data)


def damaged():
    """A JPEG of which the middle is missing."""
    data = encoded(smooth(3), "JPEG", quality=95)
    return data[: len(data) // 2] + data[-2:]


def without_tables():
    """A JPEG that lacks its tables of quantization, which only decoding finds out."""
    return encoded(smooth(3), "JPEG", quality=95).replace(b"\xff\xdb", b"\xff\xe5")


ODD = {
    "a PNG": lambda: encoded(smooth(1), "PNG"),
    "a grey JPEG": lambda: encoded(smooth(2).convert("L"), "JPEG"),
    "a CMYK JPEG": lambda: encoded(smooth(2).convert("CMYK"), "JPEG"),
    "a JPEG of RGB": lambda: encoded(smooth(2), "JPEG", keep_rgb=True),
    "a small JPEG": lambda: encoded(smooth(4, (50, 40)), "JPEG"),
    "a JPEG on its side": lambda: rotated(5),
    "a JPEG on its side by XMP": lambda: jpeg_with(jpeg_xmp(6), image=encoded(smooth(8))),
    "a progressive JPEG": lambda: encoded(smooth(6), "JPEG", progressive=True),
    "a JPEG that breaks off": lambda: encoded(smooth(7), "JPEG")[:-40],
    "a scrambled JPEG": scrambled,
    "a damaged JPEG": damaged,
    "a JPEG without tables": without_tables,
    "no image": lambda: b"this is no image",
    "nothing": lambda: b"",
}


@pytest.fixture(scope="module")
def pool():
    with ThreadPoolExecutor(2) as pool:
        yield pool


def made(transformer, data):
    """What becomes of encoded images."""
    return transformer.transform([see(one, transformer._options) for one in data])


def psnr(one, other):
    error = np.mean((np.asarray(one, float) - np.asarray(other, float)) ** 2)
    return 99.0 if not error else 10 * math.log10(255**2 / error)


def same_but_for_pixels(ours, theirs):
    if isinstance(theirs, ImageRejectedError):
        assert str(ours) == str(theirs)
        return
    assert (ours.width, ours.height) == (theirs.width, theirs.height)
    if ours.data != theirs.data:
        image, other = (Image.open(io.BytesIO(one.data)) for one in (ours, theirs))
        assert (image.size, image.mode, image.format) == (other.size, other.mode, other.format)
        assert image.quantization == other.quantization
        assert psnr(image, other) > 30


@pytest.mark.parametrize(
    "options",
    [
        {"resize": 64},
        {"resize": 64, "resize_mode": "fill", "quality": 80},
        {"resize": 97, "resize_mode": "longer", "interpolation": "linear"},
        {"resize": 64, "resize_mode": "exact"},
        {"center_crop": True},
        {"resize": 64, "encoding": "png"},
        {"resize": 64, "color": "gray"},
        {},
    ],
)
def test_images_are_those_of_the_cpu(pool, options):
    options = ImageOptions(**options)
    data = [encoded(smooth(seed), "JPEG", quality=95) for seed in range(6)] + [make() for make in ODD.values()]
    transformer = BatchTransformer(options, pool, on_gpu=False, threads=2)
    for _ in range(2):
        outcomes = made(transformer, data)
        assert len(outcomes) == len(data)
        for one, outcome in zip(data, outcomes, strict=True):
            same_but_for_pixels(outcome, transform_or_reject(one, options))


def kinds_of_jpeg():
    exif = Image.Exif()
    for orientation in range(1, 9):
        exif[0x0112] = orientation
        yield encoded(smooth(orientation), "JPEG", quality=95, exif=exif)
    for options in ({"progressive": True}, {"subsampling": 0}, {"subsampling": 1}, {"restart_marker_blocks": 4}):
        yield encoded(smooth(1), "JPEG", quality=95, **options)
    for size in ((201, 151), (1023, 97), (65, 700)):
        yield encoded(smooth(2, size), "JPEG", quality=95)


@pytest.mark.parametrize("on_gpu", [False, pytest.param(True, marks=pytest.mark.gpu)])
@pytest.mark.parametrize("options", [{}, {"resize_mode": "fill", "interpolation": "linear"}, {"resize_mode": "exact"}])
def test_all_kinds_of_jpeg_go_by_batches(pool, options, on_gpu):
    options = ImageOptions(resize=64, **options)
    data = list(kinds_of_jpeg())
    transformer = BatchTransformer(options, pool, on_gpu=on_gpu, threads=2)
    for one, outcome in zip(data, made(transformer, data), strict=True):
        same_but_for_pixels(outcome, transform_or_reject(one, options))
    assert (transformer.by_batches, transformer.alone) == (len(data), 0)


@pytest.mark.parametrize("on_gpu", [False, pytest.param(True, marks=pytest.mark.gpu)])
def test_an_image_at_which_a_batch_fails_leaves_the_others(pool, on_gpu):
    options = ImageOptions(resize=64, trust=True)
    good = [encoded(smooth(seed), "JPEG", quality=95) for seed in range(3)]
    transformer = BatchTransformer(options, pool, on_gpu=on_gpu, threads=2)
    for data in (good, [*good, without_tables()], good):
        for one, outcome in zip(data, made(transformer, data), strict=True):
            same_but_for_pixels(outcome, transform_or_reject(one, options))
    assert (transformer.by_batches, transformer.alone) == (6, 4)


@pytest.mark.parametrize("kind", ["a PNG", "a grey JPEG", "a CMYK JPEG", "a JPEG of RGB", "a damaged JPEG"])
def test_what_a_gpu_may_decode_otherwise_goes_alone(pool, kind):
    transformer = BatchTransformer(ImageOptions(resize=64), pool, on_gpu=False, threads=2)
    made(transformer, [encoded(smooth(1), "JPEG"), ODD[kind]()])
    assert (transformer.by_batches, transformer.alone) == (1, 1)


def test_images_of_many_pixels_are_decoded_in_parts(pool, monkeypatch):
    sizes = []

    def make(_self, _pipeline, images):
        sizes.append([Image.open(io.BytesIO(one.data)).size for one in images])
        return [one.data[:9] for one in images]

    monkeypatch.setattr(BatchTransformer, "_make", make)
    monkeypatch.setattr(BatchTransformer, "_build", lambda _self: object())
    monkeypatch.setattr(batches, "_MOST_PIXELS", 2 * 200 * 150)
    parts = [[(200, 150), (200, 150)], [(200, 150)], [(400, 300)], [(200, 151), (100, 75), (100, 75)]]
    data = [encoded(smooth(1, size), "JPEG") for part in parts for size in part]
    outcomes = made(BatchTransformer(ImageOptions(resize=64), pool, on_gpu=False, threads=2), data)
    assert sizes == parts
    assert [outcome.data for outcome in outcomes] == [one[:9] for one in data]


def test_good_images_go_by_batches(pool, monkeypatch):
    monkeypatch.setattr(batches, "transform_or_reject", lambda *_: pytest.fail("an image went alone"))
    transformer = BatchTransformer(ImageOptions(resize=64), pool, on_gpu=False, threads=2)
    data = [encoded(smooth(seed), "JPEG") for seed in range(batches.BATCH_SIZE)] + [rotated(3)]
    for some in (data[:5], data[1:], data[:1]):
        assert len(made(transformer, some)) == len(some)
    assert made(transformer, []) == []


def test_a_pipeline_begins_with_a_full_batch(pool, monkeypatch):
    sizes, scaled = [], batches._scaled
    monkeypatch.setattr(
        batches, "_scaled", lambda pipeline, images: sizes.append(len(images)) or scaled(pipeline, images)
    )
    transformer = BatchTransformer(ImageOptions(resize=64), pool, on_gpu=False, threads=2)
    for number in (3, 5):
        made(transformer, [encoded(smooth(seed), "JPEG") for seed in range(number)])
    assert sizes == [batches.BATCH_SIZE, 3, 5]


@pytest.fixture
def folder(tmp_path):
    """140 JPEGs and one of each kind of trouble, in two classes."""
    for number in range(140):
        path = tmp_path / "photos" / f"class_{number % 2}" / f"{number:03d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(smooth(number % 9), "JPEG", quality=95))
    for number, make in enumerate(ODD.values()):
        (tmp_path / "photos" / "class_1" / f"odd{number}.jpg").write_bytes(make())
    return tmp_path / "photos"


@pytest.fixture
def pretend(monkeypatch):
    """As if there were a GPU, and builds of DALI for this system."""
    monkeypatch.setattr(choose_device, "count_gpus", lambda: (1, ""))
    monkeypatch.setattr(choose_device, "has_builds_here", lambda: True)
    on_cpu = functools.partial(batches.prepare_by_batches, on_gpu=False)
    monkeypatch.setattr(batches, "prepare_by_batches", on_cpu)


def test_records_are_the_same_in_the_same_order(folder, tmp_path, pretend, caplog):
    options = {"resize": 64, "shards": 3, "max_bad": 10}
    with caplog.at_level("INFO", "dali_rec"):
        by_batches = dali_rec.pack(folder, tmp_path / "gpu", device="gpu", **options)
    said = re.search(r"packing: (\d+) images went by batches, (\d+) one by one", caplog.text)
    assert int(said[1]) + int(said[2]) == 154
    assert int(said[1]) > 0
    one_by_one = dali_rec.pack(folder, tmp_path / "cpu", device="cpu", **options)
    reasons = [[(bad.sample, bad.reason) for bad in report.rejections] for report in (by_batches, one_by_one)]
    assert reasons[0] == reasons[1]
    assert len(reasons[0]) == 6
    ours, theirs = dali_rec.open(tmp_path / "gpu"), dali_rec.open(tmp_path / "cpu")
    assert len(ours) == len(theirs) == 148
    for record, other in zip(ours, theirs, strict=True):
        assert record.key == other.key
        assert np.array_equal(record.labels, other.labels)
        assert psnr(Image.open(io.BytesIO(record.image)), Image.open(io.BytesIO(other.image))) > 30
    assert json.loads((tmp_path / "gpu.json").read_text())["options"]["device"] == "gpu"
    assert dali_rec.verify(tmp_path / "gpu").ok


def test_resuming_keeps_the_device(folder, tmp_path, pretend, monkeypatch):
    monkeypatch.setattr(choose_device, "_rate", lambda options, _plan: 1.0 + 9.0 * (options.image.device == "cpu"))
    calls = []

    def stop(done, _total):
        calls.append(done)
        if done > 80:
            raise KeyboardInterrupt

    options = {"resize": 64, "shards": 3, "max_bad": 10}
    with pytest.raises(KeyboardInterrupt):
        dali_rec.pack(folder, tmp_path / "x", device="gpu", progress=stop, **options)
    with pytest.raises(DatasetError, match="device was gpu and is cpu"):
        dali_rec.pack(folder, tmp_path / "x", device="cpu", resume=True, **options)
    resumed = dali_rec.pack(folder, tmp_path / "x", device="auto", resume=True, **options)
    assert resumed.manifest.options["device"] == "gpu"
    whole = dali_rec.pack(folder, tmp_path / "whole", device="gpu", **options)
    assert [shard.sha256 for shard in resumed.manifest.shards] == [shard.sha256 for shard in whole.manifest.shards]


MANY = types.SimpleNamespace(samples=range(choose_device.FEWEST_IMAGES))
FEW = types.SimpleNamespace(samples=range(choose_device.FEWEST_IMAGES - 1))


@pytest.fixture
def chosen(monkeypatch):
    def choose(device, rates=(1.0, 1.0), begun=None, image=None, plan=MANY, **run):
        image = ImageOptions(**{"resize": 64, **(image or {})}, device=device)
        monkeypatch.setattr(choose_device, "_rate", lambda options, _plan: rates[options.image.device == "cpu"])
        return choose_device.choose_device(PackOptions(image=image), RunOptions(**run), plan, begun).image.device

    return choose


def test_auto_takes_what_measures_faster(pretend, chosen):
    assert chosen("auto", rates=(1.2, 1.0)) == "gpu"
    assert chosen("auto", rates=(1.05, 1.0)) == "cpu"
    assert chosen("auto", rates=(0.5, 1.0)) == "cpu"
    assert chosen("auto", rates=(0.5, 1.0), begun="gpu") == "gpu"
    assert chosen("auto", rates=(9.0, 1.0), begun="cpu") == "cpu"
    assert chosen("auto", rates=(9.0, 1.0), image={"resize": None}) == "cpu"
    assert chosen("auto", rates=(9.0, 1.0), plan=FEW) == "cpu"
    assert chosen("auto", rates=(9.0, 1.0), engine="ray") == "cpu"
    assert chosen("cpu", rates=(9.0, 1.0)) == "cpu"
    assert chosen("gpu", rates=(0.1, 1.0)) == "gpu"


def test_auto_takes_the_cpu_where_dali_has_no_builds(pretend, chosen, monkeypatch):
    monkeypatch.setattr(choose_device, "has_builds_here", lambda: False)
    assert chosen("auto", rates=(9.0, 1.0)) == "cpu"


def test_driver_is_not_started_where_no_gpu_is_asked_for(chosen, monkeypatch):
    monkeypatch.setattr(choose_device, "count_gpus", None)
    assert chosen("cpu") == "cpu"


def test_auto_times_images_after_the_first(monkeypatch):
    now, made = [0.0], []

    def prepare(_shards, _options):
        for number in range(choose_device.FEWEST_IMAGES):
            now[0] += 1.0 if number < 1000 else 0.01
            made.append(number)
            yield number

    monkeypatch.setattr(choose_device, "prepare_all", prepare)
    monkeypatch.setattr(choose_device, "time", types.SimpleNamespace(perf_counter=lambda: now[0]))
    assert choose_device._rate(PackOptions(), MANY) == pytest.approx(100)
    assert len(made) < 1300  # no more than it takes to know


@pytest.mark.parametrize("error", [RuntimeError("no memory\non the GPU"), MemoryError()])
def test_auto_takes_the_cpu_where_the_gpu_fails(pretend, monkeypatch, caplog, error):
    def rate(options, _plan):
        if options.image.device == "gpu":
            raise error
        return 1.0

    monkeypatch.setattr(choose_device, "_rate", rate)
    options = PackOptions(image=ImageOptions(resize=64, device="auto"))
    assert choose_device.choose_device(options, RunOptions(), MANY, None).image.device == "cpu"
    assert "not on the GPU, which failed at the first images: " in caplog.text


def test_where_no_pipeline_can_be_made_images_go_one_by_one(pool, monkeypatch, caplog):
    tried = []

    def build(_self):
        tried.append(1)
        raise RuntimeError("cudaErrorMemoryAllocation")

    monkeypatch.setattr(BatchTransformer, "_build", build)
    options = ImageOptions(resize=64)
    transformer = BatchTransformer(options, pool, on_gpu=False, threads=2)
    data = [encoded(smooth(seed), "JPEG") for seed in range(3)]
    for _ in range(5):
        assert made(transformer, data) == [transform_or_reject(one, options) for one in data]
    assert len(tried) == batches._MOST_FAILED_BUILDS
    assert caplog.text.count("the rest goes over the processor") == 1


def test_where_batch_after_batch_fails_images_go_one_by_one(pool, monkeypatch, caplog):
    tried = []

    def make(_self, _pipeline, images):
        tried.append(1)
        if len(tried) == 3:  # one in between that does not fail
            return [None] * len(images)
        raise RuntimeError("an illegal memory access was encountered")

    monkeypatch.setattr(BatchTransformer, "_make", make)
    monkeypatch.setattr(BatchTransformer, "_build", lambda _self: object())
    options = ImageOptions(resize=64)
    transformer = BatchTransformer(options, pool, on_gpu=False, threads=2)
    data = [encoded(smooth(1), "JPEG")]
    for _ in range(batches._MOST_FAILED_BATCHES + 9):
        assert made(transformer, data) == [transform_or_reject(data[0], options)]
    assert len(tried) == 3 + batches._MOST_FAILED_BATCHES
    assert caplog.text.count("since one batch after the other failed: an illegal memory access") == 1
    assert (transformer.by_batches, transformer.alone) == (0, batches._MOST_FAILED_BATCHES + 9)


def test_without_an_encoder_images_go_one_by_one(pool, monkeypatch, caplog):
    def fails(**_options):
        raise RuntimeError("Internal error - Could not create encoder. Code: 8")

    monkeypatch.setattr(batches.import_nvimgcodec(), "Encoder", fails)
    options = ImageOptions(resize=64)
    transformer = BatchTransformer(options, pool, on_gpu=False, threads=2)
    data = [encoded(smooth(seed), "JPEG") for seed in range(3)]
    for _ in range(3):
        assert made(transformer, data) == [transform_or_reject(one, options) for one in data]
    assert "Could not create encoder" in caplog.text


def test_what_cannot_be_is_refused(pretend, chosen):
    with pytest.raises(ValueError, match="must use the same"):
        chosen("auto", num_nodes=2)
    with pytest.raises(ValueError, match="Ray"):
        chosen("gpu", engine="ray")
    with pytest.raises(ValueError, match="device is 'tpu'"):
        ImageOptions(device="tpu")


def test_without_a_gpu(folder, tmp_path, chosen, monkeypatch, capsys):
    monkeypatch.setattr(choose_device, "count_gpus", lambda: (0, "no NVIDIA driver found (libcuda)"))
    with pytest.raises(DeviceUnavailableError, match="--device cpu packs without one"):
        dali_rec.pack(folder, tmp_path / "x", resize=64, device="gpu")
    assert not list(tmp_path.glob("x*"))
    assert chosen("auto") == "cpu"
    assert main(["pack", str(folder), str(tmp_path / "x"), "--device", "gpu", "--resize", "64"]) == 1
    assert "no NVIDIA driver" in capsys.readouterr().err


@pytest.mark.gpu
def test_images_of_the_gpu_are_those_of_the_cpu(folder, tmp_path, caplog):
    options = {"resize": 64, "max_bad": 10}
    with caplog.at_level("INFO", "dali_rec"):
        on_gpu = dali_rec.pack(folder, tmp_path / "gpu", device="gpu", **options)
    # Of the others is one at which a batch fails.
    assert int(re.search(r"packing: (\d+) images went by batches", caplog.text)[1]) >= batches.BATCH_SIZE
    on_cpu = dali_rec.pack(folder, tmp_path / "cpu", device="cpu", **options)
    assert [str(bad.reason) for bad in on_gpu.rejections] == [str(bad.reason) for bad in on_cpu.rejections]
    for record, other in zip(dali_rec.open(tmp_path / "gpu"), dali_rec.open(tmp_path / "cpu"), strict=True):
        assert (record.key, record.labels.tolist()) == (other.key, other.labels.tolist())
        assert psnr(Image.open(io.BytesIO(record.image)), Image.open(io.BytesIO(other.image))) > 30


@pytest.mark.gpu
@pytest.mark.parametrize("pngs", [0, 120])
def test_the_gpu_makes_the_same_bytes_again(tmp_path, pngs):
    # With PNGs, which go one by one, the first batch is a small one.
    for number in range(300):
        path = tmp_path / "photos" / "x" / f"{number:03d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        kind = {"kind": "PNG"} if number < pngs else {"kind": "JPEG", "progressive": number % 5 == 0}
        path.write_bytes(encoded(smooth(number, (300 + number, 200)), **kind))
    options = {"device": "gpu", "resize": 64, "shuffle": False}
    first, again = (dali_rec.pack(tmp_path / "photos", tmp_path / name, **options) for name in "ab")
    assert first.manifest.shards[0].sha256 == again.manifest.shards[0].sha256


@pytest.mark.gpu
def test_the_gpu_makes_the_same_bytes_with_any_number_of_workers(tmp_path):
    # nvImageCodec 0.9 decodes batches of several chroma subsamplings otherwise where it has one thread.
    for number in range(160):
        data = encoded(smooth(number, (300 + number, 200)), "JPEG", subsampling=number % 3)
        (tmp_path / "photos" / "x").mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / "x" / f"{number:03d}.jpg").write_bytes(data)
    one, more = (
        dali_rec.pack(tmp_path / "photos", tmp_path / str(workers), device="gpu", resize=64, workers=workers)
        for workers in (1, 6)
    )
    assert one.manifest.shards[0].sha256 == more.manifest.shards[0].sha256


@pytest.mark.gpu
def test_the_command_packs_on_a_gpu_and_ends(folder, tmp_path):
    command = [sys.executable, "-m", "dali_rec", "pack", folder, tmp_path / "x", "--device", "gpu", "--resize", "64"]
    subprocess.run([*map(str, command), "--max-bad", "10"], check=True, timeout=50)
    assert len(dali_rec.open(tmp_path / "x")) == 148
