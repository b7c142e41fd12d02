import io
import json
import struct
import time

import damage
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from support import DATA, encoded, jpeg, make_class_folder, picture

import dali_rec
from dali_rec.arrange import merge
from dali_rec.cli import main
from dali_rec.errors import DatasetNotFoundError, IndexFileError
from dali_rec.inspection.jpeg_headers import read_frames
from dali_rec.recordio import RecordWriter
from dali_rec.recordio.framing import MAGIC, MAGIC_BYTES

PIXELS = (40, 32)


def write(path, images, labels=0.0):
    with RecordWriter(path) as writer:
        for key, image in enumerate(images):
            writer.write_image(image, labels[key] if isinstance(labels, list) else labels, key)
    return path


def frames_of(*images):
    lengths = np.cumsum([0, *map(len, images)])
    return read_frames(np.frombuffer(b"".join(images), np.uint8), lengths[:-1], lengths[1:])


def test_packed_folder_is_described_with_its_classes_and_its_manifest(class_folder, tmp_path):
    dali_rec.pack(class_folder, tmp_path / "x", shards=3, quality=90, resize=24)
    found = dali_rec.info(tmp_path / "x")
    assert (found.records, found.images, len(found.shards)) == (12, 12, 3)
    assert [(one.index, one.name, one.records) for one in found.classes] == [
        (0, "ant", 3),
        (1, "bee", 4),
        (2, "cat", 5),
    ]
    assert found.bytes == sum(shard.bytes for shard in found.shards) == dali_rec.open(tmp_path / "x").manifest.bytes
    assert (found.width, found.height) == ((30.0,) * 7, (24.0,) * 7)
    assert found.options["resize"] == 24
    assert found.engine_missed == found.not_images == {}


def test_data_set_is_called_by_its_prefix_where_it_has_several_files(class_folder, tmp_path, capsys):
    dali_rec.pack(class_folder, tmp_path / "x", shards=3)
    dali_rec.pack(class_folder, tmp_path / "y.v2")
    for path, name in (("x", "x"), ("x.json", "x"), ("x-00001-of-00003.rec",) * 2, ("y.v2", "y.v2.rec")):
        assert main(["info", str(tmp_path / path)]) == 0
        assert capsys.readouterr().out.splitlines()[0] == str(tmp_path / name)
    together = [tmp_path / "x.json", tmp_path / "y.v2"]
    assert dali_rec.info(together).name == str(tmp_path / "x-00000-of-00003.rec")


def test_class_without_records_is_listed_and_class_without_name_too(tmp_path):
    make_class_folder(tmp_path / "photos", {"a": 2, "b": 2})
    dali_rec.pack(tmp_path / "photos", tmp_path / "x", shuffle=False)
    manifest = tmp_path / "x.json"
    manifest.write_text(manifest.read_text().replace('"b"', '"b", "c"').replace('"classes": [\n', '"classes": [\n'))
    assert [one.records for one in dali_rec.info(tmp_path / "x").classes] == [2, 2, 0]
    found = dali_rec.info(write(tmp_path / "y.rec", [jpeg()] * 3, [5.0, 7.0, 7.0]))
    assert [(one.index, one.name, one.records) for one in found.classes] == [(5, None, 1), (7, None, 2)]


@pytest.mark.parametrize("with_index", [True, False])
@pytest.mark.parametrize(("name", "width", "at_most"), [("single", 1, 1), ("multi", 4, 4), ("detection", 7, 22)])
def test_files_of_mxnet_agree_with_pillow(tmp_path, name, width, at_most, with_index):
    for suffix in (".rec", ".idx") if with_index else (".rec",):
        (tmp_path / f"{name}{suffix}").write_bytes((DATA / f"{name}{suffix}").read_bytes())
    found = dali_rec.info(tmp_path / f"{name}.rec")
    dataset = dali_rec.open(tmp_path / f"{name}.rec")
    sizes = np.array([Image.open(io.BytesIO(record.image)).size for record in dataset])
    labels = np.concatenate([record.labels for record in dataset])
    assert (found.records, found.images, found.formats) == (12, 12, {"JPEG": 12})
    assert found.width == pytest.approx(np.quantile(sizes[:, 0], [0, 0.05, 0.25, 0.5, 0.75, 0.95, 1]))
    assert found.height == pytest.approx(np.quantile(sizes[:, 1], [0, 0.05, 0.25, 0.5, 0.75, 0.95, 1]))
    assert found.image_bytes[0] == min(len(record.image) for record in dataset)
    assert (found.labels.width, found.labels.width_at_most, found.labels.ragged) == (width, at_most, width != at_most)
    assert (found.labels.lowest, found.labels.highest) == (labels.min(), labels.max())
    assert (found.classes is None) == (name != "single")


