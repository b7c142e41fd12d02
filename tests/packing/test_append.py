import json

import pytest
from support import jpeg, make_class_folder

import dali_rec
from dali_rec.arrange import merge
from dali_rec.errors import DatasetNotFoundError, OutputExistsError, SourceError
from dali_rec.manifest import read_manifest


@pytest.fixture
def first(tmp_path):
    photos = make_class_folder(tmp_path / "first", {"bee": 3, "dog": 3})
    dali_rec.pack(photos, tmp_path / "x")
    return tmp_path / "x"


def labels_by_name(prefix):
    dataset = dali_rec.open(prefix)
    names = {}
    for line in prefix.with_suffix(".lst").read_text().splitlines():
        key, _, path = line.split("\t")
        names[int(key)] = path
    return {names[record.key]: dataset.classes[int(record.labels[0])] for record in dataset}


def test_classes_keep_their_numbers_and_new_ones_follow(first, tmp_path):
    more = make_class_folder(tmp_path / "more", {"ant": 2, "dog": 2, "emu": 1})
    before = first.with_suffix(".rec").read_bytes()
    report = dali_rec.pack(more, first, append=True)
    manifest = read_manifest(first.with_suffix(".json"))
    assert manifest.classes == ("bee", "dog", "ant", "emu")
    assert [shard.rec for shard in manifest.shards] == ["x.rec", "x-append1.rec"]
    assert (report.records, manifest.records, len(dali_rec.open(first))) == (5, 11, 11)
    assert first.with_suffix(".rec").read_bytes() == before
    assert all(path.startswith(name) for path, name in labels_by_name(first).items())
    assert any("2 new classes: ant, emu" in note for note in report.notes)


def test_ids_go_on_and_every_record_verifies(first, tmp_path):
    more = make_class_folder(tmp_path / "more", {"bee": 4, "dog": 1})
    dali_rec.pack(more, first, append=True, shards=2)
    dali_rec.pack(more, first, append=True)
    dataset = dali_rec.open(first)
    assert sorted(record.key for record in dataset) == list(range(16))
    assert len(first.with_suffix(".lst").read_text().splitlines()) == 16
    assert dali_rec.verify(first).ok
    assert [shard.rec for shard in read_manifest(first.with_suffix(".json")).shards] == [
        "x.rec",
        "x-append1-00000-of-00002.rec",
        "x-append1-00001-of-00002.rec",
        "x-append2.rec",
    ]


def test_every_split_grows(tmp_path):
    for name in ("a", "b"):
        for split in ("train", "val"):
            make_class_folder(tmp_path / name / split, {"ant": 2, "bee": 2})
    dali_rec.pack(tmp_path / "a", tmp_path / "x")
    report = dali_rec.pack(tmp_path / "b", tmp_path / "x", append=True)
    assert [(one.split, one.added, one.manifest.records) for one in report.sets] == [("train", 4, 8), ("val", 4, 8)]


def test_list_with_ids_of_its_own(tmp_path):
    (tmp_path / "a.jpg").write_bytes(jpeg())
    (tmp_path / "1.lst").write_text("5\t0.5\ta.jpg\n")
    (tmp_path / "2.lst").write_text("5\t0.25\ta.jpg\n")
    (tmp_path / "3.lst").write_text("9\t0.25\ta.jpg\n")
    dali_rec.pack(tmp_path / "1.lst", tmp_path / "x")
    with pytest.raises(SourceError, match=r"id 5, and 0 more, are in x already: number .* pack them by themselves"):
        dali_rec.pack(tmp_path / "2.lst", tmp_path / "x", append=True)
    dali_rec.pack(tmp_path / "3.lst", tmp_path / "x", append=True)
    assert [(record.key, record.labels.tolist()) for record in dali_rec.open(tmp_path / "x")] == [
        (5, [0.5]),
        (9, [0.25]),
    ]


