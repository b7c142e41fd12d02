"""What is here already: what comes once more, what comes anew, and what is not replaced."""

import shutil

import fsspec
import pytest
from fetched import contents
from support import DATA, make_class_folder

import dali_rec
from dali_rec.cli import main
from dali_rec.errors import OutputExistsError
from dali_rec.fetching import run, target
from dali_rec.packing import pack_insightface

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


def test_from_memory_changed_and_appended(here, there, tmp_path):
    memory = fsspec.filesystem("memory")
    memory.put(f"{there}/", "memory://changed/", recursive=True)
    dali_rec.fetch("memory://changed/x", here)
    before = set(contents(here))
    dali_rec.pack(make_class_folder(tmp_path / "more", {"cow": 5}), "memory://changed/x", append=True)
    seen = []
    dataset = dali_rec.fetch("memory://changed/x.json", here, progress=lambda *one: seen.append(one))
    assert (len(dataset), dataset.classes) == (45, ("ant", "bee", "cow"))
    assert contents(here).keys() - before == {"x-append1.rec", "x-append1.idx"}
    new = sum((here / name).stat().st_size for name in ("x-append1.rec", "x-append1.idx", "x.lst"))
    assert seen[-1] == (new, new)
    memory.rm("memory://changed", recursive=True)


def test_what_is_here_costs_no_more_than_the_manifest(web, here, monkeypatch):
    dali_rec.fetch(f"{web.url}/x", here)
    web.sent.clear()
    monkeypatch.setattr(target, "hash_file", pytest.fail)
    monkeypatch.setattr(run, "locked", pytest.fail)
    web.requests.clear()
    dali_rec.fetch(f"{web.url}/x", here)
    assert web.requests == ["x.json"]


def test_copy_made_by_other_means_is_taken_by_its_checksums(web, here, there):
    shutil.copytree(there, here, copy_function=shutil.copyfile, dirs_exist_ok=True)
    dali_rec.fetch(f"{web.url}/x", here)
    assert web.sent_of_recs <= 4  # looked up
    web.sent.clear()
    dali_rec.fetch(f"{web.url}/x", here)
    assert web.sent.keys() == {"x.json"}


@pytest.mark.parametrize("damage", ["removed", "same size", "cut"])
@pytest.mark.parametrize("name", ["x-00002-of-00004.rec", "x-00002-of-00004.idx"])
def test_file_that_is_not_whole_here_is_fetched_again_alone(web, here, there, name, damage):
    dali_rec.fetch(f"{web.url}/x", here)
    path = here / name
    data = path.read_bytes()
    path.unlink()
    if damage != "removed":
        path.write_bytes(bytes(len(data)) if damage == "same size" else data[:100])
    web.sent.clear()
    dali_rec.fetch(f"{web.url}/x", here)
    assert contents(here) == contents(there)
    assert web.sent.keys() == {"x.json", name}


def test_changed_data_set_replaces_the_old_one(web, here, there, tmp_path):
    dali_rec.fetch(f"{web.url}/x", here)
    photos = make_class_folder(tmp_path / "others", {"cow": 9})
    dali_rec.pack(photos, there / "x", shards=2, overwrite=True)
    assert dali_rec.fetch(f"{web.url}/x", here).classes == ("cow",)
    assert contents(here) == contents(there)


@pytest.mark.parametrize("shards", [None, 4])
def test_data_set_that_is_repaired_there_is_repaired_here(web, here, there, tmp_path, shards):
    bad = tmp_path / "photos" / "ant" / "ant_003.jpg"
    bad.write_bytes(bad.read_bytes()[:-300])
    dali_rec.pack(tmp_path / "photos", there / "x", shards=shards, trust=True, overwrite=True)
    assert len(dali_rec.fetch(f"{web.url}/x", here)) == 40
    web.sent.clear()
    dali_rec.repair(dali_rec.verify(there / "x"))
    assert len(dali_rec.fetch(f"{web.url}/x", here)) == 39
    assert contents(here) == contents(there)
    fetched = {name: count for name, count in web.sent.items() if count > 1}
    assert len([name for name in fetched if name.endswith(".idx")]) == 1
    assert not [name for name in fetched if name.endswith(".rec")]


def test_changed_data_set_without_a_manifest_replaces_the_old_one(web, here, tmp_path):
    web.folder = tmp_path / "there"
    for name in ("single", "multi"):
        for suffix in (".rec", ".idx"):
            shutil.copyfile(DATA / f"{name}{suffix}", web.folder / f"y{suffix}")
        if name == "single":
            dali_rec.fetch(f"{web.url}/y", here)
    dali_rec.fetch(f"{web.url}/y", here)
    assert (here / "y.rec").read_bytes() == (DATA / "multi.rec").read_bytes()


def test_server_without_times_is_known_again_by_sizes(web, here):
    web.is_dated, web.folder = False, DATA
    dali_rec.fetch(f"{web.url}/single", here)
    web.sent.clear()
    dali_rec.fetch(f"{web.url}/single", here)
    assert web.sent == {"single.rec": 1, "single.idx": 1}  # looked up


def test_index_that_the_source_has_not_may_be_made_here(web, here, there):
    for path in there.glob("*.idx"):
        path.unlink()
    dali_rec.fetch(f"{web.url}/x", here)
    assert main(["index", *map(str, here.glob("*.rec"))]) == 0
    before = contents(here)
    web.sent.clear()
    dali_rec.fetch(f"{web.url}/x", here)
    assert web.sent.keys() == {"x.json"}
    assert contents(here) == before


def test_another_data_set_is_not_replaced_unasked(web, here, there, tmp_path):
    dali_rec.pack(tmp_path / "photos", here / "x", resize=16, shards=4)
    before = contents(here)
    with pytest.raises(OutputExistsError, match=r"x\.json is here already"):
        dali_rec.fetch(f"{web.url}/x", here)
    assert contents(here) == before
    dali_rec.fetch(f"{web.url}/x", here, overwrite=True)
    assert contents(here) == contents(there)


def test_data_set_of_this_name_from_elsewhere_is_not_replaced_unasked(here, there, tmp_path):
    dali_rec.fetch(there / "x", here)
    before = contents(here)
    dali_rec.pack(make_class_folder(tmp_path / "others", {"cow": 9}), tmp_path / "elsewhere" / "x")
    with pytest.raises(OutputExistsError, match=r"x\.json is here already, and is not what was fetched from .*/elsew"):
        dali_rec.fetch(tmp_path / "elsewhere" / "x", here)
    assert contents(here) == before


def test_second_face_set_does_not_change_the_property_of_the_first(here, there, tmp_path):
    for name in ("a", "b"):
        pack_insightface(tmp_path / "photos", there / name / name)
    dali_rec.fetch(there / "a" / "a", here)
    (there / "b" / "property").write_text("85742,112,112")
    with pytest.raises(OutputExistsError, match="property is here already"):
        dali_rec.fetch(there / "b" / "b", here)
    assert (here / "property").read_text() == (there / "a" / "property").read_text()


def test_what_was_appended_here_is_not_replaced_unasked(here, there, tmp_path):
    dali_rec.fetch(there / "x", here)
    dali_rec.pack(make_class_folder(tmp_path / "more", {"cow": 5}), here / "x", append=True)
    with pytest.raises(OutputExistsError, match=r"x\.json is here already"):
        dali_rec.fetch(there / "x", here)
    assert len(dali_rec.open(here / "x")) == 45
