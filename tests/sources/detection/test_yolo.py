import os
from pathlib import Path

import pytest
from support import jpeg

import dali_rec
from dali_rec.errors import SourceError
from dali_rec.sources import SourceOptions, open_source
from dali_rec.sources.detection import read_yolo
from dali_rec.sources.detection.yolo_names import read_names


def write(folder, images, labels):
    """JPEGs of 40 × 32 and label files, by their names below ``folder``."""
    for seed, name in enumerate(images):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(seed))
    for name, text in labels.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_boxes_become_corners(tmp_path):
    folder = write(
        tmp_path / "set",
        ["images/a.jpg", "images/b.jpg", "images/c.jpg"],
        {
            "labels/a.txt": "1 0.5 0.5 0.5 0.25\n\n0 0.5 0.5 1 1\n",
            "labels/b.txt": "",
            "labels/orphan.txt": "0 0.5 0.5 1 1",
            "classes.txt": "cat\ndog\n",
        },
    )
    report = dali_rec.pack(folder, tmp_path / "out", shuffle=False)
    assert report.manifest.classes == ("cat", "dog")
    assert report.manifest.label_kind == "boxes"
    assert [record.labels.tolist() for record in dali_rec.open(tmp_path / "out")] == [
        [4, 5, 40, 32, 1, 0.25, 0.375, 0.75, 0.625, 0, 0, 0, 1, 1],
        [4, 5, 40, 32],
        [4, 5, 40, 32],
    ]
    assert report.notes[0] == "2 images without objects; the first: images/b.jpg"
    assert report.notes[1] == "of the images without objects 1 has no .txt; the first: images/c.jpg"
    assert any("1 label file without an image" in note and "orphan" in note for note in report.notes)


def test_outlines_become_the_boxes_around_them(tmp_path):
    folder = write(tmp_path, ["images/a.jpg"], {"labels/a.txt": "0 0.25 0.5 0.75 0.25 0.5 0.75"})
    source = read_yolo(folder)
    assert list(source.samples[0].labels) == [4, 5, 40, 32, 0, 0.25, 0.25, 0.75, 0.75]
    assert source.classes is None
    assert "no names" in source.notes[-1]


@pytest.mark.parametrize("points", ["0.1 0.1 0.9 0.9", "0.1 0.1 2 0.9 0.9 0 0.9 0.1 1 0.5 0.5 2"])
def test_box_before_keypoints_is_read(tmp_path, points):
    # As of Ultralytics' tiger-pose and dog-pose: taken for outlines, they would be other boxes.
    write(
        tmp_path,
        ["images/a.jpg"],
        {"labels/a.txt": f"0 0.5 0.5 0.5 0.25 {points}\n", "data.yaml": "kpt_shape: [2, 2]\nnames: [tiger]\n"},
    )
    assert list(read_yolo(tmp_path).samples[0].labels[4:]) == [0, 0.25, 0.375, 0.75, 0.625]


@pytest.mark.parametrize(
    "layout",
    ["images/{split}/{name}.jpg labels/{split}/{name}.txt", "{split}/images/{name}.jpg {split}/labels/{name}.txt"],
)
def test_folders_of_splits_are_splits(tmp_path, layout):
    image, label = layout.split()
    names = [("train", "a"), ("train", "b"), ("valid", "c")]
    write(
        tmp_path,
        [image.format(split=split, name=name) for split, name in names],
        {label.format(split=split, name=name): "0 0.5 0.5 1 1" for split, name in names},
    )
    source = open_source(tmp_path)
    assert [(split.name, split.start, split.stop) for split in source.splits] == [("train", 0, 2), ("val", 2, 3)]
    assert source.samples[2].location == image.format(split="valid", name="c")
    assert source.samples[2].labels[4:] == (0, 0, 0, 1, 1)


