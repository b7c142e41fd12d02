import json

import pytest
from support import jpeg

from dali_rec.errors import SourceError
from dali_rec.sources import SourceOptions, TableOptions, open_source
from dali_rec.sources.image_names import with_slashes


@pytest.fixture
def make(tmp_path):
    """Writes JPEGs at these paths, and a table of the locations in a folder; returns the table's path."""

    def write(locations, *names, table="x.csv"):
        for seed, name in enumerate(names):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(jpeg(seed, (40, 32)))
        (tmp_path / table).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / table).write_text("path,label\n" + "".join(f"{location},0\n" for location in locations))
        return tmp_path / table

    return write


def files(path, root=None):
    source = open_source(path, SourceOptions(root=root, table=TableOptions()))
    return [sample.location for sample in source.samples], source.notes


@pytest.mark.parametrize(
    ("locations", "root", "expected"),
    [
        (["/home/me/photos/a/1.jpg", "/home/me/photos/b/1.jpg"], "", ["photos/a/1.jpg", "photos/b/1.jpg"]),
        (["/home/me/photos/a/1.jpg", "/home/me/photos/b/1.jpg"], "photos", ["a/1.jpg", "b/1.jpg"]),
        (["C:\\photos\\a\\1.jpg", "C:\\photos\\b\\1.jpg"], "", ["photos/a/1.jpg", "photos/b/1.jpg"]),
        (["x\\photos\\a\\1.jpg", "x\\photos\\c\\9.jpg"], "", ["photos/a/1.jpg", "photos/c/9.jpg"]),
        (["x/a/1.jpg", "http://a.b/c/1.jpg"], "photos/a", ["1.jpg", "http://a.b/c/1.jpg"]),
    ],
)
def test_paths_of_another_place_are_found(make, tmp_path, locations, root, expected):
    path = make(locations, "photos/a/1.jpg", "photos/b/1.jpg")
    found, notes = files(path, tmp_path / root)
    assert found == expected
    named = with_slashes(locations[0])
    assert f"found elsewhere: {named!r} is {tmp_path / root / expected[0]}" in notes[-1]


@pytest.mark.posix  # on Windows they are slashes
def test_paths_with_the_slashes_of_windows_are_found(make, tmp_path):
    found, notes = files(make(["photos\\a\\1.jpg", "photos\\c\\9.jpg"], "photos/a/1.jpg"))
    assert found == ["photos/a/1.jpg", "photos/c/9.jpg"]
    assert f"found elsewhere: 'photos\\\\a\\\\1.jpg' is {tmp_path}/photos/a/1.jpg" in notes[-1]


@pytest.mark.parametrize(
    ("locations", "names", "root"),
    [
        (["x/1.jpg"], ["photos/1.jpg"], "photos"),  # of which only the name is the same
        (["train/cat/1.jpg"], ["test/cat/1.jpg"], "test"),
        (["train2017/cat/1.jpg"], ["val2017/cat/1.jpg"], "val2017"),
        (["x/a/1.jpg", "y/a/1.jpg"], ["photos/a/1.jpg"], "photos"),  # two would become one
        (["x/a/1.jpg", "2.jpg"], ["photos/a/1.jpg"], "photos"),  # one would become none
        (["train/a/1.jpg", "test/b/2.jpg"], ["train/a/1.jpg", "train/b/2.jpg"], "train"),
    ],
)
def test_images_that_may_be_others_are_not_found(make, tmp_path, locations, names, root):
    assert files(make(locations, *names), tmp_path / root)[0] == locations


def test_images_may_lie_above_the_table(make, tmp_path):
    # DeepFashion, CheXpert.
    path = make(["img/a/1.jpg"], "img/a/1.jpg", table="Anno/list.csv")
    source = open_source(path)
    assert (source.root, source.samples[0].location) == (str(tmp_path), "img/a/1.jpg")
    assert f"its images are found in {tmp_path}: 'img/a/1.jpg'" in source.notes[-1]


def test_images_of_label_studio_are_found_in_its_folder(make, tmp_path):
    path = make(["/data/upload/1/abc-1.jpg", "/data/upload/1/def-2.jpg"], "media/upload/1/abc-1.jpg")
    assert files(path, tmp_path / "media")[0] == ["upload/1/abc-1.jpg", "upload/1/def-2.jpg"]


def coco(path, *names):
    images = [{"id": number, "width": 40, "height": 32, "file_name": name} for number, name in enumerate(names)]
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"images": images, "annotations": [], "categories": []}))
    return path


@pytest.mark.parametrize("root", [None, "train"])
def test_file_names_of_coco_may_have_other_folders_before_them(make, tmp_path, root):
    # Objects365.
    names = ["patch8/v1_1.jpg", "patch16/v2_2.jpg"]
    make([], *(f"train/{name}" for name in names))
    path = coco(tmp_path / "annotations" / "zhiyuan_objv2_train.json", *(f"images/v1/{name}" for name in names))
    found, notes = files(path, None if root is None else tmp_path / root)
    assert found == names
    assert f"'images/v1/patch8/v1_1.jpg' is {tmp_path / 'train' / names[0]}" in notes[0]


@pytest.mark.posix  # on Windows they are slashes
def test_backslashes_in_names_that_are_there_stay(make, tmp_path):
    make([], "a\\1.jpg", "a\\2.jpg")
    assert files(coco(tmp_path / "x.json", "a\\1.jpg", "a\\2.jpg"))[0] == ["a\\1.jpg", "a\\2.jpg"]


def test_two_folders_with_the_first_image_of_coco_are_refused(make, tmp_path):
    make([], "train/a/1.jpg", "images/a/1.jpg")
    with pytest.raises(SourceError, match=r"its image 'x/a/1.jpg' is in .*images and in .*train; say --root"):
        open_source(coco(tmp_path / "annotations" / "of_train.json", "x/a/1.jpg"))


def test_lists_of_yolo_may_have_other_folders_before_them(make, tmp_path):
    # CVAT's export for Ultralytics.
    make([], "images/train/a.jpg")
    (tmp_path / "labels/train").mkdir(parents=True)
    (tmp_path / "labels/train/a.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    (tmp_path / "train.txt").write_text("data/images/train/a.jpg\n")
    (tmp_path / "data.yaml").write_text("path: .\ntrain: train.txt\nnames: [cat]\n")
    (sample,) = open_source(tmp_path / "data.yaml").samples
    assert (sample.location, sample.labels[4:]) == ("images/train/a.jpg", (0.0, 0.25, 0.25, 0.75, 0.75))
