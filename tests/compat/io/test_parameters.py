import dataclasses

import numpy as np
import pytest
from support import DATA

import dali_rec.compat.mxnet as mx
from dali_rec.compat.mxnet.io.base_iter import _choose_device
from dali_rec.compat.mxnet.io.parameters import ImageRecordParameters
from dali_rec.loading import device

NEEDED = {"path_imgrec": DATA / "single.rec", "data_shape": (3, 20, 24), "batch_size": 4}
# What help(mx.io.ImageRecordIter) of MXNet 1.9.1 says: every parameter with its default.
DEFAULTS = {
    "path_imglist": "",
    "path_imgidx": "",
    "aug_seq": "aug_default",
    "label_width": 1,
    "preprocess_threads": 4,
    "verbose": True,
    "num_parts": 1,
    "part_index": 0,
    "device_id": 0,
    "shuffle_chunk_size": 0,
    "shuffle_chunk_seed": 0,
    "seed_aug": None,
    "shuffle": False,
    "seed": 0,
    "round_batch": True,
    "prefetch_buffer": 4,
    "ctx": "gpu",
    "dtype": None,
    "resize": -1,
    "rand_crop": False,
    "random_resized_crop": False,
    "max_rotate_angle": 0,
    "max_aspect_ratio": 0,
    "min_aspect_ratio": None,
    "max_shear_ratio": 0,
    "max_crop_size": -1,
    "min_crop_size": -1,
    "max_random_scale": 1,
    "min_random_scale": 1,
    "max_random_area": 1,
    "min_random_area": 1,
    "max_img_size": 1e10,
    "min_img_size": 0,
    "brightness": 0,
    "contrast": 0,
    "saturation": 0,
    "pca_noise": 0,
    "random_h": 0,
    "random_s": 0,
    "random_l": 0,
    "rotate": -1,
    "fill_value": 255,
    "inter_method": 1,
    "pad": 0,
    "mirror": False,
    "rand_mirror": False,
    "mean_img": "",
    "mean_r": 0,
    "mean_g": 0,
    "mean_b": 0,
    "mean_a": 0,
    "std_r": 1,
    "std_g": 1,
    "std_b": 1,
    "std_a": 1,
    "scale": 1,
    "max_random_contrast": 0,
    "max_random_illumination": 0,
}
BEYOND = {"rotate_list", "data_name", "label_name", "framework", "device", "engine"}


def of(**given):
    return ImageRecordParameters.from_keywords({**NEEDED, **given})


def test_every_parameter_of_mxnet_is_there_with_its_default():
    assert {name: getattr(of(), name) for name in DEFAULTS} == DEFAULTS
    names = {field.name for field in dataclasses.fields(ImageRecordParameters)}
    assert names == {*DEFAULTS, *NEEDED, *BEYOND}


def test_values_may_be_text_as_mxnet_reads_them():
    parameters = of(data_shape="(3,20, 24)", batch_size="4", rand_crop="True", scale="0.5", mirror=1, seed_aug="None")
    assert (parameters.data_shape, parameters.batch_size, parameters.scale) == ((3, 20, 24), 4, 0.5)
    assert (parameters.rand_crop, parameters.mirror, parameters.seed_aug) == (True, True, None)
    assert of(min_aspect_ratio="0.75", max_aspect_ratio="1.25").aspect_ratios == (0.75, 1.25)
    assert of(rotate_list="0,90,-90").rotate_list == (0, 90, -90)
    assert of(rotate_list=[45]).rotate_list == (45,)
    assert of(max_img_size="inf").max_img_size == np.inf
    assert of(dtype=np.uint8).dtype == "uint8"
    assert of(shuffle=np.True_, resize=np.int64(3)).resize == 3


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"random_mirror": 1}, "random_mirror is no parameter of ImageRecordIter; did you mean rand_mirror"),
        ({"qqqqqq": 1}, "nor of MXNet's: leave it out"),
    ],
)
def test_unknown_parameters_are_refused(given, message):
    with pytest.raises(TypeError, match=message):
        mx.io.ImageRecordIter(**NEEDED, **given)


