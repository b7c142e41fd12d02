import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from record_sets import IMAGES, contents, payload, write_set
from support import DATA, jpeg

import dali_rec
from dali_rec.arrange import merge, shuffle, split
from dali_rec.errors import DatasetError

HALVES = {"train": 0.5, "val": 0.5}


def boxes(classes, width=5, header=4):
    """The labels of an image with objects of these classes."""
    labels = [header, width, *[40] * (header - 2)]
    for number, name in enumerate(classes):
        labels += [name, 0.1, 0.2, 0.3 + number / 100, 0.4, *[1] * (width - 5)]
    return [float(label) for label in labels]


def write_boxes(prefix, objects, names, *, first_id=0, **options):
    """A data set of an image for each list of classes of objects."""
    keys = list(range(first_id, first_id + len(objects)))
    payloads = [payload(key, boxes(classes, **options), jpeg(key)) for key, classes in zip(keys, objects, strict=True)]
    return write_set(prefix, payloads, keys, names, kind="boxes")


def pack_yolo(folder, prefix, classes, seed, images=12):
    """A YOLO data set of which every fourth image has no objects, packed."""
    (folder / "images").mkdir(parents=True)
    (folder / "labels").mkdir()
    for number in range(images):
        (folder / "images" / f"{seed + number}.jpg").write_bytes(jpeg(seed + number, (40 + number, 32)))
        lines = [f"{(number + k) % len(classes)} 0.5 0.{4 + k} 0.{k + 2} 0.3\n" for k in range(number % 4)]
        (folder / "labels" / f"{seed + number}.txt").write_text("".join(lines))
    (folder / "classes.txt").write_text("\n".join(classes) + "\n")
    dali_rec.pack(folder, prefix)
    return prefix


def loaded(*prefixes):
    """Every image that a Loader gives, with the names and corners of its objects."""
    pytest.importorskip("nvidia.dali", reason="DALI is not installed")
    found = Counter()
    for prefix in prefixes:
        dataset = dali_rec.open(prefix)
        options = {"augment": None, "framework": "numpy", "device": "cpu", "dtype": "uint8", "threads": 1}
        for images, padded in dali_rec.Loader(dataset, 4, (16, 16), **options):
            for image, table in zip(images, padded, strict=True):
                objects = table[table[:, 0] >= 0].tolist()
                said = [(dataset.classes[int(name)], *corners) for name, *corners in objects]
                found[image.tobytes(), tuple(said)] += 1
    return found


def objects_of(prefix):
    """For each record its image and the names and numbers of its objects."""
    dataset = dali_rec.open(prefix)
    found = []
    for record in dataset:
        header, width = map(int, record.labels[:2])
        objects = record.labels[header:].reshape(-1, width).tolist()
        found.append((bytes(record.image), [(dataset.classes[int(name)], *rest) for name, *rest in objects]))
    return found


def test_merged_boxes_have_the_classes_that_they_had(tmp_path):
    pack_yolo(tmp_path / "a", tmp_path / "pets", ["cat", "dog", "emu"], 0)
    pack_yolo(tmp_path / "b", tmp_path / "farm", ["cow", "ewe", "hen", "pig", "cat", "dog"], 100)
    for order in (("pets", "farm"), ("farm", "pets")):
        inputs = [tmp_path / name for name in order]
        report = merge(inputs, tmp_path / "all", shards=2, overwrite=True)
        assert report.manifest.label_kind == "boxes"
        assert set(report.manifest.classes) == {"cat", "dog", "emu", "cow", "ewe", "hen", "pig"}
        assert objects_of(tmp_path / "all") == objects_of(inputs[0]) + objects_of(inputs[1])
        assert loaded(tmp_path / "all") == loaded(*inputs)
        assert dali_rec.verify(tmp_path / "all").ok
        assert [line.split("\t")[1:5] for line in (tmp_path / "all.lst").read_text().splitlines()] == [
            [f"{label:g}" for label in record.labels[:4].tolist()] for record in dali_rec.open(tmp_path / "all")
        ]


