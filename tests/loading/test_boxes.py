import json

import numpy as np
import pytest
from PIL import Image
from support import DATA, encoded, jpeg

import dali_rec
from dali_rec import Loader
from dali_rec.errors import DatasetError, LoaderError
from dali_rec.loading import BoxAugmentation

SIZE = (60, 100)
OPTIONS = {"batch_size": 5, "image_size": SIZE, "framework": "numpy", "device": "cpu", "dtype": "uint8", "threads": 2}


@pytest.fixture(scope="module")
def patches(tmp_path_factory):
    """A COCO set: 22 images with a white patch, the object, on black, and two with nothing on them."""
    folder = tmp_path_factory.mktemp("patches")
    images, annotations = [], []
    for number in range(24):
        image = Image.new("RGB", (200, 160))
        if number < 22:
            left, top = 20 + 4 * number, 10 + 3 * number
            image.paste((255, 255, 255), (left, top, left + 60, top + 50))
            annotations.append({"image_id": 100 + number, "category_id": 1 + number % 2, "bbox": [left, top, 60, 50]})
        (folder / f"{number}.png").write_bytes(encoded(image, "PNG"))
        images.append({"id": 100 + number, "file_name": f"{number}.png", "width": 200, "height": 160})
    categories = [{"id": 1, "name": "even"}, {"id": 2, "name": "odd"}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "coco.json").write_text(json.dumps(content))
    dali_rec.pack(folder / "coco.json", folder / "packed")
    return folder / "packed"


def patch_of(image):
    ys, xs = (image[:, :, 0] > 160).nonzero()
    height, width = image.shape[:2]
    return np.array([xs.min() / width, ys.min() / height, (xs.max() + 1) / width, (ys.max() + 1) / height])


@pytest.mark.parametrize(
    "augment",
    [
        None,
        "eval",
        "train",
        BoxAugmentation(overlaps=(), flip=1.0),
        BoxAugmentation(zoom_out=3.0, zoom_chance=1.0, overlaps=(), flip=0.0),
        BoxAugmentation(zoom_out=3.0),
        BoxAugmentation(fit="pad"),
        BoxAugmentation(zoom_out=2.0, fit="pad", flip=1.0, overlaps=(0.5, 0.9)),
    ],
    ids=str,
)
@pytest.mark.parametrize("shuffle", [False, "global"])
def test_boxes_lie_on_their_objects(patches, augment, shuffle):
    loader = dali_rec.Loader(patches, augment=augment, shuffle=shuffle, with_ids=True, seed=3, **OPTIONS)
    seen = 0
    for _ in range(3):
        for images, boxes, ids in loader:
            for image, padded, key in zip(images, boxes, ids.tolist(), strict=True):
                objects = padded[padded[:, 0] >= 0]
                if key >= 122:
                    assert not len(objects)
                    continue
                # A crop may have left the object's rim without its centre.
                if len(objects):
                    seen += 1
                    assert objects[0, 0] == key % 2
                    assert np.abs(objects[0, 1:5] - patch_of(image)).max() < 0.03
    assert seen > 40


def test_whole_images_have_the_boxes_of_the_records(patches):
    dataset = dali_rec.open(patches)
    loader = dali_rec.Loader(dataset, augment=None, boxes="list", with_ids=True, **OPTIONS)
    expected = {record.key: record.labels[4:].reshape(-1, 6) for record in dataset}
    for _, boxes, ids in loader:
        for objects, key in zip(boxes, ids.tolist(), strict=True):
            assert objects.dtype == np.float32
            assert np.array_equal(objects, expected[key])


def test_images_without_so_many_objects_are_padded():
    loader = dali_rec.Loader(DATA / "detection", augment=None, boxes="pad", **OPTIONS)
    (_, boxes), *_ = loader
    assert boxes.shape == (5, 4, 5)
    assert (boxes[:, :, 0] >= 0).sum(axis=1).tolist() == [1, 2, 3, 4, 1]
    assert boxes[0, 1:].tolist() == [[-1.0] * 5] * 3
    assert boxes[1, :2] == pytest.approx(np.array([[0, 0, 0.1, 0.3, 0.6], [1, 0.1, 0.1, 0.4, 0.6]]))


