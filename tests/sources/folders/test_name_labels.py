import pytest
from support import jpeg

import dali_rec
from dali_rec.cli import main
from dali_rec.errors import SourceError
from dali_rec.sources import SourceOptions, open_source

MARKET = r"^(-?\d+)_c(\d)"
PETS = r"([^/]+)_\d+\.jpg$"


@pytest.fixture
def folder(tmp_path):
    """Makes a folder of JPEGs with these names."""

    def make(*names):
        for seed, name in enumerate(names):
            path = tmp_path / "photos" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(jpeg(seed))
        return tmp_path / "photos"

    return make


def read(path, pattern, **options):
    return open_source(path, SourceOptions(label_pattern=pattern, **options))


def labels(source):
    return {sample.location: sample.labels for sample in source.samples}


def test_groups_of_numbers_keep_them(folder):
    source = read(folder("0002_c1s1_000451_03.jpg", "0007_c3s3_077419_03.jpg", "-1_c2s1_000000_00.jpg"), MARKET)
    assert labels(source) == {
        "0002_c1s1_000451_03.jpg": (2, 1),
        "0007_c3s3_077419_03.jpg": (7, 3),
        "-1_c2s1_000000_00.jpg": (-1, 2),
    }
    assert (source.classes, source.label_classes, source.shuffled_by_default) == (None, None, True)
    assert f"{source.root}: labels are in the names of files: -1_c2s1_000000_00.jpg has -1, 2" in source.notes


def test_names_are_numbered_in_their_order(folder):
    path = folder("pug_1.jpg", "Abyssinian_1.jpg", "great_pyrenees_20.jpg", "pug_2.jpg")
    source = read(path, PETS)
    assert source.classes == ("Abyssinian", "great_pyrenees", "pug")
    expected = {"pug_1.jpg": (2,), "Abyssinian_1.jpg": (0,), "great_pyrenees_20.jpg": (1,), "pug_2.jpg": (2,)}
    assert labels(source) == expected
    fixed = read(path, PETS, classes=("pug", "great_pyrenees", "Abyssinian"))
    assert labels(fixed)["pug_1.jpg"] == (0,)
    with pytest.raises(SourceError, match=r"the label 'Abyssinian' of Abyssinian_1.jpg is not in --classes"):
        read(path, PETS, classes=("pug", "great_pyrenees"))


def test_named_groups_alone_are_labels(folder):
    source = read(folder("26_0_1_2017.jpg", "4_1_0_2017.jpg"), r"^(?P<age>\d+)_(\d)_(?P<race>\d)_")
    assert labels(source) == {"26_0_1_2017.jpg": (26, 1), "4_1_0_2017.jpg": (4, 0)}


def test_columns_of_names_and_of_numbers_stand_side_by_side(folder):
    source = read(folder("cat_3.jpg", "dog_7.jpg"), r"(\w+)_(\d+)")
    assert source.label_classes == (("cat", "dog"), None)
    assert labels(source) == {"cat_3.jpg": (0, 3), "dog_7.jpg": (1, 7)}


def test_pattern_is_looked_for_in_the_path(folder):
    path = folder("a/deep/x_1.jpg", "b/x_2.jpg", "x_3.jpg")
    assert labels(read(path, r"x_(\d)")) == {"a/deep/x_1.jpg": (1,), "b/x_2.jpg": (2,), "x_3.jpg": (3,)}
    with pytest.raises(SourceError, match=r"photos: 1 of 3 paths do not match .* in each group: x_3\.jpg for one"):
        read(path, r"^(\w+)/")


def test_folders_of_splits_are_splits(folder):
    source = read(folder("train/cat_1.jpg", "train/dog_2.jpg", "val/dog_1.jpg"), PETS)
    assert [(split.name, split.start, split.stop) for split in source.splits] == [("train", 0, 2), ("val", 2, 3)]
    assert labels(source) == {"train/cat_1.jpg": (0,), "train/dog_2.jpg": (1,), "val/dog_1.jpg": (1,)}


def test_annotations_are_passed_over(folder):
    path = folder("cat_1.jpg")
    (path / "cat_1.txt").write_text("0 0.5 0.5 1 1\n")
    source = read(path, PETS)
    assert not source.has_boxes
    assert source.classes == ("cat",)


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        (r"^(\d+)_", r"1 of 2 paths do not match the label pattern \^\(\\d\+\)_, .*: cat_2\.jpg for one"),
        (r"_(\d)(x?)", r"2 of 2 paths do not match .* with something in each group: 1_1\.jpg for one"),
    ],
)
def test_names_that_do_not_match_are_an_error(folder, pattern, says):
    with pytest.raises(SourceError, match=says):
        read(folder("1_1.jpg", "cat_2.jpg"), pattern)


def test_pattern_that_is_none_is_an_error(folder):
    with pytest.raises(ValueError, match=r"'\(' is no regular expression: missing \), unterminated subpattern"):
        SourceOptions(label_pattern="(")
    with pytest.raises(ValueError, match=r"'\\\\d\+' has no group, of which each is a label"):
        SourceOptions(label_pattern=r"\d+")
    with pytest.raises(ValueError, match="choose one"):
        SourceOptions(label_pattern=PETS, labels="top")
    with pytest.raises(SourceError, match="2 groups, and --classes names those of one"):
        read(folder("1_1.jpg"), r"(\d)_(\d)", classes=("a",))


def test_pattern_goes_with_folders(tmp_path):
    (tmp_path / "x.csv").write_text("a.jpg,1\n")
    with pytest.raises(SourceError, match="--label-pattern goes with a folder of images"):
        read(tmp_path / "x.csv", PETS)


def test_command_and_function_take_it(folder, tmp_path):
    path = folder("cat_1.jpg", "dog_1.jpg")
    assert main(["pack", str(path), str(tmp_path / "a"), "--label-pattern", PETS, "--no-shuffle"]) == 0
    dali_rec.pack(path, tmp_path / "b", label_pattern=PETS, shuffle=False)
    for name in ("a", "b"):
        dataset = dali_rec.open(tmp_path / name)
        assert (dataset.classes, [record.labels.tolist() for record in dataset]) == (("cat", "dog"), [[0], [1]])
    assert main(["list", str(path), str(tmp_path / "c.lst"), "--label-pattern", PETS]) == 0
    assert (tmp_path / "c.lst").read_text() == "0\t0\tcat_1.jpg\n1\t1\tdog_1.jpg\n"
    assert main(["pack", str(path), str(tmp_path / "d"), "--label-pattern", "("]) == 1
