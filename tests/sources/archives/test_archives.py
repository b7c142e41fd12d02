"""Images in .tar and .zip files, beside the same images in folders."""

import os
import pickle
import shutil
import tarfile
import zipfile

import pytest
from archive_files import ARCHIVES, class_tars, link, paths_in, records_of, tar_of, tar_with, zip_of
from support import jpeg, make_class_folder

import dali_rec
from dali_rec.cli import main
from dali_rec.errors import DatasetError, SourceError
from dali_rec.packing import reading
from dali_rec.packing.reading import Origin, stamp_of
from dali_rec.sources import SourceOptions, TableOptions, open_source


@pytest.fixture(params=ARCHIVES)
def archive(request, tmp_path, class_folder):
    folder = tmp_path / "archives"
    folder.mkdir()
    return ARCHIVES[request.param](folder, class_folder)


def test_packs_to_what_the_folder_packs_to(class_folder, archive, tmp_path):
    dali_rec.pack(class_folder, tmp_path / "wanted", shards=2)
    dali_rec.pack(archive, tmp_path / "out", shards=2)
    assert records_of(tmp_path / "out") == records_of(tmp_path / "wanted")
    assert dali_rec.open(tmp_path / "out").classes == ("ant", "bee", "cat")
    assert dali_rec.verify(tmp_path / "out").ok
    # The same images in the same order, under names that a person knows.
    places = zip(paths_in(tmp_path / "out"), paths_in(tmp_path / "wanted"), strict=True)
    assert all(place.endswith(path.split("/")[1]) and "//" in place for place, path in places)


@pytest.mark.parametrize(
    ("kind", "place"),
    [
        ("tar", "photos.tar//cat/cat_000.jpg"),
        ("inside a folder", "photos.zip//photos/cat/cat_000.jpg"),
        ("class tars", "cat.tar//cat_000.jpg"),
        ("tar of tars", "photos.tar//cat.tar//cat_000.jpg"),
    ],
)
def test_places_are_those_that_a_person_knows(class_folder, tmp_path, kind, place):
    (tmp_path / "archives").mkdir()
    dali_rec.pack(ARCHIVES[kind](tmp_path / "archives", class_folder), tmp_path / "out", resize=16)
    assert place in paths_in(tmp_path / "out")


@pytest.mark.parametrize("make", [tar_of, zip_of])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"labels": "leaf"},
        {"labels": "top", "classes": ("dog", "cat", "cow")},
        {"label_pattern": r"([a-z]+)/\d"},
        {"shuffle": False, "split": {"a": 0.5, "b": 0.5}},
    ],
)
def test_options_for_folders_mean_the_same(tmp_path, make, options):
    for number, name in enumerate(("cat/manx/1.jpg", "cat/manx/2.jpg", "dog/collie/3.jpg", "dog/pug/4.jpg")):
        file = tmp_path / "photos" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(jpeg(number))
    (tmp_path / "photos" / "notes.txt").write_text("not an image")
    archive = make(tmp_path / f"x.{make.__name__[:3]}", tmp_path / "photos")
    wanted = dali_rec.pack(tmp_path / "photos", tmp_path / "wanted", **options)
    report = dali_rec.pack(archive, tmp_path / "out", **options)
    for one, other in zip(report.sets, wanted.sets, strict=True):
        assert records_of(one.manifest_path) == records_of(other.manifest_path)
        assert (one.manifest.classes, one.manifest.label_classes) == (
            other.manifest.classes,
            other.manifest.label_classes,
        )
    shown = [note.replace(str(archive), "X").replace("X//", "X/") for note in report.notes]
    assert shown == [note.replace(str(tmp_path / "photos"), "X") for note in wanted.notes]


def test_folders_of_splits_and_archives_called_as_splits(tmp_path):
    photos = tmp_path / "photos"
    make_class_folder(photos / "train", {"ant": 2, "bee": 3})
    make_class_folder(photos / "val", {"ant": 1, "cat": 1})
    dali_rec.pack(photos, tmp_path / "wanted")
    (tmp_path / "kaggle").mkdir()
    for split in ("train", "val"):
        zip_of(tmp_path / "kaggle" / f"{split}.zip", photos / split, split)
        class_tars(tmp_path / "tars" / split, photos / split)
    (tmp_path / "kaggle" / "sample_submission.csv").touch()
    sources = (tar_of(tmp_path / "x.tar", photos), zip_of(tmp_path / "x.zip", photos, "x"), "kaggle", "tars")
    for number, source in enumerate(sources):
        dali_rec.pack(tmp_path / source, tmp_path / f"out{number}")
        for split in ("train", "val"):
            assert records_of(tmp_path / f"out{number}-{split}") == records_of(tmp_path / f"wanted-{split}")
            assert dali_rec.open(tmp_path / f"out{number}-{split}").classes == ("ant", "bee", "cat")


