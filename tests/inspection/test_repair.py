import dataclasses
import hashlib
import json
import shutil

import damage
import numpy as np
import pytest
from support import DATA, jpeg, make_class_folder

import dali_rec
from dali_rec.cli import main
from dali_rec.errors import DatasetError, IndexFileError
from dali_rec.manifest import read_manifest
from dali_rec.recordio import read_index

DAMAGE = {
    "bad magic": damage.bad_magic,
    "cut tail": damage.cut_tail,
    "cut to a third": lambda rec: damage.cut_tail(rec, rec.stat().st_size * 2 // 3),
    "flipped image": damage.flipped_image,
    "harmless change": damage.harmless_change,
    "index beyond the end": damage.index_beyond_the_end,
    "index of another file": lambda rec: damage.index_of_another_file(rec, DATA / "single.idx"),
    "wrong checksum": lambda rec: damage.wrong_checksum(rec.with_suffix(".json")),
    "missing index": lambda rec: rec.with_suffix(".idx").unlink(),
    "two at once": lambda rec: (damage.bad_magic(rec, 2), damage.cut_tail(rec)),
}
LOST = {"bad magic": [4], "cut tail": [11], "cut to a third": None, "flipped image": [4], "two at once": [2, 11]}


def loaded_ids(path):
    pytest.importorskip("nvidia.dali", reason="DALI is not installed")
    loader = dali_rec.Loader(
        path, 4, 32, augment="eval", framework="numpy", device="cpu", shuffle=False, with_ids=True, seed=1
    )
    return [int(key) for _, _, keys in loader for key in keys]


def repaired(path, **options):
    return dali_rec.repair(dali_rec.verify(path), **options)


@pytest.mark.parametrize("kind", DAMAGE)
def test_repaired_data_set_opens_verifies_and_loads_without_the_bad_records(packed, kind):
    rec = packed.with_name("photos.rec")
    ids = [record.key for record in dali_rec.open(packed)]
    DAMAGE[kind](rec)
    as_it_was = (rec.read_bytes(), rec.stat().st_mtime_ns)
    assert not dali_rec.verify(packed).ok
    report = repaired(packed)
    remaining = ids if kind not in LOST else [key for key in ids if key not in (LOST[kind] or report.left_out)]
    assert (rec.read_bytes(), rec.stat().st_mtime_ns) == as_it_was
    assert report.records == len(remaining) > 2
    again = dali_rec.verify(packed)
    assert (again.faults, again.images) == ((), len(remaining))
    assert [record.key for record in dali_rec.open(packed)] == remaining
    assert loaded_ids(packed) == remaining
    manifest = read_manifest(rec.with_suffix(".json"))
    assert (manifest.records, manifest.bytes) == (len(remaining), rec.stat().st_size)
    assert manifest.shards[0].sha256 == hashlib.sha256(as_it_was[0]).hexdigest()
    assert manifest.classes == ("ant", "bee", "cat")
    listed = rec.with_suffix(".lst").read_text().splitlines()
    assert [int(line.split("\t")[0]) for line in listed] == remaining
    assert not list(rec.parent.glob("*.partial"))


@pytest.fixture
def foreign(tmp_path):
    """A file of MXNet's, and a list that names one image more than was packed."""
    for suffix in (".rec", ".idx"):
        shutil.copyfile(DATA / f"single{suffix}", tmp_path / f"x{suffix}")
    ids = [record.key for record in dali_rec.open(tmp_path / "x.rec")]
    (tmp_path / "x.lst").write_text("".join(f"{key}\t0.0\timages/{key}.jpg\n" for key in [*ids, 4711]))
    return tmp_path / "x.rec"


@pytest.mark.parametrize("with_index", [True, False])
@pytest.mark.parametrize("kind", ["bad magic", "cut tail", "flipped image"])
def test_foreign_file_is_repaired_without_a_manifest(foreign, kind, with_index):
    ids = [record.key for record in dali_rec.open(foreign)]
    DAMAGE[kind](foreign)
    before = foreign.read_bytes()
    if not with_index:
        foreign.with_suffix(".idx").unlink()
    report = repaired(foreign)
    remaining = [ids[row] for row in range(12) if row not in LOST[kind]]
    assert dali_rec.verify(foreign).ok
    assert [record.key for record in dali_rec.open(foreign)] == loaded_ids(foreign) == remaining
    assert foreign.read_bytes() == before
    assert not foreign.with_suffix(".json").exists()
    known = with_index or kind == "flipped image"  # else nobody knows which id the lost record had
    assert set(report.left_out) == (set(ids) - set(remaining) if known else set())
    listed = [int(line.split("\t")[0]) for line in foreign.with_suffix(".lst").read_text().splitlines()]
    assert listed == [*(remaining if known else ids), 4711]


def test_foreign_index_loses_its_entry_beyond_the_end(foreign):
    record = damage.index_beyond_the_end(foreign)
    assert repaired(foreign).left_out == (record.key,)
    assert dali_rec.verify(foreign).ok
    assert len(loaded_ids(foreign)) == 12


def test_record_whose_id_has_changed_is_left_out(packed):
    rec = packed.with_name("photos.rec")
    record = damage.locate(rec, 3)
    damage.overwrite(rec, record.offset + 16, (12345).to_bytes(8, "little"))
    assert repaired(packed).left_out == (record.key,)
    assert dali_rec.verify(packed).ok
    assert record.key not in loaded_ids(packed)


def test_index_that_numbers_anew_keeps_its_numbers(tmp_path):
    with dali_rec.RecordWriter(tmp_path / "x.rec") as writer:
        offsets = [writer.write_image(jpeg(key)[: 300 if key == 30 else None], 0.0, key) for key in (40, 30, 20)]
    (tmp_path / "x.idx").write_text("".join(f"{row}\t{offset}\n" for row, offset in enumerate(offsets)))
    assert repaired(tmp_path / "x.rec").records == 2
    assert read_index(tmp_path / "x.idx").keys.tolist() == [0, 2]
    assert dali_rec.verify(tmp_path / "x.rec").ok


def test_records_that_describe_faces_stay(tmp_path):
    for suffix in (".rec", ".idx"):
        shutil.copyfile(DATA / f"faces{suffix}", tmp_path / f"x{suffix}")
    damage.flipped_image(tmp_path / "x.rec", 4)
    assert repaired(tmp_path / "x.rec").records == 15
    kept = read_index(tmp_path / "x.idx").keys
    np.testing.assert_array_equal(kept, np.delete(np.arange(16), 4))
    assert dali_rec.verify(tmp_path / "x.rec").ok


@pytest.fixture
def sharded(class_folder, tmp_path):
    dali_rec.pack(class_folder, tmp_path / "x", shards=3, shuffle=False)
    return tmp_path / "x"


def test_damage_in_several_shards_is_repaired_and_the_others_are_left_as_they_are(sharded):
    first, second, third = (sharded.with_name(f"x-0000{number}-of-00003.rec") for number in range(3))
    gone = {damage.flipped_image(first, 1).key, damage.cut_tail(third).key}
    untouched = second.with_suffix(".idx").stat().st_mtime_ns
    report = repaired(sharded)
    assert (set(report.left_out), report.records) == (gone, 10)
    assert [path.name for path in report.written] == [
        "x-00000-of-00003.idx",
        "x-00002-of-00003.idx",
        "x.lst",
        "x.json",
    ]
    assert second.with_suffix(".idx").stat().st_mtime_ns == untouched
    assert dali_rec.verify(sharded).ok
    assert loaded_ids(sharded) == [record.key for record in dali_rec.open(sharded)]
    assert not gone & set(loaded_ids(sharded))


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("size", [0, 9])
def test_shard_with_nothing_left_in_it_stays_and_the_rest_loads(sharded, number, size):
    rec = sharded.with_name(f"x-0000{number}-of-00003.rec")
    rec.write_bytes(rec.read_bytes()[:size])
    assert repaired(sharded).records == 8
    assert dali_rec.verify(sharded).faults == ()
    assert len(loaded_ids(sharded)) == len(dali_rec.open(sharded)) == 8


def test_missing_shard_is_given_up_only_when_told_to(sharded, capsys):
    rec = sharded.with_name("x-00001-of-00003.rec")
    content = rec.read_bytes()
    rec.unlink()
    files = {path.name: path.read_bytes() for path in sharded.parent.glob("x*.*")}
    assert main(["verify", "--repair", str(sharded)]) == 1
    error = capsys.readouterr().err
    assert "x-00001-of-00003.rec missing, with 4 records" in error
    assert "--drop-missing-shards" in error
    assert {path.name: path.read_bytes() for path in sharded.parent.glob("x*.*")} == files
    assert main(["verify", "--repair", "--drop-missing-shards", str(sharded)]) == 0
    assert "without the shards x-00001-of-00003.rec" in capsys.readouterr().out
    assert len(dali_rec.open(sharded)) == len(loaded_ids(sharded)) == 8
    assert dali_rec.verify(sharded).ok
    assert len(sharded.with_name("x.lst").read_text().splitlines()) == 8
    rec.write_bytes(content)
    assert dali_rec.verify(rec).ok  # nothing of it was thrown away


def test_one_shard_alone_is_not_repaired(sharded):
    rec = sharded.with_name("x-00001-of-00003.rec")
    damage.flipped_image(rec, 1)
    with pytest.raises(DatasetError, match=r"repair the whole, 'dali-rec verify .*[/\\]x --repair'"):
        repaired(rec)


def test_appended_shard_alone_is_not_repaired(packed, class_folder):
    dali_rec.pack(class_folder, packed, append=True)
    rec = packed.with_name("photos-append1.rec")
    damage.flipped_image(rec, 1)
    with pytest.raises(DatasetError, match=r"repair the whole, 'dali-rec verify .*[/\\]photos --repair'"):
        repaired(rec)
    assert len(dali_rec.open(packed)) == 24


def test_nothing_left_is_refused(packed):
    rec = packed.with_name("photos.rec")
    rec.write_bytes(b"")
    with pytest.raises(DatasetError, match="no sound record is left"):
        repaired(packed)
    assert len(read_index(rec.with_suffix(".idx"))) == 12


def test_repair_without_decoding_is_refused(packed):
    damage.bad_magic(packed.with_name("photos.rec"))
    with pytest.raises(DatasetError, match="without --quick"):
        dali_rec.repair(dali_rec.verify(packed, decode=False))
    with pytest.raises(DatasetError, match=r"verify\(\)"):
        dali_rec.repair(dataclasses.replace(dali_rec.verify(packed), findings=None))


def test_file_that_changed_after_verifying_is_not_repaired(packed):
    rec = packed.with_name("photos.rec")
    damage.bad_magic(rec)
    report = dali_rec.verify(packed)
    damage.cut_tail(rec)
    with pytest.raises(DatasetError, match="has changed since it was verified"):
        dali_rec.repair(report)


def test_shards_that_were_added_after_verifying_are_not_lost_by_a_repair(packed, class_folder):
    damage.bad_magic(packed.with_name("photos.rec"))
    report = dali_rec.verify(packed)
    dali_rec.pack(class_folder, packed, append=True)
    with pytest.raises(DatasetError, match=r"photos\.json has changed since it was verified"):
        dali_rec.repair(report)
    assert len(json.loads(packed.with_suffix(".json").read_text())["shards"]) == 2
    dali_rec.repair(dali_rec.verify(packed))
    assert len(dali_rec.open(packed)) == 23


def test_sound_data_set_is_not_rewritten(packed, capsys):
    before = {path.name: path.stat().st_mtime_ns for path in packed.parent.iterdir()}
    assert main(["verify", "--repair", str(packed)]) == 0
    assert "repaired" not in capsys.readouterr().out
    assert repaired(packed).written == ()
    assert {path.name: path.stat().st_mtime_ns for path in packed.parent.iterdir()} == before


def test_manifest_whose_sum_is_wrong_is_set_right(packed):
    path = packed.with_name("photos.json")
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "records": 99}))
    assert [fault.kind for fault in dali_rec.verify(packed).faults] == ["manifest"]
    assert repaired(packed).records == read_manifest(path).records == 12
    assert dali_rec.verify(packed).ok


