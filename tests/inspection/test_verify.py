import itertools
import json
import re
import shutil
import struct
import sys

import damage
import numpy as np
import pytest
from support import DATA, encoded, jpeg, make_class_folder, picture, traced_peak

import dali_rec
from dali_rec.cli import main
from dali_rec.errors import DatasetError, DatasetNotFoundError, EngineError
from dali_rec.inspection import header_scan
from dali_rec.inspection.duplicates import Duplicates
from dali_rec.inspection.record_check import Checked


def kinds(report):
    return [fault.kind for fault in report.faults]


def notes(report):
    return [note.kind for note in report.notes]


def places(report):
    return [(fault.kind, fault.offset, fault.key) for fault in report.faults]


@pytest.fixture
def rec(packed):
    return packed.with_name("photos.rec")


@pytest.fixture
def foreign(tmp_path):
    """MXNet's own file, without a manifest."""
    for suffix in (".rec", ".idx"):
        shutil.copyfile(DATA / f"single{suffix}", tmp_path / f"single{suffix}")
    return tmp_path / "single.rec"


def test_sound_data_set_has_no_faults(class_folder, tmp_path):
    dali_rec.pack(class_folder, tmp_path / "x", shards=3)
    report = dali_rec.verify(tmp_path / "x")
    assert (report.records, report.images, report.ok, report.notes) == (12, 12, True, ())


@pytest.mark.parametrize("decode", [True, False])
@pytest.mark.parametrize("name", ["single", "multi", "detection"])
def test_files_of_mxnet_have_no_faults(name, decode):
    report = dali_rec.verify(DATA / f"{name}.rec", decode=decode)
    assert (report.records, report.images, report.ok, report.notes) == (12, 12, True, ())


def test_records_that_describe_faces_are_no_faults():
    report = dali_rec.verify(DATA / "faces.rec")
    assert (report.records, report.images, report.ok) == (16, 12, True)
    assert "4 records without an image describe the others" in report.notes[0].message


def test_record_without_an_image_is_a_fault_elsewhere(tmp_path):
    with dali_rec.RecordWriter(tmp_path / "x.rec") as writer:
        writer.write_image(jpeg(), 0.0, 5)
        offset = writer.write_image(b"", [1.0, 3.0], 6)
    report = dali_rec.verify(tmp_path / "x.rec")
    assert places(report) == [("image", offset, 6)]


def test_records_without_an_image_header_are_faults_with_their_offsets(tmp_path):
    shutil.copyfile(DATA / "magic.rec", tmp_path / "magic.rec")
    report = dali_rec.verify(tmp_path / "magic.rec")
    assert kinds(report) == ["header"] * 10
    assert report.faults[0].offset == 0


def test_header_fault_has_the_id_of_the_index(tmp_path):
    with dali_rec.RecordWriter(tmp_path / "x.rec") as writer:
        writer.write_image(jpeg(), 0.0, 5)
        offset = writer.write_image(jpeg(1), 0.0, 6)
    damage.overwrite(tmp_path / "x.rec", offset + 8, struct.pack("<I", 1 << 20))
    assert places(dali_rec.verify(tmp_path / "x.rec")) == [("header", offset, 6)]


@pytest.mark.parametrize("beyond", [0, 1 << 40])
def test_header_fault_has_no_id_where_the_index_is_of_another_file(tmp_path, beyond):
    with dali_rec.RecordWriter(tmp_path / "x.rec") as writer:
        offsets = [writer.write_image(jpeg(seed), 0.0, 5 + seed) for seed in range(3)]
    damage.overwrite(tmp_path / "x.rec", offsets[1] + 8, struct.pack("<I", 1 << 20))
    (tmp_path / "x.idx").write_text(f"7\t{beyond + offsets[1] - 4}\n8\t{beyond + offsets[2] - 4}\n")
    found = places(dali_rec.verify(tmp_path / "x.rec"))
    assert ("header", offsets[1], None) in found


@pytest.mark.parametrize("decode", [True, False])
def test_damaged_image_is_named_by_offset_and_id_if_it_is_decoded(packed, rec, decode):
    record = damage.flipped_image(rec)
    report = dali_rec.verify(packed, decode=decode)
    image = [("image", record.offset, record.key)] if decode else []
    assert places(report) == [*image, ("checksum", None, None)]
    assert report.images == 12 - len(image)