def test_face_set_says_its_identities_and_counts_its_images():
    found = dali_rec.info(DATA / "faces.rec")
    assert (found.records, found.images, found.not_images, found.identities) == (12, 12, {}, 3)
    assert [one.records for one in found.classes] == [4, 4, 4]


def test_labels_are_those_of_samples_alone(tmp_path):
    with RecordWriter(tmp_path / "x.rec") as writer:
        for key, label in enumerate((1.0, 3.0)):
            writer.write_image(jpeg(key), label, key)
        writer.write_image(b"", [9.0, 9.0], 2)  # no image
        writer.write(b"short", 3)  # no header
    found = dali_rec.info(tmp_path / "x.rec")
    assert (found.images, found.not_images) == (2, {"no image": 1, "no header": 1})
    assert (found.labels.width, found.labels.width_at_most, found.labels.ragged) == (1, 1, False)
    assert (found.labels.lowest, found.labels.highest, found.labels.unusable) == (1.0, 3.0, 0)
    assert [one.records for one in found.classes] == [1, 1]


@pytest.mark.parametrize("with_index", [True, False])
def test_records_without_an_image_header_are_counted(tmp_path, with_index):
    rec = tmp_path / "magic.rec"
    rec.write_bytes((DATA / "magic.rec").read_bytes())
    if with_index:
        rec.with_suffix(".idx").write_bytes((DATA / "magic.idx").read_bytes())
    found = dali_rec.info(rec)
    assert (found.records, found.images, found.not_images) == (10, 0, {"no header": 10})


def test_columns_of_labels_have_their_ranges(tmp_path):
    labels = [[1.0, 0.5, -3.0], [2.0, 0.25], [4.0, float("inf"), 9.0]]
    found = dali_rec.info(write(tmp_path / "x.rec", [jpeg()] * 3, labels)).labels
    assert (found.width, found.width_at_most, found.ragged, found.unusable) == (2, 3, True, 1)
    assert [(one.lowest, one.highest, one.whole) for one in found.columns] == [
        (1, 4, True),
        (0.25, 0.5, False),
        (-3, 9, True),
    ]


@pytest.mark.parametrize("count", [33, 70])
def test_columns_past_those_shown_count_in_the_whole_range(tmp_path, count):
    labels = [[0.0] * (count - 1) + [float(value)] for value in (-8, 3)]
    found = dali_rec.info(write(tmp_path / "x.rec", [jpeg()] * 2, labels)).labels
    assert (found.width, len(found.columns), found.lowest, found.highest) == (count, 32, -8, 3)


def test_formats_and_modes_and_what_misses_the_engine(tmp_path):
    tall = picture(1, (30, 50))
    images = [
        encoded(tall),
        encoded(tall.convert("L")),
        encoded(tall, progressive=True),
        encoded(tall.convert("CMYK")),
        encoded(tall.convert("CMYK"), progressive=True),
        encoded(tall, "PNG"),
        encoded(tall.convert("P"), "PNG"),
        encoded(tall.convert("1"), "PNG"),
        Image.fromarray(np.zeros((50, 30), np.uint16)),
        encoded(tall, "WEBP"),
        encoded(tall, "WEBP", lossless=True),
        encoded(tall.convert("RGBA"), "WEBP", lossless=True),
        encoded(tall, "BMP"),
        encoded(tall, "GIF"),
        encoded(tall, "TIFF"),
        encoded(tall, "JPEG2000"),
        encoded(tall, "PPM"),
    ]
    images = [encoded(image, "PNG") if isinstance(image, Image.Image) else image for image in images]
    found = dali_rec.info(write(tmp_path / "x.rec", images))
    opened = [Image.open(io.BytesIO(image)) for image in images]
    assert found.formats == count([image.format for image in opened])
    assert found.modes == count([image.mode for image in opened])
    assert (found.width, found.height) == ((30.0,) * 7, (50.0,) * 7)
    assert found.jpeg == {"baseline": 3, "progressive": 2}
    assert found.cmyk_jpeg == 2
    assert found.engine_missed == {"not JPEG": 12, "CMYK": 2, "progressive": 1}


def count(names):
    return {name: names.count(name) for name in names}


@pytest.mark.parametrize(("subsampling", "name"), [(0, "4:4:4"), (1, "4:2:2"), (2, "4:2:0")])
def test_chroma_sampling(tmp_path, subsampling, name):
    images = [jpeg(1, subsampling=subsampling), encoded(picture(1, mode="L"))]
    assert dali_rec.info(write(tmp_path / "x.rec", images)).sampling == {name: 1}


