import pytest
from support import DATA, jpeg

import dali_rec
from dali_rec.errors import DatasetNotFoundError
from dali_rec.recordio import RecordReader


def kinds(report):
    return [fault.kind for fault in report.faults]


def test_sound_data_set_has_no_faults(class_folder, tmp_path):
    dali_rec.pack(class_folder, tmp_path / "x", shards=3)
    report = dali_rec.verify(tmp_path / "x")
    assert (report.records, report.images, report.ok) == (12, 12, True)


@pytest.mark.parametrize("name", ["single", "multi", "detection"])
def test_files_of_mxnet_have_no_faults(name):
    report = dali_rec.verify(DATA / f"{name}.rec")
    assert (report.records, report.images, report.ok) == (12, 12, True)


def test_damaged_image_is_named_by_offset_and_id(tmp_path):
    with dali_rec.RecordWriter(tmp_path / "x.rec") as writer:
        for key in (10, 11, 12):
            image = jpeg(key)
            offset = writer.write_image(image[:200] if key == 11 else image, 0.0, key)
            if key == 11:
                damaged = offset
    report = dali_rec.verify(tmp_path / "x.rec")
    assert [(fault.kind, fault.offset, fault.key) for fault in report.faults] == [("image", damaged, 11)]
    assert report.images == 2


def test_check_goes_on_after_a_damaged_head(packed):
    rec = packed.with_name("photos.rec")
    with RecordReader(rec) as reader:
        offset = int(reader.index.offsets[4])
    data = bytearray(rec.read_bytes())
    data[offset : offset + 4] = b"\0\0\0\0"
    rec.write_bytes(data)
    report = dali_rec.verify(packed)
    assert report.records == 11
    assert kinds(report) == ["framing", "index", "manifest", "checksum"]
    assert report.faults[0].offset == report.faults[1].offset == offset


def test_cut_tail_is_named(packed):
    rec = packed.with_name("photos.rec")
    rec.write_bytes(rec.read_bytes()[:-8])
    report = dali_rec.verify(packed)
    assert report.records == 11
    assert kinds(report) == ["framing", "index", "manifest", "manifest", "checksum"]


def test_index_of_another_file_is_named(packed):
    packed.with_name("photos.idx").write_bytes((DATA / "single.idx").read_bytes())
    report = dali_rec.verify(packed)
    assert set(kinds(report)) == {"index"}
    assert "rebuilds it" in report.faults[0].message


def test_changed_bytes_are_noticed_by_the_checksum(packed):
    rec = packed.with_name("photos.rec")
    data = bytearray(rec.read_bytes())
    at = data.rindex(b"JFIF")
    data[at : at + 4] = b"JFIX"  # harmless to the decoder
    rec.write_bytes(data)
    assert "checksum" in kinds(dali_rec.verify(packed))


def test_missing_shard_is_named(class_folder, tmp_path):
    dali_rec.pack(class_folder, tmp_path / "x", shards=3)
    (tmp_path / "x-00001-of-00003.rec").unlink()
    report = dali_rec.verify(tmp_path / "x")
    assert kinds(report) == ["file"]
    assert "x-00001-of-00003.rec" in str(report.faults[0])


def test_nothing_to_verify_is_an_error(tmp_path):
    with pytest.raises(DatasetNotFoundError):
        dali_rec.verify(tmp_path / "x")