@pytest.mark.parametrize("decode", [True, False])
@pytest.mark.parametrize("label", [0.5, -1.0, 3.0, float("nan"), 1e30])
def test_label_that_is_no_class_of_the_manifest_is_a_fault(packed, rec, label, decode):
    record = damage.locate(rec, 3)
    damage.overwrite(rec, record.offset + 12, struct.pack("<f", label))
    report = dali_rec.verify(packed, decode=decode)
    assert places(report) == [("header", record.offset, record.key), ("checksum", None, None)]
    assert "label" in report.faults[0].message


def test_data_set_without_a_record_is_a_fault(packed, tmp_path):
    (tmp_path / "x.rec").touch()
    empty = json.loads(packed.with_suffix(".json").read_text()) | {"records": 0, "bytes": 0, "shards": []}
    (tmp_path / "y.json").write_text(json.dumps(empty))
    for name, file in (("x", "x.rec"), ("x.rec", "x.rec"), ("y", "y.json")):
        (fault,) = dali_rec.verify(tmp_path / name).faults
        assert str(fault) == f"{tmp_path / file}: file: no records in it; pack it again"


@pytest.mark.parametrize("decode", [True, False])
def test_number_of_labels_is_held_against_the_manifest(tmp_path, decode):
    (tmp_path / "a.lst").write_text("".join(f"{key}\t0.5\t{key}\t{key}.jpg\n" for key in range(3)))
    for key in range(3):
        (tmp_path / f"{key}.jpg").write_bytes(jpeg(key))
    dali_rec.pack(tmp_path / "a.lst", tmp_path / "x")
    assert dali_rec.verify(tmp_path / "x", decode=decode).ok
    record = damage.locate(tmp_path / "x.rec", 1)
    damage.overwrite(tmp_path / "x.rec", record.offset + 8, struct.pack("<I", 5))
    report = dali_rec.verify(tmp_path / "x", decode=decode)
    assert places(report)[0] == ("header", record.offset, record.key)
    assert len(report.faults) == 2


@pytest.mark.parametrize("decode", [True, False])
@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([2, 5, 0, 0.1, 0.1, 0.5], "no boxes"),
        ([2, 4, 0, 0.1, 0.1, 0.5], "no boxes"),
        ([1], "no boxes"),
        ([2, 5, 7, 0.1, 0.1, 0.5, 0.5], "not among the 2"),
        ([2, 5, 0.5, 0.1, 0.1, 0.5, 0.5], "not among the 2"),
    ],
)
def test_boxes_are_held_against_their_layout(tmp_path, labels, said, decode):
    good = [2, 5, 1, 0.1, 0.1, 0.5, 0.5]
    manifest = {"label_kind": "boxes", "label_width": 0, "classes": ["ant", "bee"]}
    for name, second in (("good", [2, 5]), ("bad", labels)):
        (tmp_path / name).mkdir()
        for key in range(2):
            (tmp_path / name / f"{key}.jpg").write_bytes(jpeg(key))
        dali_rec.pack(tmp_path / name, tmp_path / name / "x", shuffle=False)
        with dali_rec.RecordWriter(tmp_path / name / "x.rec") as writer:
            for key, one in enumerate((good, second)):
                writer.write_image(jpeg(key), one, key)
        path = tmp_path / name / "x.json"
        content = {**json.loads(path.read_text()), **manifest}
        content["shards"][0] |= {"sha256": writer.sha256, "bytes": writer.position}
        path.write_text(json.dumps(content))
    assert dali_rec.verify(tmp_path / "good" / "x", decode=decode).ok
    report = dali_rec.verify(tmp_path / "bad" / "x", decode=decode)
    assert [fault.kind for fault in report.faults] == ["header"]
    assert said in str(report.faults[0])


@pytest.mark.parametrize("decode", [True, False])
def test_id_that_has_changed_is_a_fault_of_the_record_not_of_the_index(packed, rec, decode):
    record = damage.locate(rec, 3)
    damage.overwrite(rec, record.offset + 16, struct.pack("<Q", 12345))
    report = dali_rec.verify(packed, decode=decode)
    assert places(report) == [("header", record.offset, record.key), ("checksum", None, None)]
    assert "12345" in report.faults[0].message