def test_rejections_are_added_to_those_before(first, tmp_path):
    more = make_class_folder(tmp_path / "more", {"bee": 3})
    for number in (1, 2):
        (more / "bee" / "bad.jpg").write_bytes(b"")
        dali_rec.pack(more, first, append=True, max_bad=1)
        assert len((tmp_path / "x.rejected.jsonl").read_text().splitlines()) == number


def test_what_does_not_go_together_is_refused(first, tmp_path):
    more = make_class_folder(tmp_path / "more", {"bee": 3})
    with pytest.raises(SourceError, match=r"packed with no --resize, and this would be with --resize 16: say the same"):
        dali_rec.pack(more, first, append=True, resize=16)
    (tmp_path / "y.lst").write_text("100\t0.5\tmore/bee/bee_000.jpg\n")
    with pytest.raises(SourceError, match=r"one label an image .class numbers., the images to append have one label"):
        dali_rec.pack(tmp_path / "y.lst", first, append=True)
    (tmp_path / "z.lst").write_text("100\t1\tmore/bee/bee_000.jpg\n")
    with pytest.raises(SourceError, match="the data set has names for the classes, and the images to append have none"):
        dali_rec.pack(tmp_path / "z.lst", first, append=True)
    with pytest.raises(DatasetNotFoundError, match="no such data set to append to"):
        dali_rec.pack(more, tmp_path / "none", append=True)
    assert dali_rec.verify(first).records == 6


def test_interrupted_appending_leaves_the_data_set_whole_and_resumes(first, tmp_path):
    more = make_class_folder(tmp_path / "more", {"bee": 3, "cow": 3})

    def stop(done, total):
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dali_rec.pack(more, first, append=True, shards=2, progress=stop)
    assert dali_rec.verify(first).records == 6
    with pytest.raises(OutputExistsError, match="1 finished shards"):
        dali_rec.pack(more, first, append=True, shards=2)
    report = dali_rec.pack(more, first, append=True, shards=2, resume=True)
    assert (report.images, report.manifest.records) == (3, 12)


def test_appending_that_is_done_is_not_done_again_by_resuming(first, tmp_path, caplog):
    classes = {"bee": 3, "cow": 3}
    more = make_class_folder(tmp_path / "more", classes)
    dali_rec.pack(more, first, append=True, resume=True)
    before = {path: path.read_bytes() for path in first.parent.iterdir() if path.is_file()}
    report = dali_rec.pack(more, first, append=True, resume=True)
    assert (report.images, report.records, report.manifest.records) == (0, 6, 12)
    assert "nothing is left to resume; leave --resume out to add these images once more" in caplog.text
    assert {path: path.read_bytes() for path in before} == before
    assert dali_rec.pack(more, first, append=True).manifest.records == 18
    others = make_class_folder(tmp_path / "others", classes)
    assert dali_rec.pack(others, first, append=True, resume=True).manifest.records == 24


def write_coco(folder, name, annotations, categories):
    for seed in range(2):
        (folder / f"{name}{seed}.jpg").write_bytes(jpeg(seed))
    images = [{"id": len(name) * 10 + seed, "file_name": f"{name}{seed}.jpg"} for seed in range(2)]
    boxes = [
        {"image_id": images[row]["id"], "category_id": category, "bbox": [10, 8, 20, 16]}
        for row, category in annotations
    ]
    path = folder / f"{name}.json"
    categories = [{"id": number, "name": category} for number, category in enumerate(categories)]
    path.write_text(json.dumps({"images": images, "annotations": boxes, "categories": categories}))
    return path


def test_objects_of_appended_images_get_the_numbers_that_their_classes_have(tmp_path):
    dali_rec.pack(write_coco(tmp_path, "a", [(0, 1), (0, 0)], ["cat", "dog"]), tmp_path / "out")
    more = write_coco(tmp_path, "bb", [(0, 0), (0, 1), (0, 2), (1, 2)], ["dog", "emu", "cat"])
    dali_rec.pack(more, tmp_path / "out", append=True)
    dataset = dali_rec.open(tmp_path / "out")
    assert dataset.classes == ("cat", "dog", "emu")
    assert {record.key: record.labels[4::6].tolist() for record in dataset} == {
        10: [1, 0],
        11: [],
        20: [1, 2, 0],
        21: [0],
    }
    assert dataset.manifest.label_kind == "boxes"
    with pytest.raises(SourceError, match="6 numbers an object, these have 5"):
        dali_rec.pack(write_coco(tmp_path, "ccc", [(0, 0)], ["cat"]), tmp_path / "out", append=True, flagged="keep")


