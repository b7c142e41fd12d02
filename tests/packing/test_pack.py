import hashlib
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from kills import kill_when_written, long_list
from PIL import Image
from support import DATA, encoded, jpeg, make_class_folder, picture

import dali_rec
from dali_rec.errors import OutputExistsError, SourceError, TooManyBadImagesError
from dali_rec.manifest import read_manifest
from dali_rec.packing.bad_images import describe
from dali_rec.packing.report import Rejection
from dali_rec.sources.sample import Sample

SUFFIXES = (".rec", ".idx", ".lst", ".json")


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def write_list(folder, rows):
    path = folder / "x.lst"
    path.write_text("".join(f"{number}\t{label}\t{name}\n" for number, (label, name) in enumerate(rows)))
    return path


def test_class_folder_becomes_records_with_untouched_bytes(class_folder, tmp_path):
    report = dali_rec.pack(class_folder, tmp_path / "out" / "x")
    dataset = dali_rec.open(tmp_path / "out" / "x")
    paths = {}
    for line in (tmp_path / "out" / "x.lst").read_text().splitlines():
        key, label, path = line.split("\t")
        paths[int(key)] = (float(label), path)
    assert report.records == len(dataset) == 12
    assert dataset.classes == ("ant", "bee", "cat")
    for record in dataset:
        label, path = paths[record.key]
        assert bytes(record.image) == (class_folder / path).read_bytes()
        assert record.labels.tolist() == [label]
        assert dataset.classes[int(label)] == path.split("/")[0]


def test_only_the_four_files_are_left(packed):
    assert sorted(path.name for path in packed.parent.iterdir()) == sorted(f"photos{suffix}" for suffix in SUFFIXES)


def test_ids_run_from_zero_in_packing_order(class_folder, tmp_path):
    dali_rec.pack(class_folder, tmp_path / "x")
    assert [record.key for record in dali_rec.open(tmp_path / "x")] == list(range(12))


def test_folder_is_shuffled_by_its_seed_unless_told_not_to(class_folder, tmp_path):
    def labels(name, **options):
        dali_rec.pack(class_folder, tmp_path / name, **options)
        return [float(record.labels[0]) for record in dali_rec.open(tmp_path / name)]

    first, again, other = labels("a"), labels("b"), labels("c", seed=1)
    plain = labels("d", shuffle=False)
    assert first == again
    assert len({tuple(first), tuple(other), tuple(plain)}) == 3
    assert plain == sorted(plain) == sorted(first)


def test_list_keeps_its_order_and_ids_unless_told_to_shuffle(tmp_path):
    dali_rec.pack(DATA / "list.lst", tmp_path / "x", root=DATA / "img")
    assert [record.key for record in dali_rec.open(tmp_path / "x")] == list(range(12))
    dali_rec.pack(DATA / "list.lst", tmp_path / "y", root=DATA / "img", shuffle=True)
    shuffled = [record.key for record in dali_rec.open(tmp_path / "y")]
    assert shuffled != sorted(shuffled) == list(range(12))


@pytest.mark.parametrize(("source", "reference"), [("list.lst", "single"), ("list4.lst", "multi")])
def test_list_is_packed_byte_for_byte_as_by_mxnet(tmp_path, source, reference):
    dali_rec.pack(DATA / source, tmp_path / "x", root=DATA / "img")
    for suffix in (".rec", ".idx"):
        assert (tmp_path / f"x{suffix}").read_bytes() == (DATA / f"{reference}{suffix}").read_bytes()


def test_written_list_packs_to_the_same_records(class_folder, tmp_path):
    dali_rec.pack(class_folder, tmp_path / "x")
    dali_rec.pack(tmp_path / "x.lst", tmp_path / "y", root=class_folder)
    for suffix in (".rec", ".idx", ".lst"):
        assert (tmp_path / f"x{suffix}").read_bytes() == (tmp_path / f"y{suffix}").read_bytes()


@pytest.mark.parametrize("options", [{}, {"resize": 24}, {"shards": 3}])
def test_output_does_not_depend_on_the_number_of_workers(class_folder, tmp_path, options):
    for workers in (1, 2, 7):
        dali_rec.pack(class_folder, tmp_path / str(workers) / "x", workers=workers, **options)
    assert contents(tmp_path / "1") == contents(tmp_path / "2") == contents(tmp_path / "7")