def test_what_is_no_image_or_has_a_damaged_header_is_counted(tmp_path):
    photo, png, webp = jpeg(), encoded(picture(), "PNG"), encoded(picture(), "WEBP")
    junk = [b"x", b"hello, this is text", b"BM but no bitmap at all", np.arange(40.0).tobytes(), b"\xff\xd8\xff"]
    images = [photo, png, webp, b"", *junk, photo[:60], png[:20], png[:12] + b"IDAT" + png[16:], webp[:16]]
    found = dali_rec.info(write(tmp_path / "x.rec", images))
    assert (found.records, found.images) == (13, 3)
    assert found.not_images == {"damaged": 5, "not an image": 4, "no image": 1}
    assert found.engine_missed == {"not JPEG": 2, "damaged header": 5}


def test_split_record_is_put_together(tmp_path):
    photo = jpeg()
    comment = bytes(2) + MAGIC_BYTES * 3  # before the frame header, so that the walk crosses the splits
    photo = photo[:2] + b"\xff\xfe" + struct.pack(">H", len(comment) + 2) + comment + photo[2:]
    rec = write(tmp_path / "x.rec", [photo, b"\0" * 4 + MAGIC_BYTES], 3.0)
    assert rec.read_bytes().count(MAGIC_BYTES) > 2
    found = dali_rec.info(rec)
    assert (found.formats, found.width[0], found.not_images) == ({"JPEG": 1}, 40, {"not an image": 1})
    assert [(one.index, one.records) for one in found.classes] == [(3, 2)]


def test_label_count_beyond_the_record_is_no_header(tmp_path):
    rec = write(tmp_path / "x.rec", [jpeg(), jpeg()])
    damage.overwrite(rec, 8, struct.pack("<I", 0xFFFFFFFF))
    assert dali_rec.info(rec).not_images == {"no header": 1}


def test_bad_magic_is_counted_where_the_index_points(packed):
    damage.bad_magic(packed.with_name("photos.rec"))
    found = dali_rec.info(packed)
    assert (found.records, found.images, found.not_images) == (12, 11, {"no record": 1})


def test_flipped_image_keeps_its_header(packed):
    damage.flipped_image(packed.with_name("photos.rec"))
    assert dali_rec.info(packed).images == 12


def test_wrong_checksum_is_not_looked_at(packed):
    damage.wrong_checksum(packed.with_name("photos.json"))
    assert dali_rec.info(packed).images == 12


def test_index_of_a_smaller_file_is_counted_and_of_a_larger_refused(packed, class_folder, tmp_path):
    dali_rec.pack(class_folder, tmp_path / "small", resize=8, shuffle=False)
    damage.index_of_another_file(packed.with_name("photos.rec"), tmp_path / "small.idx")
    found = dali_rec.info(packed)
    assert (found.images, found.not_images) == (1, {"no record": 11})  # the first offset is 0 in both
    damage.index_of_another_file(packed.with_name("photos.rec"), DATA / "multi.idx")
    with pytest.raises(IndexFileError, match="another data set"):
        dali_rec.info(packed)


@pytest.mark.parametrize("by", [8, 700])
def test_cut_tail_of_a_foreign_file_leaves_the_whole_records(tmp_path, by):
    rec = tmp_path / "x.rec"
    rec.write_bytes((DATA / "single.rec").read_bytes()[:-by])
    found = dali_rec.info(rec)
    assert (found.records, found.images, found.not_images) == (11, 11, {"no record": 1})
    (tmp_path / "x").mkdir()  # of its images
    assert dali_rec.info(tmp_path / "x") == found


