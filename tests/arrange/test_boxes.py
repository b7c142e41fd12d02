from collections import Counter

import pytest
from record_sets import payload, write_set
from support import jpeg

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
