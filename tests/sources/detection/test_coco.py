import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import encoded, jpeg, picture, traced_peak

import dali_rec
from dali_rec.cli import main
from dali_rec.errors import DatasetError, SourceError
from dali_rec.images import decode_image
from dali_rec.sources import SourceOptions, open_source
from dali_rec.sources.detection import read_coco


def image(key, name, width=40, height=32):
    return {"id": key, "file_name": name, "width": width, "height": height}


def annotation(image_id, category, bbox, **more):
    return {"id": 1, "image_id": image_id, "category_id": category, "bbox": bbox, **more}


CATEGORIES = [{"id": 18, "name": "dog"}, {"id": 3, "name": "car"}, {"id": 90, "name": "toothbrush"}]


@pytest.fixture
def write(tmp_path):
    """Writes a COCO file over two JPEGs of 40 × 32."""
    for seed in range(2):
        (tmp_path / f"{seed}.jpg").write_bytes(jpeg(seed))

    def write(annotations=(), images=None, categories=CATEGORIES, **more):
        path = tmp_path / "instances.json"
        images = [image(139, "0.jpg"), image(7, "1.jpg")] if images is None else images
        content = {"info": {}, "images": images, "annotations": list(annotations), "categories": categories, **more}
        path.write_text(json.dumps(content))
        return path

    return write


def labels_of(prefix):
    return {record.key: record.labels.tolist() for record in dali_rec.open(prefix)}


def test_boxes_are_packed_in_parts_of_the_image_under_the_image_ids(write, tmp_path):
    source = write(
        [
            annotation(7, 90, [10, 8, 20, 16]),
            annotation(139, 3, [0, 0, 40, 32], iscrowd=1, segmentation={"counts": [1, 2], "size": [32, 40]}),
            annotation(7, 18, [5.0, 4.0, 2.5, 1.0], segmentation=[[1, 2, 3, 4]]),
        ]
    )
    report = dali_rec.pack(source, tmp_path / "out")
    assert report.manifest.classes == ("car", "dog", "toothbrush")
    assert report.manifest.label_kind == "boxes"
    assert labels_of(tmp_path / "out") == {
        139: [4, 6, 40, 32, 0, 0, 0, 1, 1, 1],
        7: [4, 6, 40, 32, 2, 0.25, 0.25, 0.75, 0.75, 0, 1, 0.125, 0.125, 0.1875, 0.15625, 0],
    }


def test_export_of_the_vgg_image_annotator(write, tmp_path):
    """It has the id of an image as text in its annotations, and its categories once for each image."""
    boxes = [annotation("7", 18, [10, 8, 20, 16], segmentation=[10, 8, 30, 8, 30, 24, 10, 24])]
    dali_rec.pack(write(boxes, categories=CATEGORIES * 2), tmp_path / "out")
    assert labels_of(tmp_path / "out")[7] == [4, 6, 40, 32, 1, 0.25, 0.25, 0.75, 0.75, 0]


def test_list_that_was_written_packs_to_the_same_records(write, tmp_path):
    source = write([annotation(7, 90, [1.7, 3.3, 20.1, 16.9]), annotation(139, 3, [0, 0, 1, 1])])
    dali_rec.pack(source, tmp_path / "a")
    dali_rec.pack(tmp_path / "a.lst", tmp_path / "b")
    assert (tmp_path / "a.rec").read_bytes() == (tmp_path / "b.rec").read_bytes()


SIDE = st.floats(-1000, 1000, allow_nan=False)


@settings(max_examples=100)
@given(st.lists(st.tuples(SIDE, SIDE, SIDE, SIDE), max_size=4))
def test_every_box_that_is_packed_lies_in_its_image(write, boxes):
    in_pixels = annotation(7, 3, [0, 0, 40, 32])  # as a file is refused whose boxes are all within 0 and 1
    source = read_coco(write([*(annotation(139, 3, list(box)) for box in boxes), in_pixels]), flagged="keep")
    packed = np.array(source.samples[0].labels[4:], np.float32).reshape(-1, 5)
    expected = np.array([(x, y, x + width, y + height) for x, y, width, height in boxes]).reshape(-1, 4)
    expected = np.clip(expected / [40, 32, 40, 32], 0, 1)
    sides = expected[:, 2:] - expected[:, :2]
    assert packed[:, 1:] == pytest.approx(expected[(sides >= 1e-6).all(axis=1)])
    assert (packed[:, 3:] > packed[:, 1:3]).all()


