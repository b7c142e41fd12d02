"""KITTI, DOTA, VisDrone and Labelme: a file of annotations for each image."""

import json

import numpy as np
import pytest
from support import jpeg

import dali_rec
from dali_rec.errors import SourceError
from dali_rec.sources import SourceOptions, open_source
from dali_rec.sources.detection import find_format

HEAD = [4, 6, 40, 32]  # the JPEGs have 40 × 32 pixels


@pytest.fixture
def write(tmp_path):
    """Writes texts, and a JPEG of 40 × 32 for what is None; returns the folder."""

    def write(files):
        for name, text in files.items():
            path = tmp_path / "data" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(jpeg() if text is None else text.encode())
        return tmp_path / "data"

    return write


def boxes(source):
    """By location the class, corners and flag of each object, with the classes by their names."""
    found = {}
    for sample in source.samples:
        header, width = sample.labels[:4], int(sample.labels[1])
        assert header[2:] == (40, 32)
        objects = np.array(sample.labels[4:]).reshape(-1, width).tolist()
        found[sample.location] = [(source.classes[int(one[0])], *one[1:]) for one in objects]
    return found


KITTI = """Car 0.00 0 -1.58 10.00 8.00 30.00 24.00 1.65 1.67 3.64 -0.65 1.71 46.70 -1.59
Pedestrian 0.00 0 -0.20 5 16 15 32 1.89 0.48 1.20 1.84 1.47 8.41 0.01
DontCare -1 -1 -10 0 0 40 8 -1 -1 -1 -1000 -1000 -1000 -10
"""
CAR, PEDESTRIAN = ("Car", 0.25, 0.25, 0.75, 0.75), ("Pedestrian", 0.125, 0.5, 0.375, 1.0)


def test_classes_of_a_split_that_is_packed_by_itself_are_said(write):
    folder = write({"training/image_2/0.jpg": None, "training/label_2/0.txt": KITTI, "testing/image_2/1.jpg": None})
    said = "its classes are numbered by the names in it alone; if testing has others"
    assert not any(said in note for note in open_source(folder / "training").notes)
    write({"testing/label_2/1.txt": KITTI})
    assert any(said in note for note in open_source(folder / "training").notes)
    assert not any("numbered by the names" in note for note in open_source(folder).notes)


@pytest.mark.parametrize(("images", "texts"), [("image_2", "label_2"), ("images", "labels"), ("data", "labels")])
def test_kitti(write, tmp_path, images, texts):
    folder = write({f"{images}/000000.jpg": None, f"{images}/000001.jpg": None, f"{texts}/000000.txt": KITTI})
    assert find_format(folder) == "kitti"
    source = open_source(folder)
    assert (source.classes, source.shuffled_by_default) == (("Car", "Pedestrian", "DontCare"), True)
    assert boxes(source) == {
        f"{images}/000000.jpg": [(*CAR, 0), (*PEDESTRIAN, 0), ("DontCare", 0, 0, 1, 0.25, 1)],
    }
    assert any(f"1 image left out, without annotation; the first: {images}/000001.jpg" in one for one in source.notes)
    dropped = open_source(folder, SourceOptions(flagged="drop"))
    assert dropped.classes == ("Car", "Pedestrian")
    assert boxes(dropped) == {f"{images}/000000.jpg": [CAR, PEDESTRIAN]}
    report = dali_rec.pack(folder, tmp_path / "out")
    assert (report.records, report.manifest.label_kind) == (1, "boxes")


def test_kitti_in_its_folders(write):
    folder = write({"training/image_2/0.jpg": None, "training/label_2/0.txt": KITTI, "testing/image_2/1.jpg": None})
    source = open_source(folder)
    assert [(split.name, split.start, split.stop) for split in source.splits] == [("train", 0, 1)]
    assert any("testing left out, without annotations" in note for note in source.notes)


def test_yolo_with_outlines_of_seven_points_is_not_kitti(write):
    line = "0 " + " ".join(["0.25 0.25", "0.75 0.75"] * 3 + ["0.5 0.5"])
    folder = write({"images/0.jpg": None, "labels/0.txt": line, "data.yaml": "names: [a]"})
    assert find_format(folder) == "yolo"