@pytest.mark.parametrize("name", NEEDED)
def test_what_is_needed_is_asked_for(name):
    with pytest.raises(TypeError, match=f"ImageRecordIter needs {name}"):
        mx.io.ImageRecordIter(**{key: value for key, value in NEEDED.items() if key != name})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"data_shape": (20, 24)}, "expected .channels, height, width."),
        ({"data_shape": (2, 20, 24)}, "1, 3 or 4 channels"),
        ({"data_shape": (3, 0, 24)}, "expected .channels, height, width."),
        ({"data_shape": "3x20x24"}, "data_shape is '3x20x24': expected tuple"),
        ({"batch_size": 0}, "batch_size is 0: at least 1"),
        ({"batch_size": 2.5}, "batch_size is 2.5: expected int"),
        ({"label_width": 0}, "label_width is 0"),
        ({"preprocess_threads": 0}, "preprocess_threads is 0"),
        ({"prefetch_buffer": 0}, "prefetch_buffer is 0"),
        ({"num_parts": 2, "part_index": 2}, "part_index is 2: from 0 to num_parts - 1, which is 1"),
        ({"part_index": -1}, "part_index is -1"),
        ({"shuffle": "perhaps"}, "shuffle is 'perhaps': expected bool"),
        (
            {"shuffle_chunk_size": 4, "path_imgidx": DATA / "single.idx"},
            "shuffle_chunk_size: no effect with path_imgidx",
        ),
        ({"shuffle_chunk_seed": 4}, "shuffle_chunk_seed: no effect without shuffle_chunk_size"),
        ({"aug_seq": "mine"}, "aug_seq is 'mine': one of 'aug_default'"),
        ({"ctx": "tpu"}, "ctx is 'tpu': one of 'cpu', 'gpu'"),
        ({"dtype": "float16"}, "dtype is 'float16': one of None, 'float32', 'uint8', 'int8'"),
        ({"dtype": "float99"}, "dtype is 'float99': expected str"),
        ({"framework": "mxnet"}, "framework is 'mxnet': one of 'numpy'"),
        ({"inter_method": 5}, "inter_method is 5: one of 0, 1, 2, 3, 4, 9, 10"),
        ({"resize": 0}, "resize is 0: -1, or the length of the shorter side"),
        ({"pad": -1}, "pad is -1: at least 0"),
        ({"fill_value": 256}, "fill_value is 256: 0 to 255"),
        ({"rotate": -30}, "rotate: no effect below 1 .for -30 take 330."),
        ({"rotate": 0, "max_rotate_angle": 5}, "rotate: no effect below 1"),
        ({"max_rotate_angle": -5}, "max_rotate_angle is -5: at least 0"),
        ({"min_random_scale": 2}, "random scale from 2.0 to 1.0: above 0, in order"),
        ({"min_img_size": 9, "max_img_size": 8}, "min_img_size is 9.0, above max_img_size 8.0"),
        ({"max_aspect_ratio": 1}, "aspect ratios from 0.0 to 2.0: above 0"),
        ({"min_aspect_ratio": 2, "max_aspect_ratio": 1.5}, "aspect ratios from 2.0 to 1.5: above 0, in order"),
        ({"min_random_area": 0.5}, "min_random_area: no effect without random_resized_crop=True"),
        ({"random_resized_crop": 1, "min_random_area": 0}, "random areas from 0.0 to 1.0"),
        ({"random_resized_crop": 1, "rand_crop": 1}, "random_resized_crop=True goes with neither"),
        ({"random_resized_crop": 1, "max_random_scale": 2}, "random_resized_crop=True goes with neither"),
        ({"random_resized_crop": 1, "max_crop_size": 2, "min_crop_size": 1}, "random_resized_crop=True goes with"),
        ({"max_crop_size": 10}, "min_crop_size is -1 and max_crop_size 10: give both, in order"),
        ({"min_crop_size": 11, "max_crop_size": 10}, "give both, in order"),
        ({"data_shape": (1, 8, 8), "brightness": 0.1}, "they need 3 channels, data_shape has 1"),
        ({"data_shape": (4, 8, 8), "random_h": 1}, "they need 3 channels, data_shape has 4"),
        ({"data_shape": (1, 8, 8), "pca_noise": 0.1}, "they need 3 channels, data_shape has 1"),
        ({"brightness": -0.1}, "brightness is -0.1: at least 0"),
        ({"brightness": "nan"}, "brightness is 'nan': expected float"),
        ({"scale": float("inf")}, "scale is inf: expected float"),
        ({"max_img_size": "nan"}, "max_img_size nan"),
        ({"batch_size": 10**400}, "expected int"),
        ({"std_g": 0}, "std_g is 0"),
        ({"dtype": "uint8", "mean_r": 3, "scale": 2}, "scale, mean_r: no effect on images of dtype uint8"),
        ({"dtype": "int8", "std_r": 3}, "std_r: no effect on images of dtype int8"),
        ({"mean_img": "mean.nd", "mean_r": 3}, "mean_r: no effect with mean_img"),
        ({"dtype": "int8", "mean_img": "mean.nd", "mean_b": 3}, "mean_b: no effect with mean_img"),
    ],
)
def test_what_cannot_be_honoured_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        mx.io.ImageRecordIter(**{**NEEDED, **given})


@pytest.mark.parametrize("threads", [1, 3])
def test_so_many_threads_make_the_images(threads):
    made = mx.io.ImageRecordIter(**NEEDED, preprocess_threads=threads)
    list(made)
    assert len(made._engine._threads._pool._threads) == threads


@pytest.mark.parametrize("ahead", [1, 4])
def test_so_many_batches_are_made_ahead(ahead):
    made = mx.io.ImageRecordIter(**{**NEEDED, "batch_size": 1}, prefetch_buffer=ahead)
    made.next()
    assert len(made._ahead) == ahead


def test_verbose_says_what_is_read(caplog):
    caplog.set_level("INFO", "dali_rec.compat.mxnet")
    mx.io.ImageRecordIter(**NEEDED, verbose=False)
    assert not caplog.records
    mx.io.ImageRecordIter(**NEEDED, num_parts=2)
    assert "single.rec: 6 of 12 records" in caplog.text


@pytest.mark.parametrize(
    ("given", "index"),
    [
        ({}, 0),
        ({"device_id": 1}, 1),
        ({"device": "gpu", "device_id": 1}, 1),
        ({"device": "gpu", "device_id": -1}, 0),
        ({"device": 2, "device_id": 1}, 2),
        ({"device_id": -1}, None),
        ({"ctx": "cpu", "device_id": 1}, None),
        ({"device": "cpu", "device_id": 1}, None),
    ],
)
def test_device_id_is_the_gpu_unless_device_names_one(monkeypatch, given, index):
    monkeypatch.setattr(device, "count_gpus", lambda: (3, ""))
    parameters = of(**given)
    assert _choose_device(parameters, parameters.device_id, lambda: None).index == index


@pytest.mark.parametrize("given", [{"ctx": "cpu"}, {"device_id": -1}, {"device": "cpu"}])
def test_the_cpu_can_be_asked_for(given):
    assert not mx.io.ImageRecordIter(**NEEDED, **given)._device.is_gpu
