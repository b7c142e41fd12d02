import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import jpeg

import dali_rec
from dali_rec.errors import SourceError
from dali_rec.sources import SourceOptions, TableOptions, open_source
from dali_rec.sources.file_finder import find_files


@pytest.fixture
def files(tmp_path):
    """Writes JPEGs at these paths, and a table; returns the table's path."""

    def write(text, *names, table="x.csv"):
        for seed, name in enumerate(names):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(jpeg(seed))
        (tmp_path / table).parent.mkdir(exist_ok=True)
        (tmp_path / table).write_text(text)
        return tmp_path / table

    return write


def locations(path, root=None, **options):
    source = open_source(path, SourceOptions(root=root, table=TableOptions(**options)))
    return [sample.location for sample in source.samples]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("id_code,diagnosis\n0a,2\n0b,0\n", ["train_images/0a.png", "train_images/0b.jpeg"]),
        ("id,breed\n0a,pug\n0b,boxer\n", ["train/0a.jpg", "train/0b.jpg"]),
        ("id,label\n1,frog\n2,truck\n", ["train/1.png", "train/2.png"]),
        ("id,landmark_id\nabc0,1\nabd1,27\n", ["train/a/b/c/abc0.jpg", "train/a/b/d/abd1.jpg"]),
        ("image,label\nISIC_1,0\nISIC_2,1\n", ["part_1/ISIC_1.jpg", "part_2/ISIC_2.JPG"]),
        ("image,label\n0_000.png,0\n1_000.png,1\n", ["images_001/images/0_000.png", "images_002/images/1_000.png"]),
        ("path,label\n/a/x/1.jpg,0\n/b/y/in/1.jpg,1\n", ["data/a/x/1.jpg", "data/b/y/in/1.jpg"]),
        ("path,label\npie/1.5,0\nrib/1.5,1\n", ["images/pie/1.5.jpg", "images/rib/1.5.jpg"]),
    ],
)
def test_ids_and_ends_of_paths_are_found_below(files, tmp_path, text, names):
    assert locations(files(text, *names)) == names
    top = names[0].split("/")[0]
    if all(name.startswith(f"{top}/") for name in names):
        below = [name.removeprefix(f"{top}/") for name in names]
        assert locations(tmp_path / "x.csv", root=tmp_path / top) == below


def test_images_that_are_found_are_packed_and_said(files, tmp_path):
    report = dali_rec.pack(files("id,breed\n0a,pug\n0b,boxer\n", "train/0a.jpg", "train/0b.jpg"), tmp_path / "out")
    assert [bytes(record.image) for record in dali_rec.open(tmp_path / "out")] == [jpeg(0), jpeg(1)]
    assert any("'0a' is " in note and note.endswith(str(Path("train/0a.jpg"))) for note in report.notes)


def test_images_beside_the_folder_of_the_table_are_found(files, tmp_path):
    path = files("path,label\npie/1,0\nrib/1,1\n", "images/pie/1.jpg", "images/rib/1.jpg", table="meta/x.csv")
    assert locations(path) == ["images/pie/1.jpg", "images/rib/1.jpg"]
    assert dali_rec.pack(path, tmp_path / "out").records == 2


@pytest.mark.parametrize(
    ("names", "table"),
    [
        (["train/1.jpg", "test/1.jpg"], "x.csv"),
        (["images/1.jpg", "masks/1.png"], "x.csv"),
        (["images/1.jpg", "meta/masks/1.png"], "meta/x.csv"),
        (["1.jpg", "1.png"], "x.csv"),
    ],
)
def test_name_of_two_files_is_refused(files, tmp_path, names, table):
    path = files("id,label\n1,0\n", *names, table=table)
    with pytest.raises(SourceError, match=r"'1' may be .*1\.... or .*1\....; .*--root FOLDER"):
        open_source(path)
    if names[0].split("/")[0] != names[0]:
        assert locations(path, root=(tmp_path / names[0]).parent) == ["1.jpg"]


def test_file_in_the_folder_itself_comes_before_others_below(files, tmp_path):
    assert locations(files("id,label\n1,0\n", "1.jpg", "thumbnails/1.jpg")) == ["1.jpg"]


def test_locations_stay_as_they_are_where_one_of_the_first_is_there(files):
    path = files("path,label\n1.jpg,0\nplain,1\n2.jpg,0\n", "plain", "elsewhere/1.jpg", "elsewhere/2.jpg")
    assert locations(path) == ["1.jpg", "plain", "2.jpg"]