def test_number_of_objects_can_be_fixed():
    loader = dali_rec.Loader(DATA / "detection", augment=None, boxes="pad", max_objects=9, **OPTIONS)
    assert {boxes.shape[1:] for _, boxes in loader} == {(9, 5)}
    assert loader.element_spec[1].shape == (None, 9, 5)
    with pytest.raises(LoaderError, match="max_objects is 3"):
        list(dali_rec.Loader(DATA / "detection", augment=None, boxes="pad", max_objects=3, **OPTIONS))
    for senseless in (0, 3.0):
        with pytest.raises(ValueError, match=f"max_objects is {senseless}"):
            dali_rec.Loader(DATA / "detection", augment=None, boxes="pad", max_objects=senseless, **OPTIONS)


def test_torch_gets_tensors():
    torch = pytest.importorskip("torch")
    loader = dali_rec.Loader(DATA / "detection", boxes="pad", **{**OPTIONS, "framework": "torch", "dtype": "float32"})
    images, boxes = next(iter(loader))
    assert isinstance(boxes, torch.Tensor)
    assert images.shape == (5, 3, *SIZE)


@pytest.mark.parametrize("shuffle", [True, "global"])
def test_epoch_goes_on_with_the_same_crops_after_a_resume(patches, shuffle):
    def make():
        return dali_rec.Loader(patches, augment=BoxAugmentation(zoom_out=2.0), shuffle=shuffle, seed=5, **OPTIONS)

    loader = make()
    batches = iter(loader)
    next(batches)
    state = json.loads(json.dumps(loader.state_dict()))
    rest = list(batches)
    resumed = make()
    resumed.load_state_dict(state)
    again = list(resumed)
    assert len(again) == len(rest) == 4
    for (images, boxes), (others, other_boxes) in zip(rest, again, strict=True):
        assert np.array_equal(images, others)
        assert np.array_equal(boxes, other_boxes)


def test_boxes_that_reach_out_or_stand_on_their_head_do_not_stop_the_pipeline(tmp_path):
    with dali_rec.RecordWriter(tmp_path / "x.rec") as writer:
        writer.write_image(jpeg(), [2, 5, 0, -0.1, 0.2, 1.01, 0.5, 1, 0.9, 0.9, 0.1, 0.1, 2, 0.5, 0.5, 0.5, 0.5], 0)
    loader = dali_rec.Loader(tmp_path / "x.rec", boxes="pad", **{**OPTIONS, "batch_size": 1})
    for _ in range(20):
        for _, boxes in loader:
            assert boxes[:, :, 1:].max() <= 1


@pytest.mark.parametrize("batch_size", [1, 2, 7])
@pytest.mark.parametrize(
    "augment",
    [
        "train",
        "eval",
        BoxAugmentation(zoom_out=2.0, overlaps=()),
        BoxAugmentation(overlaps=(), flip=0.0, fit="pad"),
        BoxAugmentation(zoom_out=3.0, jitter=(0.1, 0.1, 0.1, 0.0), fit="pad"),
    ],
)
def test_batches_without_any_object_have_no_boxes(tmp_path, augment, batch_size):
    objects = {0: 1, 1: 2, 2: 0, 3: 0, 4: 1, 5: 1, 6: 1, 7: 0}
    with dali_rec.RecordWriter(tmp_path / "x.rec") as writer:
        for key, count in objects.items():
            writer.write_image(jpeg(key), [2, 5, *[key, 0.2, 0.2, 0.9, 0.9] * count], key)
    loader = Loader(
        tmp_path / "x.rec",
        batch_size,
        16,
        augment=augment,
        boxes="list",
        framework="numpy",
        device="cpu",
        shuffle=False,
        with_ids=True,
    )
    for _ in range(2):
        seen = {}
        for _, boxes, keys in loader:
            seen |= {key: len(one) for key, one in zip(keys.tolist(), boxes, strict=True)}
        assert all(seen[key] <= count for key, count in objects.items())
        if augment == "eval":
            assert seen == objects


