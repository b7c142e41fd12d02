"""Parquet files as Hugging Face distributes data sets, and as PyArrow writes tables."""

import base64
import re
import sys

import pytest

import dali_rec
from dali_rec.cli import main
from dali_rec.errors import ImageRejectedError, MissingDependencyError, SourceError
from dali_rec.sources import SourceOptions, open_source
from dali_rec.sources.parquet.files import find_parquet, split_of

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

from parquet_files import (  # noqa: E402
    CLASSES,
    FILES,
    HUGGING_FACE,
    IMAGE,
    features,
    images,
    images_of,
    labelled,
    labels_of,
    read,
    records_of,
    write,
)


def test_a_folder_of_the_hub_is_packed_in_its_splits(hub, tmp_path):
    report = dali_rec.pack(hub, tmp_path / "out" / "x")
    assert [(one.split, one.manifest.records, one.manifest.classes) for one in report.sets] == [
        ("train", 9, tuple(CLASSES)),
        ("val", 2, tuple(CLASSES)),
    ]
    labels = [0, 2, 1, 2, 0, 1, 1, 2, 2]
    assert records_of(tmp_path / "out" / "x-train") == [(n, [label], FILES[n]) for n, label in enumerate(labels)]
    assert records_of(tmp_path / "out" / "x-val") == [(0, [1], FILES[9]), (1, [0], FILES[10])]
    assert report.notes == (f"{hub}: the split 'test' is left out, as it has no labels",)
    lines = (tmp_path / "out" / "x-train.lst").read_text().splitlines()
    assert lines[6:8] == ["6\t1\tn6.jpg", "7\t2\tn0.jpg"]
    assert dali_rec.verify(tmp_path / "out" / "x-train").ok


def test_files_that_datasets_writes(tmp_path):
    datasets = pytest.importorskip("datasets")
    kinds = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=CLASSES)})
    rows = [{"bytes": file, "path": f"{number}.jpg"} for number, file in enumerate(FILES)]
    labels = [number % 3 for number in range(12)]
    data = datasets.Dataset.from_dict({"image": rows, "label": labels}, features=kinds)
    data.to_parquet(tmp_path / "train-00000-of-00001.parquet", batch_size=5)
    dali_rec.pack(tmp_path / "train-00000-of-00001.parquet", tmp_path / "out" / "x")
    dali_rec.pack(data, tmp_path / "wanted" / "x")
    assert records_of(tmp_path / "out" / "x") == records_of(tmp_path / "wanted" / "x")
    assert dali_rec.open(tmp_path / "out" / "x").classes == tuple(CLASSES)


def test_a_pattern_is_one_data_set_or_several_splits(hub):
    source = read(hub / "data" / "train-*.parquet")
    assert (images_of(source), source.splits) == (FILES[:9], ())
    source = read(hub / "**" / "*.parquet")
    assert [(one.name, one.stop - one.start) for one in source.splits] == [("train", 9), ("val", 2)]
    with pytest.raises(SourceError, match="no such file or folder"):
        read(hub / "data" / "nothing-*.parquet")


def test_files_of_a_pattern_are_in_the_order_of_their_paths(tmp_path):
    for number, folder in enumerate(("a-b", "a", "a0", "B")):
        labelled(tmp_path / folder / "x.parquet", [0], FILES[number : number + 1])
    assert images_of(read(tmp_path / "*" / "x.parquet")) == [FILES[number] for number in (3, 0, 1, 2)]


def test_splits_can_be_joined_or_come_from_a_column(tmp_path):
    columns = {"image": images(FILES[:4]), "label": [0, 1, 0, 1], "fold": ["a", "b", "a", "b"]}
    write(tmp_path / "set" / "train.parquet", columns)
    write(tmp_path / "set" / "test.parquet", columns)
    assert [one.name for one in read(tmp_path / "set").splits] == ["train", "test"]
    assert read(tmp_path / "set", split="").splits == ()
    assert [(one.name, one.stop - one.start) for one in read(tmp_path / "set", split="fold").splits] == [
        ("a", 4),
        ("b", 4),
    ]