@pytest.mark.parametrize(
    ("flagged", "expected"),
    [
        ("column", [4, 6, 40, 32, 0, 0, 0, 0.5, 0.5, 1, 0, 0, 0, 1, 1, 0]),
        ("keep", [4, 5, 40, 32, 0, 0, 0, 0.5, 0.5, 0, 0, 0, 1, 1]),
        ("drop", [4, 5, 40, 32, 0, 0, 0, 1, 1]),
    ],
)
def test_crowds_are_marked_kept_or_dropped(write, flagged, expected):
    path = write([annotation(139, 3, [0, 0, 20, 16], iscrowd=1), annotation(139, 3, [0, 0, 40, 32])])
    source = read_coco(path, flagged=flagged)
    assert list(source.samples[0].labels) == expected
    assert any("crowd" in note for note in source.notes) == (flagged == "drop")


def test_images_without_objects_keep_their_header(write, tmp_path):
    dali_rec.pack(write([annotation(7, 3, [0, 0, 40, 32])]), tmp_path / "out")
    assert labels_of(tmp_path / "out")[139] == [4, 6, 40, 32]


def test_images_without_objects_can_be_left_out(write, tmp_path):
    source = write([annotation(7, 3, [0, 0, 40, 32])])
    report = dali_rec.pack(source, tmp_path / "out", empty="drop")
    assert list(labels_of(tmp_path / "out")) == [7]
    assert report.notes == ("1 image without objects, left out; the first: 0.jpg",)
    with pytest.raises(SourceError, match="no image has an object"):
        dali_rec.pack(write(), tmp_path / "none", empty="drop")


def test_boxes_outside_are_clipped_and_empty_ones_dropped_with_a_note(write):
    path = write(
        [
            annotation(139, 3, [-10, -8, 30, 24]),
            annotation(139, 3, [50, 8, 10, 10]),
            annotation(139, 3, [5, 5, 0, 10]),
            annotation(139, 3, [5, 5, 10, -3]),
        ]
    )
    source = read_coco(path)
    assert list(source.samples[0].labels) == [4, 6, 40, 32, 0, 0, 0, 0.5, 0.5, 0]
    clipped, dropped, empty = source.notes
    assert empty == "1 image without objects; the first: 1.jpg"
    assert clipped.startswith("1 box clipped to the image")
    assert "annotations[0]" in clipped
    assert dropped.startswith("3 boxes left out, without area")
    assert "annotations[1]" in dropped


def test_categories_of_one_name_become_one_class(write):
    path = write([annotation(139, 1, [0, 0, 40, 32])], categories=[{"id": 0, "name": "a"}, {"id": 1, "name": "a"}])
    source = read_coco(path)
    assert source.classes == ("a",)
    assert source.samples[0].labels[4] == 0
    assert "'a'" in source.notes[0]


def test_given_classes_fix_the_numbers(write):
    path = write([annotation(139, 3, [0, 0, 40, 32])])
    source = read_coco(path, classes=("toothbrush", "dog", "ox", "car"))
    assert source.samples[0].labels[4] == 3
    assert source.classes == ("toothbrush", "dog", "ox", "car")
    with pytest.raises(SourceError, match="toothbrush"):
        read_coco(path, classes=("car", "dog"))


def test_images_are_found_beside_the_annotations_folder(tmp_path):
    (tmp_path / "val2017").mkdir()
    (tmp_path / "annotations").mkdir()
    (tmp_path / "val2017" / "1.jpg").write_bytes(jpeg())
    path = tmp_path / "annotations" / "instances_val2017.json"
    path.write_text(json.dumps({"images": [image(1, "1.jpg")], "annotations": [], "categories": CATEGORIES}))
    assert open_source(path).root == str(tmp_path / "val2017")


