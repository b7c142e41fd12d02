"""What mx.nd, mx.gluon.data and its transforms make: the same calls for MXNet 1.9.1 and for dali_rec.compat.mxnet.

python mxnet_gluon.py DATA OUT.npz        with MXNet; DATA is tests/data
"""

import json
import random
import sys
import tempfile
from pathlib import Path

import numpy as np


def results(mx, data):
    """All results by name, as NumPy arrays. ``data``: the folder with the test data, as text."""
    file = mx.recordio.MXIndexedRecordIO(data + "/single.idx", data + "/single.rec", "r")
    whole = mx.image.imdecode(mx.recordio.unpack(file.read_idx(3))[1])
    image = mx.image.fixed_crop(whole, 30, 0, 12, 10)
    found = of_functions(mx.nd)
    found.update(of_methods(mx.nd))
    found.update(of_image(mx, image))
    found.update(of_transforms(mx, image))
    found.update(of_datasets(mx, data))
    found.update(of_dumps(mx))
    found["file of arrays"] = np.frombuffer(file_of_arrays(mx.nd), np.uint8)
    return {name: value.asnumpy() if hasattr(value, "asnumpy") else np.array(value) for name, value in found.items()}


def of_functions(nd):
    small, row = nd.array([[1, 5, 3], [4, 2, 6]]), nd.array([1, -2.5, 3.5])
    three = nd.array(np.arange(24).reshape(2, 3, 4))
    return {
        "full": nd.full((2, 3), -1),
        "arange": nd.arange(3),
        "arange, step": nd.arange(2, 8, 2),
        "from_numpy": nd.from_numpy(np.ones((2,), np.float32)),
        "abs": nd.abs(row),
        "ceil": nd.ceil(row),
        "floor": nd.floor(row),
        "round": nd.round(row),
        "exp": nd.exp(row),
        "log": nd.log(small),
        "sqrt": nd.sqrt(small),
        "square": nd.square(small),
        "maximum": nd.maximum(small, 3),
        "minimum": nd.minimum(small, nd.ones((2, 3)) * 2),
        "where": nd.where(small > 2, small, nd.zeros((2, 3))),
        "swapaxes": nd.swapaxes(three, 0, 2),
        "reshape": nd.reshape(three, shape=(0, -1)),
        "reshape, the others": nd.reshape(three, shape=(0, -2)),
        "reshape, two as one": nd.reshape(three, shape=(-3, 0)),
        "flatten": nd.flatten(three),
        "slice": nd.slice(three, begin=(0, 1, None), end=(1, 3, None)),
        "slice, step": nd.slice(small, begin=(0, 0), end=(2, 3), step=(1, 2)),
        "squeeze": nd.squeeze(nd.ones((1, 3, 1))),
        "squeeze of one": nd.squeeze(nd.ones((1, 1))),
        "split": nd.split(small, num_outputs=3, axis=1)[1],
        "split, squeezed": nd.split(small, num_outputs=2, axis=0, squeeze_axis=True)[1],
        "tile": nd.tile(small, reps=(2, 1)),
        "repeat": nd.repeat(small, repeats=2, axis=0),
        "repeat all": nd.repeat(small, repeats=2),
        "broadcast_to": nd.broadcast_to(nd.ones((1, 3)), shape=(2, 3)),
        "take": nd.take(small, nd.array([1, 0, 7])),
        "take, axis": nd.take(small, nd.array([2]), axis=1),
        "one_hot": nd.one_hot(nd.array([1, 5, 0]), 3),
        "pad": nd.pad(
            small.reshape((1, 1, 2, 3)), mode="constant", constant_value=9, pad_width=(0, 0, 0, 0, 1, 0, 2, 1)
        ),
        "pad edge": nd.pad(small.reshape((1, 1, 2, 3)), mode="edge", pad_width=(0, 0, 0, 0, 1, 1, 1, 1)),
        "max": nd.max(small),
        "max, axis": nd.max(small, axis=1),
        "min": nd.min(small),
        "argmax": nd.argmax(small, axis=1),
        "norm": nd.norm(small),
        "share of equals": nd.mean(small == nd.array([[1, 5, 0], [4, 0, 0]])),
        "dot": nd.dot(small, nd.array(np.arange(12).reshape(3, 4))),
        "dot of an image": nd.dot(three, nd.array(np.arange(12).reshape(4, 3))),
        "dot of rows": nd.dot(row, row),
        "sign": nd.sign(row),
        "stack, out": nd.stack(small, small, out=nd.zeros((2, 2, 3))),
        "Concat": nd.Concat(small, small, dim=0),
        "reverse": nd.reverse(small, axis=1),
        "argmin": nd.argmin(small, axis=0),
        "sort": nd.sort(small),
        "argsort": nd.argsort(small, is_ascend=False),
        "prod": nd.prod(small),
        "mean": nd.mean(small),
        "mean of whole numbers": nd.mean(nd.array([1, 2], dtype="int32")),
        "zeros of no type": nd.zeros((2,), dtype=None),
    }