@pytest.mark.parametrize(
    ("file", "split"),
    [
        ("data/train-00000-of-00294.parquet", "train"),
        ("data/validation-00000-of-00014.parquet", "val"),
        ("data/train-00000-of-00001-1359597a978bc4fa.parquet", "train"),
        ("data/extra_train-00000-of-00001.parquet", "extra_train"),
        ("data/mnist-test-00000-of-00001.parquet", "test"),
        ("default/train/0000.parquet", "train"),
        ("default/partial-train/0001.parquet", "train"),
        ("eval.parquet", "test"),
        ("my_dev_2.PARQUET", "val"),
        ("train/part-00000-of-00002.parquet", "train"),
        ("train_and_test.parquet", None),
        ("part-00000-c000.snappy.parquet", None),
        ("trainer.parquet", None),
    ],
)
def test_splits_of_files_by_their_names(file, split):
    assert split_of(file) == split


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        (["data/train-00000-of-00001.parquet", "data/stats.parquet"], "data/stats.parquet is of no split by its name"),
        (["a/train-00000-of-00001.parquet", "b/train-00000-of-00001.parquet"], "may be two data sets; pack one of"),
        (["a/0.parquet", "b/0.parquet"], r"may be two data sets; pack one of them, or all files by a pattern"),
    ],
)
def test_files_that_may_not_belong_together_are_refused(tmp_path, files, reason):
    for file in files:
        labelled(tmp_path / "set" / file, [0])
    with pytest.raises(SourceError, match=reason):
        read(tmp_path / "set")


def test_a_name_that_all_shards_have_is_no_split(tmp_path):
    for number in range(2):
        labelled(tmp_path / "set" / f"images-{number:05d}-of-00002.parquet", [0])
    assert read(tmp_path / "set").splits == ()
    labelled(tmp_path / "set" / "extra-00000-of-00001.parquet", [0])
    assert [one.name for one in read(tmp_path / "set").splits] == ["extra", "images"]


def test_splits_in_folders_of_a_data_set_belong_together(tmp_path):
    for name in ("default/train/0000", "default/train/0001", "default/test/0000"):
        labelled(tmp_path / "set" / f"{name}.parquet", [0, 1])
    assert [(one.name, one.stop - one.start) for one in read(tmp_path / "set").splits] == [("train", 4), ("test", 2)]


def test_images_beside_shards_are_left_out_and_told(hub):
    (hub / "assets").mkdir()
    (hub / "assets" / "logo.jpg").write_bytes(FILES[0])
    assert read(hub).notes[0] == f"{hub}: 1 image beside the Parquet files left out: assets/logo.jpg"


def test_a_folder_of_images_stays_one(class_folder):
    write(class_folder / "metadata.parquet", {"file_name": ["ant/ant_000.jpg"], "label": [0]})
    write(class_folder / "embeddings.parquet", {"vector": [[0.5, 0.5]]})
    assert find_parquet(class_folder) is None
    assert len(read(class_folder).samples) == 12


@pytest.mark.parametrize("kind", [IMAGE, pa.binary(), pa.large_binary(), pa.string(), pa.large_string()])
def test_columns_of_images_of_every_type(tmp_path, kind):
    values = FILES[:4]
    if kind == IMAGE:
        values = images(values)
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        values = ["data:image/jpeg;base64," + base64.b64encode(one).decode() for one in values]
    column = values if kind == IMAGE else pa.array(values, kind)
    source = read(write(tmp_path / "x.parquet", {"picture": column, "label": [0, 1, 1, 0]}), location="picture")
    assert images_of(source) == FILES[:4]
    assert labels_of(source) == [(0,), (1,), (1,), (0,)]


