import sys

import pytest
from support import jpeg

import dali_rec
from dali_rec.errors import SourceError
from dali_rec.sources import SourceOptions, open_source
from dali_rec.sources.detection import read_voc

SIZE = "<size><width>40</width><height>32</height><depth>3</depth></size>"


def thing(name="dog", box=(1, 1, 40, 32), more=""):
    sides = "".join(
        f"<{side}>{value}</{side}>" for side, value in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
    )
    return f"<object><name>{name}</name>{more}<bndbox>{sides}</bndbox></object>"


@pytest.fixture
def voc(tmp_path):
    """Writes VOC folders over JPEGs of 40 × 32."""
    folder = tmp_path / "VOC"
    for part in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (folder / part).mkdir(parents=True)

    def write(annotations, sets=None):
        for seed, (name, inside) in enumerate(annotations.items()):
            (folder / "JPEGImages" / f"{name}.jpg").write_bytes(jpeg(seed))
            (folder / "Annotations" / f"{name}.xml").write_text(f"<annotation>{inside}</annotation>")
        for name, images in (sets or {}).items():
            (folder / "ImageSets" / "Main" / f"{name}.txt").write_text("".join(f"{image}\n" for image in images))
        return folder

    return write


def labels_by_location(source):
    return {sample.location: list(sample.labels) for sample in source.samples}


def test_boxes_count_pixels_from_one_and_hold_the_last(voc, tmp_path):
    folder = voc(
        {
            "a": SIZE + thing("dog") + thing("cat", (11, 9, 30, 24), "<difficult>1</difficult>"),
            "b": SIZE,
        }
    )
    report = dali_rec.pack(folder, tmp_path / "out", shuffle=False)
    assert report.manifest.classes == ("cat", "dog")
    assert [record.labels.tolist() for record in dali_rec.open(tmp_path / "out")] == [
        [4, 6, 40, 32, 1, 0, 0, 1, 1, 0, 0, 0.25, 0.25, 0.75, 0.75, 1],
        [4, 6, 40, 32],
    ]


def test_images_without_annotation_are_said(voc):
    folder = voc({"a": SIZE + thing(), "b": SIZE, "c": SIZE})
    (folder / "Annotations" / "b.xml").unlink()
    assert read_voc(folder).notes[0] == "1 image left out, without annotation; the first: b.jpg"


def test_hidden_annotations_are_passed_over(voc):
    folder = voc({"a": SIZE + thing()})
    (folder / "Annotations" / "._a.xml").write_bytes(b"\0\5\x16\7")
    assert [sample.location for sample in read_voc(folder).samples] == ["JPEGImages/a.jpg"]


def test_image_sets_are_splits(voc, tmp_path):
    one = SIZE + thing()
    folder = voc(
        {"a": one, "b": one, "c": one, "d": one},
        {"train": ["b", "a"], "val": ["c"], "trainval": ["a", "b", "c"], "dog_train": ["a  1"]},
    )
    report = dali_rec.pack(folder, tmp_path / "out", shuffle=False)
    assert [one.split for one in report.sets] == ["train", "val"]
    assert (tmp_path / "out-train.lst").read_text().splitlines()[0].endswith("JPEGImages/b.jpg")
    assert any("1 annotated image left out" in note for note in report.notes)


@pytest.mark.parametrize(
    ("names", "splits"), [(["Validation", "Train"], ["train", "val"]), (["default"], []), (["testing"], ["test"])]
)
def test_image_sets_of_cvat(voc, names, splits):
    folder = voc({name: SIZE + thing(f"of {name}") for name in names}, {name: [name] for name in names})
    source = open_source(folder)
    assert [split.name for split in source.splits] == splits
    assert [sample.location for sample in source.samples] == [f"JPEGImages/{name}.jpg" for name in sorted(names)]
    assert source.notes == ()


def test_image_sets_of_one_split_are_refused(voc):
    folder = voc({"a": SIZE, "b": SIZE}, {"val": ["a"], "valid": ["b"]})
    with pytest.raises(SourceError, match=r"val\.txt and valid\.txt both mean the split 'val'; rename one"):
        open_source(folder)


