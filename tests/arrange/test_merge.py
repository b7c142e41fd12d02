import itertools
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from record_sets import contents, files, images_of_faces, payload, sets, write_set
from support import DATA, jpeg, make_class_folder

import dali_rec
from dali_rec.arrange import merge, split
from dali_rec.arrange.frames import read_frames
from dali_rec.arrange.headers import with_labels
from dali_rec.errors import CorruptRecordError, DatasetError, OutputExistsError
from dali_rec.recordio import unpack_header
from dali_rec.recordio.framing import MAGIC_BYTES

CAT, DOG = jpeg(1), jpeg(2)


def labels_by_name(prefix):
    dataset = dali_rec.open(prefix)
    return sorted((dataset.classes[int(record.labels[0])], bytes(record.image)) for record in dataset)


@settings(max_examples=60)
@given(st.lists(sets(), min_size=1, max_size=3), st.integers(1, 3))
def test_every_record_is_there_in_order_and_untouched_where_ids_are_distinct(several, shards):
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        seen = set()
        inputs, expected = [], []
        for number, (keys, payloads) in enumerate(several):
            rows = [row for row, key in enumerate(keys) if key not in seen]
            seen |= set(keys)
            if rows:
                expected += [(keys[row], payloads[row]) for row in rows]
                chosen = [payloads[row] for row in rows], [keys[row] for row in rows]
                inputs.append(write_set(here / f"in{number}", *chosen))
        shards = min(shards, len(expected))
        report = merge(inputs, here / "all", shards=shards)
        assert contents(here / "all") == expected
        assert report.records == len(expected)
        assert len(report.manifest.shards) == shards
        listed = [line.split(b"\t") for line in files(here / "all")[".lst"].splitlines()]
        assert [int(columns[0]) for columns in listed] == [key for key, _ in expected]


@settings(max_examples=40)
@given(sets(), sets(), st.booleans())
def test_records_that_are_renumbered_differ_in_their_ids_alone(one, other, asked):
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        inputs = [write_set(here / name, payloads, keys) for name, (keys, payloads) in (("a", one), ("b", other))]
        merge(inputs, here / "all", renumber=asked)
        before = one[1] + other[1]
        after = contents(here / "all")
        renumbered = asked or bool(set(one[0]) & set(other[0]))
        if not renumbered:
            assert after == list(zip(one[0] + other[0], before, strict=True))
            return
        assert [key for key, _ in after] == list(range(len(before)))
        for (key, new), old in zip(after, before, strict=True):
            assert new == old[:8] + key.to_bytes(8, "little") + old[16:]


@settings(max_examples=40)
@given(
    sets(labels=st.lists(st.integers(0, 2).map(float), min_size=1, max_size=1)),
    sets(labels=st.lists(st.integers(0, 2).map(float), min_size=1, max_size=1)),
    st.permutations("abcd"),
    st.permutations("abcd"),
)
def test_label_keeps_its_name_where_classes_are_united(one, other, names, other_names):
    classes, other_classes = tuple(names[:3]), tuple(other_names[:3])
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        write_set(here / "a", one[1], one[0], classes)
        write_set(here / "b", other[1], other[0], other_classes)
        merge([here / "a", here / "b"], here / "all")
        united = dali_rec.open(here / "all").classes
        assert united[:3] == classes
        assert set(united) == {*classes, *other_classes}
        after = [body for _, body in contents(here / "all")]
        named = [(body, classes) for body in one[1]] + [(body, other_classes) for body in other[1]]
        for new, (old, old_classes) in zip(after, named, strict=True):
            assert new[24:] == old[24:]
            label, old_label = (int(np.frombuffer(body, "<f4", 1, 4)[0]) for body in (new, old))
            if len(old) > 24:
                assert united[label] == old_classes[old_label]
            else:  # without an image it is no sample, and its label no class
                assert label == old_label


def test_equal_classes_leave_every_byte(tmp_path):
    write_set(tmp_path / "a", [payload(0, [1.0], CAT)], [0], ("cat", "dog"))
    write_set(tmp_path / "b", [payload(5, [0.0], DOG)], [5], ("cat", "dog"))
    report = merge([tmp_path / "a", tmp_path / "b.json"], tmp_path / "all")
    assert (tmp_path / "all.rec").read_bytes() == (tmp_path / "a.rec").read_bytes() + (tmp_path / "b.rec").read_bytes()
    assert (report.notes, report.manifest.classes) == ((), ("cat", "dog"))