def test_the_image_is_found_by_what_hugging_face_says_then_by_type(tmp_path):
    columns = {"thumb": pa.array(FILES[4:6]), "photo": images(FILES[:2]), "label": [0, 1]}
    assert images_of(read(write(tmp_path / "a.parquet", columns))) == FILES[:2]
    said = features(thumb={"_type": "Image"})
    assert images_of(read(write(tmp_path / "b.parquet", columns, said))) == FILES[4:6]
    columns["mask"] = columns["photo"]
    with pytest.raises(
        SourceError, match="may be in any of the columns 'photo', 'mask'; name one by --location-column"
    ):
        read(write(tmp_path / "c.parquet", columns))
    assert images_of(read(tmp_path / "c.parquet", location="mask")) == FILES[:2]


def test_paths_and_urls_are_read_as_those_of_a_table(tmp_path):
    (tmp_path / "photos").mkdir()
    for number in range(3):
        (tmp_path / "photos" / f"{number}.jpg").write_bytes(FILES[number])
    paths = [f"photos/{number}.jpg" for number in range(3)]
    path = write(tmp_path / "metadata.parquet", {"file_name": paths, "label": ["b", "a", "b"]})
    dali_rec.pack(path, tmp_path / "out" / "x", shuffle=True)
    assert {image for _, _, image in records_of(tmp_path / "out" / "x")} == {*FILES[:3]}
    assert dali_rec.open(tmp_path / "out" / "x").classes == ("a", "b")
    source = read(
        write(tmp_path / "laion.parquet", {"URL": ["https://x.org/1.jpg"], "TEXT": ["a cat"], "NSFW": [0.5]}),
        labels=("NSFW",),
    )
    assert [(sample.labels, sample.location) for sample in source.samples] == [((0.5,), "https://x.org/1.jpg")]
    assert source.pixels is None


def test_paths_of_several_files_begin_in_the_folder_of_all_or_in_root(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "1.jpg").write_bytes(FILES[1])
    for name in ("train", "test"):
        write(tmp_path / "set" / "data" / f"{name}.parquet", {"path": ["1.jpg"], "label": [3]})
    report = dali_rec.pack(tmp_path / "set", tmp_path / "out" / "x", root=tmp_path / "photos")
    assert [one.manifest.records for one in report.sets] == [1, 1]
    with pytest.raises(SourceError, match="--root says where paths begin, and the images are in the files"):
        read(labelled(tmp_path / "held.parquet", [0]), root=tmp_path)


def test_strings_are_numbered_and_classes_fixes_the_numbers(tmp_path):
    path = write(tmp_path / "x.parquet", {"image": images(FILES[:3]), "label": ["tench", "hen", "tench"]})
    assert (labels_of(read(path)), read(path).classes) == ([(1,), (0,), (1,)], ("hen", "tench"))
    assert labels_of(read(path, classes=("tench", "shark", "hen"))) == [(0,), (2,), (0,)]
    named = labelled(tmp_path / "y.parquet", [0, 1, 2])
    assert labels_of(read(named, classes=("shark", "tench", "hen"))) == [(2,), (1,), (0,)]
    with pytest.raises(SourceError, match=r"y\.parquet, row 2: the label 'shark' is not in --classes"):
        read(named, classes=("tench", "hen"))


def test_labels_of_many_forms(tmp_path):
    columns = {
        "image": images(FILES[:2]),
        "flag": [True, False],
        "age": pa.array([7, 9], pa.uint8()),
        "both": pa.array([[0.5, 1.5], [2.5, 3.5]], pa.list_(pa.float32())),
        "kind": pa.array(["b", "a"]).dictionary_encode(),
        "tags": pa.array([[0, 1], [2, 2]]),
    }
    said = features(tags={"feature": {"_type": "ClassLabel", "names": CLASSES}, "_type": "List"})
    path = write(tmp_path / "x.parquet", columns, said)
    source = read(path, labels=("flag", "age", "both", "kind", "tags"))
    assert labels_of(source) == [(1, 7, 0.5, 1.5, 1, 0, 1), (0, 9, 2.5, 3.5, 0, 2, 2)]
    assert source.label_classes == (None,) * 4 + (("a", "b"), tuple(CLASSES), tuple(CLASSES))
    every = write(tmp_path / "y.parquet", {"image": images(FILES[:2]), "a": [1, 2], "b": [3, 4]})
    assert labels_of(read(every, labels=("*",))) == [(1, 3), (2, 4)]