@pytest.mark.parametrize("sets", [{}, {"train": ["a", "0/1/a"]}])
def test_images_may_lie_in_folders(voc, sets):
    folder = voc({"a": SIZE + thing()}, sets)
    for part, end in (("Annotations", "xml"), ("JPEGImages", "jpg")):
        (folder / part / "0" / "1").mkdir(parents=True)
        (folder / part / "0" / "1" / f"a.{end}").write_bytes((folder / part / f"a.{end}").read_bytes())
    (folder / "JPEGImages" / "0" / "b.jpg").write_bytes(jpeg())
    source = open_source(folder)
    whole = [4, 6, 40, 32, 0, 0, 0, 1, 1, 0]
    assert labels_by_location(source) == {"JPEGImages/a.jpg": whole, "JPEGImages/0/1/a.jpg": whole}
    assert source.notes == ("1 image left out, without annotation; the first: 0/b.jpg",)


def test_test_without_annotations_is_left_out(voc):
    folder = voc({"a": SIZE + thing(), "b": SIZE, "c": SIZE}, {"train": ["a"], "test": ["b", "c"]})
    (folder / "Annotations" / "c.xml").unlink()
    source = open_source(folder)
    assert (list(labels_by_location(source)), [split.name for split in source.splits]) == (
        ["JPEGImages/a.jpg"],
        ["train"],
    )
    assert source.notes[0] == f"{folder}: test left out, as 1 image of it has no annotation; the first: c"


@pytest.mark.skipif(sys.platform != "win32", reason="elsewhere a name may hold a backslash")
def test_image_sets_may_have_backslashes(voc):
    folder = voc({"a": SIZE + thing()}, {"train": ["in\\b"]})
    for part, suffix in (("Annotations", ".xml"), ("JPEGImages", ".jpg")):
        (folder / part / "in").mkdir()
        (folder / part / f"a{suffix}").rename(folder / part / "in" / f"b{suffix}")
    assert [sample.location for sample in open_source(folder).samples] == ["JPEGImages/in/b.jpg"]
    (folder / "ImageSets" / "Main" / "train.txt").write_text("..\\..\\b\n")
    with pytest.raises(SourceError, match=r"'../../b' is not the name of an image"):
        open_source(folder)


def test_classes_of_an_image_set_that_is_packed_by_itself_are_said(voc):
    folder = voc({"a": SIZE + thing(), "b": SIZE}, {"train": ["a"], "val": ["b"], "trainval": ["a", "b"]})
    said = "if val.txt has others, give both the same numbers by --classes FILE"
    notes = {name: open_source(folder / "ImageSets" / "Main" / f"{name}.txt").notes for name in ("train", "trainval")}
    assert [any(said in note for note in notes[name]) for name in notes] == [True, False]


def test_one_image_set_can_be_packed_by_its_file(voc):
    folder = voc({"a": SIZE + thing(), "b": SIZE}, {"train": ["a"], "val": ["b"], "trainval": ["a", "b"]})
    names = folder / "ImageSets" / "Main" / "trainval.txt"
    names.write_text("\ufeff" + names.read_text(), "utf-8")  # as Windows writes it
    source = open_source(names)
    assert not source.splits
    assert len(source.samples) == 2


@pytest.mark.parametrize("place", ["lists/mine/x.txt", "ImageSets/x.txt", "ImageSets/Main/x.csv"])
def test_other_tables_in_the_folder_are_what_they_say(voc, place):
    folder = voc({"a": SIZE + thing(), "b": SIZE})
    path = folder / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("a.jpg,7\n" if path.suffix == ".csv" else "a.jpg 7\n")
    source = open_source(path, SourceOptions(root=folder / "JPEGImages"))
    assert [(sample.location, sample.labels) for sample in source.samples] == [("a.jpg", (7.0,))]


