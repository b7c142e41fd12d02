"""What mx.image and mx.nd make of some images: the same calls for MXNet 1.9.1 and for dali_rec.compat.mxnet.

python mxnet_image.py DATA OUT.npz        with MXNet; DATA is tests/data
"""

import json
import random
import sys

import numpy as np

SHAPE = (3, 10, 12)
ITERATORS = {
    "records": {"path_imgrec": "single.rec"},
    "records, index": {"path_imgrec": "single.rec", "path_imgidx": "single.idx"},
    "records, shuffled": {"path_imgrec": "single.rec", "path_imgidx": "single.idx", "shuffle": True},
    "records, augmented": {
        "path_imgrec": "single.rec",
        "path_imgidx": "single.idx",
        "shuffle": True,
        "rand_crop": True,
        "rand_resize": True,
        "rand_mirror": True,
        "inter_method": 10,
        "mean": True,
        "std": True,
    },
    "records, four labels": {"path_imgrec": "multi.rec", "label_width": 4},
    "records, discard": {"path_imgrec": "single.rec", "last_batch_handle": "discard"},
    "records, roll over": {"path_imgrec": "single.rec", "path_imgidx": "single.idx", "last_batch_handle": "roll_over"},
    "list": {"path_imglist": "list.lst", "path_root": "img"},
    "list, four labels": {"path_imglist": "list4.lst", "path_root": "img", "label_width": 4},
}
CROP = {"rand_crop": 1, "min_object_covered": 0.95, "max_attempts": 200}
DETECTION_ITERATORS = {
    "plain": {"path_imgidx": "detection.idx"},
    "no index": {},
    "the book's": {"path_imgidx": "detection.idx", "shuffle": True, **CROP},
    "all": {
        "path_imgidx": "detection.idx",
        "shuffle": True,
        "rand_mirror": True,
        "rand_pad": 0.5,
        "mean": True,
        "std": True,
        **CROP,
        "min_object_covered": [0.1, 0.5, 0.7],
        "rand_crop": 0.7,
        "inter_method": 1,
    },
}


def results(mx, data):
    """All results by name, as NumPy arrays. ``data``: the folder with the test data, as text."""
    found = {}
    file = mx.recordio.MXIndexedRecordIO(data + "/single.idx", data + "/single.rec", "r")
    found.update(of_image(mx, mx.recordio.unpack(file.read_idx(3))[1]))
    found.update(of_arrays(mx))
    for name, parameters in ITERATORS.items():
        found.update(of_iterator(mx, name, parameters, data))
    found.update(of_objects(mx, data))
    for name, parameters in DETECTION_ITERATORS.items():
        whole = {"path_imgrec": "detection.rec", **parameters}
        found.update(of_iterator(mx, name, whole, data, mx.image.ImageDetIter))
    return {name: value.asnumpy() if hasattr(value, "asnumpy") else np.array(value) for name, value in found.items()}


