"""VGG Image Annotator, Create ML, CSV of boxes, WIDER FACE and CrowdHuman: one file of annotations for all images."""

import csv
import io
import json
import math

import numpy as np
import pytest
from support import jpeg

import dali_rec
from dali_rec.errors import SourceError
from dali_rec.sources import SourceOptions, TableOptions, open_source
from dali_rec.sources.detection import find_format


@pytest.fixture
def write(tmp_path):
    """Writes a file in ``data``, and JPEGs of 40 × 32 where they are said to be; returns the path of the file."""

    def write(name, text, images=("data/0.jpg", "data/1.jpg")):
        for image in images:
            (tmp_path / image).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / image).write_bytes(jpeg())
        path = tmp_path / "data" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text if isinstance(text, str) else json.dumps(text), newline="")
        return path

    return write


def boxes(source):
    """By location the class, corners and flag of each object, with the classes by their names."""
    found = {}
    for sample in source.samples:
        assert sample.labels[2:4] == (40, 32)
        objects = np.array(sample.labels[4:]).reshape(-1, int(sample.labels[1])).tolist()
        found[sample.location] = [(source.classes[int(one[0])], *one[1:]) for one in objects]
    return found


# VGG Image Annotator


def region(shape, **attributes):
    return {"shape_attributes": shape, "region_attributes": attributes}


RECT = {"name": "rect", "x": 10, "y": 8, "width": 20, "height": 16}
POLYGON = {"name": "polygon", "all_points_x": [4, 20, 38], "all_points_y": [16, 8, 30]}
POINT = {"name": "point", "cx": 3, "cy": 4}
CAT, DOG = ("cat", 0.25, 0.25, 0.75, 0.75), ("dog", 0.1, 0.25, 0.95, 0.9375)
REGIONS = [region(RECT, type="cat"), region(POLYGON, type="dog"), region(POINT, type="cat")]
VIA = {
    "0.jpg1234": {"filename": "0.jpg", "size": 1234, "regions": REGIONS, "file_attributes": {}},
    "1.jpg99": {"filename": "1.jpg", "size": 99, "regions": [], "file_attributes": {}},
}
OF_VERSION_1 = {
    key: {"fileref": "", **image, "regions": dict(enumerate(image["regions"]))} for key, image in VIA.items()
}


VIA_COLUMNS = ("region_shape_attributes", "region_attributes")


def via_csv(first="filename"):
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow([first, "file_size", "file_attributes", "region_count", "region_id", *VIA_COLUMNS])
    for number, one in enumerate(REGIONS):
        shape, attributes = (
            json.dumps(one[column.removeprefix("region_") if column == VIA_COLUMNS[0] else column])
            for column in VIA_COLUMNS
        )
        rows.writerow(["0.jpg", 1234, "{}", 3, number, shape, attributes])
    rows.writerow(["1.jpg", 99, "{}", 0, 0, "{}", "{}"])
    return text.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("via_region_data.json", VIA),
        ("via_region_data.json", OF_VERSION_1),
        ("project.json", {"_via_settings": {"ui": {}}, "_via_img_metadata": VIA, "_via_attributes": {}}),
        ("via.csv", via_csv()),
        ("via.csv", via_csv("#filename")),
    ],
)
def test_via(write, tmp_path, name, content):
    path = write(name, content)
    assert find_format(path) == "via"
    source = open_source(path)
    assert boxes(source) == {"0.jpg": [CAT, DOG], "1.jpg": []}
    assert not source.shuffled_by_default
    assert any("1 point without area left out" in note for note in source.notes)
    assert dali_rec.pack(path, tmp_path / "out").manifest.classes == ("cat", "dog")


@pytest.mark.parametrize("theta", [0, 0.5, math.pi / 2])
def test_via_box_around_an_ellipse_and_a_circle(write, theta):
    ellipse = {"name": "ellipse", "cx": 20, "cy": 16, "rx": 12, "ry": 5, "theta": theta}
    circle = {"name": "circle", "cx": 20, "cy": 16, "r": 4}
    path = write(
        "x.json", {"0.jpg1": {"filename": "0.jpg", "regions": [region(ellipse, a="b"), region(circle, a="b")]}}
    )
    around = np.linspace(0, 2 * np.pi, 100_001)
    x, y = 12 * np.cos(around), 5 * np.sin(around)
    xs, ys = 20 + x * np.cos(theta) - y * np.sin(theta), 16 + x * np.sin(theta) + y * np.cos(theta)
    found = boxes(open_source(path))["0.jpg"]
    assert np.allclose(found[0][1:], [xs.min() / 40, ys.min() / 32, xs.max() / 40, ys.max() / 32], atol=1e-6)
    assert found[1][1:] == (16 / 40, 12 / 32, 24 / 40, 20 / 32)


