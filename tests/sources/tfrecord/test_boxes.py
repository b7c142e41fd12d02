"""Boxes in TFRecord files: of TensorFlow's Object Detection API, and of TensorFlow Datasets."""

import pytest
from support import encoded, picture
from tfrecord_files import CLASSES, FILES, images_of, write

import dali_rec
from dali_rec.errors import SourceError
from dali_rec.sources import SourceOptions, TableOptions, open_source

CORNERS = ("xmin", "ymin", "xmax", "ymax")


def objects(boxes, numbers=None, texts=None, **more):
    """Features of boxes (xmin, ymin, xmax, ymax), as the Object Detection API has them."""
    sides = zip(*boxes, strict=True) if boxes else [()] * 4
    found = {f"image/object/bbox/{side}": list(values) for side, values in zip(CORNERS, sides, strict=True)}
    for name, values in (("class/label", numbers), ("class/text", texts), *more.items()):
        if values is not None:
            found[f"image/object/{name}"] = values
    return found


def row(number, features, size=(24, 32)):
    width, height = size
    return {
        "image/encoded": FILES[number],
        "image/height": height,
        "image/width": width,
        "image/filename": f"{number}.jpg",
        "image/source_id": str(number),
        **features,
    }


def read(path, classes=None, table=None, **options):
    return open_source(path, SourceOptions(classes=classes, table=TableOptions(**(table or {})), **options))


def boxes_of(source):
    """What a record has behind the header, to five digits, by which float32 is exact here."""
    return [[round(value, 5) for value in sample.labels] for sample in source.samples]


ONE, OTHER = (0.25, 0.125, 0.5, 0.75), (0.0, 0.5, 1.0, 1.0)
TWO_IMAGES = [
    row(0, objects([ONE, OTHER], [7, 3], ["cat", "dog"], is_crowd=[0, 1])),
    row(1, objects([], [], [], is_crowd=[])),
    row(2, objects([OTHER], [3], ["dog"], is_crowd=[0])),
]


def test_boxes_of_the_object_detection_api_are_packed(tmp_path):
    file = write(tmp_path / "coco_train.record-00000-of-00001", TWO_IMAGES)
    report = dali_rec.pack(file, tmp_path / "out" / "x")
    data = dali_rec.open(tmp_path / "out" / "x")
    assert data.classes == ("dog", "cat")
    assert [record.labels.tolist() for record in data] == [
        [4, 6, 24, 32, 1, *ONE, 0, 0, *OTHER, 1],
        [4, 6, 24, 32],
        [4, 6, 24, 32, 0, *OTHER, 0],
    ]
    assert [record.image for record in data] == FILES[:3]
    (note,) = report.notes
    assert note.startswith("1 image without objects; the first: 1.jpg//coco_train.record-00000-of-00001#1@")


@pytest.mark.parametrize(
    ("flagged", "empty", "labels"),
    [
        ("keep", "keep", [[4, 5, 24, 32, 1, *ONE, 0, *OTHER], [4, 5, 24, 32], [4, 5, 24, 32, 0, *OTHER]]),
        ("drop", "drop", [[4, 5, 24, 32, 1, *ONE], [4, 5, 24, 32, 0, *OTHER]]),
    ],
)
def test_flagged_boxes_and_images_without_objects(tmp_path, flagged, empty, labels):
    source = read(write(tmp_path / "x.tfrecord", TWO_IMAGES), flagged=flagged, empty=empty)
    assert boxes_of(source) == labels


@pytest.mark.parametrize(
    ("numbers", "texts", "labels", "classes"),
    [
        ([10, 9], None, [1, 0], ("9", "10")),
        (None, ["dog", "cat"], [1, 0], ("cat", "dog")),
        ([2, 1], ["b", "a"], [1, 0], ("a", "b")),
        ([2, 1], [], [1, 0], ("1", "2")),
    ],
)
def test_classes_are_in_the_order_of_their_numbers_or_names(tmp_path, numbers, texts, labels, classes):
    source = read(write(tmp_path / "x.tfrecord", [row(0, objects([ONE, OTHER], numbers, texts))]))
    assert boxes_of(source) == [[4, 5, 24, 32, labels[0], *ONE, labels[1], *OTHER]]
    assert source.classes == classes


def test_classes_gives_other_numbers(tmp_path):
    file = write(tmp_path / "x.tfrecord", TWO_IMAGES)
    source = read(file, classes=("cow", "cat", "dog"))
    assert [labels[4::6] for labels in boxes_of(source)] == [[1, 2], [], [2]]
    assert source.classes == ("cow", "cat", "dog")
    with pytest.raises(SourceError, match="1 of its classes are not in --classes, 'dog' among them"):
        read(file, classes=("cat",))


def test_difficult_objects_are_flagged(tmp_path):
    features = objects([ONE, OTHER], [1, 2], ["a", "b"], difficult=[0, 1])
    assert [labels[9::6] for labels in boxes_of(read(write(tmp_path / "x.tfrecord", [row(0, features)])))] == [[0, 1]]


def test_boxes_of_tensorflow_datasets_are_packed_in_their_splits(tmp_path):
    folder = tmp_path / "voc"
    rows = [
        {"image": FILES[0], "image/filename": "0.jpg", "objects/bbox": [0.125, 0.25, 0.75, 0.5, 0.5, 0.0, 1.0, 1.0],
         "objects/label": [2, 0], "objects/is_difficult": [1, 0], "labels": [0, 2]},
        {"image": FILES[1], "image/filename": "1.jpg", "objects/bbox": [], "objects/label": [],
         "objects/is_difficult": [], "labels": []},
    ]  # fmt: skip
    write(folder / "voc-train.tfrecord-00000-of-00001", rows)
    write(folder / "voc-test.tfrecord-00000-of-00001", rows[1:])
    (folder / "objects-label.labels.txt").write_text("\n".join(CLASSES))
    source = read(folder)
    assert [(one.name, one.start, one.stop) for one in source.splits] == [("train", 0, 2), ("test", 2, 3)]
    assert boxes_of(source) == [[4, 6, 24, 32, 2, *ONE, 1, 0, *OTHER, 0], [4, 6, 24, 32], [4, 6, 24, 32]]
    assert (source.classes, source.has_boxes) == (tuple(CLASSES), True)
    assert images_of(source) == [FILES[0], FILES[1], FILES[1]]