IMAGES_WITH_OBJECTS = st.lists(st.tuples(st.lists(st.integers(0, 2), max_size=4), IMAGES), max_size=6)


@settings(max_examples=40)
@given(IMAGES_WITH_OBJECTS, IMAGES_WITH_OBJECTS, st.permutations("abcd"), st.integers(5, 7), st.integers(2, 5))
def test_nothing_but_the_classes_of_objects_changes_where_boxes_are_merged(one, other, names, width, header):
    names = tuple(names[:3])
    united = ("a", "b", "c", "d")

    def renumbered(objects, image):  # without an image a record is no sample, and its labels stay
        return [united.index(names[number]) for number in objects] if image else objects

    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        one, other = ([([0, 2], b"an image"), *records] for records in (one, other))
        before = [
            payload(key, boxes(objects, width, header), image) for key, (objects, image) in enumerate(one + other)
        ]
        after = before[: len(one)] + [
            payload(key, boxes(renumbered(objects, image), width, header), image)
            for key, (objects, image) in enumerate(other, start=len(one))
        ]
        keys = list(range(len(before)))
        write_set(here / "one", before[: len(one)], keys[: len(one)], ("a", "b", "c"), kind="boxes")
        write_set(here / "other", before[len(one) :], keys[len(one) :], names, kind="boxes")
        merge([here / "one", here / "other"], here / "all")
        assert contents(here / "all") == list(zip(keys, after, strict=True))


def test_object_class_that_no_name_stands_for_is_said(tmp_path):
    write_boxes(tmp_path / "a", [[0]], ("cat",))
    write_boxes(tmp_path / "b", [[], [0, 1], [1, 3]], ("dog", "ewe"), first_id=5)
    with pytest.raises(DatasetError, match="b: the record with id 7 has the label 3, which none of the 2 class names"):
        merge([tmp_path / "a", tmp_path / "b"], tmp_path / "all")
    with pytest.raises(DatasetError, match="b: the record with id 7 has the label 3, which none of the 2 class names"):
        merge([tmp_path / "b", tmp_path / "a"], tmp_path / "all")
    assert not list(tmp_path.glob("all*"))


def test_boxes_keep_their_numbers_where_that_is_asked(tmp_path):
    write_boxes(tmp_path / "a", [[0, 1], []], ("cat", "dog"))
    write_boxes(tmp_path / "b", [[1], [0]], ("dog", "ewe"), first_id=5)
    report = merge([tmp_path / "a", tmp_path / "b"], tmp_path / "all", labels="keep")
    assert contents(tmp_path / "all") == contents(tmp_path / "a") + contents(tmp_path / "b")
    assert (report.manifest.classes, report.manifest.label_kind) == (None, "boxes")


@pytest.mark.parametrize(("kind", "said"), [("class", "class numbers"), ("values", "values")])
@pytest.mark.parametrize("labels", ["names", "keep"])
def test_boxes_and_other_labels_are_not_merged(tmp_path, kind, said, labels):
    write_boxes(tmp_path / "a", [[0]], ("cat", "dog"))
    write_set(tmp_path / "b", [payload(9, [1.0], jpeg(9))], [9], ("cat", "dog"), kind=kind)
    for order in ("ab", "ba"):
        with pytest.raises(
            DatasetError, match=f"a has boxes and .*b has {said}, .*: merge each with its like, or pack"
        ):
            merge([tmp_path / name for name in order], tmp_path / "all", labels=labels)
    assert not list(tmp_path.glob("all*"))


@pytest.mark.parametrize("other", [{"width": 6}, {"header": 2}])
def test_boxes_of_another_layout_are_not_merged(tmp_path, other):
    write_boxes(tmp_path / "a", [[0]], ("cat",))
    write_boxes(tmp_path / "b", [[0]], ("cat",), first_id=5, **other)
    message = r"a has boxes of 5 numbers an object behind a header of 4, .*b of \d behind \d: .*--flagged"
    with pytest.raises(DatasetError, match=message):
        merge([tmp_path / "a", tmp_path / "b"], tmp_path / "all")