def test_lists_and_tables_may_begin_in_an_archive(tmp_path, class_folder):
    # As ImageNet's: a flat .tar for validation, and a list or table of its labels.
    flat = tmp_path / "flat"
    flat.mkdir()
    names = [f"ILSVRC2012_val_{number:08}" for number in range(4)]
    for number, name in enumerate(names):
        (flat / f"{name}.JPEG").write_bytes(jpeg(number))
    archive = tar_of(tmp_path / "val.tar", flat)
    tables = {
        "val.txt": "".join(f"{name}.JPEG {number}\n" for number, name in enumerate(names)),
        "short.txt": "".join(f"{name} {number}\n" for number, name in enumerate(names)),
        "val.csv": "ImageId,label\n" + "".join(f"{name},{number}\n" for number, name in enumerate(names)),
        "val.lst": "".join(f"{number}\t{number}\t{name}.JPEG\n" for number, name in enumerate(names)),
    }
    for table, text in tables.items():
        (tmp_path / table).write_text(text)
        dali_rec.pack(tmp_path / table, tmp_path / "wanted", root=flat, overwrite=True)
        dali_rec.pack(tmp_path / table, tmp_path / "out", root=archive, overwrite=True)
        assert records_of(tmp_path / "out") == records_of(tmp_path / "wanted")
        assert paths_in(tmp_path / "out") == [f"val.tar//{name}.JPEG" for name in names]
    (tmp_path / "val.txt").write_text("other.JPEG 1\n")
    with pytest.raises(SourceError, match=r"val\.tar: none of the paths is in it, 'other\.JPEG' for one"):
        open_source(tmp_path / "val.txt", SourceOptions(root=archive))
    with pytest.raises(SourceError, match="--root goes with a list, a table, Parquet, or annotations in one file"):
        open_source(class_folder, SourceOptions(root=archive))


def test_list_without_the_folder_that_is_in_the_archive(tmp_path):
    archive = tar_with(tmp_path / "x.tar", ("val/a.jpg", jpeg(1)), ("val/b.jpg", jpeg(2)), ("more/b.jpg", jpeg(2)))
    (tmp_path / "x.lst").write_text("7\t1\ta.jpg\n8\t1\tnone.jpg\n")
    report = dali_rec.pack(tmp_path / "x.lst", tmp_path / "out", root=archive, max_bad=1)
    assert records_of(tmp_path / "out") == [(7, [1], jpeg(1))]
    assert any(f"'a.jpg' is {archive}//val/a.jpg" in note for note in report.notes)
    (tmp_path / "x.lst").write_text("7\t1\tb.jpg\n")
    with pytest.raises(SourceError, match=r"'b\.jpg' may be more/b\.jpg or val/b\.jpg in .*x\.tar; name the one"):
        open_source(tmp_path / "x.lst", SourceOptions(root=archive))


def test_path_that_an_archive_lacks_is_rejected_with_both(tmp_path):
    archive = tar_with(tmp_path / "x.tar", ("a.jpg", jpeg()))
    (tmp_path / "x.csv").write_text("cat,a.jpg\ncat,b.jpg\n")
    report = dali_rec.pack(tmp_path / "x.csv", tmp_path / "out", root=archive, max_bad=1)
    assert report.records == 1
    assert "no such file" in report.rejections[0].reason
    assert str(archive / "b.jpg") in report.rejections[0].reason


def test_urls_in_a_table_with_an_archive_keep_their_names(tmp_path, monkeypatch):
    archive = tar_with(tmp_path / "x.tar", ("a.jpg", jpeg(1)))
    (tmp_path / "x.csv").write_text("cat,a.jpg\ncat,http://host.example/b.jpg\n")
    monkeypatch.setattr(reading, "fetch", lambda _url, _options: jpeg(2))
    dali_rec.pack(tmp_path / "x.csv", tmp_path / "out", root=archive)
    assert paths_in(tmp_path / "out") == ["x.tar//a.jpg", "http://host.example/b.jpg"]