def test_the_only_column_of_classes_is_the_label(tmp_path):
    kinds = {"_type": "ClassLabel", "names": CLASSES}
    columns = {"img": images(FILES[:2]), "fine": [2, 0], "text": ["a", "b"]}
    source = read(write(tmp_path / "x.parquet", columns, features(img={"_type": "Image"}, fine=kinds)))
    assert (labels_of(source), source.classes) == ([(2,), (0,)], tuple(CLASSES))
    assert source.notes == (f"{tmp_path / 'x.parquet'}: the column 'fine' is taken for 'label'",)
    columns["coarse"] = [1, 1]
    both = features(img={"_type": "Image"}, fine=kinds, coarse=kinds)
    with pytest.raises(
        SourceError, match="any of the columns 'fine', 'coarse'; name one by --label-column, '' for none"
    ):
        read(write(tmp_path / "y.parquet", columns, both))


def test_images_alone_get_label_0(tmp_path):
    columns = {"image": images(FILES[:2], [None, None]), "id": [5, 3]}
    source = read(write(tmp_path / "x.parquet", columns))
    assert [(sample.key, sample.labels) for sample in source.samples] == [(5, (0,)), (3, (0,))]
    assert source.notes == (f"{tmp_path / 'x.parquet'}: no column of labels: all images get label 0",)
    assert images_of(read(write(tmp_path / "y.parquet", {"image": pa.array(FILES[:2])}))) == FILES[:2]


def test_labels_can_be_left_out(tmp_path):
    columns = {"image": images(FILES[:2]), "label": ["a", "b"], "fine": [2, 0], "coarse": [1, 1]}
    kinds = {"_type": "ClassLabel", "names": CLASSES}
    source = read(write(tmp_path / "x.parquet", columns, features(fine=kinds, coarse=kinds)), labels=("",))
    assert (labels_of(source), source.classes, source.notes) == ([(0,), (0,)], None, ())
    with pytest.raises(SourceError, match="--classes numbers the names of classes, and there are no labels"):
        read(tmp_path / "x.parquet", classes=("a", "b"), labels=("",))


def test_boxes_that_are_passed_over_are_told(tmp_path):
    columns = {"image": images(FILES[:1]), "label": [3], "objects": [{"bbox": [[0, 0, 5, 5]], "category": [1]}]}
    path = write(tmp_path / "x.parquet", columns)
    note = f"{path}: the boxes in the column 'objects' are passed over; write COCO annotations to pack them"
    assert read(path).notes == (note,)


def test_splits_without_labels_are_all_packed(hub, tmp_path):
    for name in ("train", "test"):
        write(tmp_path / "bare" / f"{name}.parquet", {"image": images(FILES[:2])})
    for source, splits in (
        (read(tmp_path / "bare"), ["train", "test"]),
        (read(hub, labels=("",)), ["train", "val", "test"]),
    ):
        assert [one.name for one in source.splits] == splits
        assert {*labels_of(source)} == {(0,)}
    assert images_of(source) == FILES