def of_methods(nd):
    small = nd.array([[1, 5, 3], [4, 2, 6]])
    equal = nd.array([[3, 1, 3, 2], [0, 0, 5, 1]], dtype="uint8")
    three = nd.array(np.arange(24).reshape(2, 3, 4))
    return {
        "its own transpose": three.transpose((2, 0, 1)),
        "its own transpose, axes": three.transpose(axes=(2, 0, 1)),
        "its own transpose backwards": three.transpose(),
        "its own reshape": three.reshape(4, 6),
        "its own reshape, copied": three.reshape((0, -1)),
        "its own reshape, the others": three.reshape((0, -2)),
        "its own reshape, two as one": three.reshape(shape=(-3, 0)),
        "its own flatten": three.flatten(),
        "its own flatten of a row": small[0].flatten(),
        "its own take": small.take(nd.array([1, 1])),
        "its own sum": small.sum(),
        "its own sum, axis": small.sum(axis=1),
        "its own mean": small.mean(),
        "its own max": small.max(),
        "its own min, axis": small.min(axis=0),
        "its own norm": small.norm(),
        "its own sqrt": small.sqrt(),
        "its own flip": small.flip(axis=1),
        "its own slice_axis": small.slice_axis(axis=1, begin=0, end=2),
        "its own split": small.split(num_outputs=3, axis=1)[2],
        "its own squeeze": small.expand_dims(0).squeeze(),
        "its own clip": small.clip(2, 5),
        "its own tile": small.tile((1, 2)),
        "its own detach": small.detach(),
        "its own tostype": small.tostype("default"),
        "its own round": nd.array([0.5, -1.5, 2.4]).round(),
        "its own argmax": small.argmax(axis=1),
        "its own argmax of all": small.argmax(),
        "its own argmin": small.argmin(axis=0),
        "its own sort": small.sort(),
        "its own sort, backwards": small.sort(axis=0, is_ascend=False),
        "its own sort of all": small.sort(axis=None),
        "its own argsort": equal.argsort(),
        "its own argsort, backwards": equal.argsort(is_ascend=False),
        "its own argsort of all": equal.argsort(axis=None),
        "its own argsort, dtype": equal.argsort(dtype="int32"),
        "its own prod": small.prod(),
        "its own squeeze of one": nd.ones((1, 1)).squeeze(),
        "its own clip, a_min": small.clip(a_min=2, a_max=5),
        "its own swapaxes": three.swapaxes(dim1=0, dim2=2),
        "its own rows": small[small[:, 0].argsort(is_ascend=False)],
    }


