"""Pixels beside those of MXNet 1.9.1, stored by ``tools/compare_mxnet PYTHON --store tests/data/mxnet_images.npz``."""

import json

import numpy as np
import pytest
from support import DATA

import dali_rec.compat.mxnet as mx

STORED = np.load(DATA / "mxnet_images.npz")
CASES = [name for name in STORED.files if ":" not in name and name != "mean.nd"]
# Cubic interpolation is the one thing in which OpenCV 5 and 3.4, which MXNet has inside, differ.
CUBIC = [
    name for name in CASES if "inter_method=2" in name or name in ("inter_method=10", "resize=700, inter_method=9")
]


def parameters_of(name, tmp_path):
    parameters = json.loads(str(STORED[f"{name}: parameters"]))
    if "mean_img" in parameters:
        (tmp_path / "mean.nd").write_bytes(STORED["mean.nd"].tobytes())
        parameters["mean_img"] = tmp_path / "mean.nd"
    index = {} if parameters.pop("path_imgidx", None) == "" else {"path_imgidx": DATA / "single.idx"}
    return {"path_imgrec": DATA / "single.rec", **index, **parameters}


@pytest.mark.parametrize("name", CASES)
def test_pixels_are_those_of_mxnet(name, tmp_path):
    expected = STORED[name]
    parameters = parameters_of(name, tmp_path)
    iterator = mx.io.ImageRecordIter(**parameters)
    if name.startswith("three"):
        found = []
        for _ in range(3):
            found += [batch.data[0] for batch in iterator]
            iterator.reset()
        found = np.array(found)
    else:
        found = next(iterator).data[0][: len(expected)]
    stds = [parameters.get(f"std_{name}", 1) for name in "rgb"][: found.shape[-3]]
    levels = np.array(stds).reshape(-1, 1, 1) / parameters.get("scale", 1)
    apart = np.abs(found.astype(np.float64) - expected) * levels
    assert apart.max() <= (2 if name in CUBIC else 1e-4)
    assert apart.mean() <= 0.5


@pytest.mark.parametrize("name", CASES[:2])
def test_epochs_end_where_those_of_mxnet_end(name, tmp_path):
    iterator, ends, count = mx.io.ImageRecordIter(**parameters_of(name, tmp_path)), [], 0
    for _ in range(3):
        count += sum(1 for _batch in iterator)
        ends.append(count)
        iterator.reset()
    assert ends == STORED[f"{name}: ends"].tolist()


def test_the_stored_images_differ_where_their_parameters_do():
    plain = STORED["resize=100"]
    same = [name for name in CASES if STORED[name].shape == plain.shape and np.array_equal(STORED[name], plain)]
    assert same == ["resize=100"] or set(same) <= {"resize=100", "resize=100, inter_method=9"}