def test_images_larger_than_usual_are_sound_where_pack_allowed_them(packed, rec, monkeypatch):
    monkeypatch.setattr(sys.modules["dali_rec.inspection.verify"], "MAX_PIXELS", 100)  # not the function verify
    manifest = rec.with_suffix(".json")
    assert dali_rec.verify(packed).ok
    manifest.write_text(re.sub(r'"max_pixels": \d+', '"max_pixels": 200', manifest.read_text()))
    assert kinds(dali_rec.verify(packed)) == ["image"] * 12


@pytest.mark.parametrize("name", ["photos", "photos.rec", "photos.json"])
def test_manifest_that_cannot_be_read_is_a_fault_and_the_rest_is_checked(packed, rec, name):
    record = damage.locate(rec, 4)
    damage.overwrite(rec, record.offset, b"none")
    rec.with_suffix(".json").write_text('{"format": "dali-rec", "ver')
    report = dali_rec.verify(packed.with_name(name))
    assert places(report) == [("manifest", None, None), ("framing", record.offset, record.key)]
    assert report.faults[0].path == str(rec.with_suffix(".json"))
    assert "not JSON" in report.faults[0].message
    assert "put it back from a copy" in report.faults[0].message
    assert (report.records, report.images) == (11, 11)


@pytest.mark.parametrize("name", ["x", "x.json", "x-00001-of-00003.rec"])
def test_shards_are_found_without_their_manifest(class_folder, tmp_path, name):
    dali_rec.pack(class_folder, tmp_path / "x", shards=3)
    dali_rec.pack(class_folder, tmp_path / "x-other", shards=2)
    (tmp_path / "x.json").write_bytes(b"")
    report = dali_rec.verify(tmp_path / name)
    assert kinds(report) == ["manifest"]
    assert report.images == (4 if name.endswith(".rec") else 12)


def test_manifest_that_cannot_be_read_and_no_rec_is_an_error(tmp_path):
    (tmp_path / "x.json").write_bytes(b"")
    with pytest.raises(DatasetError, match="not JSON"):
        dali_rec.verify(tmp_path / "x")


def test_png_with_a_wrong_checksum_is_a_fault_since_dali_stops_at_it(tmp_path):
    png = bytearray(encoded(picture(), "PNG"))
    png[png.rindex(b"IEND") - 5] ^= 1  # the last byte of the checksum of the pixels
    with dali_rec.RecordWriter(tmp_path / "x.rec") as writer:
        offset = writer.write_image(bytes(png), 0.0, 9)
        writer.write_image(encoded(picture(), "PNG"), 0.0, 10)
    assert places(dali_rec.verify(tmp_path / "x.rec")) == [("image", offset, 9)]


@pytest.mark.parametrize("decode", [True, False])
def test_image_that_the_loader_cannot_decode_is_a_fault(tmp_path, decode):
    with dali_rec.RecordWriter(tmp_path / "x.rec") as writer:
        offset = writer.write_image(encoded(picture(), "GIF"), 0.0, 9)
    assert places(dali_rec.verify(tmp_path / "x.rec", decode=decode)) == [("image", offset, 9)]


@pytest.mark.parametrize("decode", [True, False])
def test_check_goes_on_after_a_damaged_head(packed, rec, decode):
    record = damage.bad_magic(rec)
    report = dali_rec.verify(packed, decode=decode)
    assert (report.records, report.images) == (11, 11)
    assert places(report) == [
        ("framing", record.offset, record.key),
        ("manifest", None, None),
        ("checksum", None, None),
    ]


def test_every_record_lost_in_one_stretch_of_damage_is_named(packed, rec):
    first, last = damage.locate(rec, 4), damage.locate(rec, 7)
    damage.overwrite(rec, first.offset, bytes(last.offset - first.offset))
    report = dali_rec.verify(packed)
    lost = [damage.locate(rec, row) for row in (4, 5, 6)]
    assert places(report)[:3] == [("framing", one.offset, one.key) for one in lost]
    assert report.records == 9


def test_cut_tail_is_named(packed, rec):
    record = damage.cut_tail(rec)
    report = dali_rec.verify(packed)
    assert report.records == 11
    assert places(report)[0] == ("framing", record.offset, record.key)
    assert kinds(report) == ["framing", "manifest", "manifest", "checksum"]


