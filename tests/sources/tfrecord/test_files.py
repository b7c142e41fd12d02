"""Which TFRecord files are packed, and of which splits they are by their names."""

import json
import shutil

import pytest
from tfrecord_files import CLASSES, FILES, example, images_of, labelled, labels_of, read, record, write

import dali_rec
from dali_rec.cli import main
from dali_rec.errors import SourceError
from dali_rec.sources.tfrecord.files import split_of


def splits_of(source):
    return [(one.name, one.stop - one.start) for one in source.splits]


@pytest.mark.parametrize(
    ("file", "split"),
    [
        ("train-00000-of-01024", "train"),
        ("validation-00000-of-00128", "val"),
        ("cifar10-test.tfrecord-00000-of-00001", "test"),
        ("coco_train.record-00003-of-00100", "train"),
        ("train-00000-of-00002.tfrecord", "train"),
        ("minival-00000-of-00001", "minival"),
        ("train/00-224x224-798.tfrec", "train"),
        ("train00-2071.tfrec", "train"),
        ("ld_test01-1338.tfrec", "test"),
        ("val.tfrecords", "val"),
        ("train.record", "train"),
        ("train/part-00000-of-00002.tfrecord", "train"),
        ("TRAIN.TFRECORD", "train"),
        ("trainer.tfrecord", None),
        ("train_and_test.tfrecord", None),
        ("images.tfrecord", None),
    ],
)
def test_splits_of_files_by_their_names(file, split):
    assert split_of(file) == split


def test_splits_that_tensorflow_datasets_names_are_kept_apart():
    known = ("train", "test", "test2015", "restval")
    assert [split_of(f"coco-{name}.tfrecord-00000-of-00001", known) for name in known] == [*known]
    assert split_of("toy-validation.tfrecord-00000-of-00001", ("train", "validation")) == "val"
    assert split_of("toy-eval.tfrecord-00000-of-00001", ("eval", "test")) == "eval"


@pytest.mark.parametrize(
    "names",
    [
        ("train-00000-of-00002", "train-00001-of-00002", "validation-00000-of-00001"),
        ("x-train.tfrecord-00000-of-00002", "x-train.tfrecord-00001-of-00002", "x-validation.tfrecord-00000-of-00001"),
        ("train_1.tfrec", "train_2.tfrec", "val.tfrec"),
        ("train/a.tfrecords", "train/b.tfrecords", "val/a.tfrecords"),
        ("2.0.1/train_1.record", "2.0.1/train_2.record", "2.0.1/val.record"),
    ],
)
def test_a_folder_is_packed_in_its_splits(tmp_path, names):
    folder = tmp_path / "set"
    for at, name in enumerate(names):
        labelled(folder / name, [at, at], FILES[2 * at :])
    report = dali_rec.pack(folder, tmp_path / "out" / "x")
    assert [(one.split, one.manifest.records) for one in report.sets] == [("train", 4), ("val", 2)]
    assert [record.image for record in dali_rec.open(tmp_path / "out" / "x-train")] == FILES[:4]
    assert [record.labels.tolist() for record in dali_rec.open(tmp_path / "out" / "x-val")] == [[2], [2]]
    assert report.notes == ()


def test_files_without_splits_are_one_data_set_and_splits_may_be_joined(tmp_path):
    for name in ("b.tfrecord", "a.tfrecord"):
        labelled(tmp_path / "one" / name, [0, 1], FILES[:2] if name[0] == "a" else FILES[2:])
    source = read(tmp_path / "one")
    assert (images_of(source), source.splits) == (FILES[:4], ())
    for name in ("train.tfrecord", "test.tfrecord"):
        labelled(tmp_path / "two" / name, [0, 1])
    assert splits_of(read(tmp_path / "two")) == [("train", 2), ("test", 2)]
    assert read(tmp_path / "two", split="").splits == ()


def test_a_pattern_is_one_data_set_or_several_splits(tmp_path):
    for at, name in enumerate(("train-00000-of-00002", "train-00001-of-00002", "validation-00000-of-00001")):
        labelled(tmp_path / name, [0, 1], FILES[2 * at :])
    assert images_of(read(tmp_path / "train-*")) == FILES[:4]
    assert splits_of(read(tmp_path / "*")) == [("train", 4), ("val", 2)]
    assert images_of(read(tmp_path / "train-00001-of-00002")) == FILES[2:4]
    with pytest.raises(SourceError, match="no such file or folder"):
        read(tmp_path / "nothing-*")


def test_shards_that_are_missing_are_told(tmp_path):
    for number in (0, 2):
        labelled(tmp_path / "set" / f"x-train.tfrecord-{number:05d}-of-00004", [0])
    assert read(tmp_path / "set").notes == (
        f"{tmp_path / 'set'}: of the 4 files x-train.tfrecord-…-of-00004 only 2 are there",
    )


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        (["train.tfrecord", "stats.tfrecord"], r"stats\.tfrecord is of no split by its name, as train\.tfrecord is of"),
        (
            ["a/0.tfrecord", "b/0.tfrecord"],
            r"may be two data sets; pack one of them, or all files by a pattern such as",
        ),
        (["1.0.0/x-train.tfrecord-00000-of-00001", "2.0.0/x-train.tfrecord-00000-of-00001"], "may be two data sets"),
    ],
)
def test_files_that_may_not_belong_together_are_refused(tmp_path, files, reason):
    for file in files:
        labelled(tmp_path / "set" / file, [0])
    with pytest.raises(SourceError, match=reason):
        read(tmp_path / "set")