def of_image(mx, image):
    """mx.nd.image, with factors that leave nothing to chance, and borders."""
    ops, floats = mx.nd.image, image.astype("float32")
    made = {
        "to_tensor": ops.to_tensor(image),
        "to_tensor of two": ops.to_tensor(mx.nd.stack(image, image)),
        "normalize": ops.normalize(ops.to_tensor(image), mean=(0.4, 0.5, 0.6), std=(0.1, 0.2, 0.3)),
        "normalize by one": ops.normalize(ops.to_tensor(image), 0.5, 0.25),
        "resize": ops.resize(image, (7, 5)),
        "resize square": ops.resize(image, 6),
        "resize short": ops.resize(image, 6, keep_ratio=True),
        "resize of two": ops.resize(mx.nd.stack(image, image), (7, 5), interp=0),
        "crop": ops.crop(image, 2, 3, 5, 4),
        "flip_left_right": ops.flip_left_right(image),
        "flip_top_bottom": ops.flip_top_bottom(image),
        "copyMakeBorder": mx.image.copyMakeBorder(image, 1, 2, 3, 4),
        "copyMakeBorder, value": mx.image.copyMakeBorder(image, 1, 0, 0, 1, 0, value=7.0),
        "copyMakeBorder, values": mx.image.copyMakeBorder(image, 1, 0, 0, 1, 0, values=(1.0, 2.0, 3.0)),
        "copyMakeBorder, edge": mx.image.copyMakeBorder(image, 1, 2, 3, 4, 1),
        "adjust_lighting": ops.adjust_lighting(image, alpha=(0.1, 0.2, -0.3)),
        "adjust_lighting of floats": ops.adjust_lighting(floats, alpha=(0.1, 0.2, -0.3)),
    }
    planes = ops.to_tensor(image)
    several = mx.nd.stack(planes, planes * 0.5)
    for name, zoom in (("", {}), (", zoom in", {"zoom_in": True}), (", zoom out", {"zoom_out": True})):
        made["imrotate" + name] = mx.image.imrotate(planes, 30, **zoom)
        made["imrotate of two" + name] = mx.image.imrotate(several, mx.nd.array([-100, 7]), **zoom)
    np.random.seed(8)  # noqa: NPY002  # it is what MXNet draws from
    made["random_rotate"] = mx.image.random_rotate(planes, (-40, 80))
    made["random_rotate of two"] = mx.image.random_rotate(several, (-40, 80))
    made["Rotate"] = mx.gluon.data.vision.transforms.Rotate(-12.5)(planes)
    made["RandomRotation"] = mx.gluon.data.vision.transforms.RandomRotation((-30.0, 30.0), rotate_with_proba=0.7)(
        planes
    )
    grey = image[:, :, :1]
    for kind in ("uint8", "float32"):  # not hue and lighting, whose results MXNet does not fill
        made["random_contrast of grey %s" % kind] = ops.random_contrast(grey.astype(kind), 0.5, 0.5)
        made["random_saturation of grey %s" % kind] = ops.random_saturation(grey.astype(kind), 0.5, 0.5)
    filled = mx.nd.zeros((4, 6, 3), dtype="uint8")
    mx.image.imresize(image, 6, 4, 1, out=filled)
    made["imresize, out"] = filled
    for factor in (0.5, 1.3):
        # Not random_saturation: what MXNet takes for the grey of a pixel is 0.114 of its blue alone.
        for name in ("random_brightness", "random_contrast"):
            made["%s %g" % (name, factor)] = getattr(ops, name)(image, factor, factor)
            made["%s %g of floats" % (name, factor)] = getattr(ops, name)(floats, factor, factor)
    for factor in (0.1, 0.9):
        made["random_hue %g of floats" % factor] = ops.random_hue(floats, factor, factor)
    return made


def of_transforms(mx, image):
    transforms = mx.gluon.data.vision.transforms

    class Turned(mx.gluon.HybridBlock):
        def hybrid_forward(self, F, x):  # noqa: N803  # MXNet's
            return F.transpose(x, axes=(1, 0, 2))

    steps = {
        "Cast": transforms.Cast(),
        "ToTensor": transforms.ToTensor(),
        "Resize": transforms.Resize((8, 6)),
        "Resize, ratio": transforms.Resize(6, keep_ratio=True),
        "CenterCrop": transforms.CenterCrop((6, 4)),
        "CenterCrop of more": transforms.CenterCrop(20),
        "CropResize": transforms.CropResize(1, 2, 6, 4),
        "CropResize, size": transforms.CropResize(1, 2, 6, 4, (3, 2), 1),
        "RandomApply never": transforms.RandomApply(transforms.Resize(3), p=0.0),
        "Compose": transforms.Compose([transforms.Resize(8), transforms.ToTensor(), transforms.Normalize(0.5, 0.5)]),
        "a Block of one's own": Turned(),
    }
    made = {name: step(image) for name, step in steps.items()}
    random.seed(4)
    made["RandomResizedCrop"] = transforms.RandomResizedCrop((6, 5))(image)
    return made


