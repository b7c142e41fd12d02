"""CVAT's own format for images, as of a task and of a project."""

import numpy as np
import pytest
from support import jpeg

import dali_rec
from dali_rec.errors import SourceError
from dali_rec.sources import SourceOptions, open_source
from dali_rec.sources.detection import find_format

LABELS = "".join(
    f"<label><name>{name}</name><color>#fa3253</color><type>any</type><attributes></attributes>{more}</label>"
    for name, more in {"truck": "", "car": "", "nose": "<parent>person</parent>", "person": ""}.items()
)
BOX = 'occluded="0" source="manual" xtl="10.00" ytl="8.00" xbr="30.00" ybr="24.00" z_order="0"'
CAR = ("car", 0.25, 0.25, 0.75, 0.75)


@pytest.fixture
def write(tmp_path):
    """Writes annotations.xml with these elements, and JPEGs of 40 × 32; returns the folder."""

    def write(inside, names=("images/0.jpg", "images/1.jpg"), kind="task"):
        folder = tmp_path / "data"
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(jpeg())
        meta = f"<meta><{kind}><id>5</id><labels>{LABELS}</labels></{kind}><dumped>2024-01-17</dumped></meta>"
        text = (
            f'<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version>{meta}{inside}</annotations>'
        )
        (folder / "annotations.xml").write_text(text)
        return folder

    return write


def image(number, *shapes, name=None, more=""):
    of = f'id="{number}" name="{name or f"{number}.jpg"}" {more} width="40" height="32"'
    return f"<image {of}>{''.join(shapes)}</image>"


def shape(kind, more, label="car"):
    return f'<{kind} label="{label}" {more}><attribute name="a">b</attribute></{kind}>'


def boxes(source):
    """By location the class and the corners of each object, with the classes by their names."""
    found = {}
    for sample in source.samples:
        assert sample.labels[:4] == (4, 5, 40, 32)
        objects = np.array(sample.labels[4:]).reshape(-1, 5).tolist()
        found[sample.location] = [(source.classes[int(one[0])], *one[1:]) for one in objects]
    return found


@pytest.mark.parametrize("kind", ["task", "project", "job"])
def test_images_of_a_task(write, tmp_path, kind):
    folder = write(image(0, shape("box", BOX)) + image(1), kind=kind)
    for path in (folder, folder / "annotations.xml"):
        assert find_format(path) == "cvat"
        source = open_source(path)
        assert boxes(source) == {"0.jpg": [CAR], "1.jpg": []}
        # In the order of the labels, and without the points of skeletons.
        assert (source.classes, source.splits) == (("truck", "car", "person"), ())
        assert source.notes == ("1 image without objects; the first: 1.jpg",)
    assert dali_rec.pack(tmp_path, tmp_path / "out").manifest.classes == ("truck", "car", "person")


@pytest.mark.parametrize(
    ("kind", "more", "corners"),
    [
        ("polygon", 'points="4.00,16.00;20.00,8.00;38.00,30.00"', (4, 8, 38, 30)),
        ("polyline", 'points="4,16;20,8"', (4, 8, 20, 16)),
        ("mask", 'rle="3, 1" left="4" top="8" width="10" height="6"', (4, 8, 14, 14)),
        ("ellipse", 'cx="20" cy="16" rx="12" ry="5"', (8, 11, 32, 21)),
        ("ellipse", 'cx="20" cy="16" rx="12" ry="5" rotation="90"', (15, 4, 25, 28)),
        ("box", BOX.replace("8.00", "14.00").replace("24.00", "18.00") + ' rotation="270.0"', (18, 6, 22, 26)),
        (
            "cuboid",
            """xtl1="9" ytl1="8" xbl1="9" ybl1="20" xtr1="19" ytr1="8" xbr1="19" ybr1="20"
            xtl2="12" ytl2="4" xbl2="12" ybl2="16" xtr2="22" ytr2="4" xbr2="22" ybr2="16" """,
            (9, 4, 22, 20),
        ),
    ],
)
def test_boxes_around_other_shapes(write, kind, more, corners):
    [[found]] = boxes(open_source(write(image(0, shape(kind, more)), ["images/0.jpg"]))).values()
    assert found[0] == "car"
    assert np.allclose(found[1:], np.array(corners) / (40, 32, 40, 32))