@pytest.mark.parametrize("harm", [damage.cut_tail, damage.index_beyond_the_end])
def test_what_cannot_be_opened_is_an_error_of_one_line_with_the_remedy(packed, capsys, harm):
    harm(packed.with_name("photos.rec"))
    assert main(["info", str(packed)]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "dali-rec verify" in error or "dali-rec index" in error


def test_missing_shard_and_missing_data_set_are_errors(class_folder, tmp_path):
    dali_rec.pack(class_folder, tmp_path / "x", shards=2)
    (tmp_path / "x-00001-of-00002.rec").unlink()
    with pytest.raises(DatasetNotFoundError, match="x-00001-of-00002"):
        dali_rec.info(tmp_path / "x")
    with pytest.raises(DatasetNotFoundError):
        dali_rec.info(tmp_path / "nothing")


def test_long_options_and_narrow_terminals(class_folder, tmp_path, capsys, monkeypatch):
    dali_rec.pack(class_folder, tmp_path / "x", shards=12)
    merge([tmp_path / "x"], tmp_path / "y")
    monkeypatch.setenv("COLUMNS", "30")
    assert main(["info", str(tmp_path / "y")]) == 0
    out = "".join(line.strip() for line in capsys.readouterr().out.splitlines())
    assert 'interpolation="bicubic"' in out
    assert 'inputs=[{"files":["x-00000-of-00012.rec"' in out
    assert "x-00011-of-00012.rec" not in out


def test_empty_file_is_no_crash(tmp_path, capsys):
    (tmp_path / "x.rec").write_bytes(b"")
    assert dali_rec.info(tmp_path / "x.rec").records == 0
    assert main(["info", str(tmp_path / "x.rec")]) == 0
    assert "x.rec" in capsys.readouterr().out


def test_fill_bytes_and_long_segments_are_walked(tmp_path):
    photo = jpeg()
    filled = photo[:2] + b"\xff" * 9 + photo[2:]
    padded = photo[:2] + b"\xff\xe5\xff\xff" + bytes(0xFFFD) + photo[2:]
    bare = photo[:2] + b"\xff\x01\xff\xd3" + photo[2:]  # markers without a length
    frames = frames_of(photo, filled, padded, bare)
    assert frames.found.all()
    assert (frames.width.tolist(), frames.height.tolist()) == ([40] * 4, [32] * 4)


@given(cut=st.integers(2, 700), at=st.integers(2, 650), byte=st.integers(0, 255))
def test_walk_ends_and_stays_inside_whatever_the_bytes(cut, at, byte):
    photo = bytearray(jpeg())
    photo[at] = byte
    alone = frames_of(bytes(photo[:cut]))
    beside = frames_of(bytes(photo[:cut]), jpeg(1, (64, 64)))
    assert alone.found[0] == beside.found[0]
    assert alone.width[0] == beside.width[0]
    assert beside.width[1] == 64


def test_frames_agree_with_pillow_on_photographs(photographs):
    files = [path.read_bytes() for path in sorted(photographs.rglob("*.jpg"))]
    frames = frames_of(*files)
    for row, file in enumerate(files):
        with Image.open(io.BytesIO(file)) as image:
            assert (frames.width[row], frames.height[row]) == image.size
            assert frames.components[row] == len(image.getbands())
            assert (frames.process[row] == 2) == bool(image.info.get("progressive"))


def test_hundred_thousand_records_take_less_than_two_seconds(tmp_path):
    images = [jpeg(seed, (40 + seed, 32)) for seed in range(10)]
    lines, parts, offset = [], [], 0
    for key in range(100_000):
        payload = struct.pack("<IfQQ", 0, key % 100, key, 0) + images[key % 10]
        parts.append(struct.pack("<II", MAGIC, len(payload)) + payload + bytes(-len(payload) & 3))
        lines.append(f"{key}\t{offset}\n")
        offset += len(parts[-1])
    (tmp_path / "x.rec").write_bytes(b"".join(parts))
    (tmp_path / "x.idx").write_text("".join(lines))
    began = time.process_time()
    found = dali_rec.info(tmp_path / "x.rec")
    assert time.process_time() - began < 2
    assert (found.images, len(found.classes), found.width[0], found.width[-1]) == (100_000, 100, 40, 49)


def test_command_prints_tables(capsys, packed):
    assert main(["info", str(packed)]) == 0
    out = capsys.readouterr().out
    for expected in ("12 JPEG", "2 cat", "12 baseline", "takes every image", "median", "dali-rec"):
        assert expected in out


def test_command_prints_json_a_line_a_data_set(capsys, packed):
    assert main(["info", str(packed), str(DATA / "multi.rec"), "--json"]) == 0
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first["formats"] == {"JPEG": 12}
    assert first["classes"][2] == {"index": 2, "name": "cat", "records": 5}
    assert second["classes"] is None
    assert len(second["labels"]["columns"]) == 4


def test_info_is_shown_in_few_words(class_folder, tmp_path):
    picture().save(class_folder / "ant" / "x.png")
    report = dali_rec.pack(class_folder, tmp_path / "x", shards=2)
    size = f"{report.bytes / 1000:.3g} kB"
    wanted = f"13 records, 3 classes, 2 shards, {size}, 12 JPEG, 1 PNG"
    assert repr(dali_rec.info(tmp_path / "x")) == f"<DatasetInfo of {tmp_path / 'x'}: {wanted}>"


def test_info_of_boxes_counts_their_objects_and_what_is_no_image(tmp_path):
    boxes = [2.0, 5.0, 1.0, 0.1, 0.1, 0.5, 0.5, 0.0, 0.2, 0.2, 0.9, 0.9]
    with RecordWriter(tmp_path / "x.rec") as writer:
        writer.write_image(jpeg(), boxes)
        writer.write_image(b"no image", boxes)
    size = f"{(tmp_path / 'x.rec').stat().st_size / 1000:.3g} kB"
    wanted = f"2 records, 4 objects, 2 classes, 1 shard, {size}, 1 JPEG, 1 not an image"
    assert repr(dali_rec.info(tmp_path / "x.rec")) == f"<DatasetInfo of {tmp_path / 'x.rec'}: {wanted}>"