def test_label_behind_the_header_is_renumbered_and_so_is_its_copy_in_the_header(tmp_path):
    several = [
        payload(0, [1.0], CAT, flag=1),  # as mx.recordio.pack writes an array
        payload(1, [1.0], CAT, flag=1, header_label=1.0),  # as the C++ im2rec does
        payload(2, [1.0, 0.5], CAT, header_label=1.0),
    ]
    write_set(tmp_path / "a", [payload(9, [0.0], DOG)], [9], ("cow", "dog"))
    write_set(tmp_path / "b", several, [0, 1, 2], ("dog", "ewe"))
    merge([tmp_path / "a", tmp_path / "b"], tmp_path / "all")
    expected = [
        payload(9, [0.0], DOG),
        payload(0, [2.0], CAT, flag=1),
        payload(1, [2.0], CAT, flag=1, header_label=2.0),
        payload(2, [2.0, 0.5], CAT, header_label=2.0),
    ]
    assert [body for _, body in contents(tmp_path / "all")] == expected


@settings(max_examples=60)
@given(sets(), st.lists(st.none() | st.permutations(range(4)), min_size=1, max_size=3), st.booleans())
def test_labels_of_images_are_renumbered_column_by_column(records, maps, repeats):
    keys, payloads = records
    before = [unpack_header(one, "") for one in payloads]
    if repeats:  # the first label in the header too, as the C++ im2rec does it
        payloads = [one[:4] + one[24:28] + one[8:] if one[0] else one for one in payloads]
    with tempfile.TemporaryDirectory() as folder:
        with dali_rec.open(write_set(Path(folder) / "a", payloads, keys)) as dataset:
            (frames,) = read_frames(dataset)
        changed = with_labels(frames, tuple(one and np.array(one) for one in maps), "a")
    for number, (head, image) in enumerate(before):
        labels = head.labels.tolist()
        if image:
            labels = [new[int(old)] if new else old for old, new in itertools.zip_longest(labels, maps[: len(labels)])]
        first = labels[0] if repeats and head.labels[0] else 0
        expected = payload(head.id, labels, bytes(image), header_label=first)
        assert bytes(changed.payload(number)) == expected


def test_columns_of_labels_are_united_one_by_one(tmp_path):
    for name, tree in (("a", {"cat": {"manx": 2}, "dog": {"pug": 1}}), ("b", {"cat": {"lykoi": 1}, "ant": {"red": 2}})):
        for folder, leaves in tree.items():
            make_class_folder(tmp_path / name / folder, leaves)
        dali_rec.pack(tmp_path / name, tmp_path / name, shuffle=False)
    report = merge([tmp_path / "a", tmp_path / "b"], tmp_path / "all")
    assert report.manifest.label_classes == (("cat", "dog", "ant"), ("manx", "pug", "lykoi", "red"))
    found = [record.labels.tolist() for record in dali_rec.open(tmp_path / "all")]
    assert found == [[0, 0], [0, 0], [1, 1], [2, 3], [2, 3], [0, 2]]
    assert "renumbered in" in report.notes[0]
    assert dali_rec.verify(tmp_path / "all").ok


def test_sets_with_and_without_names_are_refused_unless_told_to_keep_the_labels(tmp_path):
    write_set(tmp_path / "a", [payload(0, [1.0], CAT)], [0], ("cat", "dog"))
    write_set(tmp_path / "b", [payload(1, [0.0], DOG)], [1])
    with pytest.raises(DatasetError, match=r"b has no class names and .*a has.*--labels keep"):
        merge([tmp_path / "a", tmp_path / "b"], tmp_path / "all")
    assert not list(tmp_path.glob("all*"))
    report = merge([tmp_path / "a", tmp_path / "b"], tmp_path / "all", labels="keep")
    assert report.manifest.classes == ("cat", "dog")
    assert (tmp_path / "all.rec").read_bytes() == (tmp_path / "a.rec").read_bytes() + (tmp_path / "b.rec").read_bytes()