# What may be in archives


def test_members_that_nobody_sees_are_no_images(tmp_path):
    names = ("cat/1.jpg", "dog/2.jpg", "__MACOSX/cat/._1.jpg", "cat/.hidden.jpg", ".git/3.jpg", "@eaDir/4.jpg")
    source = open_source(tar_with(tmp_path / "x.tar", *((name, jpeg()) for name in names)))
    assert source.classes == ("cat", "dog")
    assert len(source.samples) == 2


def test_class_zips_as_macos_writes_them(tmp_path):
    (tmp_path / "data").mkdir()
    for name in ("cat", "dog"):
        with zipfile.ZipFile(tmp_path / "data" / f"{name}.zip", "w") as archive:
            archive.writestr(f"{name}/1.jpg", jpeg())
            for other in (".DS_Store", f"__MACOSX/{name}/._1.jpg", f"__MACOSX/._{name}"):
                archive.writestr(other, b"none")
    source = open_source(tmp_path / "data")
    assert source.classes == ("cat", "dog")
    assert [sample.location.partition("#")[0] for sample in source.samples] == [
        "cat.zip//cat/1.jpg",
        "dog.zip//dog/1.jpg",
    ]


def test_names_that_lead_out_and_of_any_bytes(tmp_path):
    names = ("../../cat/1.jpg", "/dog/2.jpg", "./dog/é\udcff.jpg", "dog//#9+9.jpg")
    dali_rec.pack(tar_with(tmp_path / "x.tar", *((name, jpeg()) for name in names)), tmp_path / "out", shuffle=False)
    lines = (tmp_path / "out.lst").read_bytes().splitlines()
    places = [b"x.tar//cat/1.jpg", b"x.tar//dog/#9+9.jpg", b"x.tar//dog/2.jpg", "x.tar//dog/é\udcff.jpg"]
    places[-1] = places[-1].encode("utf-8", "surrogateescape")
    assert [line.split(b"\t")[-1] for line in lines] == places
    assert {bytes(record.image) for record in dali_rec.open(tmp_path / "out")} == {jpeg()}


def test_of_members_of_one_name_the_last_counts(tmp_path):
    archive = tar_with(tmp_path / "x.tar", ("cat/1.jpg", jpeg(1)), ("./cat/1.jpg", jpeg(2)))
    report = dali_rec.pack(archive, tmp_path / "out")
    assert [bytes(record.image) for record in dali_rec.open(tmp_path / "out")] == [jpeg(2)]
    assert any("1 member stands there again under the same name: the last counts" in note for note in report.notes)


def test_links_lead_to_their_files_or_are_rejected(tmp_path):
    archive = tar_with(
        tmp_path / "x.tar",
        ("cat/1.jpg", jpeg(1)),
        link("dog/2.jpg", "cat/1.jpg", tarfile.LNKTYPE),
        link("dog/3.jpg", "../cat/1.jpg", tarfile.SYMTYPE),
        link("dog/4.jpg", "3.jpg", tarfile.SYMTYPE),
        link("dog/5.jpg", "/cat/1.jpg", tarfile.SYMTYPE),
        link("dog/6.jpg", "../../cat/1.jpg", tarfile.SYMTYPE),
        link("dog/7.jpg", "7.jpg", tarfile.SYMTYPE),
    )
    report = dali_rec.pack(archive, tmp_path / "out", shuffle=False, max_bad=3)
    assert [bytes(record.image) for record in dali_rec.open(tmp_path / "out")] == 4 * [jpeg(1)]
    assert paths_in(tmp_path / "out")[1:] == [f"x.tar//dog/{number}.jpg" for number in (2, 3, 4)]
    reason = "it is a link to what is no file in the archive"
    rejected = [(one.sample.location, one.reason) for one in report.rejections]
    assert rejected == [(f"x.tar//dog/{number}.jpg", reason) for number in (5, 6, 7)]