def small(image):
    """A transform with a name, as processes that are not forked need it."""
    import mxnet

    return mxnet.image.imresize(image, 6, 5, 0).astype("float32") / 255


def of_datasets(mx, data):
    gluon = mx.gluon.data
    made = {}
    numbers = gluon.SequentialSampler(10, 2)
    for last_batch in ("keep", "discard", "rollover"):
        sampler = gluon.BatchSampler(numbers, 4, last_batch)
        epochs = [[len(sampler), list(sampler)] for _ in range(3)]
        made["BatchSampler " + last_batch] = json.dumps(epochs)
    np.random.seed(6)  # noqa: NPY002  # it is what MXNet draws from
    made["RandomSampler"] = list(gluon.RandomSampler(10))
    made["FilterSampler"] = list(gluon.FilterSampler(lambda number: number % 3 == 0, gluon.SimpleDataset(range(10))))
    folder = gluon.vision.ImageFolderDataset(data + "/img")
    made["folder"] = json.dumps([folder.synsets, [Path(path).name for path, _ in folder.items]])
    made["image of a folder"], made["label of a folder"] = folder[1]
    records = gluon.vision.ImageRecordDataset(data + "/single.rec").take(5).transform_first(small)
    labelled = gluon.ArrayDataset(mx.nd.array(np.arange(12).reshape(6, 2)), mx.nd.arange(6))
    loaders = {
        "records": gluon.DataLoader(records, batch_size=2),
        "records in two processes": gluon.DataLoader(records, 2, num_workers=2, last_batch="discard"),
        "arrays": gluon.DataLoader(labelled, 4, last_batch="rollover"),
        "arrays by a sampler": gluon.DataLoader(labelled, 4, sampler=gluon.SequentialSampler(5, 1)),
        "arrays by batches": gluon.DataLoader(
            labelled, batch_sampler=gluon.BatchSampler(gluon.SequentialSampler(6), 5)
        ),
    }
    for name, loader in loaders.items():
        for epoch in range(2):
            made["%s %d: length" % (name, epoch)] = len(loader)
            for number, (images, labels) in enumerate(loader):
                made["%s %d.%d" % (name, epoch, number)] = images
                made["%s %d.%d labels" % (name, epoch, number)] = labels
    parts = mx.gluon.utils.split_data(mx.nd.arange(7), 3, even_split=False)
    made["split_data"] = json.dumps([part.asnumpy().tolist() for part in parts])
    (loaded,) = mx.gluon.utils.split_and_load(np.arange(4), [mx.cpu()])
    made["split_and_load"] = loaded
    return made


def of_dumps(mx):
    """What steps say of themselves."""

    class Own(mx.image.Augmenter):
        def __init__(self, p):
            super().__init__(p=p)

    class OwnDet(mx.image.DetAugmenter):
        def __init__(self, p):
            super().__init__(p=p)

    steps = mx.image.CreateAugmenter((3, 8, 8), resize=9, rand_mirror=True, brightness=0.1, contrast=0.2)[:3]
    steps += [mx.image.ColorNormalizeAug(mx.nd.array([1, 2, 3]), None), Own(0.5), OwnDet(1)]
    steps.append(mx.image.DetBorrowAug(mx.image.HorizontalFlipAug(0.5)))
    steps.append(mx.image.SequentialAug([mx.image.HorizontalFlipAug(0.5)]))
    return {"dumps": json.dumps([step.dumps() for step in steps])}


def file_of_arrays(nd):
    """The bytes that mx.nd.save writes of arrays with names and without; that they are read again is part of it."""
    arrays = {kind: nd.array([[1, 2, 3]], dtype=kind) for kind in ("float32", "uint8", "int64", "float16")}
    written = []
    for data in (arrays, list(arrays.values())):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "arrays"
            nd.save(str(path), data)
            written.append(path.read_bytes())
            read = nd.load(str(path))
        again = list(read.values()) if isinstance(data, dict) else read
        assert [str(np.dtype(one.dtype)) for one in again] == list(arrays)
    return b"".join(written)


if __name__ == "__main__":
    import mxnet

    np.savez_compressed(sys.argv[2], **results(mxnet, sys.argv[1]))