@pytest.mark.parametrize("angle", [15, 30, 120, 200.5])
def test_box_around_a_rotated_one(write, angle):
    turned = np.exp(1j * np.radians(angle)) * np.array([-10 - 4j, 10 - 4j, 10 + 4j, -10 + 4j]) + (20 + 16j)
    more = f'xtl="10" ytl="12" xbr="30" ybr="20" rotation="{angle}"'
    [[found]] = boxes(open_source(write(image(0, shape("box", more)), ["images/0.jpg"]))).values()
    corners = [turned.real.min() / 40, turned.imag.min() / 32, turned.real.max() / 40, turned.imag.max() / 32]
    assert np.allclose(found[1:], corners)


def test_what_has_no_area_is_counted(write):
    skeleton = '<skeleton label="person" z_order="0"><points label="nose" points="1,2"/></skeleton>'
    points = shape("points", 'points="1,2;3,4"')
    source = open_source(write(image(0, shape("tag", ""), points, skeleton, points), ["images/0.jpg"]))
    assert boxes(source) == {"0.jpg": []}
    assert any("what has no area is left out: 2 points, 1 skeleton, 1 tag" in note for note in source.notes)


@pytest.mark.parametrize("has_root", [False, True])
@pytest.mark.parametrize("has_folders", [True, False])
def test_subsets_of_a_project_are_splits(write, has_folders, has_root):
    """The images of each subset lie in a folder of its name; of those with other names the tasks alternate."""
    order = ["Test", "Train", "Validation", "Train"]
    places = [f"{subset}/{number}.jpg" if has_folders else f"{number}.jpg" for number, subset in enumerate(order)]
    inside = "".join(
        image(number, shape("box", BOX), more=f'subset="{subset}" task_id="{number}"')
        for number, subset in enumerate(order)
    )
    folder = write(inside, [f"images/{place}" for place in places], "project")
    root = folder / "images" if has_root else None
    source = open_source(folder, SourceOptions(root=root))
    assert list(boxes(source)) == [places[1], places[3], places[2], places[0]]
    assert [(one.name, one.start, one.stop) for one in source.splits] == [
        ("train", 0, 2),
        ("val", 2, 3),
        ("test", 3, 4),
    ]


def test_subsets_of_other_names_part_nothing(write):
    inside = image(0, shape("box", BOX), more='subset="Train"') + image(1, more='subset="day 2"')
    source = open_source(write(inside, ["images/Train/0.jpg", "images/day 2/1.jpg"]))
    assert (list(boxes(source)), source.splits) == (["Train/0.jpg", "day 2/1.jpg"], ())
    assert any("its subsets, Train, day 2, are not all train, val and test" in note for note in source.notes)


TRACK = f'<track id="0" label="car"><box frame="0" keyframe="1" outside="0" {BOX}></box></track>'


def test_tracks_of_a_video_are_refused(write):
    with pytest.raises(SourceError, match=r"annotations\.xml: 2 tracks of a video and no images: export the task"):
        open_source(write(TRACK * 2))
    source = open_source(write(TRACK + image(0, shape("box", BOX))))
    assert boxes(source) == {"0.jpg": [CAR]}
    assert any("1 track of a video left out" in note for note in source.notes)


@pytest.mark.parametrize(
    ("inside", "says"),
    [
        (image(0, shape("box", BOX, label="")), r"annotations\.xml: image\[0\] \(0\.jpg\): box\[0\]: it has no label"),
        (image(0, shape("box", 'xtl="1"')), r"box\[0\]: ytl is None, which is not a number"),
        (image(0, shape("polygon", 'points="1;2"')), r"polygon\[0\]: expected points x,y;x,y…, found '1;2'"),
        (image(0, shape("blob", "")), r"blob\[0\]: not a shape of CVAT, which are box, polygon"),
        (image(0) + '<image id="1"/>', r"image\[1\]: it has no name"),
        ("<image", r"broken XML"),
        ("", "no images in it"),
    ],
)
def test_bad_entries_are_named(write, inside, says):
    with pytest.raises(SourceError, match=says):
        open_source(write(inside))


def test_document_type_is_refused(write):
    folder = write(image(0))
    text = (folder / "annotations.xml").read_text().replace("<annotations>", "<!DOCTYPE a []><annotations>")
    (folder / "annotations.xml").write_text(text)
    with pytest.raises(SourceError, match="document type"):
        open_source(folder)


def test_other_xml_is_not_taken_for_it(write):
    folder = write("")
    (folder / "annotations.xml").write_text("<annotations><page/></annotations>")
    assert find_format(folder) is None
    with pytest.raises(SourceError, match=r"annotations\.xml: not a folder, .*Of boxes write COCO annotations"):
        open_source(folder / "annotations.xml")
    (folder / "annotations.xml").unlink()
    with pytest.raises(SourceError, match=r"annotations\.xml: not a file of annotations, as --format cvat says"):
        open_source(folder, SourceOptions(format="cvat"))