def test_bad_image_is_left_out_with_its_boxes(tmp_path):
    with dali_rec.RecordWriter(tmp_path / "x.rec") as writer:
        for key in range(4):
            writer.write_image(jpeg(key) if key != 2 else b"bad", [2, 5, key, 0, 0, 1, 1], key)
    loader = dali_rec.Loader(tmp_path / "x.rec", boxes="pad", augment=None, on_error="skip", **OPTIONS)
    ((images, boxes),) = loader
    assert len(images) == 3
    assert boxes[:, 0, 0].tolist() == [0, 1, 3]
    assert loader.skipped == (2,)


def test_labels_that_are_no_boxes_are_refused(packed, tmp_path):
    with pytest.raises(DatasetError, match="are no boxes"):
        dali_rec.Loader(packed, boxes="pad", **OPTIONS)
    with dali_rec.RecordWriter(tmp_path / "header.rec") as writer:
        writer.write_image(jpeg(), [2, 5, 0, 0, 0, 1, 1], 0)
        writer.write_image(jpeg(), [3, 5, 9, 0, 0, 0, 1, 1], 1)
    with pytest.raises(DatasetError, match="id 1 has labels of another layout"):
        dali_rec.Loader(tmp_path / "header.rec", boxes="pad", **OPTIONS)
    with dali_rec.RecordWriter(tmp_path / "width.rec") as writer:
        writer.write_image(jpeg(), [2, 5, 0, 0, 0, 1, 1], 0)
        writer.write_image(jpeg(), [2, 6, 0, 0, 0, 1, 1, 0], 1)
    with pytest.raises(LoaderError, match="5 numbers an object"):
        list(dali_rec.Loader(tmp_path / "width.rec", boxes="pad", augment=None, **OPTIONS))


def test_boxes_have_no_classes_to_balance(tmp_path):
    with dali_rec.RecordWriter(tmp_path / "x.rec") as writer:
        for key in range(4):
            writer.write_image(jpeg(key), [2, 5, key, 0, 0, 1, 1], key)
    with pytest.raises(DatasetError, match="have boxes, not one class each"):
        dali_rec.Loader(tmp_path / "x.rec", boxes="pad", balance="class", **OPTIONS)


def test_augmentation_that_would_leave_boxes_behind_is_refused(patches):
    for augment in ("randaugment", lambda images: images):
        with pytest.raises(ValueError, match="with boxes it is"):
            dali_rec.Loader(patches, augment=augment, **OPTIONS)
    with pytest.raises(ValueError, match="has boxes, which it would not move"):
        dali_rec.loading.image_pipeline(patches, 4, SIZE, device="cpu")
    with pytest.raises(ValueError, match="boxes is 'lists': expected one of 'auto', 'pad', 'list', 'off'"):
        dali_rec.Loader(patches, boxes="lists", **OPTIONS)
    with pytest.raises(ValueError, match="boxes of a list"):
        dali_rec.Loader(patches, labels="x.lst", **OPTIONS)


def test_box_augmentation_needs_boxes(packed):
    with pytest.raises(ValueError, match="without them none of the last"):
        dali_rec.Loader(packed, augment=BoxAugmentation(), **OPTIONS)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"zoom_out": 0.5}, "zoom_out is 0.5"),
        ({"overlaps": (2,)}, "overlaps are"),
        ({"overlaps": 0.5}, "overlaps are 0.5"),
        ({"scale": 0.3}, "scale is 0.3"),
        ({"scale": (0, 1)}, "scale is"),
        ({"aspect": (2, 1)}, "aspect is"),
        ({"jitter": (1, 2)}, "jitter is"),
        ({"fit": "crop"}, "fit is 'crop'"),
        ({"flip": 2}, "flip is 2"),
    ],
)
def test_ranges_that_are_none_are_refused(options, says):
    with pytest.raises(ValueError, match=says):
        BoxAugmentation(**options)