def test_duplicates_are_left_out_where_asked_the_first_stays(tmp_path, capsys):
    folder = make_class_folder(tmp_path / "photos", {"a": 3})
    shutil.copyfile(folder / "a" / "a_000.jpg", folder / "a" / "b.jpg")
    dali_rec.pack(folder, tmp_path / "x", shuffle=False)
    assert main(["verify", "--repair", str(tmp_path / "x")]) == 0
    assert len(dali_rec.open(tmp_path / "x")) == 4
    assert main(["verify", "--duplicates", str(tmp_path / "x")]) == 1
    assert f"'dali-rec verify {tmp_path / 'x'} --duplicates --repair' leaves out" in capsys.readouterr().out
    assert main(["verify", "--repair", "--duplicates", str(tmp_path / "x")]) == 0
    assert [record.key for record in dali_rec.open(tmp_path / "x")] == [0, 1, 2]
    assert main(["verify", "--duplicates", str(tmp_path / "x")]) == 0


def test_repair_after_a_repair_goes_on_from_there(packed):
    rec = packed.with_name("photos.rec")
    damage.flipped_image(rec, 2)
    repaired(packed)
    damage.flipped_image(rec, 5)
    report = repaired(packed)
    assert (report.records, len(report.left_out)) == (10, 1)
    assert dali_rec.verify(packed).ok
    rec.with_suffix(".idx").unlink()
    assert repaired(packed).records == 10
    assert dali_rec.verify(packed).ok