DOTA = """imagesource:GoogleEarth
gsd:0.146343590398
10.0 16.0 20.0 8.0 30.0 16.0 20.0 24.0 small-vehicle 0
0 0 40 0 40 32 0 32 plane 1
4 4 8 4 8 8 4 8 plane
"""


@pytest.mark.parametrize("texts", ["labelTxt", "labelTxt-v1.0/labelTxt", "labelTxt-v1.5/DOTA-v1.5_train"])
def test_dota_is_packed_by_the_box_around_each(write, texts):
    folder = write({"train/images/P0.jpg": None, f"train/{texts}/P0.txt": DOTA})
    source = open_source(folder)
    assert boxes(source) == {
        "train/images/P0.jpg": [
            ("small-vehicle", 0.25, 0.25, 0.75, 0.75, 0),
            ("plane", 0, 0, 1, 1, 1),
            ("plane", 0.1, 0.125, 0.2, 0.25, 0),
        ]
    }
    assert (source.classes, source.splits[0].name) == (("plane", "small-vehicle"), "train")
    assert any("oriented; what is packed is the upright box around each" in note for note in source.notes)


VISDRONE = "10,8,20,16,1,4,0,0\n0,0,40,32,0,0,0,0\n20,16,20,16,1,1,0,1,\n4,4,4,4,0,11,0,0\n0,0,20,32,0,9,0,0\n"


def test_visdrone(write):
    folder = write({"images/0.jpg": None, "annotations/0.txt": VISDRONE, "images/1.jpg": None, "annotations/1.txt": ""})
    source = open_source(folder)
    assert source.classes[:4] == ("pedestrian", "people", "bicycle", "car")
    assert source.classes[9:] == ("motor", "others", "ignored regions")
    assert boxes(source) == {
        "images/0.jpg": [
            ("car", 0.25, 0.25, 0.75, 0.75, 0),
            ("ignored regions", 0, 0, 1, 1, 1),
            ("pedestrian", 0.5, 0.5, 1, 1, 0),
            ("others", 0.1, 0.125, 0.2, 0.25, 1),
            ("bus", 0, 0, 0.5, 1, 1),
        ],
        "images/1.jpg": [],
    }
    dropped = open_source(folder, SourceOptions(flagged="drop"))
    assert dropped.classes == source.classes[:10]
    assert [one[0] for one in boxes(dropped)["images/0.jpg"]] == ["car", "pedestrian"]


def labelme(*shapes, **more):
    drawn = [{"label": label, "points": points, "shape_type": kind, "flags": {}} for label, kind, points in shapes]
    content = {"version": "5.4.1", "flags": {}, "shapes": drawn, "imagePath": "0.jpg", "imageData": None}
    return json.dumps({**content, "imageHeight": 32, "imageWidth": 40, **more})


SHAPES = [
    ("cat", "rectangle", [[30, 24], [10, 8]]),
    ("dog", "polygon", [[20, 8.5], [38, 30], [4, 16]]),
    ("cat", "circle", [[20, 16], [23, 20]]),
    ("cat", "point", [[1, 1]]),
    ("dog", "mask", [[0, 0], [19, 15]]),
]


@pytest.mark.parametrize("names", [("0.jpg", "0.json"), ("images/0.jpg", "annotations/0.json")])
def test_labelme(write, names):
    folder = write({names[0]: None, names[1]: labelme(*SHAPES)})
    source = open_source(folder)
    found = boxes(source)[names[0]]
    expected = np.array([[10, 8, 30, 24], [4, 8.5, 38, 30], [15, 11, 25, 21], [0, 0, 20, 16]]) / [40, 32, 40, 32]
    assert np.allclose([one[1:] for one in found], expected)
    assert [one[0] for one in found] == ["cat", "dog", "cat", "dog"]
    assert any("1 point without area left out; the first: " in note for note in source.notes)