def test_file_cut_between_records_is_named(packed, rec):
    record = damage.locate(rec, -1)
    rec.write_bytes(rec.read_bytes()[: record.offset])
    report = dali_rec.verify(packed)
    assert places(report)[0] == ("index", record.offset, record.key)
    assert kinds(report) == ["index", "manifest", "manifest", "checksum"]


@pytest.mark.parametrize("size", [0, 5])
def test_file_cut_to_nothing_is_named(packed, rec, size):
    rec.write_bytes(rec.read_bytes()[:size])
    report = dali_rec.verify(packed)
    assert report.records == 0
    assert {"manifest", "checksum"} < set(kinds(report))


def test_index_entry_beyond_the_end_is_named(packed, rec):
    record = damage.index_beyond_the_end(rec)
    report = dali_rec.verify(packed)
    assert places(report) == [("index", record.offset, record.key)]
    assert "beyond the end" in report.faults[0].message


def test_index_entry_inside_a_record_is_named(foreign):
    index = foreign.with_suffix(".idx")
    index.write_text(index.read_text() + "99\t12\n")
    report = dali_rec.verify(foreign)
    assert places(report) == [("index", 12, 99)]
    assert "inside a record" in report.faults[0].message


def test_index_of_another_file_is_one_fault(packed, rec):
    damage.index_of_another_file(rec, DATA / "single.idx")
    report = dali_rec.verify(packed)
    assert kinds(report) == ["index"]
    assert "belongs to another file" in report.faults[0].message
    assert "rebuilds it" in report.faults[0].message
    assert report.images == 12  # all of the file, since the index says nothing


def test_wrong_id_in_the_index_is_named(foreign):
    lines = foreign.with_suffix(".idx").read_text().splitlines()
    key, offset = lines[3].split("\t")
    lines[3] = f"5000\t{offset}"
    foreign.with_suffix(".idx").write_text("\n".join(lines) + "\n")
    report = dali_rec.verify(foreign)
    assert places(report) == [("index", int(offset), 5000)]
    assert f"has id {key}" in report.faults[0].message


def test_index_that_numbers_anew_is_noted_where_it_is_foreign(tmp_path):
    with dali_rec.RecordWriter(tmp_path / "x.rec") as writer:
        offsets = [writer.write_image(jpeg(key), 0.0, key) for key in (40, 30, 20)]
    (tmp_path / "x.idx").write_text("".join(f"{row}\t{offset}\n" for row, offset in enumerate(offsets)))
    report = dali_rec.verify(tmp_path / "x.rec")
    assert (report.ok, notes(report)) == (True, ["index"])
    assert "numbers the records anew" in report.notes[0].message
    assert "'dali-rec index" in report.notes[0].message


@pytest.mark.parametrize("keys", [(0, 1, 2), (5, 3, 9)])
def test_index_of_records_that_all_have_one_id_is_not_to_be_rebuilt(tmp_path, keys):
    # Rebuilt, it would have one key for all of them.
    with dali_rec.RecordWriter(tmp_path / "x.rec") as writer:
        offsets = [writer.write_image(jpeg(seed), 0.0, 0) for seed in range(3)]
    lines = [f"{key}\t{offset}\n" for key, offset in zip(keys, offsets, strict=True)]
    (tmp_path / "x.idx").write_text("".join(lines))
    report = dali_rec.verify(tmp_path / "x.rec")
    assert (report.ok, notes(report)) == (True, ["index"])
    assert report.notes[0].message.endswith("their own ids stand for several records")


def test_index_that_lost_lines_is_a_fault_by_the_manifest_and_noted_without(packed, rec, foreign):
    for one in (rec, foreign):
        lines = one.with_suffix(".idx").read_text().splitlines(keepends=True)
        one.with_suffix(".idx").write_text("".join(lines[:-3]))
    ours, theirs = dali_rec.verify(packed), dali_rec.verify(foreign)
    assert (kinds(ours), ours.images) == (["index"], 12)
    assert (kinds(theirs), theirs.images) == ([], 9)
    assert "3 whole records of the .rec are not in it" in theirs.notes[0].message