def via_of(*regions):
    return {"0.jpg1": {"filename": "0.jpg", "size": 1, "regions": list(regions)}}


def test_via_class_is_the_attribute_that_is_meant(write):
    path = write("x.json", via_of(region(RECT, colour="red", size="big"), region(RECT, colour="blue", size="big")))
    with pytest.raises(SourceError, match="are colour, size: say by --label-column which is the class"):
        open_source(path)
    source = open_source(path, SourceOptions(table=TableOptions(labels=("colour",))))
    assert source.classes == ("blue", "red")
    assert open_source(write("x.json", via_of(region(RECT, colour="red", Class="car")))).classes == ("car",)
    ticked = region(RECT, what={"car": True, "bus": False})
    assert open_source(write("x.json", via_of(ticked))).classes == ("car",)


def test_via_without_attributes_is_one_class(write):
    source = open_source(write("x.json", via_of(region(RECT))))
    assert source.classes == ("object",)
    assert any("no region has attributes: all are of the class 'object'" in note for note in source.notes)


# Create ML


def createml(*objects, image="image", name="0.jpg"):
    drawn = [
        {"label": label, "coordinates": dict(zip(("x", "y", "width", "height"), box, strict=True))}
        for label, *box in objects
    ]
    return {image: name, "annotations": drawn}


@pytest.mark.parametrize("image", ["image", "imagefilename"])
def test_createml_boxes_are_given_by_their_centre(write, image):
    content = [
        createml(("cat", 20, 16, 20, 16), ("dog", 5.0, 28, 10, 8), image=image),
        createml(name="1.jpg", image=image),
    ]
    path = write("_annotations.createml.json", content)
    assert find_format(path) == "createml"
    assert boxes(open_source(path)) == {"0.jpg": [CAT, ("dog", 0, 0.75, 0.25, 1)], "1.jpg": []}


def test_table_of_images_with_a_label_each_is_not_of_create_ml(write):
    rows = [
        {"image": "0.jpg", "label": "cat", "annotations": []},
        {"image": "1.jpg", "label": "dog", "annotations": []},
    ]
    assert [sample.labels for sample in open_source(write("x.json", rows)).samples] == [(0.0,), (1.0,)]
    path = write("x.json", [createml(("cat", 20, 16, 20, 16))])
    with pytest.raises(SourceError, match="'annotations' is a list"):
        open_source(path, SourceOptions(table=TableOptions(labels=("annotations",))))


# CSV of boxes

TENSORFLOW = """filename,width,height,class,xmin,ymin,xmax,ymax
0.jpg,40,32,cat,10,8,30,24
1.jpg,40,32,dog,0,0,40,16
0.jpg,40,32,dog,20,16,40,32
"""


@pytest.mark.parametrize(
    ("text", "images"),
    [
        (TENSORFLOW, ("data/0.jpg", "data/1.jpg")),
        (TENSORFLOW, ("train/0.jpg", "train/1.jpg")),
        (TENSORFLOW, ("images/train/0.jpg", "images/train/1.jpg")),
        (TENSORFLOW.replace("40,32,", "80,64,"), ("data/0.jpg", "data/1.jpg")),
        ("0.jpg,10,8,30,24,cat\n1.jpg,0,0,40,16,dog\n0.jpg,20,16,40,32,dog\n", ("data/0.jpg", "data/1.jpg")),
    ],
)
def test_csv_of_boxes(write, text, images):
    path = write("train_labels.csv", text, images)
    assert find_format(path) == "csv"
    scale = 2 if "80" in text else 1
    expected = {
        "0.jpg": [("cat", 0.25, 0.25, 0.75, 0.75), ("dog", 0.5, 0.5, 1, 1)],
        "1.jpg": [("dog", 0, 0, 1, 0.5)],
    }
    expected = {name: [(one[0], *(side / scale for side in one[1:])) for one in of] for name, of in expected.items()}
    assert boxes(open_source(path)) == expected