@pytest.mark.parametrize("label", [2.0, 0.5, -1.0])
def test_label_that_is_kept_has_one_of_the_names_that_are_kept(tmp_path, label):
    write_set(tmp_path / "a", [payload(0, [1.0], CAT)], [0], ("cat", "dog"))
    write_set(tmp_path / "b", [payload(6, [1.0], DOG), payload(7, [label], CAT)], [6, 7])
    message = r"b: the record with id 7 has the label \S+, which none of the 2 class names stands for; .*split .*--ids"
    with pytest.raises(DatasetError, match=message):
        merge([tmp_path / "a", tmp_path / "b"], tmp_path / "all", labels="keep")
    assert not list(tmp_path.glob("all*"))
    split(tmp_path / "b", tmp_path / "c", ids=[6])
    merge([tmp_path / "a.json", tmp_path / "c.rec"], tmp_path / "all", labels="keep")
    assert dali_rec.verify(tmp_path / "all").ok


def test_different_names_with_labels_kept_leave_no_names(tmp_path):
    write_set(tmp_path / "a", [payload(0, [1.0], CAT)], [0], ("cat", "dog"))
    write_set(tmp_path / "b", [payload(1, [0.0], DOG)], [1], ("dog", "cat"))
    report = merge([tmp_path / "a", tmp_path / "b"], tmp_path / "all", labels="keep")
    assert report.manifest.classes is None
    assert "has no class names" in report.notes[0]


def test_label_that_no_name_stands_for_is_said(tmp_path):
    write_set(tmp_path / "a", [payload(0, [0.0], CAT)], [0], ("cat",))
    write_set(tmp_path / "b", [payload(7, [3.0], DOG)], [7], ("dog", "ewe"))
    with pytest.raises(DatasetError, match="b: the record with id 7 has the label 3, which none of the 2 class names"):
        merge([tmp_path / "a", tmp_path / "b"], tmp_path / "all")
    assert not list(tmp_path.glob("all*"))


def test_label_without_a_name_does_not_become_a_class_of_another_set(tmp_path):
    write_set(tmp_path / "a", [payload(4, [2.0], CAT)], [4], ("cat", "dog"))
    write_set(tmp_path / "b", [payload(7, [0.0], DOG)], [7], ("ewe",))
    with pytest.raises(DatasetError, match="a: the record with id 4 has the label 2, which none of the 2 class names"):
        merge([tmp_path / "a", tmp_path / "b"], tmp_path / "all")
    assert not list(tmp_path.glob("all*"))


def test_no_renumbering_is_said_where_new_classes_come_last(tmp_path):
    write_set(tmp_path / "a", [payload(4, [1.0], CAT)], [4], ("cat", "dog"))
    write_set(tmp_path / "b", [payload(7, [2.0], DOG)], [7], ("cat", "dog", "ewe"))
    report = merge([tmp_path / "a", tmp_path / "b"], tmp_path / "all")
    assert report.notes == ("classes are united by name, to 3 classes; no label had to change",)
    assert contents(tmp_path / "all") == contents(tmp_path / "a") + contents(tmp_path / "b")


def test_ids_that_stand_twice_are_numbered_anew_and_it_is_said(tmp_path):
    for name in ("a", "b"):
        write_set(tmp_path / name, [payload(3, [0.0], CAT)], [3], ("cat",))
    report = merge([tmp_path / "a", tmp_path / "b"], tmp_path / "all")
    assert report.notes == ("some ids stand in more than one record: all records are numbered anew, from 0",)
    assert dali_rec.open(tmp_path / "all").keys.tolist() == [0, 1]
    assert dali_rec.verify(tmp_path / "all").ok


