import itertools
import json

import pytest
from support import jpeg, make_class_folder

import dali_rec
from dali_rec.cli import main
from dali_rec.errors import SourceError
from dali_rec.sources import SourceOptions, open_source
from dali_rec.sources.detection import coco_folder, find_format, read_coco

CATEGORIES = [{"id": 18, "name": "dog"}, {"id": 3, "name": "car"}]


def spread(file, images, **names):
    """A layout: the file of annotations of each split, and the folder and the names of its images."""
    names = names or {"train": "a b c", "val": "d e"}
    return {file.format(split): (images.format(split), stems) for split, stems in names.items()}


OFFICIAL = spread("annotations/instances_{}2017.json", "{}2017")
ROBOFLOW = spread("{}/_annotations.coco.json", "{}", train="a b c", valid="d e", test="f")
LAYOUTS = [
    OFFICIAL,
    ROBOFLOW,
    spread("annotations/instances_{}2017.json", "images/{}2017"),
    spread("annotations/{}.json", "images"),
    spread("{}.json", "{}"),
    spread("{}/annotations/instances_default.json", "{}/images"),
    spread("{}/labels.json", "{}/data", train="a b c", validation="d e"),  # FiftyOne
]


def content(names, first=1, categories=CATEGORIES):
    """COCO annotations of images of 40 × 32, each with as many boxes as its place, of both classes in turn."""
    images = [
        {"id": first + row, "file_name": f"{name}.jpg", "width": 40, "height": 32} for row, name in enumerate(names)
    ]
    annotations = [
        {"id": row * 10 + place, "image_id": first + row, "bbox": [place, row, 10, 8 + row], "iscrowd": place % 2}
        | {"category_id": categories[(row + place) % len(categories)]["id"]}
        for row in range(len(names))
        for place in range(row + 1)
    ]
    return {"info": {}, "images": images, "annotations": annotations, "categories": categories}


def write(folder, layout, *, same_ids=False):
    """The files of annotations of a layout, by their names, and JPEGs in the folders that it gives."""
    first = 1
    for name, (images, names) in layout.items():
        (folder / images).mkdir(parents=True, exist_ok=True)
        for seed, stem in enumerate(names.split(), first):
            (folder / images / f"{stem}.jpg").write_bytes(jpeg(seed))
        put(folder / name, content(names.split(), 1 if same_ids else first))
        first += len(names.split())
    return folder


def put(path, what):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(what if isinstance(what, str) else json.dumps(what))


def records(prefix):
    """Labels and image of each record, in the order of the file."""
    return [(record.labels.tolist(), bytes(record.image)) for record in dali_rec.open(prefix)]


@pytest.mark.parametrize("same_ids", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: next(iter(layout)))
def test_each_file_is_packed_as_by_itself(tmp_path, layout, same_ids):
    folder = write(tmp_path / "set", layout, same_ids=same_ids)
    report = dali_rec.pack(folder, tmp_path / "out")
    splits = ["train", "val", "test"][: len(layout)]
    assert {path.name for path in tmp_path.glob("*.rec")} == {f"out-{split}.rec" for split in splits}
    given = itertools.count(1)
    for split, (file, (images, names)) in zip(splits, layout.items(), strict=True):
        dali_rec.pack(folder / file, tmp_path / "alone" / split)
        packed = records(tmp_path / f"out-{split}")
        assert packed == records(tmp_path / "alone" / split)
        assert [image for _, image in packed] == [
            (folder / images / f"{name}.jpg").read_bytes() for name in names.split()
        ]
        dataset = dali_rec.open(tmp_path / f"out-{split}")
        assert dataset.classes == ("car", "dog")
        assert [record.key for record in dataset] == [
            row if same_ids else next(given) for row, _ in enumerate(names.split())
        ]
    assert any("have one id, so all are numbered anew" in note for note in report.notes) == same_ids


@pytest.mark.parametrize(
    "layout",
    [
        {"_annotations.coco.json": ("", "a b")},
        {"annotations/instances_default.json": ("images", "a b")},
        {"annotations/instances_default.json": ("images/default", "a b")},
        {"annotations.json": ("images", "a b")},
    ],
)
def test_one_file_without_a_split_makes_one_data_set(tmp_path, layout):
    folder = write(tmp_path / "set", layout)
    dali_rec.pack(folder, tmp_path / "out")
    assert [path.name for path in tmp_path.glob("*.rec")] == ["out.rec"]
    dali_rec.pack(folder / next(iter(layout)), tmp_path / "alone")
    assert (tmp_path / "out.rec").read_bytes() == (tmp_path / "alone.rec").read_bytes()
    assert (tmp_path / "out.lst").read_bytes() == (tmp_path / "alone.lst").read_bytes()


def test_one_file_of_a_split_makes_that_split(tmp_path):
    folder = write(tmp_path / "set", spread("annotations/instances_{}2017.json", "{}2017", val="d e"))
    assert [split.name for split in open_source(folder).splits] == ["val"]