@pytest.mark.parametrize("text", ["nonsense\n", "", "0\t0\n1\n"])
def test_unreadable_index_is_named(packed, foreign, rec, text):
    for path, file in ((packed, rec), (foreign, foreign)):
        file.with_suffix(".idx").write_text(text)
        report = dali_rec.verify(path)
        assert kinds(report) == ["index"]
        assert report.images == 12


def test_missing_index_is_a_fault_where_the_manifest_names_it(packed, rec, foreign):
    rec.with_suffix(".idx").unlink()
    foreign.with_suffix(".idx").unlink()
    assert kinds(dali_rec.verify(packed)) == ["index"]
    assert dali_rec.verify(foreign).ok


def test_repeated_lines_and_ids_are_noted(foreign):
    lines = foreign.with_suffix(".idx").read_text().splitlines(keepends=True)
    foreign.with_suffix(".idx").write_text("".join(lines + lines[:2]))
    report = dali_rec.verify(foreign)
    assert (report.ok, notes(report)) == (True, ["index"])
    assert "2 of its lines" in report.notes[0].message
    with dali_rec.RecordWriter(foreign.with_name("twins.rec")) as writer:
        for seed in (1, 2):
            writer.write_image(jpeg(seed), 0.0, 7)
    report = dali_rec.verify(foreign.with_name("twins.rec"))
    assert (report.ok, notes(report)) == (True, ["index"])
    assert "1 of its ids stand for several" in report.notes[0].message


@pytest.mark.parametrize("decode", [True, False])
def test_changed_bytes_are_noticed_by_the_checksum(packed, rec, decode):
    damage.harmless_change(rec)
    assert kinds(dali_rec.verify(packed, decode=decode)) == ["checksum"]


def test_wrong_checksum_is_named(packed):
    damage.wrong_checksum(packed.with_name("photos.json"))
    assert kinds(dali_rec.verify(packed)) == ["checksum"]


def test_missing_shard_is_named(class_folder, tmp_path):
    dali_rec.pack(class_folder, tmp_path / "x", shards=3)
    (tmp_path / "x-00001-of-00003.rec").unlink()
    report = dali_rec.verify(tmp_path / "x")
    assert kinds(report) == ["file"]
    assert "x-00001-of-00003.rec" in str(report.faults[0])


def test_one_shard_is_held_against_the_manifest_of_all(class_folder, tmp_path):
    dali_rec.pack(class_folder, tmp_path / "x", shards=3)
    shard = tmp_path / "x-00001-of-00003.rec"
    assert dali_rec.verify(shard).ok
    damage.harmless_change(shard)
    assert kinds(dali_rec.verify(shard)) == ["checksum"]


@pytest.mark.parametrize("shards", [1, 2])
def test_shard_that_was_appended_is_held_against_the_manifest_too(class_folder, tmp_path, shards):
    dali_rec.pack(class_folder, tmp_path / "x")
    dali_rec.pack(class_folder, tmp_path / "x", append=True, shards=shards)
    shard = next(tmp_path.glob("x-append1*.rec"))
    damage.harmless_change(shard)
    assert kinds(dali_rec.verify(shard)) == ["checksum"]


def test_appended_shards_are_found_without_their_manifest(class_folder, tmp_path):
    dali_rec.pack(class_folder, tmp_path / "x")
    dali_rec.pack(class_folder, tmp_path / "x", append=True)
    (tmp_path / "x.json").write_bytes(b"")
    report = dali_rec.verify(tmp_path / "x")
    assert (kinds(report), report.images) == (["manifest"], 24)


def test_nothing_to_verify_is_an_error(tmp_path):
    with pytest.raises(DatasetNotFoundError):
        dali_rec.verify(tmp_path / "x")


@pytest.fixture
def doubled(tmp_path):
    """Seven images in three shards, of which x/000 comes three times, once under another class."""
    folder = make_class_folder(tmp_path / "doubles", {"x": 4, "y": 1})
    for copy in (folder / "x" / "copy.jpg", folder / "y" / "copy.jpg"):
        shutil.copyfile(folder / "x" / "x_000.jpg", copy)
    dali_rec.pack(folder, tmp_path / "set", shards=3, shuffle=False)
    return tmp_path / "set"