def test_coco_is_known_among_json_tables_by_its_content(write, tmp_path):
    assert open_source(write()).label_kind == "boxes"
    table = tmp_path / "table.json"
    table.write_text('[{"label": "cat", "location": "0.jpg"}]')
    assert open_source(table).label_kind == "class"
    table.write_text('{"images": "cat", "location": "0.jpg", "label": "a"}')
    assert open_source(table).label_kind == "class"


def test_sizes_that_are_zero_or_left_out_are_those_of_the_file(write):
    images = [{"id": 1, "file_name": "0.jpg"}, {"id": 2, "file_name": "1.jpg", "width": 0, "height": 0}]
    source = read_coco(write([annotation(1, 3, [10, 8, 20, 16]), annotation(2, 3, [10, 8, 20, 16])], images))
    for row in range(2):
        assert list(source.samples[row].labels) == [4, 6, 40, 32, 0, 0.25, 0.25, 0.75, 0.75, 0]


def test_scaled_copies_are_taken_and_other_images_refused(write):
    source = read_coco(write([annotation(1, 3, [100, 80, 200, 160])], [image(1, "0.jpg", 400, 320)]))
    assert list(source.samples[0].labels) == [4, 6, 40, 32, 0, 0.25, 0.25, 0.75, 0.75, 0]
    with pytest.raises(SourceError, match=r"images\[0\] \(id 1\).*300 × 320.*40 × 32"):
        read_coco(write((), [image(1, "0.jpg", 300, 320)]))


@pytest.mark.parametrize(
    ("orientation", "size", "corner"),
    [
        (1, (64, 32), (8, 4)),
        # Of these the size does not tell, so boxes are of the image as shown.
        (2, (64, 32), (40, 4)),
        (3, (64, 32), (40, 20)),
        (4, (64, 32), (8, 20)),
        # Annotated as stored: the boxes turn with the image.
        *((orientation, (64, 32), (8, 4)) for orientation in range(5, 9)),
    ],
)
def test_boxes_lie_where_their_objects_are_shown(tmp_path, orientation, size, corner):
    # The object is a white patch of 16 × 8 at (8, 4) of a black image that is stored 64 × 32.
    pixels = picture(size=(64, 32)).point(lambda _: 0)
    pixels.paste((255, 255, 255), (8, 4, 24, 12))
    exif = pixels.getexif()
    exif[0x0112] = orientation
    (tmp_path / "a.png").write_bytes(encoded(pixels, "PNG", exif=exif))
    path = tmp_path / "c.json"
    boxes = [annotation(1, 3, [*corner, 16, 8])]
    path.write_text(json.dumps({"images": [image(1, "a.png", *size)], "annotations": boxes, "categories": CATEGORIES}))
    report = dali_rec.pack(path, tmp_path / "out")
    record = dali_rec.open(tmp_path / "out")[0]
    shown = decode_image(record.image)
    height, width = shown.shape[:2]
    assert record.labels[2:4].tolist() == [width, height]
    ys, xs = (shown[:, :, 0] > 128).nonzero()
    patch = [xs.min() / width, ys.min() / height, (xs.max() + 1) / width, (ys.max() + 1) / height]
    assert record.labels[5:9].tolist() == patch
    assert any("EXIF" in note for note in report.notes) == (orientation > 1)