def test_folder_in_a_folder_of_its_own_is_found(tmp_path):
    write(tmp_path / "unpacked" / "coco", OFFICIAL)
    assert [split.name for split in open_source(tmp_path / "unpacked").splits] == ["train", "val"]


def test_what_has_no_boxes_of_its_own_is_passed_over_by_name(tmp_path):
    folder = write(tmp_path / "coco", OFFICIAL)
    others = ["captions_train2017", "image_info_test-dev2017", "panoptic_val2017", "person_keypoints_val2017"]
    for name in [*others, "stuff_train2017", "instances_minival2017"]:
        put(folder / "annotations" / f"{name}.json", content(["a"]))
    source = open_source(folder)
    assert [split.name for split in source.splits] == ["train", "val"]
    told = next(note for note in source.notes if note.endswith("left out"))
    assert all(f"{name}.json" in told for name in [*others, "stuff_train2017", "instances_minival2017"])


def test_folders_without_annotations_are_said(tmp_path):
    folder = write(tmp_path / "coco", OFFICIAL)
    (folder / "test2017").mkdir()
    assert f"{folder / 'test2017'} left out, without annotations" in open_source(folder).notes
    folder = write(tmp_path / "robo", ROBOFLOW)
    (folder / "valid" / "_annotations.coco.json").unlink()
    source = open_source(folder)
    assert f"{folder / 'valid'} left out, without annotations" in source.notes
    assert [split.name for split in source.splits] == ["train", "test"]


def test_several_files_of_one_split_are_refused_by_name(tmp_path):
    folder = write(tmp_path / "coco", OFFICIAL)
    put(folder / "annotations" / "instances_train2014.json", content(["a"]))
    with pytest.raises(
        SourceError, match=r"_train2014\.json and .*_train2017\.json mean the split 'train'; give the f"
    ):
        open_source(folder)
    folder = write(tmp_path / "one", {"a.json": ("", "a"), "b.json": ("", "b")})
    with pytest.raises(
        SourceError, match=r"one[/\\]a\.json and .*one[/\\]b\.json may be the annotations; give the file"
    ):
        open_source(folder)


@pytest.mark.parametrize(
    ("categories", "says"),
    [
        ([{"id": 18, "name": "cat"}, {"id": 3, "name": "car"}], "the category 18 is 'cat', and 'dog' in"),
        ([{"id": 3, "name": "car"}], "the category 18 is missing, and 'dog' in"),
        ([*CATEGORIES, {"id": 5, "name": "ox"}], "the category 5 is 'ox', and missing in"),
    ],
)
def test_categories_that_differ_are_refused_with_both_files(tmp_path, categories, says):
    folder = write(tmp_path / "coco", ROBOFLOW)
    put(folder / "valid" / "_annotations.coco.json", content(["d", "e"], categories=categories))
    with pytest.raises(SourceError, match=says) as caught:
        open_source(folder)
    assert str(folder / "valid" / "_annotations.coco.json") in str(caught.value)
    assert str(folder / "train" / "_annotations.coco.json") in str(caught.value)
    source = open_source(folder, SourceOptions(classes=("ox", "dog", "cat", "car")))
    for split in source.splits:
        file = folder / {"val": "valid"}.get(split.name, split.name) / "_annotations.coco.json"
        alone = read_coco(file, classes=source.classes)
        labels = [source.samples[row].labels for row in range(split.start, split.stop)]
        assert labels == [sample.labels for sample in alone.samples]


def test_order_of_the_categories_does_not_matter(tmp_path):
    folder = write(tmp_path / "coco", ROBOFLOW)
    put(folder / "valid" / "_annotations.coco.json", content(["d", "e"], categories=CATEGORIES[::-1]))
    assert open_source(folder).classes == ("car", "dog")


def test_options_are_those_of_the_file(tmp_path):
    folder = write(tmp_path / "robo", ROBOFLOW)
    put(folder / "test" / "_annotations.coco.json", content(["f"]) | {"annotations": []})
    source = open_source(folder, SourceOptions(flagged="drop", empty="drop"))
    alone = read_coco(folder / "train" / "_annotations.coco.json", flagged="drop", empty="drop")
    assert [source.samples[row].labels for row in range(3)] == [sample.labels for sample in alone.samples]
    assert [split.name for split in source.splits] == ["train", "val"]
    first = f"{folder / 'test' / '_annotations.coco.json'}: 1 image without objects, left out; the first: f.jpg"
    assert first in source.notes


def test_root_goes_with_one_file(tmp_path):
    folder = write(tmp_path / "coco", OFFICIAL)
    with pytest.raises(SourceError, match=r"--root goes with one file of annotations; of .*_train2017\.json and "):
        open_source(folder, SourceOptions(root=tmp_path))
    put(folder / "annotations" / "instances_train2017.json", "{}")
    (folder / "val2017").rename(tmp_path / "elsewhere")
    source = open_source(folder, SourceOptions(root=tmp_path / "elsewhere"))
    assert [sample.location for sample in source.samples] == ["d.jpg", "e.jpg"]