def test_index_that_brings_back_what_a_repair_left_out_is_refused_with_a_remedy_that_helps(packed):
    rec = packed.with_name("photos.rec")
    damage.flipped_image(rec, 2)
    repaired(packed)
    assert main(["index", str(rec)]) == 0
    with pytest.raises(IndexFileError, match=r"12 records, the manifest says 11: .*'dali-rec verify' .*--repair"):
        dali_rec.open(packed)
    repaired(packed)
    assert len(dali_rec.open(packed)) == 11


def test_command_says_what_was_left_out_and_written(packed, capsys):
    record = damage.flipped_image(packed.with_name("photos.rec"))
    assert main(["verify", "--repair", str(packed)]) == 0
    out = capsys.readouterr().out
    assert f"11 records remain; 1 left out (id {record.key}); written: photos.idx, photos.lst, photos.json" in out
    assert main(["verify", str(packed)]) == 0


def test_manifest_that_cannot_be_read_is_not_repaired(packed):
    manifest = packed.with_name("photos.json")
    manifest.write_bytes(manifest.read_bytes()[:50])
    files = {path: path.read_bytes() for path in packed.parent.glob("photos*") if path.is_file()}
    with pytest.raises(
        DatasetError, match=r"photos\.json cannot be read.*put it back from a copy.*nothing was changed"
    ):
        repaired(packed)
    assert {path: path.read_bytes() for path in files} == files
    manifest.unlink()
    assert repaired(packed).records == 12
