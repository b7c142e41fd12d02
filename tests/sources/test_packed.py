"""Data sets that are packed already as what is packed."""

import pickle
import shutil
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_kinds import jpeg_with
from record_sets import contents, payload, write_set
from support import DATA, jpeg

import dali_rec
from dali_rec.cli import main
from dali_rec.errors import (
    DatasetNotFoundError,
    ImageRejectedError,
    OutputExistsError,
    SourceError,
    TooManyBadImagesError,
)
from dali_rec.packing.reading import Origin, stamp_of
from dali_rec.recordio.framing import MAGIC_BYTES
from dali_rec.recordio.header import HEADER
from dali_rec.sources import SourceOptions, TableOptions, open_source

FILES = ("rec", "idx", "lst")


def bytes_of(prefix):
    return [prefix.with_name(f"{prefix.name}.{suffix}").read_bytes() for suffix in FILES]


def records_of(path):
    return [(record.key, record.labels.tolist(), bytes(record.image)) for record in dali_rec.open(path)]


@pytest.mark.parametrize("name", ["photos", "photos.rec", "photos.json"])
def test_packs_to_what_the_images_themselves_pack_to(class_folder, packed, tmp_path, name):
    dali_rec.pack(packed.with_name(name), tmp_path / "small", resize=16)
    dali_rec.pack(class_folder, tmp_path / "wanted", resize=16, shuffle=False)
    assert bytes_of(tmp_path / "small") == bytes_of(tmp_path / "wanted")
    assert dali_rec.open(tmp_path / "small").classes == ("ant", "bee", "cat")
    assert dali_rec.verify(tmp_path / "small").ok


def test_unchanged_images_are_copied_byte_for_byte(packed, tmp_path):
    dali_rec.pack(packed, tmp_path / "again")
    assert bytes_of(tmp_path / "again") == bytes_of(packed)


def test_shards_are_read_in_their_order_and_made_anew(class_folder, tmp_path):
    dali_rec.pack(class_folder, tmp_path / "four", shards=4)
    dali_rec.pack(tmp_path / "four", tmp_path / "one")
    dali_rec.pack(tmp_path / "four", tmp_path / "three", shards=3)
    dali_rec.pack(class_folder, tmp_path / "wanted")
    assert bytes_of(tmp_path / "one") == bytes_of(tmp_path / "wanted")
    assert records_of(tmp_path / "three") == records_of(tmp_path / "wanted")


def test_a_view_is_packed_with_its_ids_and_the_numbers_of_its_classes(packed, tmp_path):
    view = dali_rec.open(packed).subset(classes=["cat", "ant"])
    dali_rec.pack(view, tmp_path / "view", encoding="png")
    made = dali_rec.open(tmp_path / "view")
    assert [(record.key, record.labels.tolist()) for record in made] == [
        (record.key, record.labels.tolist()) for record in view
    ]
    assert made.classes == ("ant", "bee", "cat")
    assert {bytes(record.image[:4]) for record in made} == {b"\x89PNG"}


def test_views_in_a_mapping_are_splits(packed, tmp_path):
    whole = dali_rec.open(packed)
    training, validation = whole.split(0.7, 0.3)
    dali_rec.pack({"train": training, "val": validation}, tmp_path / "out", resize=16)
    for name, view in (("train", training), ("val", validation)):
        made = dali_rec.open(tmp_path / f"out-{name}")
        assert made.keys.tolist() == view.keys.tolist()
        assert made.class_indices.tolist() == view.class_indices.tolist()
        assert made.classes == whole.classes
        assert made.manifest.split == name


def test_a_view_of_nothing_is_refused(packed, tmp_path):
    with pytest.raises(SourceError, match="no records in it"):
        dali_rec.pack(dali_rec.open(packed).filter(lambda _: False), tmp_path / "view")