def test_manifest_says_what_was_packed(class_folder, tmp_path):
    (class_folder / "ant" / "wide.png").write_bytes(encoded(picture(99, (300, 20)), "PNG"))
    dali_rec.pack(class_folder, tmp_path / "x", shards=2)
    manifest = read_manifest(tmp_path / "x.json")
    assert (manifest.records, manifest.classes, manifest.label_width) == (13, ("ant", "bee", "cat"), 1)
    assert (manifest.label_kind, manifest.max_width, manifest.max_height) == ("class", 300, 32)
    assert [shard.rec for shard in manifest.shards] == ["x-00000-of-00002.rec", "x-00001-of-00002.rec"]
    assert [shard.records for shard in manifest.shards] == [6, 7]
    assert sum(shard.bytes for shard in manifest.shards) == manifest.bytes
    for shard in manifest.shards:
        assert hashlib.sha256((tmp_path / shard.rec).read_bytes()).hexdigest() == shard.sha256


@pytest.mark.posix
def test_checksums_of_the_manifest_are_those_of_sha256sum(packed):
    for shard in read_manifest(packed.with_suffix(".json")).shards:
        command = ["sha256sum", packed.with_name(shard.rec)]
        assert subprocess.run(command, capture_output=True, check=True, text=True).stdout.split()[0] == shard.sha256


# Bad images


