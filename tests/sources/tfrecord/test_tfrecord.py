"""Which features of TFRecord files are the image, the labels and the id, and what is packed of them."""

import pytest
from tfrecord_files import CLASSES, FILES, images_of, labelled, labels_of, read, records_of, write

import dali_rec
from dali_rec.errors import SourceError
from dali_rec.sources import SourceOptions, open_source

SLIM = {
    "image/height": 32,
    "image/width": 24,
    "image/colorspace": "RGB",
    "image/channels": 3,
    "image/format": "JPEG",
}


def slim(number, label, **features):
    """A record as TF-slim's program for ImageNet writes it."""
    path = {"image/filename": f"n{label:04d}_{number}.JPEG", "image/encoded": FILES[number]}
    return {**SLIM, **path, "image/class/label": label, **features}


def test_imagenet_of_tf_slim_keeps_its_numbers(tmp_path):
    texts = {1: "tench", 2: "crane", 3: "crane"}  # as two classes of ImageNet are called
    rows = [
        slim(number, label, **{"image/class/text": texts[label], "image/class/synset": f"n{label}"})
        for number, label in enumerate((2, 1, 3, 2))
    ]
    write(tmp_path / "train-00000-of-00001", rows)
    report = dali_rec.pack(tmp_path / "train-00000-of-00001", tmp_path / "out" / "x")
    labels = [[2], [1], [3], [2]]
    assert records_of(tmp_path / "out" / "x") == [(at, one, FILES[at]) for at, one in enumerate(labels)]
    assert dali_rec.open(tmp_path / "out" / "x").classes == ("0", "n1", "n2", "n3")
    assert (tmp_path / "out" / "x.lst").read_text().splitlines()[0] == "0\t2\tn0002_0.JPEG"
    file = tmp_path / "train-00000-of-00001"
    kept = "its numbers are kept, and there is no image of class 0, which TF-slim has for the background"
    assert report.notes == (
        f"{file}: the classes in 'image/class/label' count from 1: {kept}",
        f"{file}: the feature 'image/class/label' is taken for 'label'",
    )
    assert dali_rec.verify(tmp_path / "out" / "x").ok


@pytest.mark.parametrize(
    ("texts", "classes"),
    [
        (["hen", "tench", "hen", "tench"], ("hen", "tench")),
        (["hen", "tench", "cock", "tench"], None),
        (["hen", "hen", "hen", "hen"], None),
        (["hen", "tench", None, "tench"], None),
        (["hen", "", "hen", "tench"], None),
    ],
)
def test_names_beside_numbers_are_those_of_classes_if_they_agree(tmp_path, texts, classes):
    rows = [slim(at, at % 2, **{"image/class/text": text}) for at, text in enumerate(texts)]
    source = read(write(tmp_path / "x.tfrecord", rows))
    assert (labels_of(source), source.classes) == ([(0,), (1,), (0,), (1,)], classes)


def test_names_of_few_of_many_numbers_are_no_table(tmp_path):
    rows = [slim(at, label, **{"image/class/text": f"c{label}"}) for at, label in enumerate((0, 900))]
    assert read(write(tmp_path / "x.tfrecord", rows)).classes is None


@pytest.mark.parametrize("image", ["image/encoded", "image", "image_raw", "encoded", "img", "jpeg_bytes"])
def test_the_image_is_found_by_its_name_or_by_how_it_begins(tmp_path, image):
    rows = [{image: file, "label": 1, "checksum": b"\x00\xff\x01", "note": "a text"} for file in FILES[:2]]
    assert images_of(read(write(tmp_path / "x.tfrecord", rows))) == FILES[:2]


@pytest.mark.parametrize(
    "label", ["label", "image/class/label", "class", "target", "labels", "image/class/text", "breed"]
)
def test_the_label_is_found_by_its_name_or_as_the_only_one_left(tmp_path, label):
    rows = [
        {"image": file, label: value, "id": f"a{value}", "height": 32}
        for file, value in zip(FILES, (4, 2), strict=False)
    ]
    source = read(write(tmp_path / "x.tfrecord", rows))
    assert labels_of(source) == [(4,), (2,)]
    told = (
        f"{tmp_path / 'x.tfrecord'}: the {'column' if label == 'breed' else 'feature'} {label!r} is taken for 'label'"
    )
    assert source.notes == (() if label == "label" else (told,))