def test_list_without_a_last_line_break_is_gone_on_with_on_a_new_line(first, tmp_path):
    lst = first.with_suffix(".lst")
    lst.write_bytes(lst.read_bytes().rstrip(b"\n"))
    dali_rec.pack(make_class_folder(tmp_path / "more", {"bee": 1}), first, append=True)
    assert len(lst.read_text().splitlines()) == 7


def test_missing_index_is_said_with_the_remedy(first, tmp_path):
    more = make_class_folder(tmp_path / "more", {"bee": 1})
    first.with_suffix(".idx").unlink()
    with pytest.raises(DatasetNotFoundError, match=r"x\.idx: no such file; rebuild it with 'dali-rec index .*x\.rec'"):
        dali_rec.pack(more, first, append=True)


def test_largest_id_leaves_no_room_for_more(tmp_path):
    (tmp_path / "1.jpg").write_bytes(jpeg(1))
    (tmp_path / "a.lst").write_text(f"{2**64 - 2}\t0\t1.jpg\n")
    (tmp_path / "b.csv").write_text("label,location\n" + 2 * "0,1.jpg\n")
    dali_rec.pack(tmp_path / "a.lst", tmp_path / "x")
    with pytest.raises(SourceError, match="x has the id 18446744073709551614, after which there are not enough"):
        dali_rec.pack(tmp_path / "b.csv", tmp_path / "x", append=True)
    (tmp_path / "c.csv").write_text("label,location\n0,1.jpg\n")
    dali_rec.pack(tmp_path / "c.csv", tmp_path / "x", append=True)
    assert dali_rec.open(tmp_path / "x").keys.tolist() == [2**64 - 2, 2**64 - 1]


@pytest.mark.parametrize("damaged", [None, b"", b"no list\n"])
def test_boxes_are_not_appended_without_the_list_that_says_their_layout(tmp_path, damaged):
    for number in (1, 2):
        images, labels = tmp_path / str(number) / "images", tmp_path / str(number) / "labels"
        images.mkdir(parents=True)
        labels.mkdir()
        (images / "a.jpg").write_bytes(jpeg(number))
        (labels / "a.txt").write_text("0 0.5 0.5 0.2 0.2\n")
        (labels.parent / "classes.txt").write_text("cat\n")
    dali_rec.pack(tmp_path / "1", tmp_path / "x")
    (tmp_path / "x.lst").unlink()
    if damaged is not None:
        (tmp_path / "x.lst").write_bytes(damaged)
    with pytest.raises(SourceError, match=r"x\.lst: missing, or without the labels of the first record"):
        dali_rec.pack(tmp_path / "2", tmp_path / "x", append=True)


def test_packed_images_with_ids_that_are_taken_can_be_merged_as_the_error_says(tmp_path):
    for name, classes in (("a", {"ant": 1, "bee": 1}), ("b", {"bee": 1})):
        dali_rec.pack(make_class_folder(tmp_path / name / "in", classes), tmp_path / name, shuffle=False)
    with pytest.raises(SourceError, match="id 0, and 0 more, are in a already: 'dali-rec merge' numbers"):
        dali_rec.pack(tmp_path / "b.rec", tmp_path / "a", append=True)
    merge([tmp_path / "a", tmp_path / "b"], tmp_path / "c")
    merged = dali_rec.open(tmp_path / "c")
    assert [(record.key, merged.classes[int(record.labels[0])]) for record in merged] == [
        (0, "ant"),
        (1, "bee"),
        (2, "bee"),
    ]