@pytest.mark.parametrize("size", ["", "<size><width>0</width><height>0</height></size>"])
def test_a_size_that_is_zero_or_left_out_is_that_of_the_file(voc, size):
    folder = voc({"a": size + thing("dog", (11, 9, 30, 24))})
    assert labels_by_location(read_voc(folder)) == {"JPEGImages/a.jpg": [4, 6, 40, 32, 0, 0.25, 0.25, 0.75, 0.75, 0]}


def test_image_of_another_extension_is_found(voc):
    folder = voc({"a": SIZE})
    (folder / "JPEGImages" / "a.jpg").rename(folder / "JPEGImages" / "a.JPEG")
    assert list(labels_by_location(read_voc(folder))) == ["JPEGImages/a.JPEG"]


def test_missing_image_is_rejected(voc, tmp_path):
    folder = voc({"a": SIZE, "b": SIZE + thing()})
    (folder / "JPEGImages" / "b.jpg").unlink()
    report = dali_rec.pack(folder, tmp_path / "out", max_bad=1)
    assert [rejection.sample.location for rejection in report.rejections] == ["JPEGImages/b.jpg"]


@pytest.mark.parametrize(
    ("inside", "says"),
    [
        (SIZE + "<object><name>dog</name></object>", r"a\.xml: object 1 \(dog\): it has no <bndbox>"),
        (SIZE + "<object><bndbox/></object>", r"a\.xml: object 1: it has no <name>"),
        (SIZE + thing() + thing(box=("x", 1, 2, 3)), r"a\.xml: object 2 \(dog\): <xmin> is 'x'"),
        (SIZE + thing(box=("nan", 1, 2, 3)), r"a\.xml: object 1 \(dog\): <xmin> is nan"),
        (SIZE + thing(box=("", 1, 2, 3)), r"<xmin> is ''"),
        (SIZE + thing(more="<difficult>2</difficult>"), r"<difficult> is '2'"),
        ("<size><width>x</width><height>1</height></size>", r"a\.xml: <width> is 'x'"),
        ("<size><width>-4</width><height>1</height></size>", r"a\.xml: -4 × 1"),
        ("<size><width>10</width><height>99</height></size>", r"a\.xml: the annotation is of an image of 10 × 99"),
        ("<object>", r"a\.xml: broken XML"),
    ],
)
def test_bad_annotations_are_named(voc, inside, says):
    with pytest.raises(SourceError, match=says):
        read_voc(voc({"a": inside}))


BOMB = """<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]><annotation>&c;</annotation>"""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_entities_are_refused_in_any_encoding(voc, encoding):
    folder = voc({"a": SIZE})
    text = BOMB if encoding == "utf-8" else BOMB.replace('version="1.0"', 'version="1.0" encoding="UTF-16"')
    (folder / "Annotations" / "a.xml").write_bytes(text.encode(encoding))
    with pytest.raises(SourceError, match=r"a\.xml: it has a document type"):
        read_voc(folder)


def test_external_entity_reads_no_file(voc, tmp_path):
    (tmp_path / "secret").write_text("dog")
    folder = voc({"a": SIZE})
    text = f'<!DOCTYPE x [<!ENTITY e SYSTEM "file://{tmp_path}/secret">]><annotation>&e;</annotation>'
    (folder / "Annotations" / "a.xml").write_text(text)
    with pytest.raises(SourceError, match="document type"):
        read_voc(folder)


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["a", "gone"], r"train\.txt, line 2: no annotation .*gone\.xml"),
        (["a", "a"], r"train\.txt, line 2: the image 'a' stands twice"),
        (["../../etc/passwd"], r"train\.txt, line 1: '../../etc/passwd'"),
    ],
)
def test_bad_image_sets_are_named(voc, names, says):
    with pytest.raises(SourceError, match=says):
        read_voc(voc({"a": SIZE}, {"train": names}))


def test_folder_without_annotations_is_refused(voc, tmp_path):
    with pytest.raises(SourceError, match=r"no \.xml files"):
        read_voc(voc({}))
    with pytest.raises(SourceError, match="not a VOC folder"):
        open_source(tmp_path, SourceOptions(format="voc"))