def test_folders_of_images_below_keep_their_place(tmp_path):
    write(tmp_path, ["images/x/a.jpg", "images/y/a.jpg"], {"labels/y/a.txt": "0 0.5 0.5 1 1"})
    source = open_source(tmp_path)
    assert [len(sample.labels) for sample in source.samples] == [4, 9]


def test_hidden_images_and_texts_are_passed_over(tmp_path):
    texts = {"labels/a.txt": "0 0.5 0.5 1 1", "labels/._a.txt": "Mac OS X"}
    write(tmp_path, ["images/a.jpg", "images/._a.jpg", "images/.ipynb_checkpoints/a.jpg"], texts)
    assert [sample.location for sample in open_source(tmp_path).samples] == ["images/a.jpg"]


@pytest.mark.posix
def test_folders_behind_links_are_followed(tmp_path):
    write(tmp_path / "elsewhere", ["images/a.jpg"], {"labels/a.txt": "0 0.5 0.5 1 1"})
    for part in ("images", "labels"):
        (tmp_path / "set" / part).mkdir(parents=True)
        (tmp_path / "set" / part / "more").symlink_to(tmp_path / "elsewhere" / part)
    source = open_source(tmp_path / "set")
    assert [(sample.location, len(sample.labels)) for sample in source.samples] == [("images/more/a.jpg", 9)]


def test_splits_may_have_a_year(tmp_path):
    # As Ultralytics lays out COCO.
    names = ["train2017/a", "val2017/b"]
    write(tmp_path, [f"images/{name}.jpg" for name in names], {f"labels/{name}.txt": "0 0.5 0.5 1 1" for name in names})
    assert [split.name for split in open_source(tmp_path).splits] == ["train", "val"]


def test_splits_beside_other_folders_are_said_to_be_one_set(tmp_path):
    names = ["train2017/a", "val2017/b", "extra/c"]
    write(tmp_path, [f"images/{name}.jpg" for name in names], {f"labels/{name}.txt": "0 0.5 0.5 1 1" for name in names})
    source = open_source(tmp_path)
    assert (source.splits, len(source.samples)) == ((), 3)
    assert any("extra is no split" in note and "one data set" in note for note in source.notes)


def test_texts_that_belong_to_no_image_are_refused(tmp_path):
    # As of DTD: class folders in images/, and lists of images in labels/. No image would have an object.
    write(tmp_path, ["images/banded/1.jpg", "images/dotted/2.jpg"], {"labels/train1.txt": "banded/1.jpg\n"})
    with pytest.raises(SourceError, match=r"train1\.txt has no image, .* pack that folder"):
        open_source(tmp_path)


def test_class_folders_called_images_and_labels_are_no_yolo_set(tmp_path):
    write(tmp_path, ["images/a.jpg", "labels/b.jpg"], {})
    source = open_source(tmp_path)
    assert source.classes == ("images", "labels")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("0 0.5 0.5 1", "4 fields"),
        ("0 0.5 0.5 1 1 0.9", "6 fields"),
        ("2 0.5 0.5 1 1", "the class is 2, and there are names for 0 to 1"),
        ("-1 0.5 0.5 1 1", "the class is -1"),
        ("0.5 0.5 0.5 1 1", "the class is 0.5"),
        ("dog 0.5 0.5 1 1", "the class is 'dog'"),
        ("0 0.5 0.5 one 1", "a coordinate is 'one'"),
        ("0 nan 0.5 1 1", "a coordinate is nan"),
        ("0_1 0.5 0.5 1 1", "the class is '0_1'"),
        ("0 0.5_0 0.5 1 1", "a coordinate is '0.5_0'"),
        ("0 120 80 40 32", "120 80 40 32 look like pixels"),
        ("0 0.5 0.5 0.5 0.25 0.1 0.1 2 0.9 0.9 2", "2 is no part of the width .* kpt_shape"),
        ("0 120 80 160 80 160 112", "160 is no part of the width"),
    ],
)
def test_bad_lines_are_named(tmp_path, line, says):
    write(tmp_path, ["images/a.jpg"], {"labels/a.txt": f"0 0.5 0.5 1 1\n{line}\n", "classes.txt": "a\nb"})
    with pytest.raises(SourceError, match=rf"a\.txt, line 2: {says}"):
        read_yolo(tmp_path)