def test_files_in_several_folders_are_told_apart(class_folder, tmp_path):
    for folder, size in (("a", 16), ("b", 8)):
        dali_rec.pack(class_folder, tmp_path / folder / "x", resize=size)
    both = dali_rec.open([tmp_path / "a" / "x", tmp_path / "b" / "x.rec"])
    report = dali_rec.pack(both, tmp_path / "both")
    assert [bytes(one.image) for one in dali_rec.open(tmp_path / "both")] == [bytes(one.image) for one in both]
    assert "numbered anew" in report.notes[0]
    assert dali_rec.open(tmp_path / "both").keys.tolist() == list(range(24))


@pytest.mark.parametrize("name", ["single", "multi", "detection"])
def test_files_of_mxnet_keep_ids_and_labels(tmp_path, name):
    dali_rec.pack(DATA / f"{name}.rec", tmp_path / "out")
    assert records_of(tmp_path / "out") == records_of(DATA / f"{name}.rec")


def test_face_set_gives_its_images_with_their_class(tmp_path):
    dali_rec.pack(DATA / "faces.rec", tmp_path / "out")
    images = [(key, labels[:1], image) for key, labels, image in records_of(DATA / "faces.rec")]
    assert len(images) == 12
    assert records_of(tmp_path / "out") == images


def test_boxes_are_known_without_a_manifest_and_images_with_them_are_not_cut(tmp_path):
    with pytest.raises(SourceError, match="--center-crop cuts images and would leave their boxes wrong"):
        dali_rec.pack(DATA / "detection.rec", tmp_path / "out", center_crop=True)
    dali_rec.pack(DATA / "detection.rec", tmp_path / "out", resize=16)
    assert dali_rec.open(tmp_path / "out").manifest.label_kind == "boxes"
    assert [labels for _, labels, _ in records_of(tmp_path / "out")] == [
        labels for _, labels, _ in records_of(DATA / "detection.rec")
    ]


def test_paths_in_the_list_stay_also_urls_which_are_not_fetched(packed, tmp_path):
    path = packed.with_suffix(".lst")
    lines = path.read_text().splitlines()
    lines[3] = lines[3].rpartition("\t")[0] + "\thttp://127.0.0.1:9/x//y.jpg"
    del lines[5]
    path.write_text("\n".join(lines) + "\n")
    dali_rec.pack(packed, tmp_path / "again")
    lines.insert(5, "5\t1\tphotos.rec#5")
    assert (tmp_path / "again.lst").read_text().splitlines() == lines


def test_record_in_several_parts_comes_whole(tmp_path):
    images = [jpeg_with(bytes(pad) + MAGIC_BYTES, marker=0xFE) for pad in range(4)]
    prefix = write_set(tmp_path / "x", [payload(key, [0], image) for key, image in enumerate(images)], [0, 1, 2, 3])
    assert (tmp_path / "x.rec").read_bytes().count(MAGIC_BYTES) > 4  # one of them at least is split
    dali_rec.pack(tmp_path / "x.rec", tmp_path / "again")
    assert contents(tmp_path / "again") == contents(prefix)


def test_bad_image_is_rejected_by_its_path_file_and_offset(packed, tmp_path):
    offset = int(packed.with_suffix(".idx").read_text().splitlines()[2].split("\t")[1])
    data = bytearray(packed.with_suffix(".rec").read_bytes())
    data[offset + 8 + HEADER.size] = 0
    packed.with_suffix(".rec").write_bytes(data)
    with pytest.raises(TooManyBadImagesError, match=rf"ant/ant_002.jpg//photos.rec#{offset}: "):
        dali_rec.pack(packed, tmp_path / "again", strict=True)


def test_record_without_a_header_names_the_repair(tmp_path):
    write_set(tmp_path / "x", [payload(0, [0], jpeg()), b"note"], [0, 1])
    with pytest.raises(SourceError, match=r"x.rec: record at offset \d+: 4 bytes .*verify .*x.rec --repair' leaves"):
        dali_rec.pack(tmp_path / "x.rec", tmp_path / "again")