@pytest.mark.parametrize(
    ("values", "labels", "classes"),
    [
        ([3, -1, 2], [(3,), (-1,), (2,)], None),
        ([0.5, 1.25, -2.0], [(0.5,), (1.25,), (-2,)], None),
        (["hen", "shark", "hen"], [(0,), (1,), (0,)], ("hen", "shark")),
        ([[1, 0], [0, 1], [1, 1]], [(1, 0), (0, 1), (1, 1)], None),
        ([[0.5, 2.0], [1.0, 1.0], [0.0, 0.0]], [(0.5, 2), (1, 1), (0, 0)], None),
    ],
)
def test_labels_are_numbers_names_or_lists(tmp_path, values, labels, classes):
    source = read(labelled(tmp_path / "x.tfrecord", values))
    assert (labels_of(source), source.classes) == (labels, classes)


def test_lists_of_names_are_several_columns_of_classes(tmp_path):
    source = read(labelled(tmp_path / "x.tfrecord", [["a", "x"], ["b", "x"], ["a", "y"]]))
    assert labels_of(source) == [(0, 0), (1, 0), (0, 1)]
    assert source.label_classes == (("a", "b"), ("x", "y"))


def test_columns_and_ids_are_chosen_as_in_tables(tmp_path):
    rows = [
        {"scan": FILES[at], "mask": FILES[-1], "age": 30 + at, "sex": "fm"[at], "key": 7 - at, "image/height": 32}
        for at in range(2)
    ]
    file = write(tmp_path / "x.tfrecord", rows)
    source = read(file, location="scan", labels=("sex", "age"), id="key")
    assert (images_of(source), labels_of(source)) == (FILES[:2], [(0, 30), (1, 31)])
    assert [sample.key for sample in source.samples] == [7, 6]
    assert source.label_classes == (("f", "m"), None)
    assert labels_of(read(file, location="scan", labels=("*",), id="key")) == [(30, 0), (31, 1)]
    assert labels_of(read(file, location="scan", labels=("",))) == [(0,), (0,)]
    with pytest.raises(SourceError, match=r"the images may be in any of the features 'mask', 'scan'; name one by"):
        read(file)


def test_a_column_of_splits_divides_the_records(tmp_path):
    rows = [{"image": FILES[at], "label": at, "split": ("train", "val", "train")[at]} for at in range(3)]
    source = read(write(tmp_path / "x.tfrecord", rows))
    assert [(one.name, one.stop - one.start) for one in source.splits] == [("train", 2), ("val", 1)]
    assert read(tmp_path / "x.tfrecord", split="").splits == ()


def test_ids_that_are_names_are_passed_over(tmp_path):
    rows = [{"image": FILES[at], "class": at, "id": f"c0ffee{at}"} for at in range(2)]
    dali_rec.pack(write(tmp_path / "x.tfrec", rows), tmp_path / "out" / "x")
    assert (tmp_path / "out" / "x.lst").read_text() == "0\t0\tc0ffee0\n1\t1\tc0ffee1\n"


def test_numbers_are_the_places_of_the_classes_that_are_named(tmp_path):
    source = read(labelled(tmp_path / "x.tfrecord", [2, 0]), classes=tuple(CLASSES))
    assert (labels_of(source), source.classes) == ([(2,), (0,)], tuple(CLASSES))
    with pytest.raises(SourceError, match="record 0: the label 2 in 'label' is none of the 2 classes"):
        read(tmp_path / "x.tfrecord", classes=("hen", "tench"))
    names = labelled(tmp_path / "names.tfrecord", ["shark", "hen"])
    assert labels_of(read(names, classes=tuple(CLASSES))) == [(2,), (0,)]


def test_images_alone_get_label_0(tmp_path):
    rows = [{"image": file, "image_name": "a.jpg", "height": 32, "width": 24} for file in FILES[:2]]
    source = read(write(tmp_path / "x.tfrecord", rows))
    assert labels_of(source) == [(0,), (0,)]
    assert source.notes[0].endswith("no feature of labels: all images get label 0")


@pytest.mark.parametrize("ids", [("a8f3", "b0c1"), (70, 3)])
def test_images_with_nothing_but_an_id_all_get_label_0(tmp_path, ids):
    rows = [{"image": file, "id": one} for file, one in zip(FILES, ids, strict=False)]
    source = read(write(tmp_path / "test.tfrec", rows))
    assert labels_of(source) == [(0,), (0,)]
    names = [source.pixels.listed(sample.location) for sample in source.samples]
    keys = [sample.key for sample in source.samples]
    assert (names == list(ids)) if isinstance(ids[0], str) else (keys == list(ids))