def test_label_file_that_is_no_text_is_named(tmp_path):
    write(tmp_path, ["images/a.jpg"], {"labels/a.txt": ""})
    (tmp_path / "labels" / "a.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SourceError, match=r"a\.txt"):
        read_yolo(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "names: [cat, 'hot dog', \"it's\"]\nnc: 3\n",
        "train: ../train\nnames: ['cat',\n  'hot dog', # this one\n  \"it's\"]",
        'nc: 3 # classes\nnames:\n- cat\n- hot dog\n- "it\'s"\nroboflow:\n  version: 1\n',
        "path: x\nnames:\n  0: cat\n  1: hot dog  # comment\n\n  2: 'it''s'\ndownload: |\n  x\n",
        'names: {0: cat, 1: hot dog, 2: "it\'s"}',
        "names: {2: \"it's\", 0: cat, 1: 'hot dog'}",
    ],
)
def test_names_are_read_from_yaml_in_every_usual_form(tmp_path, text):
    (tmp_path / "data.yaml").write_text(text)
    assert read_names(tmp_path) == ("cat", "hot dog", "it's")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("names: [a, b", r"line 1: while parsing a flow sequence, expected ',' or '\]'"),
        ("names: [a, b]\nnc: 3", "nc is 3"),
        ("names: []", "expected 0, 1, 2"),
        ("names:\n  1: a\n  2: b", "expected 0, 1, 2"),
        ("names:\n  0: a\n  0: b", "line 3: 0 stands twice"),
        ("names: other.txt", "expected a list"),
        ("names:\n  x: y", "expected a list, or 0: NAME"),
        ("names: [{a: b}]", r"expected a list of names, found \{'a': 'b'\}"),
        ("names: [a, '']", "expected a list of names, found ''"),
        ("names: ['a, b]", "line 1: while scanning a quoted scalar, found unexpected end"),
        ('names: ["a\\q\\u12"]', "line 1: while .*, found unknown escape"),
        ('path: "C:\\photos"', "unknown escape character 'p'; write / in paths, or leave the quotes out"),
        ('path: "C:\\x"', "expected escape sequence .*; write / in paths"),
        ('names: ["\\UFFFFFFFF"]', "too large|not in range"),  # before Python 3.13, and from there
        ("names: " + "[" * 3000, "too deep"),
        ("names: &x [*x]", "line 1: found unconstructable"),
        ("names: [a, b]\n---\nx: y", "line 2: expected a single document in the stream, but found another"),
    ],
)
def test_yaml_that_is_not_understood_is_named(tmp_path, text, says):
    (tmp_path / "data.yaml").write_text(text)
    with pytest.raises(SourceError, match=says) as caught:
        read_names(tmp_path)
    assert "data.yaml" in str(caught.value)


def test_names_are_texts_as_they_are_written(tmp_path):
    (tmp_path / "data.yaml").write_text("train: a\nnames: ['a b', no, 1.0, g#h, 2012-01-01]  # end\nnc: 5\n")
    assert read_names(tmp_path) == ("a b", "no", "1.0", "g#h", "2012-01-01")


def test_yaml_beside_other_images_need_not_be_one(tmp_path):
    write(tmp_path, ["cat/1.jpg", "dog/2.jpg"], {"data.yaml": "{% for a in b %}\n"})
    assert open_source(tmp_path).classes == ("cat", "dog")
    with pytest.raises(SourceError, match=r"data\.yaml, line 1: "):
        open_source(tmp_path / "data.yaml")