def test_packed_sets_become_what_packing_would_have_made(tmp_path):
    photos = make_class_folder(tmp_path / "photos", {"ant": 3, "bee": 4})
    dali_rec.pack(photos, tmp_path / "a", shards=3)
    dali_rec.pack(photos, tmp_path / "b", shuffle=False)
    report = merge([tmp_path / "a", tmp_path / "b"], tmp_path / "all", shards=2)
    manifest = report.manifest
    assert dali_rec.verify(tmp_path / "all").ok
    assert labels_by_name(tmp_path / "all") == sorted(labels_by_name(tmp_path / "a") + labels_by_name(tmp_path / "b"))
    one = dali_rec.open(tmp_path / "b").manifest
    same = ("classes", "label_width", "label_kind", "label_classes", "split", "max_width", "max_height", "created_by")
    assert [getattr(manifest, name) for name in same] == [getattr(one, name) for name in same]
    assert manifest.options["inputs"][1]["options"] == one.options
    listed = [line.split("\t") for line in (tmp_path / "all.lst").read_text().splitlines()]
    assert [int(key) for key, *_ in listed] == list(range(14))
    for record, (_, label, path) in zip(dali_rec.open(tmp_path / "all"), listed, strict=True):
        assert bytes(record.image) == (photos / path).read_bytes()
        assert record.labels.tolist() == [float(label)]


def test_manifest_does_not_grow_with_what_its_inputs_were_made_of(tmp_path):
    write_set(tmp_path / "a", [payload(0, [0.0], CAT)], [0], ("cat",))
    sizes = []
    for name, before in (("b", "a"), ("c", "b"), ("d", "c"), ("e", "d")):
        options = merge([tmp_path / before], tmp_path / name).manifest.options
        sizes.append((tmp_path / f"{name}.json").stat().st_size)
    assert options["inputs"][0]["options"]["command"] == "merge"
    assert sizes[1] == sizes[3]


def test_files_of_mxnet_merge_without_manifest_index_or_list(tmp_path):
    (tmp_path / "faces.rec").write_bytes((DATA / "faces.rec").read_bytes())
    report = merge([tmp_path / "faces.rec", DATA / "multi.rec"], tmp_path / "all")
    assert contents(tmp_path / "all") == images_of_faces() + contents(DATA / "multi")
    originals = [record for name in ("faces", "multi") for record in dali_rec.open(DATA / f"{name}.rec")]
    infos = [dali_rec.decode_image(record.image).shape for record in originals]
    assert report.manifest.max_height == max(height for height, _, _ in infos)
    assert report.manifest.max_width == max(width for _, width, _ in infos)
    assert report.manifest.label_kind == "values"
    assert (tmp_path / "all.lst").read_text().splitlines()[0] == "1\t0\tfaces.rec#1"
    assert "no class names" in report.notes[0]


def test_records_that_an_index_leaves_out_are_left_out(tmp_path):
    write_set(tmp_path / "a", [payload(key, [0.0], bytes([key]) * key) for key in range(9)], list(range(9)))
    lines = (tmp_path / "a.idx").read_text().splitlines(keepends=True)
    (tmp_path / "a.idx").write_text("".join(lines[row] for row in (7, 2, 3)))
    merge([tmp_path / "a"], tmp_path / "b")
    assert contents(tmp_path / "b") == [(key, payload(key, [0.0], bytes([key]) * key)) for key in (2, 3, 7)]


@pytest.mark.parametrize("rest", [b"\0", b"abc"])
def test_bytes_behind_the_last_record_that_the_index_names_are_left_out(tmp_path, rest):
    payloads = [payload(key, [0.0], MAGIC_BYTES + b"image") for key in range(3)]
    write_set(tmp_path / "a", payloads, [0, 1, 2])
    write_set(tmp_path / "b", payloads, [0, 1, 2])
    with (tmp_path / "b.rec").open("ab") as file:
        file.write(rest)
    for name, renumbered in (("a", "c"), ("b", "d")):
        merge([tmp_path / name, tmp_path / name], tmp_path / renumbered)
    assert contents(tmp_path / "d") == contents(tmp_path / "c")


def test_same_inputs_give_the_same_bytes_wherever_they_lie(tmp_path):
    made = []
    for folder in (tmp_path / "here", tmp_path / "there" / "deep"):
        folder.mkdir(parents=True)
        write_set(folder / "a", [payload(key, [key % 2], jpeg(key)) for key in range(6)], list(range(6)), ("x", "y"))
        write_set(folder / "b", [payload(key, [0.0], jpeg(key)) for key in range(9)], list(range(9)), ("z",), shards=2)
        merge([folder / "a", folder / "b"], folder / "all", shard_records=4)
        made.append(files(folder / "all"))
    assert made[0] == made[1]
    assert len(made[0]) == 2 * 4 + 2


