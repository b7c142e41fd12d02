"""What MXNet ignores: an error of ours, but a warning to scripts in which ``import mxnet`` means our module."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support import DATA

import dali_rec.compat.mxnet as mx

IMAGES = {"path_imgrec": DATA / "single.rec", "data_shape": (3, 20, 24), "batch_size": 4, "seed_aug": 3}
BOXES = {"path_imgrec": DATA / "detection.rec", "data_shape": (3, 16, 20), "batch_size": 4}
INDEX = {"path_imgidx": DATA / "single.idx"}
GAIN = {"max_random_contrast": 0.3, "max_random_illumination": 20}
# Of each: what is ignored; parameters that go with it; and what MXNet 1.9.1 makes of all of them in an epoch, by
# tools/peers/mxnet_batches.py with preprocess_threads=1: the mean, each value counted as often as its place says. It is
# the same to the last bit without what is ignored.
OF_IMAGES = {
    "unknown": ({"silent": 1, "and_mirror": True}, {}, 97.5872),
    "misspelt": ({"random_mirror": True}, {}, 97.5872),
    "chunks with an index": ({"shuffle_chunk_size": 4, "shuffle_chunk_seed": 4}, INDEX, 97.5872),
    "seed of no chunks": ({"shuffle_chunk_seed": 4}, {}, 97.5872),
    "negative angle": ({"rotate": -30}, {}, 97.5872),
    "angle of 0": ({"rotate": 0}, {"max_rotate_angle": 5}, 97.5196),
    "areas": ({"min_random_area": 0.5, "max_random_area": 0.9}, {"rand_crop": 1, "max_aspect_ratio": 0.2}, 101.2002),
    "means of uint8": ({"mean_r": 30.0, "mean_img": "no file"}, {"dtype": "uint8"}, 97.5872),
    "deviations of uint8": (
        {"std_r": 3.0, "std_g": 0.0, "scale": 2.0, **GAIN},
        {"dtype": "uint8", "rand_mirror": 1},
        97.5912,
    ),
    "deviations of int8": ({"std_r": 3.0, "std_g": 0.0, "scale": 2.0}, {"dtype": "int8", "mean_r": 30.0}, 74.9555),
    "gain of int8": (GAIN, {"dtype": "int8", "rand_mirror": 1}, 80.0084),
    "means beside an image of them": ({"mean_r": 30.0}, {"mean_img": "mean.nd", "std_g": 2.0}, 36.1143),
    "the same of int8": ({"mean_b": 30.0}, {"mean_img": "mean.nd", "dtype": "int8"}, 29.8818),
}
OF_BOXES = {
    "unknown": ({"silent": 1, "device_id": 0}, {}, 104.0776),
    "misspelt": ({"rand_mirror": True}, {}, 104.0776),
    "seed of no chunks": ({"shuffle_chunk_seed": 4}, {}, 104.0776),
    "pad of scale 1": ({"rand_pad_prob": 0.5}, {"rand_crop_prob": 0.8, "min_crop_scales": 0.3}, 101.1122),
    "pad of a smaller scale": ({"rand_pad_prob": 0.5}, {"max_pad_scale": 0.5, "rand_mirror_prob": 0.5}, 104.0758),
    "hue that is never drawn": ({"max_random_hue": 18}, {}, 104.0776),
    "colours that are never drawn": (
        {"max_random_hue": 18, "max_random_saturation": 32, "max_random_contrast": 0.5},
        {"random_illumination_prob": 0.6, "max_random_illumination": 32, "rand_mirror_prob": 0.5},
        107.8066,
    ),
    "negative means": ({"mean_r": -30.0, "mean_g": -2.0}, {}, 104.0776),
    "mean image beside means": ({"mean_img": "mean.nd"}, {"mean_r": 30.0, "mean_g": -2.0, "std_r": 2.0}, 85.1862),
    "negative means beside an image of them": ({"mean_r": -30.0}, {"mean_img": "mean.nd"}, 39.7673),
}
CASES = [
    pytest.param(name, base, *case, id=f"{name}: {of}")
    for name, base, cases in (("ImageRecordIter", IMAGES, OF_IMAGES), ("ImageDetRecordIter", BOXES, OF_BOXES))
    for of, case in cases.items()
]


@pytest.fixture
def as_mxnet(monkeypatch):
    monkeypatch.setitem(sys.modules, "mxnet", mx)


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def epoch(name, parameters):
    shape = parameters["data_shape"]
    mx.nd.save("mean.nd", {"mean_img": mx.nd.array(40 + np.arange(np.prod(shape)).reshape(shape) % 50)})
    iterator = getattr(mx.io, name)(**parameters, preprocess_threads=1)
    return np.array([batch.data[0] for batch in iterator])


def by_place(images):
    return np.average(images.ravel(), weights=np.arange(images.size))


@pytest.mark.parametrize(("name", "base", "ignored", "others", "mean"), CASES)
@pytest.mark.usefixtures("as_mxnet")
def test_script_gets_a_warning_and_what_mxnet_makes(name, base, ignored, others, mean):
    with pytest.warns(UserWarning, match="^ignored, as in MXNet: ") as warned:
        made = epoch(name, {**base, **others, **ignored})
    messages = [str(one.message) for one in warned]
    assert [sum(parameter in message for message in messages) for parameter in ignored] == [1] * len(ignored)
    assert {one.filename for one in warned} == {__file__}
    assert np.array_equal(made, epoch(name, {**base, **others}))
    assert by_place(made) == pytest.approx(mean, abs=1e-3)


@pytest.mark.parametrize(("name", "base", "ignored", "others", "mean"), CASES)
def test_it_is_an_error_under_our_own_name(name, base, ignored, others, mean):
    with pytest.raises((TypeError, ValueError), match=r"is no parameter of|: no effect"):
        epoch(name, {**base, **others, **ignored})


@pytest.mark.usefixtures("as_mxnet")
def test_type_that_an_iterator_of_integers_does_not_give_is_ignored():
    with pytest.warns(UserWarning, match="ignored, as in MXNet: dtype is 'int8', which this iterator does not give"):
        iterator = mx.io.ImageRecordUInt8Iter(**IMAGES, dtype="int8")
    assert next(iterator).data[0].dtype == np.uint8


@pytest.mark.usefixtures("as_mxnet")
def test_name_that_was_meant_is_said():
    with pytest.warns(UserWarning, match="random_mirror is no parameter of ImageRecordIter; did you mean rand_mirror"):
        mx.io.ImageRecordIter(**IMAGES, random_mirror=True)


@pytest.mark.usefixtures("as_mxnet")
@pytest.mark.parametrize(
    "given",
    [
        {"random_resized_crop": 1, "rand_crop": 1},
        {"dtype": "float16"},
        {"batch_size": "many"},
        {"preprocess_threads": 0},
        {"data_shape": (1, 8, 8), "brightness": 0.1},
        {"num_parts": 2, "part_index": 2},
    ],
)
def test_what_mxnet_refuses_stays_an_error(given):
    with pytest.raises(ValueError, match=next(reversed(given))):
        mx.io.ImageRecordIter(**{**IMAGES, **given})


@pytest.mark.parametrize("name", ["ImageIter", "ImageDetIter"])
@pytest.mark.usefixtures("as_mxnet")
def test_iterators_in_python_take_unknown_parameters_only_beside_steps_as_mxnets_do(name):
    files = {"path_imgrec": DATA / "detection.rec", "path_imgidx": DATA / "detection.idx"}
    given = {"batch_size": 4, "data_shape": (3, 16, 20), **files, "unknown": 1}
    with pytest.raises(TypeError, match="unexpected keyword argument 'unknown'"):
        getattr(mx.image, name)(**given)
    assert getattr(mx.image, name)(**given, aug_list=[]).auglist == []


def test_script_that_runs_as_it_stands_goes_on(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(
        "import mxnet as mx\n"
        f"iterator = mx.io.ImageRecordIter(path_imgrec={str(DATA / 'single.rec')!r}, silent=1,\n"
        "    data_shape=(3, 20, 24), batch_size=4)\n"
        "print(len(list(iterator)))\n"
    )
    command = [sys.executable, "-m", "dali_rec.compat.mxnet", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3])
    assert done.stdout.strip() == "3"
    assert "train.py:2: UserWarning: ignored, as in MXNet: silent is no parameter of ImageRecordIter" in done.stderr