def test_csv_row_of_a_path_alone_is_an_image_without_objects(write):
    path = write("x.csv", "0.jpg,,,,,\n1.jpg,10,8,30,24,cat\n")
    assert boxes(open_source(path)) == {"0.jpg": [], "1.jpg": [CAT]}


def test_csv_of_boxes_is_a_table_where_columns_are_asked_for(write):
    path = write("x.csv", TENSORFLOW)
    source = open_source(path, SourceOptions(table=TableOptions(labels=("class",))))
    assert [sample.labels for sample in source.samples] == [(0.0,), (1.0,), (1.0,)]
    assert any("each row is a box; with --label-column NAME it is" in note for note in open_source(path).notes)


def test_other_columns_of_boxes_are_asked_for_by_the_format(write):
    path = write("x.csv", "Image,x1,y1,x2,y2,Label\n0.jpg,10,8,30,24,cat\n")
    assert not open_source(path).has_boxes
    assert boxes(open_source(path, SourceOptions(format="csv"))) == {"0.jpg": [CAT]}


# WIDER FACE

WIDER = """0--Parade/0.jpg
2
10 8 20 16 0 0 0 0 0 0
0 0 20 32 2 0 0 1 2 0
0--Parade/1.jpg
0
0 0 0 0 0 0 0 0 0 0
1--Handshaking/0.jpg
1
20 16 20 16 1 0 0 0 2 0
"""
FACES = {
    "0--Parade/0.jpg": [("face", 0.25, 0.25, 0.75, 0.75, 0), ("face", 0, 0, 0.5, 1, 1)],
    "0--Parade/1.jpg": [],
    "1--Handshaking/0.jpg": [("face", 0.5, 0.5, 1, 1, 0)],
}


@pytest.mark.parametrize("place", ["WIDER_train/images", "data/WIDER_train/images", "data"])
def test_wider_face(write, place):
    path = write("wider_face_train_bbx_gt.txt", WIDER, [f"{place}/{name}" for name in FACES])
    assert find_format(path) == "widerface"
    source = open_source(path)
    assert (boxes(source), source.classes) == (FACES, ("face",))
    dropped = open_source(path, SourceOptions(flagged="drop", root=path.parent.parent / place))
    assert [len(one) for one in boxes(dropped).values()] == [1, 0, 1]


# CrowdHuman


def person(*box, tag="person", **extra):
    return {"tag": tag, "fbox": list(box), "hbox": [1, 2, 3, 4], "vbox": [5, 6, 7, 8], "extra": extra}


def test_crowdhuman(write):
    lines = [
        {"ID": "273271,c9db0", "gtboxes": [person(10, 8, 20, 16, box_id=0), person(0, 0, 40, 32, ignore=1)]},
        {"ID": "1066405,1b8000", "gtboxes": [person(20, 16, 20, 16, tag="mask"), person(-20, 0, 40, 64)]},
    ]
    images = [f"Images/{line['ID']}.jpg" for line in lines]
    path = write("annotation_train.odgt", "\n".join(map(json.dumps, lines)) + "\n", images)
    source = open_source(path)
    assert source.classes == ("person", "mask")
    assert boxes(source) == {
        "273271,c9db0.jpg": [("person", 0.25, 0.25, 0.75, 0.75, 0), ("person", 0, 0, 1, 1, 1)],
        "1066405,1b8000.jpg": [("mask", 0.5, 0.5, 1, 1, 1), ("person", 0, 0, 0.5, 1, 0)],
    }
    assert any("1 box clipped to the image" in note for note in source.notes)
    dropped = open_source(path, SourceOptions(flagged="drop"))
    assert (dropped.classes, sum(map(len, boxes(dropped).values()))) == (("person",), 2)


# Open Images


OPEN_IMAGES = """ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,\
IsDepiction,IsInside
000a,xclick,/m/01yrx,1,0.25,0.75,0.125,1.0,0,0,0,0,0
000b,xclick,/m/0bt9lr,1,0.0,0.5,0.25,0.5,1,0,1,0,0
000a,xclick,/m/0bt9lr,1,0.5,1.0,0.0,0.5,0,0,0,0,0
"""