def test_missing_parts_are_named(tmp_path):
    with pytest.raises(SourceError, match="expected images/ and labels/"):
        open_source(tmp_path, SourceOptions(format="yolo"))
    write(tmp_path, [], {"images/x.md": "", "labels/a.txt": ""})
    with pytest.raises(SourceError, match="no images"):
        read_yolo(tmp_path)


@pytest.mark.parametrize("name", ["images", "images/a", "labels"])
def test_folder_that_may_not_be_read_is_an_error(tmp_path, monkeypatch, name):
    folder = write(tmp_path, ["images/a/1.jpg"], {"labels/a/1.txt": "0 0.5 0.5 1 1"})
    scan = os.scandir

    def refuse(path):
        if Path(path) == folder / name:
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(SourceError, match=r"cannot be read \(Permission denied\); get the right to read"):
        read_yolo(folder)


# data.yaml


def locations(source):
    return {
        split.name: [source.samples[row].location for row in range(split.start, split.stop)] for split in source.splits
    }


BOX = "0 0.5 0.5 1 1"


@pytest.mark.parametrize("place", ["coco.yaml", "set/data.yaml"])
@pytest.mark.parametrize("entries", ["train: {train}\nval: images/val", "train:\n- {train}\nval: [images/val]"])
def test_yaml_says_where_train_and_val_are(tmp_path, place, entries):
    folder = write(
        tmp_path / "set",
        ["images/a/1.jpg", "images/a/2.jpg", "images/val/3.jpg"],
        {"labels/a/1.txt": BOX, "labels/val/3.txt": BOX, "train.txt": "./images/a/2.jpg\n./images/a/1.jpg\n"},
    )
    text = f"path: {folder}  # the top\n{entries.format(train='train.txt')}\ntest: # none\nnames:\n  0: cat\n"
    (tmp_path / place).write_text(text)
    source = open_source(tmp_path / place)
    assert locations(source) == {"train": ["images/a/2.jpg", "images/a/1.jpg"], "val": ["images/val/3.jpg"]}
    assert source.classes == ("cat",)
    assert [len(sample.labels) for sample in source.samples] == [4, 9, 9]
    report = dali_rec.pack(tmp_path / place, tmp_path / "out")
    assert [(packed.split, packed.manifest.records) for packed in report.sets] == [("train", 2), ("val", 1)]


@pytest.mark.parametrize(
    "path", ["", "path: set\n", "path: ../datasets/set\n", "path: /elsewhere/set\n", "path: D:\\elsewhere\\set\n"]
)
def test_folder_of_a_yaml_is_found_beside_it(tmp_path, path):
    write(tmp_path / "set", ["images/a/1.jpg", "images/b/1.jpg"], {"labels/a/1.txt": BOX, "labels/b/1.txt": BOX})
    inside = "" if path else "set/"
    text = f"{path}train: {inside}images/a\nval: {inside}images/b\nnames: [cat]\n"
    (tmp_path / "x.yaml").write_text(text)
    source = open_source(tmp_path / "x.yaml")
    assert locations(source) == {"train": [f"{inside}images/a/1.jpg"], "val": [f"{inside}images/b/1.jpg"]}


@pytest.mark.parametrize("path", ["", "path: /elsewhere/set\n"])
def test_yaml_of_roboflow_has_a_folder_up_too_many(tmp_path, path):
    write(
        tmp_path, ["train/images/1.jpg", "valid/images/2.jpg"], {"train/labels/1.txt": BOX, "valid/labels/2.txt": BOX}
    )
    text = f"{path}train: ../train/images\nval: ../valid/images\ntest: ../test/images\nnc: 1\nnames: ['cat']\n"
    (tmp_path / "data.yaml").write_text(text)
    source = open_source(tmp_path / "data.yaml")
    assert locations(source) == {"train": ["train/images/1.jpg"], "val": ["valid/images/2.jpg"]}
    assert any("test, ../test/images, is not there and is left out" in note for note in source.notes)