def test_links_in_a_zip_as_zip_and_git_write_them(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for name, target in {"dog/2.jpg": "../cat/é.jpg", "dog/3.jpg": "2.jpg", "dog/4.jpg": "/etc/passwd"}.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = 0o120777 << 16
            archive.writestr(info, target)
        archive.writestr("cat/é.jpg", jpeg(1))
    report = dali_rec.pack(tmp_path / "x.zip", tmp_path / "out", shuffle=False, max_bad=1)
    assert paths_in(tmp_path / "out") == ["x.zip//cat/é.jpg", "x.zip//dog/2.jpg", "x.zip//dog/3.jpg"]
    assert [bytes(record.image) for record in dali_rec.open(tmp_path / "out")] == 3 * [jpeg(1)]
    assert [one.sample.location for one in report.rejections] == ["x.zip//dog/4.jpg"]
    (tmp_path / "x.zip").write_bytes((tmp_path / "x.zip").read_bytes().replace(b"../cat/", b"../car/", 1))
    with pytest.raises(SourceError, match=r"x\.zip: dog/2\.jpg: the member at byte 0 is damaged: .*; get it anew"):
        open_source(tmp_path / "x.zip")


def test_files_beside_archives_are_told(tmp_path):
    class_tars(tmp_path / "data", make_class_folder(tmp_path / "photos", {"ant": 1, "bee": 1}))
    (tmp_path / "data" / ".hidden").touch()
    assert open_source(tmp_path / "data").notes == ()
    (tmp_path / "data" / "README.md").touch()
    assert open_source(tmp_path / "data").notes == (
        f"{tmp_path / 'data'}: 1 file beside the archives left out: README.md",
    )
    (tmp_path / "data" / "labels.csv").touch()
    [note] = open_source(tmp_path / "data").notes
    assert "2 files beside the archives left out: README.md, labels.csv; if one has the labels, pack that, with" in note


def test_zip_of_macos_has_names_in_utf_8_without_saying_so(tmp_path):
    name = "gâteau/é.jpg".encode()
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr(zipfile.ZipInfo("x" * len(name)), jpeg())
    (tmp_path / "x.zip").write_bytes((tmp_path / "x.zip").read_bytes().replace(b"x" * len(name), name))
    assert open_source(tmp_path / "x.zip").classes == ("gâteau",)


def test_zip_behind_something_else_and_with_a_comment(tmp_path):
    zip_of(tmp_path / "x.zip", make_class_folder(tmp_path / "photos", {"ant": 2}))
    with zipfile.ZipFile(tmp_path / "x.zip", "a") as archive:
        archive.comment = b"photographs"
    (tmp_path / "y.zip").write_bytes(b"#!/bin/sh\n" * 50 + (tmp_path / "x.zip").read_bytes())
    dali_rec.pack(tmp_path / "y.zip", tmp_path / "out")
    assert {bytes(record.image) for record in dali_rec.open(tmp_path / "out")} == {jpeg(0), jpeg(1)}


def test_a_tar_in_a_tar_beside_a_folder_of_its_name(tmp_path):
    inner = tar_with(tmp_path / "cat.tar", ("1.jpg", jpeg(1))).read_bytes()
    source = open_source(tar_with(tmp_path / "x.tar", ("cat/2.jpg", jpeg(2)), ("cat.tar", inner)))
    assert source.classes == ("cat", "cat.tar")


# How they are read


def test_any_process_reads_them_from_any_folder(tmp_path, archive, class_folder, monkeypatch):
    monkeypatch.chdir(archive.parent)
    source = open_source(archive.name)
    elsewhere = pickle.loads(pickle.dumps(source.pixels.absolute()))
    monkeypatch.chdir(tmp_path)
    read = sorted(elsewhere.read(sample.location) for sample in source.samples)
    assert read == sorted(file.read_bytes() for file in class_folder.rglob("*.jpg"))


def test_archive_is_opened_once_a_process(tmp_path, class_folder, opened):
    source = open_source(tar_of(tmp_path / "x.tar", class_folder))
    sent = pickle.dumps(source.pixels.absolute())
    for sample in source.samples:
        source.pixels.read(sample.location)
        pickle.loads(sent).read(sample.location)  # as it comes with each request to another process
    assert opened == [str(tmp_path / "x.tar")] * 2


def test_many_are_packed_by_several_processes(begun, tmp_path):
    images = [jpeg(seed, (16, 16)) for seed in range(10)]
    members = [(f"{number % 3}/{number}.jpg", images[number % 10]) for number in range(2100)]
    dali_rec.pack(tar_with(tmp_path / "x.tar", *members), tmp_path / "out", workers=8, shuffle=False)
    assert len(begun) == 2
    assert [image for _, _, image in records_of(tmp_path / "out")] == [
        image for _, image in sorted(members, key=lambda member: member[0])
    ]


def test_interrupted_run_is_resumed_and_a_changed_archive_is_packed_again(tmp_path, class_folder):
    archive = tar_of(tmp_path / "x.tar", class_folder)

    def stop(done, total):
        if done == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dali_rec.pack(archive, tmp_path / "out", shards=4, progress=stop)
    assert dali_rec.pack(archive, tmp_path / "out", shards=4, resume=True).images < 12
    dali_rec.pack(archive, tmp_path / "whole", shards=4)
    assert records_of(tmp_path / "out") == records_of(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        dali_rec.pack(archive, tmp_path / "again", shards=4, progress=stop)
    os.utime(archive, (1, 1))
    with pytest.raises(DatasetError, match="was packed from files of which some have changed since"):
        dali_rec.pack(archive, tmp_path / "again", shards=4, resume=True)


def test_archives_are_added_to_a_data_set_and_packed_by_several_machines(tmp_path, class_folder):
    archive = tar_of(tmp_path / "x.tar", class_folder)
    dali_rec.pack(archive, tmp_path / "out", num_nodes=2, node_rank=0, shards=2)
    dali_rec.pack(archive, tmp_path / "out", num_nodes=2, node_rank=1, shards=2)
    more = zip_of(tmp_path / "y.zip", make_class_folder(tmp_path / "more", {"bee": 1, "dog": 2}))
    dali_rec.pack(more, tmp_path / "out", append=True)
    dataset = dali_rec.open(tmp_path / "out")
    assert (len(dataset), dataset.classes) == (15, ("ant", "bee", "cat", "dog"))
    assert sorted(dataset.keys.tolist()) == list(range(15))


def test_file_that_changes_is_noticed(tmp_path):
    archive = tar_with(tmp_path / "x.tar", ("cat/1.jpg", jpeg()))
    source = open_source(archive)
    origin, location = Origin(source.root, source.pixels), source.samples[0].location
    before = stamp_of(origin, location)
    shutil.copy(archive, tmp_path / "copy")
    (tmp_path / "copy").replace(archive)
    assert stamp_of(origin, location) != before


# Options and commands


def test_options_of_other_sources_are_refused(tmp_path):
    archive = zip_of(tmp_path / "x.zip", make_class_folder(tmp_path / "photos", {"ant": 1}))
    for options, message in (
        (SourceOptions(table=TableOptions(("kind",))), "--columns, --label-column and the like go with a table"),
        (SourceOptions(root="."), "--root goes with"),
        (SourceOptions(format="coco"), "annotations of boxes, as --format says, are not read in archives; unpack"),
    ):
        with pytest.raises(SourceError, match=message):
            open_source(archive, options)
    with pytest.raises(SourceError, match=r"s3://bucket/x\.tar: no such file or folder: .* copy it here first"):
        open_source("s3://bucket/x.tar")


def test_list_is_refused_as_it_could_not_be_packed(tmp_path, capsys):
    archive = tar_with(tmp_path / "x.tar", ("cat/1.jpg", jpeg()))
    assert main(["list", str(archive), str(tmp_path / "x.lst")]) == 1
    assert "a list names files, and these images are in an archive: pack it as it is" in capsys.readouterr().err
    assert not (tmp_path / "x.lst").exists()


def test_command_plans(tmp_path, class_folder, capsys):
    assert main(["pack", str(tar_of(tmp_path / "x.tar", class_folder)), str(tmp_path / "out"), "--dry-run"]) == 0
    assert "bee" in capsys.readouterr().out
    assert not (tmp_path / "out.rec").exists()


@pytest.mark.posix
def test_archive_is_not_written_over(tmp_path, class_folder):
    archive = tar_of(tmp_path / "x.tar", class_folder)
    before = archive.read_bytes()
    (tmp_path / "out.rec").symlink_to(archive)
    with pytest.raises(FileExistsError, match="is what is being packed; name it otherwise"):
        dali_rec.pack(archive, tmp_path / "out", overwrite=True)
    assert archive.read_bytes() == before
