"""Archives that are damaged, cut off, compressed, encrypted, or without images."""

import json
import os
import shutil
import struct
import tarfile
import zipfile

import pytest
from archive_files import tar_of, tar_with, zip_of
from support import jpeg, make_class_folder

import dali_rec
from dali_rec.errors import ImageRejectedError, SourceError, TooManyBadImagesError
from dali_rec.sources import open_source


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_archive_that_is_cut_off_while_it_is_packed(tmp_path, kind):
    photos = make_class_folder(tmp_path / "photos", {"ant": 3})
    archive = tar_of(tmp_path / "x.tar", photos) if kind == "tar" else zip_of(tmp_path / "x.zip", photos)
    source = open_source(archive)
    os.truncate(archive, 1000)
    last = max(source.samples, key=lambda sample: int(sample.location.rpartition("#")[2].partition("+")[0]))
    with pytest.raises(ImageRejectedError, match=r" bytes from byte \d+ on are missing: it was cut off"):
        source.pixels.read(last.location)


def test_damaged_member_of_a_zip_is_rejected_by_its_checksum_even_if_it_is_trusted(tmp_path):
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        archive = zip_of(tmp_path / "x.zip", make_class_folder(tmp_path / "photos", {"ant": 1}), method=method)
        data = bytearray(archive.read_bytes())
        data[400] ^= 1
        archive.write_bytes(data)
        with pytest.raises(TooManyBadImagesError, match=r"x\.zip//ant/ant_000\.jpg: (the member at byte|Error)"):
            dali_rec.pack(archive, tmp_path / "out", trust=True, strict=True)


@pytest.mark.parametrize("make", [tar_of, zip_of])
def test_rejected_images_are_named_by_their_paths(tmp_path, make, capsys):
    photos = make_class_folder(tmp_path / "photos", {"ant": 4})
    (photos / "ant" / "bad.jpg").write_bytes(b"none")
    archive = make(tmp_path / f"x.{make.__name__[:3]}", photos)
    with pytest.raises(TooManyBadImagesError, match=rf"{archive.name}//ant/bad\.jpg: not an image"):
        dali_rec.pack(archive, tmp_path / "out", shards=2)
    listed = tmp_path / "out.rejected.jsonl"
    assert json.loads(listed.read_text())["path"] == f"{archive.name}//ant/bad.jpg"
    # By a run that finds the shards finished, and by one that finds all done, too.
    for _ in range(2):
        report = dali_rec.pack(archive, tmp_path / "out", shards=2, max_bad=1, resume=True)
        assert [one.sample.location for one in report.rejections] == [f"{archive.name}//ant/bad.jpg"]
        assert json.loads(listed.read_text())["path"] == f"{archive.name}//ant/bad.jpg"


def test_size_that_is_none_rejects_an_image(tmp_path):
    archive = zip_of(
        tmp_path / "x.zip", make_class_folder(tmp_path / "photos", {"ant": 1}), method=zipfile.ZIP_DEFLATED
    )
    source = open_source(archive)
    place, _, checksum = source.samples[0].location.rsplit(":", 2)
    with pytest.raises(ImageRejectedError, match="too large"):
        source.pixels.read(f"{place}:{1 << 64}:{checksum}")


