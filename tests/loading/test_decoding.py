"""Crops cut out by the decoder, and out of the whole image: the same pixels, and states that go from one to another."""

import dataclasses
import importlib
import json
import weakref

import numpy as np
import pytest
from PIL import Image
from support import encoded, picture

import dali_rec
import dali_rec.compat.mxnet as mx
from dali_rec import Loader
from dali_rec.errors import LoaderError
from dali_rec.loading import Augmentation, BoxAugmentation, Tuned, choose_device, decoding
from dali_rec.loading import loader as loader_module
from dali_rec.loading.decoding import DEVICE_PADDING, cuts_in_decoder, decoder_options
from dali_rec.loading.specs import Execution

pytest.importorskip("nvidia.dali", reason="DALI is not installed")

CPU = choose_device("cpu")
GPU = type(CPU)(0, "pretended")
MODULES = ("dali_rec.loading.loader", "dali_rec.compat.mxnet.io.dali_engine")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """JPEGs, upright and on their side, grey ones and progressive ones, and PNGs."""
    folder = tmp_path_factory.mktemp("decoding")
    on_its_side = Image.Exif()
    on_its_side[0x0112] = 6
    for key in range(24):
        image = picture(key, (90 + 7 * key, 140 - 3 * key), mode="L" if key % 6 == 1 else "RGB")
        options = ({}, {"exif": on_its_side}, {"progressive": True})[key % 3]
        content = encoded(image, "PNG") if key % 8 == 5 else encoded(image, "JPEG", quality=95, **options)
        (folder / f"{key}.jpg").write_bytes(content)
    corners = "0.1\t0.2\t0.8\t0.9"
    (folder / "x.lst").write_text("".join(f"{key}\t{key}\t{key}.jpg\n" for key in range(24)))
    (folder / "b.lst").write_text("".join(f"{key}\t2\t5\t{key}\t{corners}\t{key}.jpg\n" for key in range(24)))
    dali_rec.pack(folder / "x.lst", folder / "out" / "x")
    dali_rec.pack(folder / "b.lst", folder / "out" / "b")
    return folder / "out"


@pytest.fixture
def pretend(monkeypatch):
    """On this CPU, what is done on a GPU whose decoder cuts out crops, or does not."""

    def set_to(cuts):
        for module in MODULES:
            monkeypatch.setattr(importlib.import_module(module), "cuts_in_decoder", lambda *_args, **_named: cuts)

    return set_to


def loader_of(path, **options):
    options = {"dtype": "uint8", "seed": 4, "shuffle": True, "with_ids": True, **options}
    return Loader(path, 5, 32, framework="numpy", device="cpu", **options)


def assert_same(found, wanted):
    assert len(found) == len(wanted)
    for batch, other in zip(found, wanted, strict=True):
        for part, same in zip(batch, other, strict=True):
            assert np.array_equal(np.stack(part), np.stack(same))


@pytest.mark.parametrize("resizer", ["dali", "numba"])
@pytest.mark.parametrize(
    "augment", ["train", "ssl", "trivialaugment", Augmentation(area=(0.3, 0.5), aspect=(2.0, 3.0))]
)
def test_both_ways_make_the_same_crops(data, pretend, augment, resizer):
    made = []
    for cuts in (True, False):
        pretend(cuts)
        loader = loader_of(data / "x", augment=augment, resizer=resizer)
        made.append([batch for _ in range(2) for batch in loader])
    assert_same(*made)


def test_both_ways_make_the_same_crops_of_boxes(data, pretend):
    made = []
    for cuts in (True, False):
        pretend(cuts)
        made.append(list(loader_of(data / "b", augment=BoxAugmentation(scale=(0.3, 0.7)), boxes="pad")))
    assert_same(*made)


@pytest.mark.parametrize("channels", [1, 3])
def test_both_ways_make_the_same_batches_of_mxnet(data, pretend, channels):
    made = []
    for cuts in (True, False):
        pretend(cuts)
        batches = mx.io.ImageRecordIter(
            path_imgrec=str(data / "x.rec"),
            data_shape=(channels, 40, 48),
            batch_size=4,
            rand_crop=1,
            resize=60,
            engine="dali",
            device="cpu",
        )
        made.append([(batch.data[0], batch.label[0]) for batch in batches])
    assert_same(*made)


@pytest.mark.parametrize("shuffle", [True, "global"])
@pytest.mark.parametrize("before", [True, False])
def test_state_goes_on_in_its_own_way(data, pretend, before, shuffle):
    pretend(before)
    whole = loader_of(data / "x", shuffle=shuffle)
    wanted = list(whole)
    stopped = loader_of(data / "x", shuffle=shuffle)
    batches = iter(stopped)
    for _ in range(2):
        next(batches)
    state = json.loads(json.dumps(stopped.state_dict()))
    pretend(not before)
    resumed = loader_of(data / "x", shuffle=shuffle)
    resumed.load_state_dict(state)
    resumed.set_image_size(32)
    assert_same(list(resumed), wanted[2:])