def test_record_that_goes_bad_after_it_was_listed_is_rejected(packed, tmp_path):
    source = open_source(packed)
    location = source.samples[4].location
    data = packed.with_suffix(".rec").read_bytes()
    packed.with_suffix(".rec").write_bytes(data[: len(data) // 4])
    with pytest.raises(ImageRejectedError, match=r"photos\.rec"):
        source.pixels.read(location)


@pytest.mark.parametrize("out", ["photos", "four"])
def test_what_is_read_is_not_written_over(class_folder, packed, out):
    dali_rec.pack(class_folder, packed.with_name("four"), shards=4)
    before = {path.name: path.read_bytes() for path in packed.parent.iterdir()}
    with pytest.raises(OutputExistsError, match="is what is being packed; name it otherwise"):
        dali_rec.pack(packed.with_name(out), packed.with_name(out), overwrite=True, resize=8)
    view = dali_rec.open(packed.with_name(out)).subset(classes="bee")
    with pytest.raises(OutputExistsError, match="is what is being packed; name it otherwise"):
        dali_rec.pack(view, packed.with_name(out), overwrite=True)
    assert {path.name: path.read_bytes() for path in packed.parent.iterdir()} == before


def test_folder_goes_before_a_data_set_of_the_same_prefix(class_folder, tmp_path):
    dali_rec.pack(class_folder / "ant", class_folder)
    assert len(open_source(class_folder).samples) == 12


def test_names_are_given_to_labels_that_have_none(packed, tmp_path):
    names = ("ape", "bat", "cow")
    dali_rec.pack(DATA / "single.rec", tmp_path / "out", classes=names)
    assert dali_rec.open(tmp_path / "out").classes == names
    with pytest.raises(SourceError, match=r"single\.rec: --classes names 2 classes, and id 2 "):
        dali_rec.pack(DATA / "single.rec", tmp_path / "few", classes=names[:2])
    with pytest.raises(SourceError, match="no names, and these have"):
        dali_rec.pack(packed, tmp_path / "other", classes=names)


def test_options_of_other_sources_are_refused(packed):
    with pytest.raises(SourceError, match="--columns, --label-column and the like go with a table"):
        open_source(packed, SourceOptions(table=TableOptions(("kind",))))
    with pytest.raises(SourceError, match="--root goes with"):
        open_source(packed, SourceOptions(root="."))


def test_prefix_without_its_files_is_an_error(packed, tmp_path):
    packed.with_suffix(".rec").unlink()
    with pytest.raises(DatasetNotFoundError, match=r"photos\.rec: no such file"):
        dali_rec.pack(packed, tmp_path / "again")
    with pytest.raises(SourceError, match="nothing: no such file or folder"):
        dali_rec.pack(tmp_path / "nothing", tmp_path / "again")


def test_images_are_read_by_other_processes_from_any_folder(packed, tmp_path, monkeypatch):
    monkeypatch.chdir(packed.parent)
    source = open_source("photos")
    elsewhere = pickle.loads(pickle.dumps(source.pixels.absolute()))
    monkeypatch.chdir(tmp_path)
    read = [elsewhere.read(sample.location) for sample in source.samples]
    assert read == [bytes(record.image) for record in dali_rec.open(packed)]
    assert not elsewhere.stays_here


def test_many_are_packed_by_several_processes(begun, tmp_path):
    images = [jpeg(seed, (16, 16)) for seed in range(10)]
    write_set(tmp_path / "x", [payload(key, [key % 3], images[key % 10]) for key in range(2100)], list(range(2100)))
    dali_rec.pack(tmp_path / "x.rec", tmp_path / "again", workers=8)
    assert len(begun) == 2
    assert contents(tmp_path / "again") == contents(tmp_path / "x")


def test_file_that_changes_is_noticed(packed):
    source = open_source(packed)
    origin, location = Origin(source.root, source.pixels), source.samples[0].location
    before = stamp_of(origin, location)
    assert before[0] == packed.with_suffix(".rec").stat().st_size
    shutil.copy(packed.with_suffix(".rec"), packed.with_suffix(".copy"))
    packed.with_suffix(".copy").replace(packed.with_suffix(".rec"))
    assert stamp_of(origin, location) != before


def test_command_packs_and_plans(packed, tmp_path, capsys):
    assert main(["pack", str(packed), str(tmp_path / "small"), "--resize", "16", "--dry-run"]) == 0
    assert "bee" in capsys.readouterr().out
    assert main(["pack", str(packed), str(tmp_path / "small"), "--resize", "16", "--format", "insightface"]) == 0
    assert np.array_equal(dali_rec.open(tmp_path / "small").class_indices, [0] * 3 + [1] * 4 + [2] * 5)


def test_list_gives_no_path_to_records_that_share_an_id(tmp_path):
    # As lists do whose ids the records do not have, which are 0 in all of them.
    write_set(tmp_path / "x", [payload(0, [float(key)], jpeg(key)) for key in range(3)], [0, 1, 2])
    (tmp_path / "x.idx").unlink()
    (tmp_path / "x.lst").write_text("0\t0\ta.jpg\n1\t1\tb.jpg\n2\t2\tc.jpg\n")
    dali_rec.pack(tmp_path / "x.rec", tmp_path / "out")
    assert (tmp_path / "out.lst").read_text() == "".join(f"{key}\t{key}\tx.rec#0\n" for key in range(3))


@pytest.mark.parametrize("label", ["7", "a.jpg"])
def test_list_of_another_packing_gives_no_paths(packed, tmp_path, label):
    # The ids are the same, 0 to N - 1, and the images others; or the columns are others, as in InsightFace's lists.
    lines = packed.with_suffix(".lst").read_text().splitlines()
    lines[-1] = f"11\t{label}\tcat/cat_004.jpg"
    packed.with_suffix(".lst").write_text("\n".join(lines) + "\n")
    dali_rec.pack(packed, tmp_path / "again")
    assert (tmp_path / "again.lst").read_text().splitlines()[0] == "0\t0\tphotos.rec#0"
    dali_rec.unpack(packed, tmp_path / "files")
    assert (tmp_path / "files" / "ant" / "00000000.jpg").is_file()


@pytest.mark.skipif(sys.platform != "win32", reason="of Windows")
def test_files_may_lie_on_several_drives(packed, tmp_path, monkeypatch):
    shutil.copytree(packed.parent, tmp_path / "other")

    def fail(*_paths):
        raise ValueError("Paths don't have the same drive")

    monkeypatch.setattr("os.path.commonpath", fail)
    monkeypatch.setattr("os.path.relpath", fail)
    with dali_rec.open(packed) as train, dali_rec.open(tmp_path / "other" / "photos") as val:
        report = dali_rec.pack({"train": train, "val": val}, tmp_path / "again")
    assert report.records == 24
    assert contents(tmp_path / "again-val") == contents(packed)


IDS = st.integers(0, 2**64 - 1).filter(lambda key: MAGIC_BYTES not in key.to_bytes(8, "little"))  # which are refused
PATHS = ("a b.jpg", "#1.jpg", "d/e#5.jpg", "d//f.jpg", *(() if sys.platform == "win32" else ("n\udcff.jpg",)))


@settings(max_examples=20)
@given(st.dictionaries(IDS, st.sampled_from(PATHS), min_size=1, max_size=6), st.data())
def test_a_packed_set_packs_to_what_its_list_packed_to(tmp_path, paths, data):
    for seed, name in enumerate(PATHS):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(jpeg(seed))
    labels = st.lists(st.integers(-9, 9), min_size=2, max_size=2)
    lines = [f"{key}\t{x}\t{y}\t{path}\n" for key, path in paths.items() for x, y in [data.draw(labels)]]
    (tmp_path / "x.lst").write_text("".join(lines), errors="surrogateescape")
    shards = data.draw(st.integers(1, len(paths)))
    dali_rec.pack(tmp_path / "x.lst", tmp_path / "first", shards=shards, overwrite=True)
    dali_rec.pack(tmp_path / "x.lst", tmp_path / "whole", overwrite=True)
    dali_rec.pack(tmp_path / "first", tmp_path / "again", overwrite=True)
    assert bytes_of(tmp_path / "again") == bytes_of(tmp_path / "whole")