def test_rows_whose_image_is_not_there_are_rejected_as_they_stand(files, tmp_path):
    path = files("id,label\n7,0\n8,1\n9,0\n", "train/7.jpg", "train/9.jpg")
    report = dali_rec.pack(path, tmp_path / "out", max_bad=1)
    (rejection,) = report.rejections
    assert rejection.reason.endswith(f"no such file: {tmp_path / '8'}")


def test_ids_that_no_file_is_called_by_are_refused(files):
    with pytest.raises(SourceError, match=r"no file in .* is called as '7' in the column 'id'; say --root, the folder"):
        open_source(files("id,label\n7,0\n", "train/1.jpg"))


@pytest.mark.posix
def test_folders_that_link_to_each_other_are_looked_through_once(files, tmp_path):
    path = files("id,label\n1,0\n", "train/1.jpg")
    (tmp_path / "train" / "up").symlink_to(tmp_path)
    (tmp_path / "again").symlink_to(tmp_path / "train")
    (location,) = locations(path)
    assert (tmp_path / location).read_bytes() == jpeg(0)


def test_files_are_found_where_no_folder_has_a_number_of_its_own(files, tmp_path, monkeypatch):
    path = files("id,label\n1,0\n", "train/1.jpg")
    status = os.stat

    def numbered_0(place, **options):
        found = status(place, **options)
        return os.stat_result((found[0], 0, *found[2:]))

    monkeypatch.setattr(os, "stat", numbered_0)
    assert locations(path) == ["train/1.jpg"]


def test_each_folder_is_listed_once(files, tmp_path, monkeypatch):
    path = files("id,label\n" + "".join(f"{n},0\n" for n in range(50)), *(f"train/{n}.jpg" for n in range(50)))
    listed = []
    scandir = os.scandir
    monkeypatch.setattr("os.scandir", lambda folder: listed.append(str(folder)) or scandir(folder))
    assert len(locations(path)) == 50
    assert str(path.parent / "train") in listed
    assert sorted(set(listed)) == sorted(listed)


def test_images_of_train_that_are_found_in_test_are_said(files, tmp_path):
    # train/1.jpg is missing.
    source = open_source(files("id,label\n2,a\n1,b\n", "train/2.jpg", "test/1.jpg", "test/3.jpg"))
    assert source.notes[-1].endswith(f"'2' is {tmp_path / 'train' / '2.jpg'}, and others in test, train")
    assert "others in" not in "".join(open_source(files("id,label\n2,a\n3,b\n")).notes[:-1])


NAMES = st.lists(st.sampled_from(["1", "2", "11", "1.v2", "a", "train"]), min_size=1, max_size=3).map("/".join)


@settings(max_examples=60)
@given(st.sets(st.tuples(NAMES, st.sampled_from([".jpg", ".png"]))), st.lists(NAMES, min_size=1), st.data())
def test_a_file_that_is_found_ends_as_the_table_says_and_is_the_only_one(tmp_path_factory, there, wanted, data):
    top = tmp_path_factory.mktemp("set")
    for name, extension in there:
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / f"{name}{extension}").write_bytes(b"")
    locations = [name + data.draw(st.sampled_from(["", ".jpg"])) for name in wanted]
    whole = [f"{name}{extension}" for name, extension in there]

    def alike(location):
        ends = (location,) if location.endswith(".jpg") else (f"{location}.jpg", f"{location}.png")
        found = [path for path in whole if any(f"/{path}".endswith(f"/{end}") for end in ends)]
        return [path for path in found if path in ends] or found

    try:
        found = find_files(top / "x.csv", locations, top)
    except ValueError:
        if all(len(alike(location)) < 2 for location in locations):
            raise
        return
    if found is None or found.locations == locations:
        assert any(location in whole for location in locations) or not any(map(alike, locations[:20]))
        return
    if "are found elsewhere" in found.notes[0]:  # without the folders that stand before all of them
        assert not any(map(alike, locations[:20]))
        pairs = zip(locations, found.locations, strict=True)
        assert all(f"/{location}".endswith(f"/{path}") for location, path in pairs)
        assert any(path in whole for path in found.locations)
        return
    for location, path in zip(locations, found.locations, strict=True):
        assert alike(location) == ([path] if path in whole else [])


def test_images_in_other_folders_than_the_first_are_said(files):
    # Where an image is missing, its mask may be called as it was.
    source = open_source(files("id,label\na,0\nb,1\n", "train/images/a.png", "train/masks/b.png"))
    assert "and others in train/images, train/masks" in source.notes[-1]
    many = [f"{number}/{number}.png" for number in range(6)]
    source = open_source(files("id,label\n" + "".join(f"{number},0\n" for number in range(6)), *many))
    assert "others" not in source.notes[-1]