def test_of_many_duplicates_that_are_no_faults_the_number_is_noted(tmp_path):
    with dali_rec.RecordWriter(tmp_path / "x.rec") as writer:
        for key in range(1204):
            writer.write_image(jpeg(key % 2), 0.0, key)
    noted, asked = dali_rec.verify(tmp_path / "x"), dali_rec.verify(tmp_path / "x", duplicates=True)
    assert [fault.key for fault in asked.faults] == list(range(2, 1204))
    assert [(note.message, note.key) for note in noted.notes[:-1]] == [
        (fault.message, fault.key) for fault in asked.faults[:1000]
    ]
    assert str(noted.notes[-1]).startswith(f"{tmp_path / 'x.rec'}: duplicate: 202 more images are there a second time")


def test_duplicates_are_noted_over_shards_and_faults_where_asked(doubled):
    noted, asked = dali_rec.verify(doubled), dali_rec.verify(doubled, duplicates=True)
    assert noted.ok
    assert noted.notes == asked.faults
    keys = {bytes(record.image): [] for record in dali_rec.open(doubled)}
    for record in dali_rec.open(doubled):
        keys[bytes(record.image)].append(record.key)
    assert sorted(fault.key for fault in asked.faults) == sorted(itertools.chain(*(key[1:] for key in keys.values())))
    assert sum("with other labels" in fault.message for fault in asked.faults) == 1
    assert dali_rec.verify(doubled, decode=False).notes == ()
    assert dali_rec.verify(doubled, decode=False, duplicates=True).faults == asked.faults


def test_workers_and_progress_change_nothing(packed, rec):
    damage.flipped_image(rec)
    seen = []
    one = dali_rec.verify(packed, workers=1)
    four = dali_rec.verify(packed, workers=4, progress=lambda done, total: seen.append((done, total)))
    assert one == four
    assert seen == sorted(seen)
    assert seen[-1] == (rec.stat().st_size,) * 2


@pytest.mark.parametrize("duplicates", [False, True])
def test_processes_find_what_threads_find(doubled, tmp_path, begun, monkeypatch, duplicates):
    (tmp_path / "doubles" / "y" / "bad.png").write_bytes(encoded(picture(5), "PNG"))
    dali_rec.pack(tmp_path / "doubles", doubled, shards=3, shuffle=False, overwrite=True)
    shards = sorted(doubled.parent.glob("set-*.rec"))
    damage.flipped_image(shards[0], 1)
    damage.bad_magic(shards[1], 1)
    damage.wiped_image(shards[2], -1)  # the PNG
    threads = dali_rec.verify(doubled, workers=9, duplicates=duplicates)
    assert begun == []
    monkeypatch.setattr(sys.modules["dali_rec.inspection.verify"], "_BYTES_A_PROCESS", 100)
    processes = dali_rec.verify(doubled, workers=9, duplicates=duplicates)
    assert [count for count, _ in begun] == [3, 3, 3]
    assert all(process.returncode is not None for _, process in begun)
    assert processes == threads
    assert len(processes.faults) > 3
    dali_rec.verify(doubled, workers=9, decode=False)
    assert len(begun) == 3  # headers are not worth a process


def test_process_that_is_killed_ends_the_check(doubled, begun, monkeypatch):
    monkeypatch.setattr(sys.modules["dali_rec.inspection.verify"], "_BYTES_A_PROCESS", 100)

    def kill(_done, _total):
        for _, process in begun:
            process.kill()

    how = "ended with status 1" if sys.platform == "win32" else "killed by signal 9"
    with pytest.raises(EngineError, match=f"{how}; if it is memory that was short, take fewer --workers"):
        dali_rec.verify(doubled, workers=8, progress=kill)
    assert all(process.returncode is not None for _, process in begun)


def test_json_is_one_line_a_fault_with_shard_offset_and_id(capsys, packed, rec, doubled):
    record = damage.flipped_image(rec)
    assert main(["verify", "--json", str(packed), str(doubled)]) == 1
    captured = capsys.readouterr()
    lines = [json.loads(line) for line in captured.out.splitlines()]
    assert [line["severity"] for line in lines] == ["fault", "fault", "note", "note"]
    assert (lines[0]["kind"], lines[0]["shard"]) == ("image", str(rec))
    assert (lines[0]["offset"], lines[0]["id"]) == (record.offset, record.key)
    assert "12 records, 11 images decoded, 2 faults" in captured.err