def of_image(mx, encoded):
    whole = mx.image.imdecode(encoded)
    image = mx.image.fixed_crop(whole, 30, 0, 45, 36)
    made = {
        "imdecode": whole,
        "imdecode grey": mx.image.imdecode(encoded, 0),
        "imdecode BGR": mx.image.imdecode(encoded, to_rgb=0),
        "imdecode bytearray": mx.image.imdecode(bytearray(encoded)),
        "imdecode array": mx.image.imdecode(np.frombuffer(encoded, np.uint8)),
        "imresize grey": mx.image.imresize(mx.image.imdecode(encoded, 0), 20, 10),
        "resize of a float": mx.image.imresize(image.astype("float32"), 20, 10),
        "flip": mx.nd.flip(image, axis=1),
    }
    for method in (0, 1, 2, 3, 4, 9):
        made["resize_short down %d" % method] = mx.image.resize_short(image, 20, method)
        made["resize_short up %d" % method] = mx.image.resize_short(image, 40, method)
        made["fixed_crop %d" % method] = mx.image.fixed_crop(image, 3, 5, 20, 15, (12, 16), method)
    made["fixed_crop"] = mx.image.fixed_crop(image, 3, 5, 20, 15)
    made["color_normalize"] = mx.image.color_normalize(
        image.astype("float32"), mx.nd.array([1, 2, 3]), mx.nd.array([2, 3, 4])
    )
    random.seed(5)
    for trial in range(2):
        for name, (crop, place) in {
            "center_crop": mx.image.center_crop(image, (20, 17)),
            "center_crop of more": mx.image.center_crop(image, (90, 30)),
            "random_crop": mx.image.random_crop(image, (20, 17)),
            "random_size_crop": mx.image.random_size_crop(image, (12, 16), (0.08, 1.0), (3 / 4.0, 4 / 3.0), 10),
            "random_size_crop, area": mx.image.random_size_crop(image, (12, 16), 0.5, (3 / 4.0, 4 / 3.0)),
        }.items():
            made["%s %d" % (name, trial)] = crop
            made["%s %d place" % (name, trial)] = place
    np.random.seed(3)  # noqa: NPY002  # it is what MXNet draws from
    small = mx.image.fixed_crop(image, 10, 10, 24, 20).astype("float32")
    steps = {
        "BrightnessJitterAug": mx.image.BrightnessJitterAug(0.4),
        "ContrastJitterAug": mx.image.ContrastJitterAug(0.4),
        "SaturationJitterAug": mx.image.SaturationJitterAug(0.4),
        "HueJitterAug": mx.image.HueJitterAug(0.3),
        "ColorJitterAug": mx.image.ColorJitterAug(0.3, 0.3, 0.3),
        "LightingAug": mx.image.LightingAug(0.1, np.array([55.0, 5.0, 1.0]), np.eye(3) + 0.1),
        "RandomGrayAug": mx.image.RandomGrayAug(0.5),
        "HorizontalFlipAug": mx.image.HorizontalFlipAug(0.5),
        "ResizeAug": mx.image.ResizeAug(15),
        "ForceResizeAug": mx.image.ForceResizeAug((14, 15)),
        "CenterCropAug": mx.image.CenterCropAug((14, 15)),
        "RandomCropAug": mx.image.RandomCropAug((14, 15)),
        "RandomSizedCropAug": mx.image.RandomSizedCropAug((14, 15), 0.08, (0.75, 1.33)),
        "SequentialAug": mx.image.SequentialAug([mx.image.ResizeAug(15), mx.image.CastAug()]),
    }
    for name, step in steps.items():
        for trial in range(2):
            made["%s %d" % (name, trial)] = step(small.copy())
    everything = {"rand_crop": True, "rand_resize": True, "rand_mirror": True, "mean": True, "std": True, "hue": 0.1}
    everything.update({"brightness": 0.1, "contrast": 0.1, "saturation": 0.1, "pca_noise": 0.1, "rand_gray": 0.3})
    for number, parameters in enumerate([{}, {"resize": 16, "rand_crop": True, "mean": np.ones(3)}, everything]):
        changed = image
        for step in mx.image.CreateAugmenter(SHAPE, **parameters):
            changed = step(changed)
        made["CreateAugmenter %d" % number] = changed
    return made


