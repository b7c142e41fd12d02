import json
import shutil
from pathlib import Path

import pytest
from record_sets import payload, write_set
from support import DATA, encoded, jpeg, make_class_folder, picture

import dali_rec
from dali_rec.cli import main
from dali_rec.errors import OutputExistsError
from dali_rec.sources import read_list


def pack_again(report, out):
    dali_rec.pack(report.list_path, out)
    return out.with_suffix(".rec").read_bytes()


@pytest.fixture
def photos(tmp_path):
    folder = make_class_folder(tmp_path / "photos", {"ant": 4, "bee": 5})
    (folder / "bee" / "draw.png").write_bytes(encoded(picture(90), "PNG"))
    (folder / "bee" / "film.jpg").write_bytes(encoded(picture(91), "GIF"))
    return folder


@pytest.mark.parametrize("options", [{}, {"resize": 16}, {"encoding": "webp"}])
def test_unpacked_files_pack_to_the_same_records(photos, tmp_path, options):
    dali_rec.pack(photos, tmp_path / "x", **options)
    report = dali_rec.unpack(tmp_path / "x", tmp_path / "files")
    assert pack_again(report, tmp_path / "again") == (tmp_path / "x.rec").read_bytes()
    assert (report.images, report.without_image) == (11, 0)


def test_names_are_those_that_were_packed_with_the_extension_of_what_is_stored(photos, tmp_path):
    dali_rec.pack(photos, tmp_path / "x")
    dali_rec.unpack(tmp_path / "x", tmp_path / "files")
    names = {path.relative_to(tmp_path / "files").as_posix() for path in (tmp_path / "files").rglob("*.*")}
    expected = {path.relative_to(photos).as_posix() for path in photos.rglob("*.*")} - {"bee/film.jpg"}
    assert names == expected | {"bee/film.png", "x.lst"}
    assert (tmp_path / "files/ant/ant_001.jpg").read_bytes() == (photos / "ant/ant_001.jpg").read_bytes()


@pytest.mark.parametrize("options", [{"shards": 3}, {"split": {"train": 0.5, "val": 0.5}}])
def test_shards_and_splits(photos, tmp_path, options):
    dali_rec.pack(photos, tmp_path / "x", **options)
    for name in ["x"] if "shards" in options else ["x-train", "x-val"]:
        report = dali_rec.unpack(tmp_path / name, tmp_path / "files" / name)
        assert report.list_path.name == f"{name}.lst"
        dali_rec.pack(
            report.list_path, tmp_path / "again" / name, **{k: v for k, v in options.items() if k == "shards"}
        )
        for rec in tmp_path.glob(f"{name}*.rec"):
            assert (tmp_path / "again" / rec.name).read_bytes() == rec.read_bytes()


@pytest.mark.parametrize("name", ["single", "multi", "detection"])
def test_files_of_mxnet(tmp_path, name):
    for suffix in (".rec", ".idx"):
        shutil.copy(DATA / f"{name}{suffix}", tmp_path)
    report = dali_rec.unpack(tmp_path / f"{name}.rec", tmp_path / "files")
    if name == "single":
        assert (tmp_path / "files" / "0").is_dir()  # a folder for each class number
    ours, theirs = dali_rec.RecordReader(tmp_path / f"{name}.rec"), tmp_path / "again.rec"
    pack_again(report, tmp_path / "again")
    with ours, dali_rec.RecordReader(theirs) as again:
        pairs = zip(ours.records(), again.records(), strict=True)
        assert all((a.key, a.labels.tolist(), a.image) == (b.key, b.labels.tolist(), b.image) for a, b in pairs)


def test_records_of_a_face_set_without_an_image_are_left_out(tmp_path):
    for suffix in (".rec", ".idx"):
        shutil.copy(DATA / f"faces{suffix}", tmp_path)
    assert dali_rec.unpack(tmp_path / "faces.rec", tmp_path / "files").images == 12


HOSTILE = [
    "../../escaped.jpg",
    "/tmp/escaped.jpg",
    "C:\\escaped.jpg",
    "a/../../escaped.jpg",
    "a//b.jpg",
    ".",
    "con.jpg",
    "x" * 300 + ".jpg",
    "https://example.org/a.jpg",
    "trailing./a.jpg",
    "trailing /a.jpg",
    "a:b.jpg",
    "a.jpg:$DATA",
    "con .jpg",
    "aux/a.jpg",
    "COM\u00b9.png",
    "CONIN$",
    "what?.jpg",
    "all*.jpg",
]


def test_names_from_elsewhere_never_leave_the_folder(tmp_path):
    (tmp_path / "in").mkdir()
    with dali_rec.RecordWriter(tmp_path / "in" / "x.rec") as writer:
        for key in range(len(HOSTILE)):
            writer.write_image(jpeg(key), 1.0, key)
    lines = (f"{key}\t1\t{name}\n" for key, name in enumerate(HOSTILE))
    (tmp_path / "in" / "x.lst").write_text("".join(lines), "utf-8")
    before = set(tmp_path.rglob("*"))
    report = dali_rec.unpack(tmp_path / "in" / "x.rec", tmp_path / "files")
    new = set(tmp_path.rglob("*")) - before
    assert all(path == tmp_path / "files" or (tmp_path / "files") in path.parents for path in new)
    assert report.images == len(HOSTILE)
    assert pack_again(report, tmp_path / "again") == (tmp_path / "in" / "x.rec").read_bytes()
    assert not Path("/tmp/escaped.jpg").exists()
    names = [path.name for path in (tmp_path / "files" / "1").iterdir()]
    assert sorted(names) == [f"{key:08d}.jpg" for key, name in enumerate(HOSTILE) if name != "."]  # that is ..jpg


