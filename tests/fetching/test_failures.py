"""What is damaged, changes meanwhile, cannot be had or has no room: said, with nothing half done left."""

import errno
import json
import os
import re
import shutil
import sys
from pathlib import Path

import pytest
from fetched import KilledError, contents
from support import DATA, make_class_folder

import dali_rec
from dali_rec.cli import main
from dali_rec.errors import DatasetError, DatasetNotFoundError, MissingDependencyError, OutputExistsError
from dali_rec.packing.store import LocalStore
from dali_rec.sources import remote

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


LONG_AGO = 1_500_000_000


def repack(there, count):
    """Another data set of the same name."""
    photos = make_class_folder(there.parent / f"photos-{count}", {"ant": count, "cow": count}, (120, 90))
    dali_rec.pack(photos, there / "x", shards=4, overwrite=True)


def test_damage_on_the_way_is_noticed_and_only_that_file_fetched_again(web, here, there):
    web.spoil = "x-00002-of-00004.rec"
    with pytest.raises(DatasetError, match=r"x-00002-of-00004\.rec: what came has another checksum than the manifest"):
        dali_rec.fetch(f"{web.url}/x", here)
    assert [path.name for path in (here).iterdir()] == ["x.fetching"]
    web.spoil = None
    web.sent.clear()
    dali_rec.fetch(f"{web.url}/x", here)
    assert contents(here) == contents(there)
    assert "x-00000-of-00004.rec" not in {name for name, count in web.sent.items() if count > 1}


def test_index_of_which_a_part_came_is_fetched_from_its_beginning(web, here, there):
    web.spoil = "x-00002-of-00004.rec"
    with pytest.raises(DatasetError):
        dali_rec.fetch(f"{web.url}/x", here)
    web.spoil = None
    staged = here / "x.fetching" / "x-00000-of-00004.idx"
    staged.write_bytes(staged.read_bytes()[:40].replace(b"0", b"9"))  # the index is another there by now
    (there / "x.lst").unlink()
    dali_rec.fetch(f"{web.url}/x", here)
    assert contents(here) == contents(there)


def test_data_set_that_is_just_being_replaced_there_is_not_fetched(web, here, there, tmp_path, monkeypatch):
    dali_rec.pack(tmp_path / "photos", there / "y")
    dali_rec.fetch(f"{web.url}/y", here)
    before = contents(here)
    move = LocalStore.move

    def killed_at_the_list(store, name, to):
        if to == "y.lst":
            raise KilledError
        move(store, name, to)

    monkeypatch.setattr(LocalStore, "move", killed_at_the_list)
    with pytest.raises(KilledError):
        dali_rec.pack(make_class_folder(tmp_path / "others", {"cow": 9}), there / "y", overwrite=True)
    assert (there / "y.rec").exists()
    assert not (there / "y.json").exists()
    for out in (here, here / "z"):
        with pytest.raises(DatasetError, match=r"/y: a run was interrupted, or is still busy, .*'dali-rec pack --resu"):
            dali_rec.fetch(f"{web.url}/y", out)
    assert contents(here) == before


def test_change_while_it_is_fetched_is_said(web, here, there):
    for path in there.iterdir():
        os.utime(path, (LONG_AGO, LONG_AGO))

    def change(name):
        if name == "x-00003-of-00004.rec":
            web.before = lambda _: None
            repack(there, 15)

    web.before = change
    with pytest.raises(DatasetError, match=r"/x was changed while it was fetched|cut short or replaced there"):
        dali_rec.fetch(f"{web.url}/x", here)
    assert not list((here).glob("*.*c"))
    assert len(dali_rec.fetch(f"{web.url}/x", here)) == 30
    assert contents(here) == contents(there)


def test_change_of_a_data_set_without_a_manifest_is_said(web, here, tmp_path):
    web.folder = tmp_path / "there"
    for name in ("single.rec", "single.idx"):
        shutil.copyfile(DATA / name, web.folder / name)
        os.utime(web.folder / name, (LONG_AGO, LONG_AGO))

    def change(name):
        if web.sent.get("single.idx", 0) > 10:
            os.utime(web.folder / "single.rec")

    web.before = change
    with pytest.raises(DatasetError, match=r"/single was changed while it was fetched"):
        dali_rec.fetch(f"{web.url}/single", here)


@pytest.mark.parametrize("name", ["x.json", "x-00001-of-00004.rec", "x.lst"])
def test_folder_of_the_users_is_not_replaced(here, there, name):
    (here / name).mkdir()
    with pytest.raises(OutputExistsError, match=rf"{name} is a folder, and is not replaced; choose another name"):
        dali_rec.fetch(there / "x", here, overwrite=True)
    assert [path.name for path in here.iterdir()] == [name]