@pytest.mark.parametrize("place", ["data", "data/train", "train"])
def test_open_images(write, place):
    path = write("oidv6-train-annotations-bbox.csv", OPEN_IMAGES, [f"{place}/000a.jpg", f"{place}/000b.jpg"])
    expected = {
        "000a.jpg": [("/m/01yrx", 0.25, 0.125, 0.75, 1, 0), ("/m/0bt9lr", 0.5, 0, 1, 0.5, 0)],
        "000b.jpg": [("/m/0bt9lr", 0, 0.25, 0.5, 0.5, 1)],
    }
    source = open_source(path)
    assert boxes(source) == expected
    assert any("classes are called /m/01yrx and the like; for their names put" in note for note in source.notes)
    (path.parent / "class-descriptions-boxable.csv").write_text("/m/01yrx,Cat\n/m/0bt9lr,Dog\n/m/09j2d,Clothing\n")
    source = open_source(path)
    assert (source.classes, boxes(source)["000b.jpg"]) == (("Cat", "Dog"), [("Dog", 0, 0.25, 0.5, 0.5, 1)])
    assert any("the names of classes are those of class-descriptions-boxable.csv" in note for note in source.notes)
    table = open_source(path, SourceOptions(root=path.parents[1] / place, table=TableOptions(labels=("LabelName",))))
    assert (table.has_boxes, len(table.samples)) == (False, 3)


def test_classes_of_splits_that_are_packed_by_themselves_are_said(write):
    path = write("train_labels.csv", "filename,width,height,class,xmin,ymin,xmax,ymax\n0.jpg,40,32,cat,1,2,3,4\n")
    said = (
        "its classes are numbered by the names in it alone; if test_labels.csv has others, give both the same numbers"
    )
    assert not any(said in note for note in open_source(path).notes)
    write("test_labels.csv", "")
    assert any(said in note for note in open_source(path).notes)
    assert not any(said in note for note in open_source(path, SourceOptions(classes=("cat",))).notes)


@pytest.mark.parametrize(
    ("name", "image", "described"),
    [
        ("oidv6-train-annotations-bbox.csv", "data/000a.jpg", "oidv7-class-descriptions-boxable.csv"),
        ("labels/detections.csv", "data/data/000a.jpg", "metadata/classes.csv"),  # FiftyOne
        ("annotations/x-annotations-bbox.csv", "data/images/x/000a.jpg", "annotations/class-descriptions.csv"),  # CVAT
    ],
)
def test_open_images_of_others(write, name, image, described):
    (write("x", "", [image]).parent / name).parent.mkdir(exist_ok=True)
    path = write(name, "\n".join(OPEN_IMAGES.splitlines()[:2]), [])
    (path.parents[name.count("/")] / described).parent.mkdir(exist_ok=True)
    (path.parents[name.count("/")] / described).write_text("LabelName,DisplayName\n/m/01yrx,Cat\n")
    assert boxes(open_source(path)) == {"000a.jpg": [("Cat", 0.25, 0.125, 0.75, 1, 0)]}


# BDD100K

FRAMES = [
    {
        "name": "0.jpg",
        "attributes": {"weather": "clear"},
        "timestamp": 10000,
        "labels": [
            {"category": "car", "id": 0, "box2d": {"x1": 10, "y1": 8, "x2": 30, "y2": 24}},
            {"category": "lane", "id": 1, "poly2d": [{"vertices": [[1, 2], [3, 4]], "types": "LL"}]},
            {"category": "bus", "id": 2, "box2d": {"x1": 0.0, "y1": 0.0, "x2": 40.0, "y2": 16.0}},
        ],
    },
    {"name": "1.jpg", "timestamp": 10000, "labels": None},
]


@pytest.mark.parametrize("content", [FRAMES, {"frames": FRAMES, "config": {}}])
def test_bdd100k(write, content):
    path = write("bdd100k_labels_images_train.json", content, ["images/100k/train/0.jpg", "images/100k/train/1.jpg"])
    assert find_format(path) == "bdd100k"
    source = open_source(path)
    assert boxes(source) == {"0.jpg": [("car", 0.25, 0.25, 0.75, 0.75), ("bus", 0, 0, 1, 0.5)], "1.jpg": []}
    assert any("1 label without a box, as lanes, left out" in note for note in source.notes)


# SageMaker Ground Truth


def groundtruth(image, *found, size=True, names=None, job="boxes"):
    annotations = [
        {"class_id": key, "left": left, "top": top, "width": width, "height": height}
        for key, left, top, width, height in found
    ]
    content = {"image_size": [{"width": 40, "height": 32, "depth": 3}] if size else [], "annotations": annotations}
    names = {"7": "dog", "2": "zebra"} if names is None else names
    metadata = {"class-map": names, "type": "groundtruth/object-detection", "job-name": "labeling-job/x"}
    return {"source-ref": image, job: content, f"{job}-metadata": metadata}