@pytest.mark.parametrize("path", ["", "path: ..\\set\n"])
def test_slashes_in_a_yaml_may_be_those_of_windows(tmp_path, path):
    names = [f"{part}/images/{number}" for part in ("train", "valid") for number in range(2)]
    texts = {f"{name.replace('images', 'labels')}.txt": BOX for name in names}
    write(tmp_path / "sets" / "set", [f"{name}.jpg" for name in names], texts)
    yaml = tmp_path / "sets" / ("x/data.yaml" if path else "set/data.yaml")
    yaml.parent.mkdir(exist_ok=True)
    yaml.write_text(f"{path}train: ..\\train\\images\nval: valid\\images\\list.txt\nnames: [cat]\n")
    (tmp_path / "sets" / "set" / "valid" / "images" / "list.txt").write_text(".\\0.jpg\n.\\1.jpg\n")
    source = open_source(yaml)
    assert locations(source) == {
        "train": [f"{name}.jpg" for name in names[:2]],
        "val": [f"{name}.jpg" for name in names[2:]],
    }
    assert [len(sample.labels) for sample in source.samples] == [9] * 4


def test_folder_with_a_yaml_may_have_any_layout(tmp_path):
    write(tmp_path, ["day/1.jpg", "night/images/2.jpg"], {"day/1.txt": BOX, "night/labels/2.txt": BOX})
    (tmp_path / "data.yaml").write_text("train: [day, night/images]\nnames: [cat]\n")
    source = open_source(tmp_path)
    assert locations(source) == {"train": ["day/1.jpg", "night/images/2.jpg"]}
    assert [len(sample.labels) for sample in source.samples] == [9, 9]


def test_images_elsewhere_are_found_by_their_whole_path(tmp_path):
    write(tmp_path / "far", ["images/1.jpg"], {"labels/1.txt": BOX})
    write(tmp_path / "near", ["images/2.jpg"], {"labels/2.txt": BOX})
    (tmp_path / "near" / "x.yaml").write_text(f"train: images\nval: {tmp_path}/far/images\nnames: [cat]\n")
    source = open_source(tmp_path / "near" / "x.yaml")
    assert locations(source) == {"train": ["images/2.jpg"], "val": [f"{tmp_path.as_posix()}/far/images/1.jpg"]}


def test_train_that_is_not_there_is_refused(tmp_path):
    write(tmp_path, ["images/1.jpg"], {"labels/1.txt": BOX, "x.yaml": "train: images\nval: images/val\n"})
    with pytest.raises(SourceError, match=r"x\.yaml: its val, images/val, is not there"):
        open_source(tmp_path / "x.yaml")


@pytest.mark.parametrize("extra", [[], ["images/extra/4.jpg"]])
def test_splits_of_a_yaml_go_before_a_folder_without_splits(tmp_path, extra):
    images = ["images/train/1.jpg", "images/train/2.jpg", "images/val/3.jpg"] if extra else ["images/1.jpg"]
    images += extra or ["images/2.jpg", "images/3.jpg"]
    texts = {name.replace("images", "labels").replace("jpg", "txt"): BOX for name in images}
    lists = {"train.txt": "images/1.jpg\nimages/2.jpg\n", "val.txt": "images/3.jpg\n"}
    places = ("images/train", "images/val") if extra else ("train.txt", "val.txt")
    yaml = {"data.yaml": "train: {}\nval: {}\nnames: [cat]\n".format(*places)}
    source = open_source(write(tmp_path, images, {**texts, **lists, **yaml}))
    assert {name: len(part) for name, part in locations(source).items()} == {"train": 2, "val": 1}
    assert any("are those of data.yaml" in note for note in source.notes)


@pytest.mark.parametrize("text", ["train: images\nval: images\n", "train: /content/train\nval: /content/val\n"])
def test_yaml_that_parts_nothing_leaves_a_folder_whole(tmp_path, text):
    texts = {"labels/1.txt": BOX, "labels/2.txt": BOX, "data.yaml": text}
    source = open_source(write(tmp_path, ["images/1.jpg", "images/2.jpg"], texts))
    assert (source.splits, len(source.samples)) == ((), 2)
    assert "images" in text or any("train, /content/train, is not there" in note for note in source.notes)