def test_split_without_its_images_leads_to_the_other_file(tmp_path):
    folder = write(tmp_path / "coco", OFFICIAL)
    (folder / "train2017").rename(tmp_path / "elsewhere")
    with pytest.raises(SourceError, match=r"train2017\.json: its images, 'a\.jpg'.*; or pack .*_val2017\.json in"):
        open_source(folder)


def test_folders_are_labels_where_they_are_asked_for(tmp_path):
    folder = write(tmp_path / "coco", OFFICIAL)
    put(folder / "annotations" / "captions_train2017.json", content(["a"]))
    source = open_source(folder, SourceOptions(labels="top"))
    assert source.classes == ("annotations", "train2017", "val2017")
    said = f"{folder / 'annotations/instances_train2017.json'} has annotations of COCO, which are not read here"
    assert any(said in note for note in source.notes)
    assert not open_source(folder, SourceOptions(label_pattern="^(train|val)")).has_boxes


@pytest.mark.parametrize("layout", [OFFICIAL, LAYOUTS[2], spread("annotations/{}.json", "images/{}")])
def test_images_of_a_split_alone_lead_to_their_boxes(tmp_path, monkeypatch, layout):
    folder = write(tmp_path / "coco", layout)
    file, (images, _) = next(iter(layout.items()))
    source = open_source(folder / images)
    said = f"to have them: dali-rec pack {folder / file} OUT"
    assert (source.has_boxes, len(source.samples), source.notes[0].endswith(said)) == (False, 3, True)
    assert len(open_source(folder / file).samples) == 3
    monkeypatch.chdir(folder / images)
    assert open_source(".").notes[0].endswith(said)
    put(folder / file, {"images": [{"id": 1}], "categories": []})  # as image_info
    assert not any("dali-rec pack" in note for note in open_source(folder / images).notes)


def test_classes_and_boxes_are_not_put_together(tmp_path):
    folder = write(tmp_path / "coco", OFFICIAL)
    annotations = [{"id": 1, "image_id": 4, "category_id": 3}, {"id": 2, "image_id": 5, "category_id": 18}]
    val = folder / "annotations" / "instances_val2017.json"
    put(val, content(["d", "e"], first=4) | {"annotations": annotations})
    with pytest.raises(SourceError, match="some have boxes, others classes of images; pack each by itself"):
        open_source(folder)
    (folder / "annotations" / "instances_train2017.json").unlink()
    assert [sample.labels for sample in open_source(folder).samples] == [(0.0,), (1.0,)]


def test_command_line_takes_the_folder_as_coco(tmp_path, capsys):
    folder = write(tmp_path / "coco", OFFICIAL)
    assert main(["pack", str(folder), str(tmp_path / "out"), "--format", "coco"]) == 0
    assert {path.name for path in tmp_path.glob("*.rec")} == {"out-train.rec", "out-val.rec"}
    assert main(["pack", str(folder / "train2017"), str(tmp_path / "none"), "--format", "coco"]) == 1
    assert "no COCO annotations in it: expected annotations/instances_train2017.json" in capsys.readouterr().err


# What is not COCO


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        '[{"label": "cat", "location": "cat/0.jpg"}]',
        '{"images": ["cat/0.jpg"], "annotations": ["cat"]}',
        '{"info": {"author": "me"}, "images": "none", "annotations": []}',
        '{"categories": ["cat", "dog"]}',
        '{"images": [',
        "",
    ],
)
@pytest.mark.parametrize("name", ["annotations/train.json", "train.json", "cat/_annotations.coco.json"])
def test_other_json_leaves_a_folder_of_classes_what_it_is(tmp_path, name, text):
    folder = make_class_folder(tmp_path / "photos", {"cat": 2, "dog": 1})
    put(folder / name, text)
    assert not coco_folder.is_coco_folder(folder)
    source = open_source(folder)
    assert not source.has_boxes
    assert source.classes == tuple(sorted({"cat", "dog", *name.split("/")[:-1]}))


def test_annotations_in_a_class_leave_it_one(tmp_path):
    folder = make_class_folder(tmp_path / "photos", {"cat": 2, "dog": 1})
    put(folder / "cat" / "_annotations.coco.json", content(["0"]))
    assert open_source(folder).classes == ("cat", "dog")


def test_annotations_of_yolo_go_before_those_of_coco_beside_them(tmp_path):
    folder = write(tmp_path / "coco", LAYOUTS[2])
    put(folder / "labels" / "train2017" / "a.txt", "0 0.5 0.5 1 1")
    assert find_format(folder) == "yolo"
    assert open_source(folder, SourceOptions(format="coco")).classes == ("car", "dog")


def test_json_for_each_image_is_not_looked_into(tmp_path, monkeypatch):
    looked = []
    monkeypatch.setattr(coco_folder, "is_coco", lambda path: looked.append(path) or False)
    folder = make_class_folder(tmp_path / "photos", {"train": 1, "val": 1})
    for number in range(101):
        put(folder / "train" / f"{number}.json", "{}")
    assert not coco_folder.is_coco_folder(folder)
    assert not looked
    (folder / "train" / "0.json").unlink()
    assert not coco_folder.is_coco_folder(folder)
    assert len(looked) == 100