def test_output_is_not_replaced_unless_asked_and_never_what_is_read(tmp_path):
    for name in ("a", "b"):
        write_set(tmp_path / name, [payload(1, [0.0], name.encode())], [1], ("x",))
    before = files(tmp_path / "b")
    with pytest.raises(OutputExistsError, match=r"b\.\w+ exists already; .*--overwrite"):
        merge([tmp_path / "a"], tmp_path / "b")
    with pytest.raises(OutputExistsError, match="is what is being read"):
        merge([tmp_path / "a", tmp_path / "b"], tmp_path / "b", overwrite=True)
    assert files(tmp_path / "b") == before
    merge([tmp_path / "a"], tmp_path / "b", overwrite=True)
    assert contents(tmp_path / "b") == contents(tmp_path / "a")


@pytest.mark.posix  # a link
def test_output_that_is_read_by_another_name_is_not_replaced(tmp_path):
    write_set(tmp_path / "b", [payload(1, [0.0], b"b")], [1], ("x",))
    before = files(tmp_path / "b")
    (tmp_path / "link.rec").symlink_to(tmp_path / "b.rec")
    with pytest.raises(OutputExistsError, match="is what is being read"):
        merge([tmp_path / "link.rec"], tmp_path / "b", overwrite=True)
    assert files(tmp_path / "b") == before


def test_shards_that_are_replaced_are_gone(tmp_path):
    write_set(tmp_path / "a", [payload(key, [0.0], b"") for key in range(8)], list(range(8)), ("x",))
    merge([tmp_path / "a"], tmp_path / "b", shards=4)
    merge([tmp_path / "a"], tmp_path / "b", overwrite=True)
    assert sorted(files(tmp_path / "b")) == [".idx", ".json", ".lst", ".rec"]
    with pytest.raises(OutputExistsError, match="exists already"):
        merge([tmp_path / "a"], tmp_path / "b", shards=2)


def test_damaged_record_is_named_and_nothing_is_left(tmp_path):
    payloads = [payload(key, [0.0], bytes(100)) for key in range(5)]
    write_set(tmp_path / "a", payloads, [10, 11, 12, 13, 14], ("x",))
    data = bytearray((tmp_path / "a.rec").read_bytes())
    data[3 * 132] ^= 1
    (tmp_path / "a.rec").write_bytes(data)
    with pytest.raises(CorruptRecordError, match=r"a\.rec: the record with id 13, at offset 396.*verify --repair"):
        merge([tmp_path / "a"], tmp_path / "b")
    assert not list(tmp_path.glob("b*"))


def test_interrupted_run_leaves_nothing_and_the_next_one_works(tmp_path):
    write_set(tmp_path / "a", [payload(key, [0.0], b"x") for key in range(5)], list(range(5)), ("x",))

    def interrupt(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        merge([tmp_path / "a"], tmp_path / "b", progress=interrupt)
    assert not list(tmp_path.glob("b*"))
    (tmp_path / "b.arranging").mkdir()
    (tmp_path / "b.arranging" / "lock").touch()
    (tmp_path / "b.arranging" / "b.rec.0").write_bytes(b"of a run that was killed")
    said = []
    merge([tmp_path / "a"], tmp_path / "b", progress=lambda *state: said.append(state))
    assert sorted(files(tmp_path / "b")) == [".idx", ".json", ".lst", ".rec"]
    assert said[-1] == (len((tmp_path / "b.rec").read_bytes()),) * 2


def test_split_of_all_inputs_is_kept(tmp_path):
    photos = make_class_folder(tmp_path / "photos", {"ant": 6, "bee": 6})
    for name in ("a", "b"):
        dali_rec.pack(photos, tmp_path / name, split={"train": 0.5, "val": 0.5})
    report = merge([tmp_path / "a-train", tmp_path / "b-train"], tmp_path / "t")
    assert report.manifest.split == "train"
    assert merge([tmp_path / "a-train", tmp_path / "b-val"], tmp_path / "m").manifest.split is None
    assert json.loads((tmp_path / "t.json").read_text())["split"] == "train"