def test_labelme_of_another_size_is_that_of_the_file_scaled(write):
    folder = write(
        {"0.jpg": None, "0.json": labelme(("cat", "rectangle", [[0, 0], [40, 32]]), imageWidth=80, imageHeight=64)}
    )
    assert boxes(open_source(folder)) == {"0.jpg": [("cat", 0, 0, 0.5, 0.5)]}
    folder = write({"0.json": labelme(("cat", "rectangle", [[0, 0], [40, 32]]), imageWidth=None)})
    assert boxes(open_source(folder)) == {"0.jpg": [("cat", 0, 0, 1, 1)]}


def test_classes_fix_the_numbers(write):
    folder = write({"0.jpg": None, "0.json": labelme(*SHAPES[:2])})
    assert open_source(folder, SourceOptions(classes=("dog", "cat"))).samples[0].labels[4] == 1
    with pytest.raises(SourceError, match="1 of its classes are not in --classes, 'cat' among them"):
        open_source(folder, SourceOptions(classes=("dog",)))


def test_folders_without_an_object_have_no_classes(write):
    folder = write({"0.jpg": None, "0.json": labelme()})
    with pytest.raises(SourceError, match="no object in it, so no classes"):
        open_source(folder)
    assert boxes(open_source(folder, SourceOptions(classes=("cat",)))) == {"0.jpg": []}


@pytest.mark.parametrize(
    ("names", "text", "says"),
    [
        (("image_2/0.jpg", "label_2/0.txt"), KITTI + "Car 0 0\n", r"0\.txt, line 4: 3 fields, expected the class and"),
        (("image_2/0.jpg", "label_2/0.txt"), KITTI.replace("30.00", "x"), r"0\.txt, line 1: the right is 'x'"),
        (("images/0.jpg", "labelTxt/0.txt"), DOTA + "1 2 3\n", r"0\.txt, line 6: 3 fields, expected four corners"),
        (("images/0.jpg", "labelTxt/0.txt"), DOTA.replace("24.0", "nan"), r"0\.txt, line 3: a corner is nan"),
        (("images/0.jpg", "annotations/0.txt"), VISDRONE + "1,2\n", r"0\.txt, line 6: 2 fields"),
        (("images/0.jpg", "annotations/0.txt"), VISDRONE + "1,2,3,4,1,12,0,0\n", r"line 6: the category is 12"),
        (("images/0.jpg", "annotations/0.txt"), VISDRONE + "1,2,3,x,1,1,0,0\n", r"line 6: the height is 'x'"),
        (("0.jpg", "0.json"), labelme(("", "rectangle", [[1, 2], [3, 4]])), r"shapes\[0\]: it has no label"),
        (("0.jpg", "0.json"), labelme(("a", "circle", [[1, 2]])), r"shapes\[0\]: 1 points, of which no circle"),
        (("0.jpg", "0.json"), labelme(("a", "polygon", [[1, 2], ["3", 4]])), r"shapes\[0\]: x is '3'"),
        (("0.jpg", "0.json"), labelme(("a", "polygon", [1, 2])), r"shapes\[0\]: expected points \[x, y\], found 1"),
        (("0.jpg", "0.json"), labelme(*SHAPES, imageWidth=99), r"0\.json: the annotation is of an image of 99 × 32"),
        (("0.jpg", "0.json"), labelme(*SHAPES)[:-3], r"0\.json: not JSON"),
    ],
)  # fmt: skip
def test_bad_annotations_are_named(write, names, text, says):
    with pytest.raises(SourceError, match=says):
        open_source(write({names[0]: None, names[1]: text}))


def test_missing_image_is_rejected(write, tmp_path):
    folder = write({"image_2/0.jpg": None, "label_2/0.txt": KITTI, "label_2/1.txt": KITTI})
    report = dali_rec.pack(folder, tmp_path / "out", max_bad=1)
    assert [rejection.sample.location for rejection in report.rejections] == ["image_2/1.jpg"]


@pytest.mark.parametrize("kind", ["kitti", "dota", "visdrone", "labelme"])
def test_format_that_is_not_there_is_an_error(tmp_path, kind):
    with pytest.raises(SourceError, match=r"not a .*: expected"):
        open_source(tmp_path, SourceOptions(format=kind))
    with pytest.raises(SourceError, match="--root goes with"):
        open_source(tmp_path, SourceOptions(format=kind, root=tmp_path))