def test_ids_and_the_index_of_pandas(tmp_path):
    columns = {"image": images(FILES[:2]), "kind": [3, 4], "id": [70, 50], "__index_level_0__": [0, 1]}
    source = read(write(tmp_path / "x.parquet", columns))
    assert [(sample.key, sample.labels) for sample in source.samples] == [(70, (3,)), (50, (4,))]
    write(tmp_path / "two" / "a.parquet", columns)
    write(tmp_path / "two" / "b.parquet", columns)
    repeats = r"b\.parquet, row 0: 'id' 70 stands in .*a\.parquet, row 0 already; --id-column '' does without ids"
    with pytest.raises(SourceError, match=repeats):
        read(tmp_path / "two")
    assert [sample.key for sample in read(tmp_path / "two", id="").samples] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("columns", "options", "reason"),
    [
        ({"label": [0, 1]}, {}, r"x\.parquet: no column 'location' in"),
        ({"image": "images", "text": ["a", "b"], "size": [1, 2]}, {}, "no column 'label' in .*--label-column"),
        ({"image": "images", "label": [0, None]}, {}, r"x\.parquet, row 1: 'label' is empty"),
        ({"image": "images", "label": [0.5, float("nan")]}, {}, "row 1: the label 'nan' is not a finite number"),
        ({"image": "images", "label": [[0, 1], [2]]}, {}, "row 1: 'label' has 1 labels, and 2 in the first row"),
        ({"image": "images", "label": [[0, 1], None]}, {}, "row 1: 'label' has no list, and 2 in the first row"),
        ({"image": "images", "label": [[0, 1], [2, None]]}, {}, r"row 1: 'label\[1\]' is empty"),
        ({"image": "images", "label": pa.array([[], []], pa.list_(pa.int8()))}, {}, "row 0: 'label' has no labels"),
        (
            {"image": "images", "label": [{"a": 1}, {"a": 2}]},
            {},
            r"'label' is of the type struct<a: int64>; expected n",
        ),
        ({"image": [[1], [2]], "label": [0, 1]}, {}, r"'image' is of the type list<.*>; expected images, or"),
        (
            {"views": [[{"bytes": b"x", "path": "a"}]], "label": [0]},
            {},
            r"'views' is of the type list<.*>; .* make a row of each image, as explode\('views'\) of pandas does, or n",
        ),
        ({"views": [[b"x"]], "label": [0]}, {"location": "views"}, "make a row of each image, as explode"),
        (
            {"image": [{"src": "https://x.org/1.jpg", "height": 8}], "label": [0]},
            {},
            r"'image' is of the type struct<.*src: string.*; write their bytes, paths or URLs as a column of their own",
        ),
        ({"image": "images", "label": [0, 1]}, {"columns": ("a", "b")}, "--columns names the columns of a CSV"),
        ({"image": "images", "label": [0, 1]}, {"id": "key"}, "no column 'key' among"),
    ],
)
def test_columns_that_make_no_sense_are_errors_with_their_place(tmp_path, columns, options, reason):
    columns = {name: images(FILES[:2]) if isinstance(values, str) else values for name, values in columns.items()}
    path = write(tmp_path / "x.parquet", columns)
    with pytest.raises(SourceError, match=reason):
        read(path, **options)


@pytest.mark.parametrize("labels", [[], [-1, -1], [None, -1]])
def test_files_without_labelled_rows_are_refused(tmp_path, labels):
    labelled(tmp_path / "set" / "test.parquet", labels)
    with pytest.raises(SourceError, match=f"{re.escape(str(tmp_path / 'set'))}: no labelled rows in it"):
        read(tmp_path / "set")


def test_a_label_that_is_no_class_is_an_error_with_its_row(tmp_path):
    path = labelled(tmp_path / "x.parquet", [0, 1, -1])
    with pytest.raises(SourceError, match=r"x\.parquet, row 2: the label -1 in 'label' is none of the 3 classes"):
        read(path)


@pytest.mark.parametrize(
    ("columns", "metadata", "reason"),
    [
        ({"image": images(FILES[:1])}, HUGGING_FACE, r"b\.parquet: no column 'label', which .*a\.parquet has"),
        ({"image": images(FILES[:1]), "label": ["x"]}, HUGGING_FACE, r"'label' is of the type string, and of int64 in"),
        ({"image": images(FILES[:1]), "label": [0]}, None, r"b\.parquet: the column 'label' has other classes than in"),
        ({"image": pa.array(FILES[:1]), "label": [0]}, HUGGING_FACE, r"'image' is of the type binary, and of struct<"),
    ],
)
def test_files_whose_columns_differ_are_refused(tmp_path, columns, metadata, reason):
    labelled(tmp_path / "set" / "a.parquet", [0])
    write(tmp_path / "set" / "b.parquet", columns, metadata)
    with pytest.raises(SourceError, match=reason):
        read(tmp_path / "set")