@pytest.fixture
def folder_with_bad_images(tmp_path):
    """Eight good images, and one each that is cut short, corrupt, empty, text, or missing."""
    make_class_folder(tmp_path / "photos", {"good": 8}, size=(200, 160))
    bad = tmp_path / "photos" / "bad"
    bad.mkdir()
    whole = jpeg(50, (200, 160))
    (bad / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    middle = len(whole) // 2
    (bad / "corrupt.jpg").write_bytes(whole[:middle] + b"\xff\xd9" * 20 + whole[middle + 40 :])
    (bad / "empty.jpg").write_bytes(b"")
    (bad / "text.jpg").write_text("this is not an image")
    (bad / "cut.png").write_bytes(encoded(picture(51), "PNG")[:-30])
    (bad / "cut.gif").write_bytes(encoded(picture(52), "GIF")[:-200])
    rows = [(0, f"good/good_{number:03d}.jpg") for number in range(8)]
    rows += [(1, f"bad/{path.name}") for path in sorted(bad.iterdir())] + [(1, "bad/missing.jpg")]
    write_list(tmp_path / "photos", rows)
    return tmp_path / "photos"


REASONS = {
    "bad/cut.jpg": "Premature end of JPEG file",
    "bad/corrupt.jpg": "Corrupt JPEG data",
    "bad/empty.jpg": "the file is empty",
    "bad/text.jpg": "not an image: it begins with b'this is not an i'",
    "bad/cut.png": "cannot be decoded",
    "bad/cut.gif": "cannot be decoded",
    "bad/missing.jpg": "no such file",
}


@pytest.mark.parametrize("resize", [None, 64])
def test_bad_images_are_rejected_with_the_reason_and_the_rest_is_packed(folder_with_bad_images, tmp_path, resize):
    report = dali_rec.pack(folder_with_bad_images / "x.lst", tmp_path / "out" / "x", max_bad=10, resize=resize)
    rejected = [json.loads(line) for line in (tmp_path / "out" / "x.rejected.jsonl").read_text().splitlines()]
    reasons = {entry["path"]: entry["reason"] for entry in rejected}
    assert reasons.keys() == REASONS.keys()
    for path, reason in REASONS.items():
        assert reason in reasons[path]
    assert (report.records, len(report.rejections)) == (8, 7)
    assert [record.key for record in dali_rec.open(tmp_path / "out" / "x")] == list(range(8))
    assert len((tmp_path / "out" / "x.lst").read_text().splitlines()) == 8
    assert dali_rec.verify(tmp_path / "out" / "x").ok


def test_more_bad_images_than_allowed_fail_and_are_listed(folder_with_bad_images, tmp_path):
    with pytest.raises(TooManyBadImagesError, match=r"4 bad images among the first .*, more than the 3 of 15"):
        dali_rec.pack(folder_with_bad_images / "x.lst", tmp_path / "out" / "x", max_bad=0.2)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["x.rejected.jsonl"]
    assert len((tmp_path / "out" / "x.rejected.jsonl").read_text().splitlines()) == 4


def test_list_whose_paths_lead_nowhere_is_told_of_the_root(class_folder, tmp_path):
    (tmp_path / "x.lst").write_text("0\t0\tant/ant_000.jpg\n1\t1\tbee/bee_000.jpg\n")
    with pytest.raises(TooManyBadImagesError, match=r"begin elsewhere, say --root FOLDER"):
        dali_rec.pack(tmp_path / "x.lst", tmp_path / "y")
    (class_folder / "ant" / "ant_000.jpg").write_bytes(b"")
    with pytest.raises(TooManyBadImagesError, match=r"ant_000.jpg: the file is empty") as caught:
        dali_rec.pack(tmp_path / "x.lst", tmp_path / "y", root=class_folder)
    assert "--root" not in str(caught.value)


def test_reason_that_begins_with_the_url_is_said_once():
    url = "https://host/1.jpg"
    bad = [Rejection(Sample(0, (0.0,), url), f"{url}: HTTP status 404"), Rejection(Sample(1, (0.0,), "2.jpg"), "empty")]
    assert describe(bad) == f"{url}: HTTP status 404; 2.jpg: empty"


def test_default_allows_one_bad_image_in_a_hundred(tmp_path):
    folder = make_class_folder(tmp_path / "photos", {"a": 199}, size=(8, 8))
    (folder / "a" / "zz.jpg").write_bytes(b"")
    assert dali_rec.pack(folder, tmp_path / "x").records == 199
    (folder / "a" / "zzz.jpg").write_bytes(b"")
    assert dali_rec.pack(folder, tmp_path / "y").records == 199
    (folder / "a" / "zzzz.jpg").write_bytes(b"")
    with pytest.raises(TooManyBadImagesError):
        dali_rec.pack(folder, tmp_path / "z")


def test_strict_stops_at_the_first_bad_image(folder_with_bad_images, tmp_path):
    with pytest.raises(TooManyBadImagesError, match=r"bad/corrupt\.jpg: damaged JPEG"):
        dali_rec.pack(folder_with_bad_images / "x.lst", tmp_path / "out" / "x", strict=True)


def test_id_that_dali_cannot_read_back_is_rejected(tmp_path):
    (tmp_path / "a.jpg").write_bytes(jpeg())
    (tmp_path / "x.lst").write_text("3470205706\t0\ta.jpg\n1\t0\ta.jpg\n")
    report = dali_rec.pack(tmp_path / "x.lst", tmp_path / "out" / "x", max_bad=1)
    assert report.rejections[0].reason.startswith("record 3470205706: ")  # and not the file in the work folder
    assert report.records == 1


def test_nothing_but_bad_images_is_an_error(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "a.jpg").write_bytes(b"")
    with pytest.raises(TooManyBadImagesError, match="not one image"):
        dali_rec.pack(tmp_path, tmp_path / "x", max_bad=5)


# Resizing


def test_larger_images_are_scaled_to_the_shorter_side(tmp_path):
    folder = make_class_folder(tmp_path / "photos", {"a": 2}, size=(301, 200))
    dali_rec.pack(folder, tmp_path / "x", resize=100)
    sizes = {dali_rec.decode_image(record.image).shape for record in dali_rec.open(tmp_path / "x")}
    assert sizes == {(100, 150, 3)}


def test_resized_pixels_are_those_of_pillow(tmp_path):
    (tmp_path / "a").mkdir()
    original = picture(3, (400, 300))
    (tmp_path / "a" / "a.png").write_bytes(encoded(original, "PNG"))
    dali_rec.pack(tmp_path, tmp_path / "x", resize=100, quality=100)
    found = dali_rec.decode_image(dali_rec.open(tmp_path / "x")[0].image).astype(int)
    wanted = np.asarray(original.resize((133, 100), Image.Resampling.BOX)).astype(int)
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).mean() < 1.5


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_outlives_resizing(tmp_path, orientation, kind):
    (tmp_path / "a").mkdir()
    exif = Image.Exif()
    exif[0x0112] = orientation
    original = encoded(picture(3, (240, 160)), kind, exif=exif, quality=95)
    (tmp_path / "a" / f"a.{kind.lower()}").write_bytes(original)
    dali_rec.pack(tmp_path, tmp_path / "x", resize=80)
    found = dali_rec.decode_image(dali_rec.open(tmp_path / "x")[0].image).astype(int)
    upright = Image.fromarray(dali_rec.decode_image(original))
    wanted = np.asarray(upright.resize((found.shape[1], found.shape[0]), Image.Resampling.BOX)).astype(int)
    assert min(found.shape[:2]) == 80
    assert np.abs(found - wanted).mean() < 4


def test_small_images_are_left_untouched_by_resize(class_folder, tmp_path):
    dali_rec.pack(class_folder, tmp_path / "x", shuffle=False)
    dali_rec.pack(class_folder, tmp_path / "y", shuffle=False, resize=32)
    assert (tmp_path / "x.rec").read_bytes() == (tmp_path / "y.rec").read_bytes()