@pytest.mark.parametrize(
    "labels", [[1.0], boxes([0], width=6), boxes([0], header=3), [*boxes([0]), 1.0], [4.0, 5.0, 1.0]]
)
def test_record_with_other_labels_than_the_boxes_around_it_is_said(tmp_path, labels):
    write_boxes(tmp_path / "a", [[0]], ("cat",))
    payloads = [payload(5, boxes([0]), jpeg(1)), payload(6, labels, jpeg(2))]
    write_set(tmp_path / "b", payloads, [5, 6], ("cat",), kind="boxes")
    with pytest.raises(DatasetError, match=r"b: the record with id 6 has \d+ labels, which are no boxes of 5 numbers"):
        merge([tmp_path / "a", tmp_path / "b"], tmp_path / "all")


def test_first_record_that_has_no_boxes_is_said(tmp_path):
    write_boxes(tmp_path / "a", [[0]], ("cat",))
    write_set(tmp_path / "b", [payload(5, [3.0], jpeg(1))], [5], ("cat",), kind="boxes")
    with pytest.raises(DatasetError, match=r"b: the record with id 5 has 1 labels, which are no boxes: .*verify"):
        merge([tmp_path / "a", tmp_path / "b"], tmp_path / "all")


def test_boxes_without_a_manifest_go_with_others_of_their_layout(tmp_path):
    header = int(dali_rec.open(DATA / "detection.rec")[0].labels[0])
    names = ("cat", "dog", "ewe", "fox")
    write_boxes(tmp_path / "a", [[0], [1, 0]], names, first_id=100, header=header)
    report = merge([tmp_path / "a", DATA / "detection.rec"], tmp_path / "all", labels="keep")
    assert (report.manifest.label_kind, report.manifest.classes) == ("boxes", names)
    assert contents(tmp_path / "all") == contents(tmp_path / "a") + contents(DATA / "detection")
    with pytest.raises(DatasetError, match=r"single\.rec: the record with id \d+ has 1 labels, which are no boxes"):
        merge([tmp_path / "a", DATA / "single.rec"], tmp_path / "no", labels="keep")


def test_boxes_are_loaded_as_before_from_parts_shards_and_in_another_order(tmp_path):
    whole = pack_yolo(tmp_path / "yolo", tmp_path / "whole", ["cat", "dog", "emu"], 0)
    made = {
        "split": split(whole, tmp_path / "split", shares=HALVES),
        "sharded": split(whole, tmp_path / "sharded", shards=3),
        "some": split(whole, tmp_path / "some", ids=range(12)),
        "shuffled": shuffle(whole, tmp_path / "shuffled", shards=2),
        "merged": merge([whole], tmp_path / "merged"),
    }
    before = dali_rec.open(whole).manifest
    for report in made.values():
        assert loaded(*(one.manifest_path for one in report.sets)) == loaded(whole)
        for one in report.sets:
            assert dali_rec.verify(one.manifest_path).ok
            same = ("label_kind", "label_width", "classes", "label_classes")
            assert [getattr(one.manifest, name) for name in same] == [getattr(before, name) for name in same]
    again = merge([one.manifest_path for one in made["split"].sets], tmp_path / "again")
    assert loaded(again.sets[0].manifest_path) == loaded(whole)
    assert (again.manifest.max_width, again.manifest.max_height) == (before.max_width, before.max_height)


def test_boxes_are_not_stratified(tmp_path):
    write_boxes(tmp_path / "a", [[0], [1], [0], [1]], ("cat", "dog"))
    with pytest.raises(
        DatasetError, match="a: --stratify needs one class an image, and these have boxes; leave it out"
    ):
        split(tmp_path / "a", tmp_path / "b", shares=HALVES, stratify=True)
    assert not list(tmp_path.glob("b*"))