@pytest.mark.parametrize("name", ["label", "fine"])
@pytest.mark.parametrize("lacks", ["a", "z"])
def test_labels_that_a_file_lacks_are_not_passed_over(tmp_path, lacks, name):
    said = features(image={"_type": "Image"}, **{name: {"names": CLASSES, "_type": "ClassLabel"}})
    write(tmp_path / "set" / f"{lacks}.parquet", {"image": images(FILES[:1])})
    write(tmp_path / "set" / "m.parquet", {"image": images(FILES[:1]), name: [2]}, said)
    with pytest.raises(SourceError, match=rf"{lacks}\.parquet: no column '{name}', which .*m\.parquet has"):
        read(tmp_path / "set")
    assert labels_of(read(tmp_path / "set", labels=("",))) == [(0,), (0,)]


@pytest.mark.parametrize("name", ["label", "fine"])
def test_split_without_the_column_of_labels_is_left_out_and_told(tmp_path, name):
    folder = tmp_path / "set"
    said = features(image={"_type": "Image"}, **{name: {"names": CLASSES, "_type": "ClassLabel"}})
    write(folder / "test.parquet", {"image": images(FILES[:1])})
    write(folder / "train.parquet", {"image": images(FILES[:1]), name: [2]}, said)
    write(folder / "val.parquet", {"image": images(FILES[:1]), name: [1]}, said)
    source = read(folder)
    assert [split.name for split in source.splits] == ["train", "val"]
    assert labels_of(source) == [(2,), (1,)]
    assert f"{folder}: the split 'test' is left out, as it has no column of labels" in source.notes
    assert [split.name for split in read(folder, labels=("",)).splits] == ["train", "val", "test"]


def test_shards_that_are_not_there_are_told(hub):
    (hub / "data" / "train-00000-of-00002.parquet").unlink()
    note = f"{hub}: of the 2 files data/train-…-of-00002 only 1 is there"
    assert read(hub).notes == (note, f"{hub}: the split 'test' is left out, as it has no labels")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", r"x\.parquet: cannot be read as Parquet \(.*\); fetch it anew"),
        (b"PAR1", r"x\.parquet: cannot be read as Parquet \(.*\); fetch it anew"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "a pointer of Git LFS.*git lfs pull"),
    ],
)
def test_what_is_no_parquet_is_an_error_that_names_the_file(tmp_path, content, reason):
    (tmp_path / "x.parquet").write_bytes(content)
    with pytest.raises(SourceError, match=reason):
        read(tmp_path / "x.parquet")


def test_rows_without_an_image_are_rejected_by_their_place(tmp_path):
    (tmp_path / "4.jpg").write_bytes(FILES[4])
    rows = [FILES[0], None, {"bytes": None, "path": None}, b"no image", {"bytes": None, "path": "4.jpg"}]
    rows = [row if row is None or isinstance(row, dict) else {"bytes": row, "path": "a.jpg"} for row in rows]
    path = write(tmp_path / "x.parquet", {"image": pa.array(rows, IMAGE), "label": [0, 1, 2, 3, 4]})
    report = dali_rec.pack(path, tmp_path / "out" / "x", max_bad=3)
    assert records_of(tmp_path / "out" / "x") == [(0, [0], FILES[0]), (4, [4], FILES[4])]
    assert [(one.sample.location, one.reason) for one in report.rejections[:2]] == [
        ("x.parquet#1", f"{path}, row 1: 'image' is empty"),
        ("x.parquet#2", f"{path}, row 2: 'image' is empty"),
    ]
    assert report.rejections[2].sample.location == "a.jpg//x.parquet#3"
    assert "not an image" in report.rejections[2].reason
    assert (tmp_path / "out" / "x.lst").read_text() == "0\t0\ta.jpg\n4\t4\t4.jpg\n"


def test_messages_name_a_file_in_the_working_folder_as_it_was_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "x.parquet", {"image": images([None], [None]), "label": [0]})
    assert main(["pack", "x.parquet", "out"]) == 1
    assert " x.parquet#0: x.parquet, row 0: 'image' is empty" in capsys.readouterr().err
    (tmp_path / "x.parquet").write_bytes(b"PAR1")
    assert main(["pack", "x.parquet", "out"]) == 1
    assert capsys.readouterr().err.startswith("dali-rec: x.parquet: cannot be read as Parquet")