def test_root_is_refused_with_a_folder(voc):
    with pytest.raises(SourceError, match="--root"):
        open_source(voc({"a": SIZE}), SourceOptions(root="/"))


ONE = f"<annotation>{SIZE}{thing('cat', (1, 1, 20, 32))}</annotation>"
LEFT_HALF = [4, 6, 40, 32, 0, 0, 0, 0.5, 1, 0]


@pytest.fixture
def write(tmp_path):
    """Writes JPEGs of 40 × 32, and the text of .xml files."""

    def write(*names):
        for seed, name in enumerate(names):
            path = tmp_path / "set" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(ONE.encode() if path.suffix == ".xml" else jpeg(seed))
        return tmp_path / "set"

    return write


@pytest.mark.parametrize(
    ("names", "images", "splits"),
    [
        (["a.jpg", "a.xml"], ["a.jpg"], []),  # LabelImg
        (["annotations/a.xml", "images/a.png"], ["images/a.png"], []),  # Kaggle
        (["Annotations/a.xml", "images/a.jpg"], ["images/a.jpg"], []),
        (["Annotations/a.xml", "Images/a.jpg"], ["Images/a.jpg"], []),
        (["labels/a.xml", "data/a.jpg"], ["data/a.jpg"], []),  # FiftyOne
        (  # Roboflow
            ["valid/b.jpg", "valid/b.xml", "train/a.jpg", "train/a.xml"],
            ["train/a.jpg", "valid/b.jpg"],
            ["train", "val"],
        ),
        (
            ["train/Annotations/a.xml", "train/JPEGImages/a.jpg", "test/annotations/b.xml", "test/images/b.jpg"],
            ["train/JPEGImages/a.jpg", "test/images/b.jpg"],
            ["train", "test"],
        ),
    ],
)
def test_annotations_may_lie_elsewhere(write, names, images, splits):
    source = open_source(write(*names))
    assert labels_by_location(source) == dict.fromkeys(images, LEFT_HALF)
    assert (source.classes, [split.name for split in source.splits]) == (("cat",), splits)
    assert source.notes == ()


def test_what_has_no_annotation_beside_others_is_said(write):
    source = open_source(write("train/a.jpg", "train/a.xml", "train/b.jpg", "test/c.jpg"))
    assert list(labels_by_location(source)) == ["train/a.jpg"]
    assert "test left out, without .xml files" in source.notes[0]
    assert source.notes[1] == "1 image left out, without annotation; the first: b.jpg"


def test_other_xml_beside_images_is_no_annotation(write):
    folder = write("a.jpg", "a.xml")
    (folder / "a.xml").write_text("<caption>cat</caption>")
    assert not open_source(folder).has_boxes


def test_folder_of_a_devkit_is_looked_into(write, tmp_path):
    folder = write("VOC2012/Annotations/a.xml", "VOC2012/JPEGImages/a.jpg", "code/x.jpg")
    for path in (folder, tmp_path):
        source = open_source(path)
        assert labels_by_location(source) == {"JPEGImages/a.jpg": LEFT_HALF}
        assert source.notes[0] == f"{path}: the annotations in {folder / 'VOC2012'} are packed"
    assert open_source(folder, SourceOptions(labels="top")).classes == ("VOC2012", "code")
    write("VOC2007/Annotations/b.xml", "VOC2007/JPEGImages/b.jpg")
    with pytest.raises(SourceError, match="VOC2007 and VOC2012 are data sets of VOC; pack each by itself"):
        open_source(folder)


def test_image_set_of_one_class_is_refused(voc):
    folder = voc({"a": SIZE + thing()}, {"dog_train": ["a  1"]})
    with pytest.raises(SourceError, match=r"dog_train\.txt, line 1: 'a  1' says whether one class is in an image"):
        open_source(folder / "ImageSets" / "Main" / "dog_train.txt")
