"""What info and show make of data sets for object detection."""

import json
from collections import Counter

import numpy as np
import pytest
from PIL import Image
from support import DATA, encoded, jpeg

import dali_rec
from dali_rec.cli import main
from dali_rec.inspection import augmented_sheet, contact_sheet, write_report
from dali_rec.inspection.pictured import Pictured

NAMES = [f"thing {number}" for number in range(8)]  # more than the header's first number, 4, counts
LEFT, TOP, WIDTH, HEIGHT = 40, 30, 100, 80  # of the white object on each image of 200 x 160


@pytest.fixture
def coco(tmp_path):
    """Nine images: the first without objects, number n with n % 3 + 1 objects of class 7 and one of class n - 1."""
    images, annotations = [], []
    for number in range(9):
        image = Image.new("RGB", (200, 160))
        image.paste((255, 255, 255), (LEFT, TOP, LEFT + WIDTH, TOP + HEIGHT))
        (tmp_path / f"{number}.png").write_bytes(encoded(image, "PNG"))
        images.append({"id": number, "file_name": f"{number}.png", "width": 200, "height": 160})
        for category in [number, *[8] * (number % 3 + 1)] if number else []:
            box = [LEFT, TOP, WIDTH, HEIGHT]
            annotations.append({"image_id": number, "category_id": category, "bbox": box})
    categories = [{"id": number + 1, "name": name} for number, name in enumerate(NAMES)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (tmp_path / "coco.json").write_text(json.dumps(content))
    dali_rec.pack(tmp_path / "coco.json", tmp_path / "packed")
    return tmp_path / "packed", annotations


def coloured(picture):
    """Whether each pixel is neither black, white nor grey."""
    return np.ptp(np.asarray(picture.convert("RGB")).astype(int), axis=2) > 60


def test_objects_are_counted_by_class(coco):
    packed, annotations = coco
    expected = Counter(one["category_id"] - 1 for one in annotations)
    boxes = dali_rec.info(packed).boxes
    assert (boxes.width, boxes.objects, boxes.images) == (6, len(annotations), 8)
    assert {one.index: (one.name, one.objects) for one in boxes.classes} == {
        number: (name, expected[number]) for number, name in enumerate(NAMES)
    }


def test_boxes_of_mxnet_are_known_without_a_manifest():
    labels = json.loads((DATA / "facts.json").read_text())["detection_labels"]
    classes = Counter(int(row[at]) for row in labels.values() for at in range(2, len(row), 5))
    boxes = dali_rec.info(DATA / "detection.rec").boxes
    assert (boxes.width, boxes.objects, boxes.images) == (5, sum(classes.values()), len(labels))
    assert {one.index: one.objects for one in boxes.classes} == classes
    assert dali_rec.info(DATA / "multi.rec").boxes is None
    assert dali_rec.info(DATA / "single.rec").boxes is None


@pytest.mark.parametrize("odd", [[4, 6, 10], [2, 6, 0, 0, 0, 1, 1, 0], [2, 5, 0.5, 0, 0, 1, 1], [2, 5, -1, 0, 0, 1, 1]])
def test_labels_of_which_one_is_no_box_are_no_boxes(tmp_path, odd):
    with dali_rec.RecordWriter(tmp_path / "x.rec") as writer:
        for key, labels in enumerate([[2, 5, 3, 0, 0, 1, 1], odd]):
            writer.write_image(jpeg(key), np.array(labels, np.float32), key)
    assert dali_rec.info(tmp_path / "x.rec").boxes is None


def test_command_prints_objects_in_place_of_label_columns(coco, capsys):
    packed, annotations = coco
    assert main(["info", str(packed)]) == 0
    out = capsys.readouterr().out
    assert f"boxes       {len(annotations)} objects of 6 numbers each, in 8 images" in out
    assert "labels " not in out
    assert "objects" in next(line for line in out.splitlines() if line.startswith("class "))


def test_title_names_the_objects_and_not_the_numbers_of_the_header(coco):
    with dali_rec.open(coco[0]) as dataset:
        titles = {record.key: Pictured(dataset).title(record) for record in dataset}
    assert titles[0] == "no objects"
    assert titles[1] == "thing 0, 2 thing 7"
    assert titles[8] == "4 thing 7"


def test_sheet_outlines_the_objects(coco, tmp_path):
    with dali_rec.open(coco[0]) as dataset:
        contact_sheet(dataset, tmp_path / "sheet.png", ids=[0, 1], tile=200)
    with Image.open(tmp_path / "sheet.png") as sheet:
        first, second = (sheet.crop((12 + x, 12 + 20, 12 + x + 200, 12 + 180)) for x in (0, 208))
    assert not coloured(first).any()
    ys, xs = coloured(second).nonzero()
    assert (xs.min(), ys.min(), xs.max(), ys.max()) == (LEFT, TOP, LEFT + WIDTH - 1, TOP + HEIGHT - 1)
    assert not coloured(second)[TOP + 5 : TOP + HEIGHT - 5, LEFT + 5 : LEFT + WIDTH - 5].any()


def test_augmented_sheet_outlines_the_objects_where_they_went(coco, tmp_path):
    pytest.importorskip("nvidia.dali", reason="DALI is not installed")
    with dali_rec.open(coco[0]) as dataset:
        augmented_sheet(dataset, tmp_path / "sheet.png", ids=[3], versions=6, tile=150)
    with Image.open(tmp_path / "sheet.png") as sheet:
        tiles = [sheet.crop((12 + 158 * at, 12, 162 + 158 * at, 162)) for at in range(1, 7)]
    for tile in tiles:
        ys, xs = coloured(tile).nonzero()
        white_ys, white_xs = (np.asarray(tile).min(2) > 200).nonzero()
        outline = np.array([xs.min() + 2, ys.min() + 2, xs.max() - 2, ys.max() - 2])
        inside = np.array([white_xs.min(), white_ys.min(), white_xs.max(), white_ys.max()])
        assert np.abs(outline - inside).max() <= 4


def test_page_counts_objects_and_filters_by_them(coco, tmp_path):
    packed, annotations = coco
    write_report(packed, tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text("utf-8")
    assert f"<div><dt>objects</dt><dd>{len(annotations)}</dd></div>" in text
    assert "<small>objects of each</small>" in text
    assert text.count('<figure data-class="thing 1, 3 thing 7"') == 1