def of_arrays(mx):
    nd = mx.nd
    whole, labels = nd.array(np.arange(6).reshape(2, 3)), nd.array([5, 7, 9])
    small = nd.array(np.arange(6).reshape(2, 3), dtype="uint8")
    filled, row = nd.zeros((3,)), nd.zeros((2, 3))
    filled[1][:] = 5
    row[0][:] = labels
    row[1] = 7
    return {
        "array of numbers": labels,
        "array of uint8 of NumPy": nd.array(np.arange(3, dtype=np.uint8)),
        "array of an array": nd.array(small),
        "an element": labels[1],
        "an element of an element": labels[1][0],
        "an element of two axes": whole[1, 2],
        "a row": whole[1],
        "elements one after another": np.concatenate([one.asnumpy() for one in labels]),
        "asscalar": labels[2].asscalar(),
        "filled by element": filled,
        "filled by row": row,
        "zeros": nd.zeros((2,), dtype="uint8"),
        "ones": nd.ones((2, 1)),
        "zeros_like": nd.zeros_like(small),
        "ones_like": nd.ones_like(whole),
        "transpose": nd.transpose(whole),
        "transpose with axes": nd.transpose(whole.reshape((1, 2, 3)), axes=(2, 0, 1)),
        "flip": mx.ndarray.flip(data=whole, axis=0),
        "slice_axis": nd.slice_axis(whole, axis=1, begin=1, end=None),
        "expand_dims": nd.expand_dims(whole, axis=1),
        "its own expand_dims": whole.expand_dims(0),
        "concat": nd.concat(whole, whole),
        "concat, dim": nd.concat(whole, whole, dim=0),
        "concatenate": nd.concatenate([whole, whole]),
        "stack": nd.stack(whole, whole),
        "cast": nd.cast(whole, "uint8"),
        "clip": nd.clip(whole, 1, 3),
        "sum": nd.sum(whole),
        "sum, axis": nd.sum(whole, axis=1, keepdims=True),
        "mean": nd.mean(whole, axis=0),
        "arithmetic": (whole - labels) * 2 / 3,
        "astype": whole.astype("int32"),
        "copyto": whole.copyto(nd.zeros((2, 3))),
        "as_in_context": whole.as_in_context(mx.cpu()),
    }


def of_objects(mx, data):
    """Steps with boxes, of images with one object and with several."""
    made = {}
    file = mx.recordio.MXIndexedRecordIO(data + "/detection.idx", data + "/detection.rec", "r")
    steps = {
        "DetHorizontalFlipAug": mx.image.DetHorizontalFlipAug(0.5),
        "DetRandomCropAug": mx.image.DetRandomCropAug(0.3, (0.5, 2.0), (0.1, 1.0), 0.3, 20),
        "DetRandomCropAug narrow": mx.image.DetRandomCropAug(0.9, 1.0, (0.3, 1.0), 0.5, 50),
        "DetRandomPadAug": mx.image.DetRandomPadAug((0.5, 2.0), (1.0, 3.0), 20, (1, 2, 3)),
        "DetBorrowAug": mx.image.DetBorrowAug(mx.image.ForceResizeAug((12, 10), 1)),
        "CreateMultiRandCropAugmenter": mx.image.CreateMultiRandCropAugmenter([0.1, 0.5], skip_prob=0.3),
    }
    random.seed(7)
    for key in file.keys[:4]:
        header, encoded = mx.recordio.unpack(file.read_idx(key))
        objects = header.label[int(header.label[0]) :].reshape(-1, int(header.label[1]))
        image = mx.image.fixed_crop(mx.image.imdecode(encoded), 0, 0, 60, 40, (30, 20), 1)
        for name, step in steps.items():
            for trial in range(2):
                changed, kept = step(image.copy(), objects.copy())
                made["%s %s %d" % (name, key, trial)] = changed
                made["%s %s %d objects" % (name, key, trial)] = kept
    return made


def of_iterator(mx, name, parameters, data, kind=None):
    paths = {key: data + "/" + value for key, value in parameters.items() if key.startswith("path_")}
    random.seed(9)
    made = {}
    kind = kind or mx.image.ImageIter
    iterator = kind(batch_size=5, data_shape=SHAPE, **{**parameters, **paths})
    shapes = [(key, shape) for key, shape in iterator.provide_data + iterator.provide_label]
    made["%s %s: shapes" % (kind.__name__, name)] = json.dumps(shapes)
    for epoch in range(2):
        for number, batch in enumerate(iterator):
            where = "%s %s, %d.%d" % (kind.__name__, name, epoch, number)
            made[where] = batch.data[0]
            made[where + " labels"] = batch.label[0]
            if "roll" not in name:  # MXNet counts what was rolled over as filling
                made[where + " pad"] = batch.pad
        iterator.reset()
    return made


if __name__ == "__main__":
    import mxnet

    np.savez_compressed(sys.argv[2], **results(mxnet, sys.argv[1]))