def test_boxes_drawn_on_the_upright_image_stay(tmp_path):
    pixels = picture(size=(64, 32))
    exif = pixels.getexif()
    exif[0x0112] = 6
    (tmp_path / "a.jpg").write_bytes(encoded(pixels, "JPEG", exif=exif))
    path = tmp_path / "c.json"
    boxes = [annotation(1, 3, [8, 16, 16, 32])]
    images = [image(1, "a.jpg", 32, 64)]
    path.write_text(json.dumps({"images": images, "annotations": boxes, "categories": CATEGORIES}))
    source = read_coco(path)
    assert list(source.samples[0].labels) == [4, 6, 32, 64, 0, 0.25, 0.25, 0.75, 0.75, 0]
    assert not source.notes


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (annotation(5, 3, [0, 0, 1, 1]), r"annotations\[0\]: no image has the id 5"),
        (annotation(7, 5, [0, 0, 1, 1]), r"annotations\[0\]: no category has the id 5"),
        (annotation("7a", 3, [0, 0, 1, 1]), r"annotations\[0\]: no image has the id '7a'"),
        (annotation(None, 3, [0, 0, 1, 1]), r"annotations\[0\]: image_id is 'None'"),
        (annotation(7, 3, [0, 0, 1]), r"annotations\[0\]: expected a bbox .*\[0, 0, 1\]"),
        (annotation(7, 3, [0, 0, float("nan"), 1]), r"annotations\[0\]: a number of its bbox is nan"),
        (annotation(7, 3, [0, 0, float("inf"), 1]), r"annotations\[0\]: a number of its bbox is inf"),
        (annotation(7, 3, [0, 0, 10**400, 1]), r"annotations\[0\]: a number of its bbox is inf"),
        (annotation(7, 3, [0, 0, "9", 1]), r"annotations\[0\]: a number of its bbox is '9'"),
        (annotation(7, 3, [0, 0, True, 1]), r"annotations\[0\]: a number of its bbox is True"),
        (annotation(7, 3, [0, 0, [1], 1]), r"annotations\[0\]: a number of its bbox is \[1\]"),
        (annotation(7, 3, [0, 0, 1, 1], iscrowd="no"), r"annotations\[0\]: iscrowd is 'no'"),
        ([7], r"annotations\[0\] is list"),
    ],
)
def test_bad_annotations_are_named(write, bad, says):
    path = write([bad])
    with pytest.raises(SourceError, match=says) as caught:
        read_coco(path)
    assert str(path) in str(caught.value)


JUNK = [
    None,
    True,
    -1,
    0,
    1.5,
    1e308,
    -1e308,
    10**30,
    2**64,
    "",
    "x",
    "9",
    "\ud800",
    "a\0b",
    "../..",
    [],
    {},
    [1],
    {"a": 1},
]
JUNK += [float("nan"), float("inf"), [[[]]], "a\tb"]