LINES = [
    groundtruth("s3://bucket/photos/0.jpg", (7, 10, 8, 20, 16), (2, 0, 0, 40, 16)),
    {"source-ref": "s3://bucket/photos/2.jpg", "boxes-metadata": {"failure-reason": "too large"}},
    groundtruth("s3://bucket/photos/1.jpg", names={}),
]
OF_LINES = [[("dog", 0.25, 0.25, 0.75, 0.75), ("zebra", 0, 0, 1, 0.5)], []]


def json_lines(*entries):
    return "".join(f"{json.dumps(entry)}\n" for entry in entries)


@pytest.mark.parametrize("name", ["output.manifest", "output.jsonl"])
def test_groundtruth(write, name):
    path = write(name, json_lines(*LINES))
    assert find_format(path) == "groundtruth"
    remote = open_source(path)
    assert boxes(remote) == dict(zip(["s3://bucket/photos/0.jpg", "s3://bucket/photos/1.jpg"], OF_LINES, strict=True))
    assert remote.classes == ("zebra", "dog")  # by their ids
    assert any("1 line without boxes left out; the first: " in note for note in remote.notes)
    write(name, json_lines(*LINES), ["data/photos/0.jpg", "data/photos/1.jpg"])
    for root, inside in ((path.parent, "photos/"), (path.parent / "photos", "")):
        here = open_source(path, SourceOptions(root=root))
        assert boxes(here) == dict(zip([f"{inside}0.jpg", f"{inside}1.jpg"], OF_LINES, strict=True))


def test_groundtruth_of_paths_packs(write, tmp_path):
    path = write("x.manifest", json_lines(groundtruth("0.jpg", (7, 10, 8, 20, 16)), groundtruth("1.jpg", size=False)))
    report = dali_rec.pack(path, tmp_path / "out")
    assert (report.records, report.manifest.classes) == (2, ("zebra", "dog"))
    assert dali_rec.open(tmp_path / "out")[0].labels.tolist() == [4, 5, 40, 32, 1, 0.25, 0.25, 0.75, 0.75]


def test_groundtruth_of_several_jobs_is_told_by_the_label_column(write):
    line = {**groundtruth("0.jpg", (7, 10, 8, 20, 16)), **groundtruth("0.jpg", (2, 0, 0, 40, 32), job="other")}
    path = write("x.manifest", json_lines(line))
    with pytest.raises(SourceError, match=r"line 1: boxes under boxes and other; name the one .* by --label-column"):
        open_source(path)
    assert boxes(open_source(path, SourceOptions(table=TableOptions(labels=("other",))))) == {
        "0.jpg": [("zebra", 0, 0, 1, 1)]
    }


def test_groundtruth_of_classes_is_a_table(write):
    line = {"source-ref": "0.jpg", "animal": 1, "animal-metadata": {"class-name": "dog", "type": "groundtruth/image"}}
    assert [sample.labels for sample in open_source(write("x.manifest", json_lines(line))).samples] == [(1.0,)]