def test_folder_of_somebody_else_is_left_alone(here, there):
    (here / "x.fetching").mkdir()
    (here / "x.fetching" / "notes.txt").write_text("mine")
    with pytest.raises(OutputExistsError, match=r"x\.fetching is needed as a work folder but holds other files"):
        dali_rec.fetch(there / "x", here)
    assert (here / "x.fetching" / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("name", ["../x.rec", "a/x.rec", "..\\x.rec", "x.sh"])
def test_manifest_that_names_files_elsewhere_is_refused(web, here, there, name):
    manifest = json.loads((there / "x.json").read_text())
    manifest["shards"][1]["rec"] = name
    (there / "x.json").write_text(json.dumps(manifest))
    with pytest.raises(DatasetError, match=r"x\.json: it names .* which is no \.rec beside it"):
        dali_rec.fetch(f"{web.url}/x", here)
    assert list(here.iterdir()) == []


def test_nothing_there_is_one_line(web, here, capsys):
    assert main(["fetch", f"{web.url}/nothing", str(here)]) == 1
    wanted = f"dali-rec: {web.url}/nothing: no data set there: neither nothing.json nor nothing.rec exists\n"
    assert capsys.readouterr().err == wanted


def test_shard_that_is_not_there_is_named(web, here, there):
    (there / "x-00001-of-00004.rec").unlink()
    with pytest.raises(DatasetNotFoundError, match=r"x-00001-of-00004\.rec: not found, and the manifest names it"):
        dali_rec.fetch(f"{web.url}/x", here)


def test_no_permission_is_said(web, here):
    web.status = {"x.json": 403, "x.rec": 403}
    with pytest.raises(PermissionError, match=r"/x\.rec: no permission to read it"):
        dali_rec.fetch(f"{web.url}/x", here)


def test_server_in_trouble_is_said(web, here):
    web.status = {"x.json": 503}
    with pytest.raises(OSError, match=r"/x\.json: HTTP status 503 \(2 tries\)"):
        dali_rec.fetch(f"{web.url}/x", here)


def test_server_that_gives_no_lengths_is_said_at_once(web, here):
    web.ranges, web.is_sized = False, False
    with pytest.raises(DatasetError, match=r"/x-?[^ ]*: the server does not say how long it is"):
        dali_rec.fetch(f"{web.url}/x", here)
    assert len(web.requests) == len(set(web.requests)) + 1  # of the manifest


def test_bucket_that_is_not_there(here, bucket):
    with pytest.raises(DatasetNotFoundError, match="s3://none-of-that-name/x: no data set there"):
        dali_rec.fetch("s3://none-of-that-name/x", here)


def test_missing_package_is_named(here, monkeypatch):
    remote.filesystem_for.cache_clear()
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "dali-rec\[gcs\]"'):
        dali_rec.fetch("gs://bucket/x", here)


@pytest.mark.parametrize("url", ["s3://bucket", "s3://bucket/", "https://host"])
def test_url_without_a_name_is_refused(here, url):
    with pytest.raises(DatasetNotFoundError, match="name the data set in it, such as"):
        dali_rec.fetch(url, here)


def test_no_room_is_said_before_anything_comes(web, here, tmp_path, monkeypatch, capsys):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    assert main(["fetch", f"{web.url}/x", str(here)]) == 1
    said = re.escape(f"dali-rec: {here / 'x'}: it needs ") + r"[0-9.]+ kB, and 1 kB are free there; "
    assert re.match(said, capsys.readouterr().err)


@pytest.mark.parametrize("ranges", [True, False])
def test_disk_that_gets_full_is_said_and_the_rest_comes_later(web, here, there, monkeypatch, ranges):
    web.ranges = ranges
    fsync, count = os.fsync, [0]

    def full(descriptor):
        count[0] += 1
        if count[0] == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device") as caught:
        dali_rec.fetch(f"{web.url}/x", here)
    assert Path(caught.value.filename).parent == here / "x.fetching"
    dali_rec.fetch(f"{web.url}/x", here)
    assert contents(here) == contents(there)


def test_disk_that_is_full_before_the_manifest_is_said_with_its_name(here, there, monkeypatch, capsys):
    fsync = os.fsync

    def full(descriptor):
        manifest = (here / "x.fetching").glob("x.json*")
        if any(os.path.samestat(os.fstat(descriptor), path.stat()) for path in manifest):
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    assert main(["fetch", str(there / "x"), str(here)]) == 1
    assert f"dali-rec: {here / 'x.fetching' / 'x.json'}: No space left on device; " in capsys.readouterr().err
    monkeypatch.undo()
    dali_rec.fetch(there / "x", here)
    assert contents(here) == contents(there)