def test_command_points_to_the_repair(capsys, packed, rec):
    damage.flipped_image(rec)
    assert main(["verify", str(packed)]) == 1
    assert f"'dali-rec verify {packed} --repair' leaves out what is bad" in capsys.readouterr().out


def test_command_says_what_it_looked_at(capsys, packed):
    assert main(["verify", "--quick", str(packed)]) == 0
    assert "none decoded, no faults" in capsys.readouterr().out
    assert main(["verify", "--duplicates", str(packed)]) == 0
    assert "12 images decoded, no faults" in capsys.readouterr().out


def test_one_image_is_counted_as_one(capsys, tmp_path):
    dali_rec.pack([(np.zeros((8, 8, 3), np.uint8), 0)], tmp_path / "one")
    assert main(["verify", str(tmp_path / "one")]) == 0
    assert "1 record, 1 image decoded, no faults" in capsys.readouterr().out


def test_long_lists_of_faults_end_with_their_number(capsys, tmp_path):
    with dali_rec.RecordWriter(tmp_path / "x.rec") as writer:
        for key in range(30):
            writer.write_image(b"no image", 0.0, key)
    assert main(["verify", str(tmp_path / "x.rec")]) == 1
    out = capsys.readouterr().out
    assert out.count(": image: ") == 20
    assert "… and 10 more faults" in out
    assert "30 faults" in out


@pytest.mark.parametrize("arguments", [["--quick", "--repair"], ["--drop-missing-shards"]])
def test_options_that_do_not_go_together_are_wrong_usage(capsys, packed, arguments):
    assert main(["verify", *arguments, str(packed)]) == 2


def test_what_is_no_data_set_is_told_what_is(tmp_path):
    (tmp_path / "photos").mkdir()
    with pytest.raises(DatasetNotFoundError, match="it is a folder: name a data set in it, or pack its images"):
        dali_rec.verify(tmp_path / "photos")
    with pytest.raises(DatasetNotFoundError, match=r"the data set is called .*train"):
        dali_rec.verify(tmp_path / "train.idx")


def test_search_for_duplicates_takes_little_memory_beside_the_digests():
    count = 50_000
    seen = Duplicates()
    for number in range(count):
        digest = (number * 2654435761 % 2**64, number)
        seen.add("x.rec", Checked(8 * number, number, digest=digest, label_digest=0))
    seen.add("x.rec", Checked(8 * count, count, digest=digest, label_digest=1))
    seen.add("x.rec", Checked(8 * count + 8, count + 1, digest=(digest[0], 0), label_digest=1))
    found = []
    assert traced_peak(lambda: found.extend(seen.find()[0])) < 24 * count
    last = f"the same image as id {count - 1} in x.rec at offset {8 * count - 8}, with other labels"
    assert [(fault.key, fault.message) for fault in found] == [(count, last)]


def test_what_is_kept_of_each_record_takes_little_memory(tmp_path, monkeypatch):
    records, image = 50_000, jpeg()
    with dali_rec.RecordWriter(tmp_path / "x.rec") as writer:
        for key in range(records):
            writer.write_image(image, 0.0, key)
    monkeypatch.setattr(header_scan, "_ROWS_AT_ONCE", 1024)
    assert traced_peak(lambda: dali_rec.verify(tmp_path / "x", decode=False)) < 75 * records


def test_report_is_shown_in_few_words_and_names_the_first_faults(tmp_path):
    with dali_rec.RecordWriter(tmp_path / "x.rec") as writer:
        writer.write_image(jpeg(), 0.0)
        for _ in range(12):
            writer.write_image(b"no image", 0.0)
    report = dali_rec.verify(tmp_path / "x.rec")
    first, *lines = repr(report).splitlines()
    assert first == "<VerifyReport: 13 records, 1 sound image, 12 faults, 0 notes"
    assert lines == [*(f"  {fault}" for fault in report.faults[:10]), "  and 2 more in its faults>"]


def test_report_without_faults_is_a_line(packed):
    assert repr(dali_rec.verify(packed)) == "<VerifyReport: 12 records, 12 sound images, 0 faults, 0 notes>"