# Errors


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("x.json", via_of(region({"name": "rect", "x": 1}, a="b")), r"0\.jpg1: regions\[0\]: y is None"),
        ("x.json", via_of(region({"name": "star"}, a="b")), r"regions\[0\]: the shape 'star' is not one of"),
        ("x.json", via_of(region({**POLYGON, "all_points_x": [1]}, a="b")), "1 all_points_x and 3 all_points_y"),
        ("x.json", via_of(region(RECT, a="b"), region(RECT)), r"regions\[1\]: no class in the attribute 'a'"),
        ("x.json", via_of(region(RECT, a={"x": True, "y": True})), r"'a' is x, y; a box has one class"),
        ("x.json", {"0.jpg1": {"filename": "", "regions": []}}, "0.jpg1: it has no filename"),
        ("x.json", {"0.jpg1": {"filename": "gone.jpg", "regions": []}}, "'gone.jpg' and so on, are neither"),
        ("x.csv", via_csv().replace('""x""', "x"), r"x\.csv, line 2: region_shape_attributes or .* is no JSON"),
        ("x.json", [createml(("", 1, 2, 3, 4))], r"\[0\]: annotations\[0\]: it has no label"),
        ("x.json", [createml(("a", 1, 2, None, 4))], r"annotations\[0\]: width is None"),
        ("x.json", [{"image": "0.jpg", "annotations": [{"label": "a"}]}], r"annotations\[0\]: expected x, y, width"),
        ("x.csv", TENSORFLOW + "0.jpg,40,32,cat,1,2\n", r"x\.csv, line 5: 6 fields, expected 8"),
        ("x.csv", TENSORFLOW + "0.jpg,40,32,cat,a,2,3,4\n", "line 5: xmin is 'a'"),
        ("x.csv", TENSORFLOW + "0.jpg,40,32,,1,2,3,4\n", "line 5: a box without a class"),
        ("x.csv", TENSORFLOW + "0.jpg,80,64,cat,1,2,3,4\n", "line 5: 0.jpg has another size here"),
        ("x.csv", TENSORFLOW + ",40,32,cat,1,2,3,4\n", "line 5: it names no image"),
        ("x.csv", "0.jpg,0.1,0.2,0.5,1,cat\n", "look like parts of the width and the height"),
        ("x.txt", WIDER.replace("0--Parade/1.jpg\n0", "0--Parade/1.jpg\nx"), r"line 6: 'x' is not the number of faces"),
        ("x.txt", WIDER.replace("\n2\n", "\n1\n"), r"line 4: .* stands where the name of an image is expected"),
        ("x.txt", WIDER.replace("\n1\n", "\n3\n"), "it ends before the 3 faces of 1--Handshaking/0.jpg"),
        ("x.txt", WIDER.replace("20 16 20 16", "20 16 w 16"), "line 10: the width is 'w'"),
        ("x.odgt", '{"ID": "0", "gtboxes": [{"tag": "cat"}]}', r"line 1: gtboxes\[0\]: its tag is 'cat'"),
        ("x.odgt", '{"ID": "0", "gtboxes": [{"tag": "person"}]}', r"gtboxes\[0\]: it has no list 'fbox'"),
        ("x.odgt", '{"ID": "0", "gtboxes": []}\n{"ID"', "line 2: not JSON"),
        ("x.csv", OPEN_IMAGES.replace("0.75,0.125", "75,0.125"), "line 2: XMax is 75, which is no part of the width"),
        ("x.csv", OPEN_IMAGES + "000c,x,,1,0,1,0,1,0,0,0,0,0\n", "line 5: no ImageID or no LabelName"),
        ("x.jsonl", json_lines(LINES[0], groundtruth("", names={"7": "a"})), "2: the class 7 is 'a' here and 'dog'"),
        ("x.jsonl", json_lines(groundtruth("1.jpg", (-1, 1, 2, 3, 4))), r"annotations\[0\]: class_id is '-1'"),
        ("x.jsonl", json_lines(LINES[0], groundtruth("1.jpg", (7, 1, "2", 3, 4))), r"annotations\[0\]: top is '2'"),
        ("x.jsonl", json_lines(groundtruth("s3://b/1.jpg", size=False)), "no image_size for s3://b/1.jpg"),
        ("x.json", [*FRAMES, {"labels": []}], r"\[2\]: it has no name"),
        ("x.json", [*FRAMES, {"name": "2", "labels": [{"category": "a", "box2d": [1]}]}], r"labels\[0\]: expected x1"),
    ],
)  # fmt: skip
def test_bad_annotations_are_named(write, name, content, says):
    with pytest.raises(SourceError, match=says):
        open_source(write(name, content))


def test_several_images_of_one_file_are_said(write):
    source = open_source(write("x.json", [createml(("cat", 20, 16, 20, 16)), createml(("cat", 20, 16, 20, 16))]))
    assert len(source.samples) == 2
    assert any("several images are of one file, each with its own annotations: 0.jpg" in note for note in source.notes)


def test_options_that_do_not_go_with_a_format_are_errors(write):
    path = write("x.json", [createml(("cat", 20, 16, 20, 16))])
    with pytest.raises(SourceError, match="--flagged goes with COCO and VOC"):
        open_source(path, SourceOptions(flagged="drop"))
    with pytest.raises(SourceError, match="--columns, --label-column and the like go with a table"):
        open_source(path, SourceOptions(format="createml", table=TableOptions(labels=("a",))))
    with pytest.raises(SourceError, match="not a file of annotations, as --format csv says"):
        open_source(path.parent, SourceOptions(format="csv"))