@pytest.mark.parametrize("resizers", [("numba", "dali"), ("dali", "numba")])
def test_state_keeps_its_resizer(data, resizers):
    before, after = resizers
    stopped = loader_of(data / "x", resizer=before)
    batches = iter(stopped)
    next(batches)
    state = stopped.state_dict()
    resumed = loader_of(data / "x", resizer=after)
    resumed.load_state_dict(state)
    assert_same(list(resumed), list(batches))


def test_state_that_needs_what_is_not_there_is_refused(data):
    loader = loader_of(data / "x")
    state = loader.state_dict()
    loader.device = GPU  # pretended
    with pytest.raises(LoaderError, match=r"saved with resizer='numba', which cannot be had here: .* on a GPU"):
        loader.load_state_dict(state)
    state["made_by"]["resizer"] = "dali"
    loader._runs.image = dataclasses.replace(loader._runs.image, crop_in_decoder=False)
    with pytest.raises(LoaderError, match=r"tuned=Tuned\(crop_in_decoder=True\)"):
        loader.load_state_dict(state)


@pytest.mark.parametrize("taken", [0, 2])
def test_state_that_dali_does_not_take_is_refused_and_the_loader_goes_on(data, taken):
    saved, loader = loader_of(data / "x"), loader_of(data / "x")
    wanted = list(saved)
    state = saved.state_dict()
    state["made_by"]["resizer"] = "dali"
    batches = iter(loader)
    begun = [next(batches) for _ in range(taken)]
    with pytest.raises(LoaderError, match=r"DALI does not go on from the state .* start the epoch anew"):
        loader.load_state_dict(state)
    assert_same([*begun, *batches], wanted)


def test_size_that_dali_does_not_make_leaves_the_loader_as_it_was(data, monkeypatch):
    wanted, loader = list(loader_of(data / "x")), loader_of(data / "x")
    make, sizes = loader_module.Runs, []

    def made(reader, image, *arguments):
        sizes.append(image.size)
        if image.size == (16, 16):
            raise MemoryError
        return make(reader, image, *arguments)

    monkeypatch.setattr(loader_module, "Runs", made)
    with pytest.raises(MemoryError):
        loader.set_image_size(16)
    assert len(sizes) == 2
    assert_same(list(loader), wanted)


def test_loader_whose_pipelines_are_gone_says_what_to_do(data, monkeypatch):
    loader = loader_of(data / "x")
    monkeypatch.setattr(loader_module, "Runs", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        loader.set_image_size(16)
    with pytest.raises(LoaderError, match="make another Loader"):
        list(loader)


def test_pipelines_end_before_others_are_made(data, monkeypatch):
    loader = loader_of(data / "x")
    before = weakref.ref(loader._runs._pipelines)
    make = loader_module.Runs

    def made(*arguments, **options):
        assert before() is None
        return make(*arguments, **options)

    monkeypatch.setattr(loader_module, "Runs", made)
    loader.set_image_size(16)
    assert loader._runs._pipelines is not None


def test_on_a_gpu_crops_are_cut_out_by_the_decoder_only_where_that_is_wanted():
    assert [cuts_in_decoder(CPU, wanted) for wanted in (None, False, True)] == [True, True, True]
    assert [cuts_in_decoder(GPU, wanted) for wanted in (None, False, True)] == [False, False, True]


def test_gpu_settings_reach_the_decoder(packed):
    dataset = dali_rec.open(packed)
    sizes = {"preallocate_width_hint": 40, "preallocate_height_hint": 32}

    def options(batch_size=4, **settings):
        return decoder_options(dataset, Execution(GPU, batch_size, tuned=Tuned(**settings)))

    assert options() == sizes
    assert options(hw_decoder_load=0.25) == {**sizes, "hw_decoder_load": 0.25}
    assert options(preallocate=False) == {}
    assert options(pad_memory=True)["device_memory_padding"] == DEVICE_PADDING  # never below DALI's own
    assert decoder_options(dataset, Execution(CPU, 4, tuned=Tuned(hw_decoder_load=0.5, pad_memory=True))) == {}
    most = decoding._MOST_PREALLOCATED // (3 * 40 * 32)
    assert options(most) == sizes
    assert options(most + 1) == {}
    assert options(most + 1, preallocate=True) == sizes


def test_decoder_of_a_gpu_is_a_mixed_one(monkeypatch):
    monkeypatch.setattr(decoding, "knows_near_cores", lambda _number: True)

    class Types:
        RGB = "rgb"

    class Fake:
        types = Types

    for device, name in ((GPU, "mixed"), (CPU, "cpu")):
        decoder = decoding.Decoder(Fake, device, {"hw_decoder_load": 0.5}, cuts=False)
        assert decoder._options == {"device": name, "output_type": "rgb", "hw_decoder_load": 0.5}