def test_boxes_follow_an_image_that_is_shown_turned(tmp_path):
    exif = picture().getexif()
    exif[0x0112] = 6  # to be turned by 90° clockwise
    image = encoded(picture(0, (40, 20)), "JPEG", exif=exif)
    stored = {**row(0, objects([(0.25, 0.0, 0.5, 0.5)], [1]), (40, 20)), "image/encoded": image}
    shown = {**row(0, objects([(0.25, 0.0, 0.5, 0.5)], [1]), (20, 40)), "image/encoded": image}
    source = read(write(tmp_path / "x.tfrecord", [stored, shown]))
    assert boxes_of(source) == [[4, 5, 20, 40, 0, 0.5, 0.25, 1.0, 0.5], [4, 5, 20, 40, 0, 0.25, 0.0, 0.5, 0.5]]
    assert any("annotated as stored and shown turned" in note for note in source.notes)


def test_a_size_in_the_record_that_is_out_of_date_does_not_move_boxes(tmp_path):
    source = read(write(tmp_path / "x.tfrecord", [row(0, objects([ONE], [1]), (640, 200))]))
    assert boxes_of(source) == [[4, 5, 24, 32, 0, *ONE]]


def test_images_that_cannot_be_read_are_rejected_when_packed(tmp_path):
    rows = [{**TWO_IMAGES[0], "image/encoded": b"\xff\xd8\xffnothing"}, TWO_IMAGES[2]]
    report = dali_rec.pack(write(tmp_path / "x.tfrecord", rows), tmp_path / "out" / "x", max_bad=1)
    assert report.sets[0].manifest.records == 1


def test_a_label_of_the_image_goes_before_boxes_and_they_are_mentioned(tmp_path):
    rows = [{**one, "image/class/label": 5} for one in TWO_IMAGES]
    file = write(tmp_path / "x.tfrecord", rows)
    source = read(file)
    assert [sample.labels for sample in source.samples] == [(5,)] * 3
    assert source.notes[0] == (
        f"{file}: the boxes in 'image/object/bbox/xmax' are passed over; --label-column image/object/class/label packs "
        "them"
    )
    assert boxes_of(read(file, table={"labels": ("image/object/class/label",)}))[2] == [4, 6, 24, 32, 0, *OTHER, 0]
    assert [sample.labels for sample in read(file, table={"labels": ("",)}).samples] == [(0,)] * 3


def test_masks_are_left_out_and_mentioned(tmp_path):
    source = read(write(tmp_path / "x.tfrecord", [row(0, objects([ONE], [1], mask=[b"\x89PNG\r\n"]))]))
    assert source.notes == (f"{tmp_path / 'x.tfrecord'}: image/object/mask are left out; boxes are packed",)


@pytest.mark.parametrize(
    ("features", "reason"),
    [
        (objects([ONE, OTHER], [1], ["a", "b"]), "record 0: 1 values in 'image/object/class/label', and 2 boxes"),
        (objects([ONE], [1], ["a", "b"]), "record 0: 2 values in 'image/object/class/text', and 1 box"),
        (objects([ONE], [1], ["a"], is_crowd=[0, 0]), "record 0: 2 values in 'image/object/is_crowd', and 1 box"),
        ({**objects([ONE], [1]), "image/object/bbox/xmax": [0.5, 0.75]}, "2 values in 'image/object/bbox/xmax'"),
        ({**objects([ONE], [1]), "image/object/bbox/xmax": ["a"]}, "holds something else than numbers"),
        ({**objects([ONE], [1]), "image/object/bbox/xmax": [float("nan")]}, "holds something else than numbers"),
        (objects([ONE], [-1]), "record 0: -1 in 'image/object/class/label' is no class"),
        (objects([ONE, OTHER], [1, 1], ["a", "b"]), "record 0: the class 1 is 'b' here and 'a' before"),
        (objects([ONE, OTHER], [1, 2], ["a", "a"]), "the classes 1 and 2 are both called 'a'"),
        (objects([], [], []), "no object in it, so no classes"),
        ({"objects/bbox": [0.5, 0.5, 0.75], "objects/label": [1]}, "record 0: 3 numbers in 'objects/bbox'; a box has"),
    ],
)
def test_boxes_that_cannot_be_understood_are_an_error(tmp_path, features, reason):
    with pytest.raises(SourceError, match=reason):
        read(write(tmp_path / "x.tfrecord", [row(0, features)]))


@pytest.mark.parametrize("table", [{"id": "image/source_id"}, {"split": "image/source_id"}, {"columns": ("a",)}])
def test_columns_do_not_go_with_boxes(tmp_path, table):
    with pytest.raises(SourceError, match="--columns, --id-column and --split-column go with labels"):
        read(write(tmp_path / "x.tfrecord", TWO_IMAGES), table=table)


def test_nothing_is_left_without_objects(tmp_path):
    file = write(tmp_path / "x.tfrecord", [TWO_IMAGES[1]])
    with pytest.raises(SourceError, match="no image has an object, and --empty drop"):
        read(file, empty="drop")