@pytest.mark.parametrize(
    ("mode", "kind"), [("L", "JPEG"), ("CMYK", "JPEG"), ("RGBA", "PNG"), ("P", "PNG"), ("L", "PNG")]
)
def test_every_mode_can_be_resized(tmp_path, mode, kind):
    (tmp_path / "a").mkdir()
    original = picture(3, (300, 200), mode)
    (tmp_path / "a" / f"a.{kind.lower()}").write_bytes(encoded(original, kind))
    dali_rec.pack(tmp_path, tmp_path / "x", resize=50)
    found = dali_rec.decode_image(dali_rec.open(tmp_path / "x")[0].image).astype(int)
    wanted = np.asarray(original.convert("RGB").resize((75, 50), Image.Resampling.BOX)).astype(int)
    assert np.abs(found - wanted).mean() < 4


# Atomicity


def test_existing_data_set_is_not_replaced_unasked(class_folder, packed):
    before = contents(packed.parent)
    with pytest.raises(OutputExistsError, match="say --overwrite"):
        dali_rec.pack(class_folder, packed)
    assert contents(packed.parent) == before


@pytest.mark.posix  # a link
def test_link_to_what_is_not_there_now_is_not_replaced_unasked(class_folder, tmp_path):
    link = tmp_path / "x.rec"
    link.symlink_to(tmp_path / "disk" / "x.rec")
    with pytest.raises(OutputExistsError, match=r"x\.rec exists already"):
        dali_rec.pack(class_folder, tmp_path / "x")
    assert link.is_symlink()
    dali_rec.pack(class_folder, tmp_path / "x", overwrite=True)
    assert not link.is_symlink()


def test_list_is_not_written_over_by_its_own_data_set(tmp_path):
    (tmp_path / "a.jpg").write_bytes(jpeg())
    path = write_list(tmp_path, [(0, "a.jpg")])
    before = path.read_bytes()
    with pytest.raises(OutputExistsError, match="is what is being packed"):
        dali_rec.pack(path, tmp_path / "x", overwrite=True)
    assert path.read_bytes() == before


def test_overwriting_removes_the_shards_of_the_old_data_set(class_folder, tmp_path):
    dali_rec.pack(class_folder, tmp_path / "out" / "x", shards=4)
    dali_rec.pack(class_folder, tmp_path / "out" / "x", shards=1, overwrite=True)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(f"x{suffix}" for suffix in SUFFIXES)
    lines = (tmp_path / "out" / "x.lst").read_text().splitlines()
    assert [int(line.split("\t")[0]) for line in lines] == list(range(12))


def test_failed_run_leaves_the_old_data_set(class_folder, packed):
    (class_folder / "ant" / "bad.jpg").write_bytes(b"")
    before = contents(packed.parent)
    with pytest.raises(TooManyBadImagesError):
        dali_rec.pack(class_folder, packed, overwrite=True)
    after = contents(packed.parent)
    after.pop("photos.rejected.jsonl")
    assert after == before


def test_killing_at_any_moment_leaves_nothing_under_the_final_names(tmp_path):
    listed, size = long_list(tmp_path, 400)
    out = tmp_path / "out"
    command = [sys.executable, "-m", "dali_rec", "pack", str(listed), str(out / "x"), "--workers", "1"]
    for share in (0, 0.3, 0.8):
        kill_when_written(command, out / "x.packing", share * size)
        assert [path.name for path in out.iterdir()] == ["x.packing"]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
    assert sorted(path.name for path in out.iterdir()) == sorted(f"x{suffix}" for suffix in SUFFIXES)
    assert dali_rec.verify(out / "x").records == 400


def test_folder_of_someone_else_is_not_used_for_work(class_folder, tmp_path):
    (tmp_path / "x.packing").mkdir()
    (tmp_path / "x.packing" / "thesis.tex").write_text("years of work")
    with pytest.raises(OutputExistsError, match="holds other files"):
        dali_rec.pack(class_folder, tmp_path / "x")
    assert (tmp_path / "x.packing" / "thesis.tex").exists()


# Options


def test_more_shards_than_images_are_refused(class_folder, tmp_path):
    with pytest.raises(SourceError, match="12 images cannot fill 13 shards"):
        dali_rec.pack(class_folder, tmp_path / "x", shards=13)


@pytest.mark.parametrize(
    "option",
    [{"resize": 0}, {"quality": 101}, {"shards": 0}, {"workers": 0}, {"max_bad": -1}, {"max_bad": float("nan")}],
)
def test_senseless_options_are_refused_with_their_value(class_folder, tmp_path, option):
    ((name, value),) = option.items()
    with pytest.raises(ValueError, match=f"{name} is {value}"):
        dali_rec.pack(class_folder, tmp_path / "x", **option)