def test_a_path_that_a_list_cannot_hold_is_left_out_of_it(tmp_path):
    path = write(tmp_path / "x.parquet", {"image": images(FILES[:2], ["a\tb.jpg", None]), "label": [0, 1]})
    dali_rec.pack(path, tmp_path / "out" / "x")
    assert (tmp_path / "out" / "x.lst").read_text() == "0\t0\tx.parquet#0\n1\t1\tx.parquet#1\n"


@pytest.mark.parametrize("compression", ["none", "snappy"])
def test_images_of_a_damaged_row_group_are_rejected_and_the_others_packed(tmp_path, compression):
    path = labelled(tmp_path / "x.parquet", [0] * 12, group=4, compression=compression, use_dictionary=False)
    place = pq.ParquetFile(path).metadata.row_group(1).column(0).data_page_offset
    data = bytearray(path.read_bytes())
    data[place : place + 200] = b"\xff" * 200
    path.write_bytes(data)
    report = dali_rec.pack(path, tmp_path / "out" / "x", max_bad=4)
    assert [key for key, _, _ in records_of(tmp_path / "out" / "x")] == [0, 1, 2, 3, 8, 9, 10, 11]
    assert [one.reason.partition(" (")[0] for one in report.rejections] == [
        f"{path}, row {row}: the row group cannot be read" for row in range(4, 8)
    ]


def test_a_file_that_has_changed_or_gone_since_it_was_listed_is_told(tmp_path):
    path = labelled(tmp_path / "x.parquet", [0] * 6)
    shorter, gone = read(path), read(path)
    labelled(path, [0] * 2)
    with pytest.raises(ImageRejectedError, match=r"x\.parquet, row 4: the file has 2 rows; has it changed"):
        shorter.pixels.read(shorter.samples[4].location)
    path.unlink()
    with pytest.raises(ImageRejectedError, match=r"x\.parquet, row 4: .*(No such file|File not found).*[^\s]$"):
        gone.pixels.read(gone.samples[4].location)


def test_without_pyarrow_the_error_says_what_to_install(tmp_path, monkeypatch):
    path = labelled(tmp_path / "x.parquet", [0])
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(
        MissingDependencyError, match=r'need PyArrow \(.*\); install it with: pip install "dali-rec\[parq'
    ):
        read(path)


def test_options_of_other_sources_are_refused(hub):
    for options, reason in (
        (SourceOptions(labels="leaf"), "go with a folder of classes, which this is not"),
        (SourceOptions(label_pattern="(a)"), "--label-pattern goes with a folder of images"),
        (SourceOptions(label_width=1), "--label-width goes with a .lst"),
    ):
        with pytest.raises(SourceError, match=reason):
            open_source(hub, options)


def test_shuffling_is_refused_with_the_way(hub, tmp_path):
    with pytest.raises(SourceError, match="leave --shuffle out, and shuffle the packed data set by 'dali-rec shuffle'"):
        dali_rec.pack(hub, tmp_path / "x", shuffle=True)


def test_a_list_of_images_in_parquet_files_is_refused(hub, tmp_path, capsys):
    assert main(["list", str(hub), str(tmp_path / "x.lst")]) == 1
    assert "a list names files, and these images are in Parquet files: pack it as it is" in capsys.readouterr().err


def test_columns_of_one_name_are_an_error_that_names_them(tmp_path):
    table = pa.table([images(FILES[:1]), pa.array([0]), pa.array([1])], names=["image", "label", "label"])
    pq.write_table(table, tmp_path / "x.parquet")
    with pytest.raises(
        SourceError, match=r"x\.parquet: the column 'label' stands 2 times; write it with names that dif"
    ):
        read(tmp_path / "x.parquet")


def test_a_dry_run_counts_the_classes(hub, tmp_path, capsys):
    assert main(["pack", str(hub), str(tmp_path / "x"), "--dry-run"]) == 0
    assert "shark      4    0" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set"]