def test_damaged_archives_are_errors_that_say_where(tmp_path):
    data = tar_with(tmp_path / "x.tar", ("cat/1.jpg", jpeg(1)), ("cat/2.jpg", jpeg(2))).read_bytes()
    second = -(-len(jpeg(1)) // 512) * 512 + 512
    with_damage = {
        "x.tar: damaged at byte 0: no header of its first member": b"x" * 2000,
        f"x.tar: damaged at byte {second}, behind cat/1.jpg: no header": data[:second]
        + b"x" * 512
        + data[second + 512 :],
        f"x.tar: damaged at byte {second}, behind cat/1.jpg: .*bytes of cat/2.jpg are missing": data[: second + 600],
        "x.tar: an empty file, which is no .tar": b"",
    }
    for message, contents in with_damage.items():
        (tmp_path / "x.tar").write_bytes(contents)
        with pytest.raises(SourceError, match=message):
            open_source(tmp_path / "x.tar")
    inner = tar_with(tmp_path / "n01.tar", ("1.jpg", jpeg())).read_bytes()
    tar_with(tmp_path / "x.tar", ("n01.tar", inner[:600]))
    with pytest.raises(SourceError, match=r"x\.tar//n01\.tar: damaged at byte 512: .* bytes of 1\.jpg are missing"):
        open_source(tmp_path / "x.tar")
    photos = make_class_folder(tmp_path / "photos", {"ant": 1})
    (tmp_path / "x.zip").write_bytes(zip_of(tmp_path / "x.zip", photos).read_bytes()[:-100])
    with pytest.raises(SourceError, match=r"x\.zip: no \.zip, or cut off"):
        open_source(tmp_path / "x.zip")


def test_tar_without_its_end_and_tars_joined_are_told(tmp_path):
    archive = tar_with(tmp_path / "x.tar", ("cat/1.jpg", jpeg()))
    data = archive.read_bytes()
    archive.write_bytes(data * 2)
    assert any("join .tar files by 'tar --concatenate'" in note for note in open_source(archive).notes)
    os.truncate(archive, -(-len(jpeg()) // 512) * 512 + 512)
    assert any("no mark of its end" in note for note in open_source(archive).notes)


@pytest.mark.parametrize(
    ("name", "remedy"),
    [("x.tar.gz", "gunzip -k "), ("x.tgz", "gunzip -k "), ("x.tar.xz", "unxz -k "), ("x.tar.zst", "unzstd ")],
)
def test_compressed_archives_are_refused_with_the_way(tmp_path, name, remedy):
    (tmp_path / name).write_bytes(b"x")
    for source in (tmp_path / name, tmp_path):
        with pytest.raises(SourceError, match=rf"{name}: compressed as a whole, .*; '{remedy}.*{name}' makes a \.tar"):
            open_source(source)


def test_compressed_archive_beside_what_can_be_packed_is_passed_over(tmp_path):
    make_class_folder(tmp_path / "coco" / "images", {"": 1})
    (tmp_path / "coco" / "annotations").mkdir()
    content = {
        "images": [{"id": 1, "file_name": "_000.jpg"}],
        "annotations": [],
        "categories": [{"id": 1, "name": "a"}],
    }
    (tmp_path / "coco" / "annotations" / "instances_train.json").write_text(json.dumps(content))
    (tmp_path / "coco" / "annotations" / "annotations.tar.gz").touch()
    assert open_source(tmp_path / "coco" / "annotations").has_boxes
    (tmp_path / "train").mkdir()
    (tmp_path / "val").mkdir()
    (tmp_path / "val" / "val.tgz").touch()
    shutil.rmtree(tmp_path / "coco")
    with pytest.raises(SourceError, match=r"'gunzip -k .*val[/\\]val\.tgz' makes a \.tar"):
        open_source(tmp_path)


def test_compressed_archive_under_the_name_of_another(tmp_path):
    with tarfile.open(tmp_path / "x.tar", "w:gz"):
        pass
    with pytest.raises(SourceError, match=r"x\.tar: compressed as a whole, .*'gunzip < .*x\.tar' writes a \.tar"):
        open_source(tmp_path / "x.tar")
    tar_with(tmp_path / "y.tar", ("n01.tar", (tmp_path / "x.tar").read_bytes()))
    with pytest.raises(SourceError, match=r"y\.tar//n01\.tar: compressed as a whole"):
        open_source(tmp_path / "y.tar")


@pytest.mark.parametrize("name", ["x.tar", "x.zip"])
def test_pointer_of_git_lfs_is_told(tmp_path, name):
    (tmp_path / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n")
    with pytest.raises(SourceError, match=rf"{name}: it is a pointer of Git LFS, .*'git lfs pull'"):
        open_source(tmp_path / name)


def test_last_part_of_a_zip_is_told(tmp_path):
    archive = zip_of(tmp_path / "x.zip", make_class_folder(tmp_path / "photos", {"ant": 1}))
    data = bytearray(archive.read_bytes())
    data[-18:-16] = b"\3\0"
    archive.write_bytes(data)
    with pytest.raises(
        SourceError, match=r"x\.zip: the last of 4 parts; 'zip -s 0 .*x\.zip --out WHOLE\.zip' joins them"
    ):
        open_source(archive)


def test_zip_that_is_encrypted_or_compressed_in_other_ways(tmp_path):
    archive = zip_of(tmp_path / "x.zip", make_class_folder(tmp_path / "photos", {"ant": 1}))
    data = bytearray(archive.read_bytes())
    central = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 1)  # behind that of the folder
    data[central + 8 : central + 10] = struct.pack("<H", 1)
    archive.write_bytes(data)
    with pytest.raises(SourceError, match=r"x\.zip: ant/ant_000\.jpg is encrypted"):
        open_source(archive)
    zip_of(tmp_path / "x.zip", tmp_path / "photos", method=zipfile.ZIP_BZIP2)
    with pytest.raises(SourceError, match=r"x\.zip: ant/ant_000\.jpg is compressed by method 12, .*unpack"):
        open_source(archive)


def test_archives_without_images(tmp_path):
    for archive in (tar_with(tmp_path / "x.tar"), zip_of(tmp_path / "x.zip", tmp_path / "nothing")):
        with pytest.raises(SourceError, match=rf"{archive.name}: no images in it; expected .*CLASS/IMAGE\.jpg"):
            open_source(archive)
    inner = (tmp_path / "x.zip").read_bytes()
    with pytest.raises(SourceError, match=r"no images in it, but train\.zip\. Unpack it, and pack these"):
        open_source(tar_with(tmp_path / "x.tar", ("train.zip", inner)))
    (tmp_path / "data" / "shards").mkdir(parents=True)
    shutil.copy(tmp_path / "x.tar", tmp_path / "data" / "shards")
    with pytest.raises(SourceError, match=r"but shards/x\.tar\. Pack these, or the folder they are in"):
        open_source(tmp_path / "data")


def test_archive_of_many_folders_in_one_another(tmp_path):
    with pytest.raises(SourceError, match=r"x\.tar: .* lies 3000 folders deep"):
        open_source(tar_with(tmp_path / "x.tar", ("a/" * 3000 + "1.jpg", jpeg())))