def test_progress_counts_every_image(class_folder, tmp_path):
    seen = []
    dali_rec.pack(class_folder, tmp_path / "x", shards=2, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(number, 12) for number in range(1, 13)]


@pytest.mark.posix  # such names
def test_name_that_no_list_can_hold_is_rejected(tmp_path):
    folder = make_class_folder(tmp_path / "photos", {"a": 2})
    (folder / "a" / "tab\tname.jpg").write_bytes(jpeg())
    report = dali_rec.pack(folder, tmp_path / "x", max_bad=1)
    assert "tab or a line break" in report.rejections[0].reason


@pytest.mark.posix  # such names
def test_name_that_is_not_unicode_is_packed_and_listed(tmp_path):
    (tmp_path / "photos" / "a").mkdir(parents=True)
    name = os.fsdecode(b"caf\xe9.jpg")
    (tmp_path / "photos" / "a" / name).write_bytes(jpeg())
    dali_rec.pack(tmp_path / "photos", tmp_path / "x")
    assert (tmp_path / "x.lst").read_bytes() == b"0\t0\ta/caf\xe9.jpg\n"


def test_photographs_pack_to_a_class_each(photographs, tmp_path):
    for path in photographs.iterdir():
        (tmp_path / "photos" / path.stem).mkdir(parents=True)
        (tmp_path / "photos" / path.stem / path.name).symlink_to(path)
    report = dali_rec.pack(tmp_path / "photos", tmp_path / "x")
    dataset = dali_rec.open(tmp_path / "x")
    assert (report.records, len(dataset.classes)) == (250, 250)
    for record in dataset[::10]:
        path = next((tmp_path / "photos" / dataset.classes[int(record.labels[0])]).iterdir())
        assert np.array_equal(dali_rec.decode_image(record.image), np.asarray(Image.open(path).convert("RGB")))


def test_split_that_gets_no_image_is_named(class_folder, tmp_path):
    with pytest.raises(SourceError, match="the split 'b' gets none of the 12 images"):
        dali_rec.pack(class_folder, tmp_path / "x", split={"a": 0.99999, "b": 0.00001})
    few = make_class_folder(tmp_path / "few", {"ant": 1, "bee": 1})
    with pytest.raises(SourceError, match=r"none of the 2 images .*; --stratify parts each class by itself"):
        dali_rec.pack(few, tmp_path / "x", split={"a": 0.5, "b": 0.5}, stratify=True)


@pytest.mark.parametrize("url", ["file://{}", "uri"])
def test_file_url_is_a_folder_of_this_machine_made_where_it_is_missing(class_folder, tmp_path, url):
    out = tmp_path / "new" / "x"
    report = dali_rec.pack(class_folder, out.as_uri() if url == "uri" else url.format(out))
    assert report.manifest_path == tmp_path / "new" / "x.json"
    assert len(dali_rec.open(tmp_path / "new" / "x")) == 12


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("..", r"\.\.: the output needs a name, such as \.\.[/\\]train"),
        ("", "the output needs a name"),
        ("file:///", "the output needs a name"),
        ("s3://", "the output needs a name after the bucket, such as s3://bucket/train"),
        ("s3:///x", "such as s3://x/train"),
        ("x.rec", r"x\.rec: the output is a prefix, to which \.rec is added: say x"),
        ("s3://b/x.json", r"x\.json: the output is a prefix, to which \.json is added: say x"),
        ("s3:/b/c", "s3:/b/c: neither a URL, which has two slashes"),
    ],
)
def test_output_without_a_name_is_refused(class_folder, tmp_path, monkeypatch, out, message):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(SourceError, match=message):
        dali_rec.pack(class_folder, out)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.posix  # such names
def test_output_in_a_folder_called_like_a_protocol_is_written(class_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s3:").mkdir()
    assert dali_rec.pack(class_folder, "s3:/x").records == 12


def test_report_is_shown_in_few_words_whatever_the_number_of_classes(class_folder, tmp_path):
    (class_folder / "bee" / "x.jpg").write_bytes(b"no image")
    names = ["ant", "bee", "cat", *(f"class {number}" for number in range(1000))]
    report = dali_rec.pack(class_folder, tmp_path / "x", classes=names, max_bad=1)
    size = f"{report.bytes / 1000:.3g} kB"
    packed = f"12 records in 1,003 classes, {size}: {tmp_path / 'x.json'}; 1 rejected: {tmp_path / 'x.rejected.jsonl'}"
    assert repr(report.sets) == f"(<PackedSet of {packed}>,)"
    assert re.fullmatch(re.escape(f"<PackReport of {packed}; 13 images in ") + r"\d+\.\d s>", repr(report))