def test_images_that_are_in_train_and_val_are_said(tmp_path):
    texts = {"labels/1.txt": BOX, "labels/val/2.txt": BOX, "data.yaml": "train: images\nval: images/val\n"}
    source = open_source(write(tmp_path, ["images/1.jpg", "images/val/2.jpg"], texts) / "data.yaml")
    assert any("1 image is in several splits; images/val/2.jpg is in train and val" in note for note in source.notes)


def test_folders_of_classes_with_a_yaml_are_no_yolo_set(tmp_path):
    write(tmp_path, ["train/cat/1.jpg", "train/dog/2.jpg", "val/cat/3.jpg"], {"data.yaml": "train: train\nval: val\n"})
    source = open_source(tmp_path)
    assert (source.classes, source.has_boxes) == (("cat", "dog"), False)
    with pytest.raises(SourceError, match=r"no image has a \.txt .* pack that folder"):
        open_source(tmp_path / "data.yaml")


HALF = "1 0.5 0.5 0.5 0.5\n"
CENTRE = [4, 5, 40, 32, 1, 0.25, 0.25, 0.75, 0.75]


@pytest.mark.parametrize(
    ("images", "names", "splits"),
    [
        (["a.jpg", "b.png"], "classes.txt", []),  # LabelImg
        (["train/a.jpg", "valid/b.jpg"], "train/_darknet.labels", ["train", "val"]),  # Roboflow
        (["obj_train_data/a.jpg", "obj_test_data/b.jpg"], "obj.names", ["train", "test"]),  # CVAT
    ],
)
def test_texts_may_lie_beside_the_images(tmp_path, images, names, splits):
    texts = {f"{Path(name).with_suffix('.txt')}": HALF for name in images}
    source = open_source(write(tmp_path, images, {**texts, names: "cat\ndog\n"}))
    assert {one.location: list(one.labels) for one in source.samples} == dict.fromkeys(images, CENTRE)
    assert source.classes == ("cat", "dog")
    assert [split.name for split in source.splits] == splits
    assert source.notes == ()


def test_captions_beside_images_are_no_boxes(tmp_path):
    folder = write(tmp_path, ["a.jpg", "b.jpg"], {"a.txt": "", "b.txt": "a photo of 5 cats"})
    assert not open_source(folder).has_boxes
    with pytest.raises(SourceError, match=r"b\.txt, line 1: the class is 'a'"):
        open_source(folder, SourceOptions(format="yolo"))


@pytest.mark.parametrize("image", ["test/images/c.jpg", "test/c.jpg"])
def test_splits_without_labels_are_said(tmp_path, image):
    folder = write(tmp_path, ["train/images/a.jpg", image], {"train/labels/a.txt": HALF})
    source = open_source(folder)
    assert [one.location for one in source.samples] == ["train/images/a.jpg"]
    assert "test left out, without labels/" in source.notes[0]


@pytest.mark.parametrize("layout", ["images/train/a.jpg labels/train/a.txt", "train/images/a.jpg train/labels/a.txt"])
def test_images_of_a_yolo_folder_by_themselves_lead_to_it(tmp_path, layout, monkeypatch):
    image, label = layout.split()
    folder = write(tmp_path / "set", [image], {label: "0 0.5 0.5 1 1"})
    images = (folder / image).parent
    said = f"the boxes of its images are in {(folder / label).parent} and not read: to have them, pack {folder}"
    assert f"{images}: {said}" in open_source(images).notes
    assert open_source(folder).has_boxes
    monkeypatch.chdir(images)
    assert f".: {said}" in open_source(".").notes
    (folder / label).unlink()
    assert not any("boxes of its images" in note for note in open_source(images).notes)