def test_files_of_names_that_others_have_are_known_by_how_they_begin(tmp_path):
    folder = tmp_path / "set"
    labelled(folder / "train-00000-of-00001", [0, 1])
    (folder / "counts-00000-of-00001").write_text("cat 1\ndog 2\n")
    (folder / "drive.record").write_bytes(b"\x0a\x0bno record of TensorFlow")
    (folder / "dataset_info.json").write_text("{")
    assert images_of(read(folder)) == FILES[:2]
    with pytest.raises(SourceError, match="not a folder"):
        read(folder / "drive.record")


def test_a_folder_with_images_is_one_of_images(tmp_path):
    labelled(tmp_path / "set" / "train.tfrecord", [0, 1])
    (tmp_path / "set" / "a.jpg").write_bytes(FILES[0])
    assert [sample.location for sample in read(tmp_path / "set").samples] == ["a.jpg"]


@pytest.fixture
def datasets(tmp_path):
    """What TensorFlow Datasets leaves: files of three splits, the last without labels, and what is in them."""
    folder = tmp_path / "toy" / "1.0.0"
    labelled(folder / "toy-train.tfrecord-00000-of-00001", [0, 2, 1])
    labelled(folder / "toy-validation.tfrecord-00000-of-00001", [1, 0], FILES[3:])
    labelled(folder / "toy-test.tfrecord-00000-of-00001", [-1, -1], FILES[5:])
    info = {"name": "toy", "splits": [{"name": name} for name in ("train", "validation", "test")]}
    (folder / "dataset_info.json").write_text(json.dumps(info))
    (folder / "label.labels.txt").write_text("".join(f"{name}\n" for name in CLASSES))
    return tmp_path / "toy"


def test_names_of_classes_are_those_of_tensorflow_datasets(datasets):
    source = read(datasets)
    assert splits_of(source) == [("train", 3), ("val", 2)]
    assert (labels_of(source), source.classes) == ([(0,), (2,), (1,), (1,), (0,)], tuple(CLASSES))
    assert source.notes == (f"{datasets}: the split 'test' is left out, as it has no labels",)


def test_classes_numbers_the_names_of_tensorflow_datasets_anew(datasets):
    source = read(datasets, classes=("shark", "hen", "tench"))
    assert (labels_of(source), source.classes) == ([(1,), (0,), (2,), (2,), (1,)], ("shark", "hen", "tench"))


def test_a_label_that_is_none_of_the_classes_is_an_error(datasets):
    labelled(datasets / "1.0.0" / "toy-train.tfrecord-00000-of-00001", [0, 3])
    with pytest.raises(SourceError, match=r"00000-of-00001, record 1: the label 3 in 'label' is none of the 3 classes"):
        read(datasets)
    labelled(datasets / "1.0.0" / "toy-train.tfrecord-00000-of-00001", [0, -1])
    with pytest.raises(
        SourceError, match=r"00000-of-00001, record 1: the label -1 in 'label' is none of the 3 classes"
    ):
        read(datasets)


def test_splits_with_other_classes_are_refused(datasets):
    for name in ("train", "validation"):
        (datasets / name).mkdir()
        for file in (datasets / "1.0.0").glob(f"toy-{name}*"):
            file.rename(datasets / name / file.name)
    shutil.copy(datasets / "1.0.0" / "label.labels.txt", datasets / "train")
    (datasets / "validation" / "label.labels.txt").write_text("a\nb\nc\n")
    shutil.rmtree(datasets / "1.0.0")
    with pytest.raises(SourceError, match=r"label\.labels\.txt: other classes than in .*; pack them one by one"):
        read(datasets)


def test_a_split_without_the_feature_of_the_labels_is_left_out(tmp_path):
    labelled(tmp_path / "set" / "train.tfrec", [1, 0])
    write(tmp_path / "set" / "test.tfrec", [{"image": file, "id": "a1"} for file in FILES[:2]])
    source = read(tmp_path / "set")
    assert splits_of(source) == [("train", 2)]
    assert source.notes == (f"{tmp_path / 'set'}: the split 'test' is left out, as it has no feature of the labels",)


def test_a_list_of_images_in_tfrecord_files_is_refused(tmp_path, capsys):
    labelled(tmp_path / "set" / "x.tfrecord", [0])
    assert main(["list", str(tmp_path / "set"), str(tmp_path / "x.lst")]) == 1
    assert "these images are in TFRecord files: pack it as it is" in capsys.readouterr().err


def test_records_need_no_features_that_are_alike(tmp_path):
    (tmp_path / "x.tfrecord").write_bytes(
        record(example({"image": FILES[0], "label": 1})) + record(example({"label": 2, "more": 0.5, "image": FILES[1]}))
    )
    source = read(tmp_path / "x.tfrecord")
    assert (images_of(source), labels_of(source)) == (FILES[:2], [(1,), (2,)])