@pytest.mark.parametrize(
    ("rows", "options", "reason"),
    [
        ([{"image": FILES[0], "label": 1}, {"image": FILES[1]}], {}, r"x\.tfrecord, record 1: 'label' is empty"),
        ([{"image": FILES[0], "label": 1}, {"image": FILES[1], "label": [1, 2]}], {}, "record 1: 'label' has 2 labels"),
        ([{"image": FILES[0], "label": [1, 2]}, {"image": FILES[1]}], {}, "record 1: 'label' has 0 labels, and 2 in"),
        ([{"image": FILES[0], "label": one} for one in (1, 2, "cat")], {}, "record 2: the label 'cat' is no number"),
        ([{"image": FILES[0], "label": b"\xff\xfe"}], {"labels": ("label",)}, "holds something else than numbers"),
        ([{"image": FILES[0], "label": "a"}, {"image": FILES[0], "label": b"\xff"}], {}, "which is no text in UTF-8"),
        ([{"image": FILES[0], "label": float("nan")}], {}, "the label 'nan' is not a finite number"),
        ([{"image": FILES[0], "label": None}], {}, "'label' has no labels in the first records"),
        ([{"image": FILES[0], "a": 1, "b": 2}], {}, "no column 'label' in"),
        ([{"image": FILES[0], "a": 1}], {"labels": ("c",)}, "no column 'c' in"),
        ([{"image": FILES[0], "a": 1}], {"location": "c"}, "no feature 'c' among 'a', 'image'"),
        ([{"image": FILES[0], "a": 1}], {"location": "a"}, "holds something else than the bytes of images"),
        ([{"image": FILES[0], "a": 1}], {"columns": ("a", "b")}, "--columns names the columns of a CSV"),
        ([{"path": "cat/1.jpg", "label": 1}], {}, "no feature that begins as an image among 'label', 'path'"),
        ([{"image": b"\x00\x80\x00", "label": 1}], {}, "'image' begins as no image, and there are no features such as"),
        ([{"image": FILES[0], "label": 1, "n": [1, 2]}], {"id": "n"}, "holds something else than whole numbers"),
        ([{"image": FILES[0], "label": 1, "id": 3}] * 2, {}, r"'id' 3 stands in .*x\.tfrecord, record 0 already"),
    ],
)
def test_what_cannot_be_understood_is_an_error(tmp_path, rows, options, reason):
    file = write(tmp_path / "x.tfrecord", rows)
    with pytest.raises(SourceError, match=reason):
        read(file, **options)


def test_a_bare_string_of_bytes_is_no_list_of_labels(tmp_path):
    rows = [{"image": FILES[0], "label": 1, "objects": [1, 2, 3]}, {"image": FILES[1], "label": 0, "objects": [4]}]
    assert labels_of(read(write(tmp_path / "x.tfrecord", rows))) == [(1,), (0,)]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"root": "."}, "--root goes with a list"),
        ({"label_width": 2}, "--label-width goes with"),
        ({"label_pattern": "(.)"}, "--label-pattern goes with"),
        ({"flagged": "drop"}, "--flagged and --empty go with boxes"),
        ({"empty": "drop"}, "--flagged and --empty go with boxes"),
    ],
)
def test_options_that_do_not_go_with_it_are_refused(tmp_path, options, reason):
    with pytest.raises(SourceError, match=reason):
        open_source(labelled(tmp_path / "x.tfrecord", [0]), SourceOptions(**options))


def test_it_may_be_shuffled_and_resumed_by_its_places(tmp_path):
    labelled(tmp_path / "x.tfrecord", list(range(12)))
    report = dali_rec.pack(tmp_path / "x.tfrecord", tmp_path / "out" / "x", shuffle=True, shards=3)
    assert report.sets[0].manifest.records == 12
    found = {int(record.labels[0]): record.image for record in dali_rec.open(tmp_path / "out" / "x")}
    assert [found[number] for number in range(12)] == FILES
    assert [int(record.labels[0]) for record in dali_rec.open(tmp_path / "out" / "x")] != list(range(12))