def places(value, path=()):
    """The path of everything inside a JSON value."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inside:
        yield (*path, key)
        yield from places(part, (*path, key))


def test_whatever_stands_anywhere_is_read_or_refused_by_name(write):
    path = write([annotation(139, 3, [1, 2, 3, 4], iscrowd=0)], [image(139, "0.jpg")], CATEGORIES[:2])
    text = path.read_text()
    refused = []
    for place in places(json.loads(text)):
        for junk in JUNK:
            content = json.loads(text)
            *above, last = place
            inside = content
            for key in above:
                inside = inside[key]
            inside[last] = junk
            path.write_text(json.dumps(content))
            try:
                open_source(path, SourceOptions(format="coco"))
            except SourceError as error:
                refused.append(str(error))
    assert len(refused) > 200
    assert all(message.startswith(str(path)) for message in refused)


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({"file_name": "0.jpg"}, r"images\[0\]: id is 'None'"),
        ({"id": -1, "file_name": "0.jpg"}, r"images\[0\]: id is '-1'"),
        ({"id": 1}, r"images\[0\]: it has no file_name"),
        ({"id": 1, "file_name": "half \ud800.jpg"}, r"images\[0\]: its file_name .* half a character"),
        ({"id": 1, "file_name": 3}, r"images\[0\]: it has no file_name"),
        ({"id": 1, "file_name": "0.jpg", "width": "40", "height": 32}, r"images\[0\] \(id 1\): width is '40'"),
        ({"id": 1, "file_name": "0.jpg", "width": -40, "height": 32}, r"images\[0\] \(id 1\): -40 × 32"),
        ({"id": 1, "file_name": "nul\0.jpg"}, "say --root"),
    ],
)
def test_bad_images_are_named(write, bad, says):
    with pytest.raises(SourceError, match=says):
        read_coco(write(images=[bad]))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", r"not JSON \(.*\); is the file cut short\?"),
        ('{"images": [{"file_name": "C:\\photos"}]}', r"not JSON \(Invalid .*\); write / in paths, or two backslashes"),
        ('{"images": [' + "[" * 100_000, "nested too deep|not JSON"),
        ("[1]", "no list 'images'"),
        ('{"images": 3}', "no list 'images'"),
        ('{"images": []}', "no images"),
        ('{"images": [{}], "annotations": []}', "no list 'categories'"),
        ('{"images": [{"id": 1}, {"id": 1}], "annotations": [], "categories": []}', r"images\[1\]: the image id 1"),
        ('{"images": [{"id": 1}], "annotations": [], "categories": [{"id": 1}]}', r"categories\[0\] \(id 1\).*no name"),
        (b'{"images": "\xff"}', "not JSON"),
    ],
)
def test_broken_files_are_refused_with_their_name(tmp_path, text, says):
    path = tmp_path / "broken.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(SourceError, match=says) as caught:
        open_source(path, SourceOptions(format="coco"))
    assert "broken.json" in str(caught.value)


def test_missing_image_is_rejected_by_name(write, tmp_path):
    source = write(
        [annotation(1, 3, [0, 0, 9, 9])], [image(139, "0.jpg"), image(1, "gone.jpg"), {"id": 2, "file_name": "g2"}]
    )
    report = dali_rec.pack(source, tmp_path / "out", max_bad=2)
    assert {rejection.sample.location for rejection in report.rejections} == {"gone.jpg", "g2"}
    assert list(labels_of(tmp_path / "out")) == [139]


@pytest.mark.parametrize(
    "options",
    [{"center_crop": True}, {"resize": 20, "resize_mode": "fill"}, {"stratify": True, "split": {"a": 0.5, "b": 0.5}}],
)
def test_what_would_make_boxes_wrong_is_refused(write, tmp_path, options):
    with pytest.raises(SourceError, match="instances"):
        dali_rec.pack(write(), tmp_path / "out", **options)


def test_resized_images_keep_their_boxes(write, tmp_path):
    source = write([annotation(7, 90, [10, 8, 20, 16])])
    dali_rec.pack(source, tmp_path / "out", resize=16)
    record = next(record for record in dali_rec.open(tmp_path / "out") if record.key == 7)
    assert record.labels.tolist() == [4, 6, 40, 32, 2, 0.25, 0.25, 0.75, 0.75, 0]
    assert decode_image(record.image).shape == (16, 20, 3)


def test_dry_run_counts_objects_by_class(write, capsys):
    source = write(
        [annotation(7, 90, [1, 1, 9, 9]), annotation(7, 18, [1, 1, 9, 9]), annotation(139, 18, [0, 0, 9, 9])]
    )
    assert main(["pack", str(source), "out", "--dry-run"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert rows[:4] == [["class", "objects"], ["dog", "2"], ["toothbrush", "1"], ["all", "3"]]


def test_command_line_takes_the_format_and_the_flags(write, tmp_path):
    source = write([annotation(139, 3, [0, 0, 40, 32], iscrowd=1)])
    assert main(["pack", str(source), str(tmp_path / "out"), "--format", "coco", "--flagged", "keep"]) == 0
    assert labels_of(tmp_path / "out")[139] == [4, 5, 40, 32, 0, 0, 0, 1, 1]


def test_images_with_boxes_have_no_one_class(write, tmp_path):
    dali_rec.pack(write([annotation(139, 3, [0, 0, 40, 32])]), tmp_path / "out")
    with pytest.raises(DatasetError, match="have boxes"):
        dali_rec.open(tmp_path / "out").subset(classes=["car"])


# Classes of whole images


def of_class(image_id, category):
    return {"id": 1, "image_id": image_id, "category_id": category}


def test_annotations_without_boxes_are_classes_of_images(write, tmp_path):
    # As those of iNaturalist and of the other data sets of FGVC.
    path = write([of_class(7, 90), of_class(139, 18), of_class(7, 90)])
    report = dali_rec.pack(path, tmp_path / "out")
    assert (report.manifest.label_kind, report.manifest.classes) == ("class", ("car", "dog", "toothbrush"))
    assert labels_of(tmp_path / "out") == {139: [1], 7: [2]}


def test_image_without_a_class_is_left_out_and_counted(write):
    source = open_source(write([of_class(7, 3)]))
    assert [(sample.key, sample.location) for sample in source.samples] == [(7, "1.jpg")]
    assert "1 image left out, without annotation" in source.notes[-1]


def test_ids_of_classified_images_may_be_text(write):
    # As in COCO Camera Traps.
    images = [image("5998cfa4", "0.jpg"), image("588a679f", "1.jpg")]
    source = open_source(write([of_class("588a679f", 18), of_class("5998cfa4", 3)], images))
    assert [(sample.labels, sample.location) for sample in source.samples] == [((0.0,), "0.jpg"), ((1.0,), "1.jpg")]
    assert not source.keys_are_given


@pytest.mark.parametrize(
    ("annotations", "reason"),
    [
        ([of_class(7, 3), of_class(7, 18)], r"annotations\[1\]: the image 7 has another category before"),
        ([annotation(139, 3, [0, 0, 9, 9]), of_class(7, 3)], r"annotations\[1\]: it has no bbox, as others have"),
        ([of_class(8, 3)], r"annotations\[0\]: no image has the id 8"),
    ],
)
def test_classes_that_make_no_sense_are_refused(write, annotations, reason):
    with pytest.raises(SourceError, match=reason):
        open_source(write(annotations))


def test_options_of_boxes_are_refused_where_there_are_classes(write):
    with pytest.raises(SourceError, match="--flagged and --empty go with boxes"):
        open_source(write([of_class(7, 3)]), SourceOptions(empty="drop"))


def test_images_of_lvis_are_known_by_their_address(write, tmp_path):
    (tmp_path / "train2017").mkdir()
    (tmp_path / "0.jpg").rename(tmp_path / "train2017" / "0.jpg")
    entry = {"id": 3, "coco_url": "http://images.cocodataset.org/train2017/0.jpg", "width": 40, "height": 32}
    source = open_source(write([annotation(3, 18, [0, 0, 20, 16])], [entry]))
    assert [sample.location for sample in source.samples] == ["train2017/0.jpg"]


def test_outlines_without_boxes_are_no_classes_of_images(write):
    outline = {**of_class(139, 3), "segmentation": [[0, 0, 9, 0, 9, 9]]}
    with pytest.raises(SourceError, match=r"annotations\[1\] has an outline or keypoints, and none has a bbox"):
        open_source(write([of_class(7, 3), outline]))
    boxed = {**outline, "bbox": [0, 0, 9, 9]}
    assert open_source(write([boxed])).has_boxes
    assert not open_source(write([{**of_class(7, 3), "segmentation": []}])).has_boxes


def test_images_of_one_name_in_several_folders_are_refused_until_one_is_named(write, tmp_path):
    path = write([annotation(1, 3, [0, 0, 9, 9])], [image(1, "a.jpg")])
    for seed, folder in enumerate(("images", "instances")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.jpg").write_bytes(jpeg(seed))
    folders = [re.escape(str(tmp_path / folder)) for folder in ("images", "instances")]
    with pytest.raises(SourceError, match=f"is in {folders[0]} and in {folders[1]}; say --root"):
        open_source(path)
    assert open_source(path, SourceOptions(root=tmp_path / "instances")).root == str(tmp_path / "instances")


def test_slashes_may_be_those_of_windows(write, tmp_path):
    names = ["a\\0.jpg", "b\\0.jpg"]
    path = write([annotation(1, 3, [0, 0, 9, 9])], [image(number, name) for number, name in enumerate(names)])
    for seed, folder in enumerate("ab"):
        (tmp_path / "images" / folder).mkdir(parents=True)
        (tmp_path / "images" / folder / "0.jpg").write_bytes(jpeg(seed))
    for root in (None, tmp_path / "images"):
        source = open_source(path, SourceOptions(root=root))
        assert source.root == str(tmp_path / "images")
        assert [sample.location for sample in source.samples] == ["a/0.jpg", "b/0.jpg"]


@pytest.mark.posix
def test_one_image_may_be_in_several_folders_by_links(write, tmp_path):
    path = write([annotation(1, 3, [0, 0, 9, 9])], [image(1, "a.jpg")])
    for folder in ("images", "instances"):
        (tmp_path / folder).mkdir()
    (tmp_path / "instances" / "a.jpg").write_bytes(jpeg())
    (tmp_path / "images" / "a.jpg").symlink_to(tmp_path / "instances" / "a.jpg")
    assert open_source(path).root == str(tmp_path / "images")


def test_boxes_take_little_memory_each(write):
    count = 20_000
    images = [image(key, "1.jpg") for key in range(100)]
    boxes = [annotation(key % 100, 18, [1.5, 2.5, 8.25, 6.125], area=50.5, note="x") for key in range(count)]
    path = write(boxes, images)
    peak = traced_peak(lambda: read_coco(path))
    assert peak < 2 * path.stat().st_size + 200 * count  # the file as bytes and as text, and the boxes


@given(rows=st.lists(st.tuples(st.sampled_from([7, 139]), st.integers(0, 39)), min_size=20, max_size=60))
@settings(max_examples=20)
def test_boxes_of_each_image_are_in_the_order_of_the_file(write, rows):
    source = read_coco(write([annotation(key, 3, [x, 8, 1, 16]) for key, x in rows]))
    for sample in source.samples:
        assert list(sample.labels[5::6]) == [x / 40 for key, x in rows if key == sample.key]


def test_annotation_among_the_images_is_named(write):
    with pytest.raises(SourceError, match=r"images\[1\] is an annotation"):
        read_coco(write(images=[image(7, "1.jpg"), annotation(7, 18, [1, 2, 3, 4])]))


@pytest.mark.parametrize("odd", [{"iscrowd": None}, {"image_id": True}, {"bbox": [0, 0, True, 1]}, {"category_id": -1}])
def test_annotation_that_is_no_plain_one_is_named(write, odd):
    with pytest.raises(SourceError, match=r"annotations\[1\]"):
        read_coco(write([annotation(7, 18, [1, 2, 3, 4]), annotation(7, 18, [1, 2, 3, 4]) | odd]))


def test_boxes_in_parts_of_the_image_are_refused(write):
    with pytest.raises(SourceError, match=r"all boxes lie within one pixel; .*parts of the width and the height"):
        read_coco(write([annotation(139, 3, [0.1, 0.2, 0.5, 0.25]), annotation(7, 3, [0, 0, 1, 1])]))


@pytest.mark.parametrize(
    ("boxes", "are_corners"),
    [
        ([[10, 10, 40, 30], [20, 20, 38, 32]], True),
        ([[10, 10, 30, 20], [20, 20, 30, 32]], True),
        ([[10, 10, 30, 22], [0, 0, 9, 9], [1, 1, 2, 2]], False),
        ([[30, 10, 20, 20], [30, 20, 20, 8]], False),  # wider than the rest of the image, but no corners
    ],
)
def test_corners_for_width_and_height_are_said(write, boxes, are_corners):
    notes = read_coco(write([annotation(139, 3, box) for box in boxes])).notes
    assert any("boxes reach outside their images: they look like corners" in note for note in notes) == are_corners


def test_several_images_of_one_file_are_said(write):
    source = read_coco(write([], [image(1, "0.jpg"), image(2, "0.jpg")]))
    assert any("several images are of one file, each with its own annotations: 0.jpg" in note for note in source.notes)


def test_images_are_found_though_the_first_is_missing(write, tmp_path):
    source = write([annotation(139, 3, [0, 0, 9, 9]), annotation(7, 3, [0, 0, 9, 9])])
    (tmp_path / "val").mkdir()
    (tmp_path / "annotations").mkdir()
    (tmp_path / "1.jpg").rename(tmp_path / "val" / "1.jpg")
    (tmp_path / "0.jpg").unlink()
    source = source.rename(tmp_path / "annotations" / "instances_val.json")
    report = dali_rec.pack(source, tmp_path / "out", max_bad=1)
    assert list(labels_of(tmp_path / "out")) == [7]
    assert [(one.sample.key, one.sample.location) for one in report.rejections] == [(139, "0.jpg")]