@pytest.mark.parametrize("names", [["a:b", "what?", "all*"], ["con", "lpt1.x", ".."], ["ends.", "blank ", "a\\b"]])
def test_class_that_is_no_name_for_a_folder_is_called_by_its_number(packed, tmp_path, names):
    packed.with_suffix(".lst").unlink()
    manifest = json.loads(packed.with_suffix(".json").read_text())
    packed.with_suffix(".json").write_text(json.dumps({**manifest, "classes": names}))
    assert dali_rec.unpack(packed, tmp_path / "files").images == 12
    assert {path.name for path in (tmp_path / "files").iterdir()} == {"0", "1", "2", "photos.lst"}


def test_same_name_twice_gives_two_files(tmp_path):
    (tmp_path / "a.jpg").write_bytes(jpeg(1))
    (tmp_path / "x.lst").write_text("0\t0\ta.jpg\n1\t0\ta.jpg\n2\t0\t./a.jpg\n")
    dali_rec.pack(tmp_path / "x.lst", tmp_path / "out" / "x")
    report = dali_rec.unpack(tmp_path / "out" / "x", tmp_path / "files")
    locations = [sample.location for sample in read_list(report.list_path).samples]
    assert len(set(locations)) == 3
    assert locations[:2] == ["a.jpg", "a-1.jpg"]


@pytest.mark.parametrize(("one", "other"), [("a", "A"), ("\u00e9", "e\u0301"), ("\u00e9", "E\u0301")])
def test_names_that_are_of_one_file_elsewhere_are_parted(tmp_path, one, other):
    write_set(tmp_path / "x", [payload(number, [2], jpeg(number)) for number in range(2)], [0, 1])
    (tmp_path / "x.lst").write_text(f"0\t2\t{one}.jpg\n1\t2\t{other}.jpg\n", "utf-8")
    report = dali_rec.unpack(tmp_path / "x.rec", tmp_path / "files")
    assert [sample.location for sample in read_list(report.list_path).samples] == [f"{one}.jpg", f"{other}-1.jpg"]


@pytest.mark.posix
def test_link_in_the_folder_is_not_followed_out_of_it(photos, tmp_path):
    dali_rec.pack(photos, tmp_path / "x")
    (tmp_path / "files").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "files" / "ant").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputExistsError, match="leads out of"):
        dali_rec.unpack(tmp_path / "x", tmp_path / "files", force=True)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_nothing_is_written_over_without_force(photos, tmp_path):
    dali_rec.pack(photos, tmp_path / "x")
    (tmp_path / "empty").mkdir()
    assert dali_rec.unpack(tmp_path / "x", tmp_path / "empty").images == 11
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "thesis.tex").write_text("years of work")
    with pytest.raises(OutputExistsError, match="is not empty; choose another folder, or --force"):
        dali_rec.unpack(tmp_path / "x", tmp_path / "files")
    assert [path.name for path in (tmp_path / "files").iterdir()] == ["thesis.tex"]
    assert dali_rec.unpack(tmp_path / "x", tmp_path / "files", force=True).images == 11
    assert (tmp_path / "files" / "thesis.tex").read_text() == "years of work"


def test_some_classes_or_ids(photos, tmp_path, capsys):
    dali_rec.pack(photos, tmp_path / "x")
    assert main(["unpack", str(tmp_path / "x"), str(tmp_path / "files"), "--class", "ant"]) == 0
    assert {path.name for path in (tmp_path / "files").iterdir()} == {"ant", "x.lst"}
    assert main(["unpack", str(tmp_path / "x"), str(tmp_path / "two"), "--ids", "3,5"]) == 0
    assert "2 images" in capsys.readouterr().out
    assert main(["unpack", str(tmp_path / "x"), str(tmp_path / "none"), "--ids", "99"]) == 1
    assert main(["unpack", str(tmp_path / "x"), str(tmp_path / "none"), "--ids", "x"]) == 2
    assert main(["unpack", str(tmp_path / "x"), str(tmp_path / "none"), "--ids", "0_3"]) == 2


def test_a_line_of_the_list_names_no_more_than_one_record(tmp_path):
    write_set(tmp_path / "x", [payload(0, [2], jpeg(seed)) for seed in range(3)], [0, 1, 2])
    (tmp_path / "x.idx").unlink()  # and the ids in the records are all 0
    (tmp_path / "x.lst").write_text("0\t2\tcat/1.jpg\n")
    dali_rec.unpack(tmp_path / "x.rec", tmp_path / "out")
    assert (
        sorted(path.relative_to(tmp_path / "out").parts[0] for path in (tmp_path / "out").rglob("*.jpg")) == ["2"] * 3
    )
