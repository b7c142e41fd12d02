import re

import numpy as np
import pytest
from support import jpeg, make_class_folder

import dali_rec
from dali_rec.cli import main
from dali_rec.errors import SourceError
from dali_rec.manifest import read_manifest
from dali_rec.sources import read_folder


@pytest.fixture
def make(tmp_path):
    """Write a JPEG under each path; returns the folder."""

    def write(*paths):
        for number, path in enumerate(paths):
            file = tmp_path / "photos" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(jpeg(number))
        return tmp_path / "photos"

    return write


def labels_of(source):
    return {sample.location: sample.labels for sample in source.samples}


TREE = ("dog/beagle/1.jpg", "dog/collie/2.jpg", "cat/manx/3.jpg", "cat/manx/4.jpg")


# Levels


def test_levels_give_a_label_each_with_its_own_names(make):
    source = read_folder(make(*TREE))
    assert source.label_classes == (("cat", "dog"), ("beagle", "collie", "manx"))
    assert labels_of(source) == {
        "dog/beagle/1.jpg": (1.0, 0.0),
        "dog/collie/2.jpg": (1.0, 1.0),
        "cat/manx/3.jpg": (0.0, 2.0),
        "cat/manx/4.jpg": (0.0, 2.0),
    }


def test_several_labels_an_image_are_said(make):
    (note,) = read_folder(make(*TREE)).notes
    assert "2 labels an image, one for each level of folders (cat, dog / beagle, collie, manx); --leaf-labels" in note


@pytest.mark.parametrize(
    ("names", "classes"),
    [
        (["images/001.cat/1.jpg", "images/002.dog/2.jpg"], ("001.cat", "002.dog")),  # CUB, Food-101, DTD
        (["n01/images/1.jpg", "n02/images/2.jpg"], ("n01", "n02")),  # Tiny ImageNet
        (["data/n01/images/1.jpg", "data/n02/images/2.jpg"], ("n01", "n02")),
        (["cat/manx/1.jpg", "cat/persian/2.jpg"], ("manx", "persian")),
    ],
)
def test_level_of_one_name_gives_no_label(make, names, classes):
    source = read_folder(make(*names))
    assert (source.classes, labels_of(source)) == (classes, {names[0]: (0.0,), names[1]: (1.0,)})
    assert any("which became no label" in note for note in source.notes)
    assert read_folder(make(), classes=classes[::-1]).samples[0].labels == (1.0,)


def test_level_of_one_name_is_said_where_a_split_is_empty(make):
    top = make("test/images/cat/1.jpg", "test/images/dog/2.jpg", "train/notes.txt")
    source = read_folder(top)
    assert (source.classes, len(source.samples)) == (("cat", "dog"), 2)


def test_levels_that_differ_remain_where_others_do_not(make):
    source = read_folder(make(*(f"images/{name}" for name in TREE)))
    assert source.label_classes == (("cat", "dog"), ("beagle", "collie", "manx"))
    assert source.samples[0].labels == (0.0, 2.0)


def test_images_of_one_class_are_said(make):
    assert any("all images are of one class, 'jpg'" in note for note in read_folder(make("jpg/1.jpg")).notes)


def test_splits_in_a_folder_of_their_own_are_splits(make):
    # As an archive leaves them that was unpacked into a folder of its name.
    source = read_folder(make("cats/train/a/1.jpg", "cats/test/a/2.jpg", "cats/train/b/3.jpg"))
    assert [split.name for split in source.splits] == ["train", "test"]
    assert [sample.location for sample in source.samples] == ["train/a/1.jpg", "train/b/3.jpg", "test/a/2.jpg"]
    assert source.root.endswith("cats")
    assert "the splits in cats are packed" in source.notes[0]


@pytest.mark.parametrize("labels", ["levels", "top", "leaf"])
def test_split_without_the_folders_of_another_is_refused(make, labels):
    # Tiny ImageNet, whose val/images/ would become a class.
    top = make("train/n01/images/1.jpg", "train/n02/images/2.jpg", "val/images/3.jpg")
    with pytest.raises(SourceError, match=r"val has no folders of classes, .* but images: .* by a list or table"):
        read_folder(top, labels)


@pytest.mark.parametrize("names", [("cars_train", "cars_test"), ("seg_test/cat", "seg_train/cat")])
def test_folders_called_after_splits_that_become_labels_are_said(make, names):
    # Stanford Cars; Intel's scenes.
    source = read_folder(make(*(f"{name}/1.jpg" for name in names)))
    assert source.splits == ()
    assert any("became labels and no splits: pack each by itself" in note for note in source.notes)


def test_masks_beside_images_are_said(make):
    source = read_folder(make("images/1.jpg", "Masks/1.png"))
    assert any("Masks, images became labels; if they are images and what was drawn" in note for note in source.notes)


def test_class_called_train_is_not_taken_for_a_split(make):
    source = read_folder(make("bus/1.jpg", "train_steam/2.jpg"))
    assert source.notes == ()


def test_table_beside_images_without_folders_is_named(make):
    top = make("train/1.jpg", "train/metadata.jsonl")
    (note,) = (note for note in read_folder(top).notes if "label 0" in note)
    assert note.endswith(f"; if {top / 'train' / 'metadata.jsonl'} has their labels, pack that")


def test_leaf_labels_give_a_class_for_each_folder_that_holds_images(make):
    source = read_folder(make(*TREE, "dog/5.jpg"), "leaf")
    assert source.classes == ("cat/manx", "dog", "dog/beagle", "dog/collie")
    assert labels_of(source)["dog/5.jpg"] == (1.0,)


def test_top_labels_give_a_class_for_each_folder_at_the_top(make):
    source = read_folder(make(*TREE, "dog/5.jpg"), "top")
    assert source.classes == ("cat", "dog")
    assert {labels for location, labels in labels_of(source).items() if location.startswith("dog/")} == {(1.0,)}


@pytest.mark.parametrize("odd", ["dog/5.jpg", "dog/beagle/old/5.jpg"])
def test_ragged_depth_is_an_error_that_names_the_folder(make, odd):
    folder = make(*TREE, odd)
    named = re.escape(str(folder / odd.rpartition("/")[0]))
    with pytest.raises(SourceError, match=f"{named} holds images at depth [13], .* --leaf-labels"):
        read_folder(folder)


def test_levels_are_packed_and_loaded_as_several_labels(make, tmp_path):
    pytest.importorskip("nvidia.dali", reason="DALI is not installed")
    dali_rec.pack(make(*TREE), tmp_path / "x", shuffle=False)
    manifest = read_manifest(tmp_path / "x.json")
    assert manifest.label_classes == (("cat", "dog"), ("beagle", "collie", "manx"))
    assert (manifest.label_width, manifest.label_kind, manifest.classes) == (2, "values", None)
    loader = dali_rec.Loader(tmp_path / "x", 4, 8, framework="numpy", device="cpu", shuffle=False)
    labels = next(iter(loader))[1]
    assert labels.dtype == np.float32
    assert labels.tolist() == [[0, 2], [0, 2], [1, 0], [1, 1]]


# Splits by folder


SPLITS = ("Training/a/1.jpg", "Training/b/2.jpg", "valid/b/3.jpg", "test/c/4.jpg", "test/a/5.jpg")


def test_train_val_and_test_folders_share_one_table_of_classes(make):
    source = read_folder(make(*SPLITS))
    assert source.classes == ("a", "b", "c")
    assert [(split.name, split.start, split.stop) for split in source.splits] == [
        ("train", 0, 2),
        ("val", 2, 3),
        ("test", 3, 5),
    ]
    assert labels_of(source)["valid/b/3.jpg"] == (1.0,)


def test_split_folders_become_a_data_set_each(make, tmp_path):
    report = dali_rec.pack(make(*SPLITS), tmp_path / "out" / "x")
    assert [(packed.split, packed.manifest.records) for packed in report.sets] == [
        ("train", 2),
        ("val", 1),
        ("test", 2),
    ]
    for split, classes in (("train", {"a", "b"}), ("val", {"b"}), ("test", {"a", "c"})):
        dataset = dali_rec.open(tmp_path / "out" / f"x-{split}")
        assert dataset.classes == ("a", "b", "c")
        assert dataset.manifest.split == split
        assert {dataset.classes[int(record.labels[0])] for record in dataset} == classes
        assert sorted(record.key for record in dataset) == list(range(len(dataset)))
    assert len(list((tmp_path / "out").iterdir())) == 12


def test_two_folders_for_one_split_are_an_error(make):
    with pytest.raises(SourceError, match="the folders train and training both mean the split 'train'"):
        read_folder(make("train/a/1.jpg", "training/a/2.jpg"))


def test_class_called_test_beside_others_is_a_class(make):
    assert read_folder(make("test/1.jpg", "exam/2.jpg")).classes == ("exam", "test")


@pytest.mark.parametrize("beside", ["training_set/cat/3.jpg", "annotations/notes.txt"])
def test_splits_that_become_labels_are_said(make, beside):
    source = read_folder(make("train/cat/1.jpg", "val/cat/2.jpg", beside))
    other = beside.partition("/")[0]
    assert source.splits == ()
    assert any(f"train, val became labels and no splits, as {other} lies beside" in note for note in source.notes)


def test_training_and_testing_and_dev_are_splits(make):
    source = read_folder(make("Training/a/1.jpg", "Testing/a/2.jpg", "dev/a/3.jpg"))
    assert [split.name for split in source.splits] == ["train", "val", "test"]


@pytest.mark.parametrize("labels", ["levels", "leaf", "top"])
def test_split_without_class_folders_beside_one_with_them_is_refused(make, labels):
    # ImageNet's val and Kaggle's test: their images would get a class without a name, before all others.
    folder = make("train/cat/1.jpg", "train/dog/2.jpg", "val/3.jpg")
    said = re.escape(f"{folder / 'val'} has no class folders in it, as {folder / 'train'} has")
    with pytest.raises(SourceError, match=said):
        read_folder(folder, labels)


def test_classes_that_only_another_split_has_are_said(make, tmp_path):
    source = read_folder(make("train/cat/1.jpg", "train/dog/2.jpg", "test/test/3.jpg"))
    assert source.classes == ("cat", "dog", "test")
    assert source.notes == (f"1 class has no images in {tmp_path / 'photos' / 'train'}, but a number: test",)


def test_flat_folders_can_be_splits(make):
    source = read_folder(make("train/1.jpg", "test/2.jpg"))
    assert [split.name for split in source.splits] == ["train", "test"]
    assert "label 0" in source.notes[0]


# Splits by share


def test_split_deals_out_every_image_once(class_folder, tmp_path):
    report = dali_rec.pack(class_folder, tmp_path / "x", split={"train": 0.75, "val": 0.25}, seed=3)
    assert [packed.manifest.records for packed in report.sets] == [9, 3]
    paths = []
    for split in ("train", "val"):
        paths += [line.split("\t")[-1] for line in (tmp_path / f"x-{split}.lst").read_text().splitlines()]
        assert dali_rec.open(tmp_path / f"x-{split}").classes == ("ant", "bee", "cat")
    assert len(paths) == len(set(paths)) == 12


def test_stratified_split_has_each_class_in_its_shares(tmp_path):
    folder = make_class_folder(tmp_path / "photos", {"a": 20, "b": 10})
    dali_rec.pack(folder, tmp_path / "x", split={"train": 0.8, "val": 0.2}, stratify=True)
    labels = [int(record.labels[0]) for record in dali_rec.open(tmp_path / "x-val")]
    assert (labels.count(0), labels.count(1)) == (4, 2)


def test_splits_of_a_list_keep_its_ids(tmp_path):
    (tmp_path / "a.jpg").write_bytes(jpeg())
    (tmp_path / "x.lst").write_text("".join(f"{key}\t0\ta.jpg\n" for key in range(100, 110)))
    dali_rec.pack(tmp_path / "x.lst", tmp_path / "y", split={"train": 0.5, "val": 0.5})
    keys = [dali_rec.open(tmp_path / f"y-{split}").keys.tolist() for split in ("train", "val")]
    assert sorted(keys[0] + keys[1]) == list(range(100, 110))
    assert keys[0] == sorted(keys[0])


def test_split_of_split_folders_is_refused(make, tmp_path):
    with pytest.raises(SourceError, match="it is split already"):
        dali_rec.pack(make(*SPLITS), tmp_path / "x", split={"a": 0.5, "b": 0.5})


def test_nothing_is_published_if_one_split_fails(make, tmp_path):
    folder = make(*SPLITS)
    (folder / "test" / "a" / "5.jpg").write_bytes(b"")
    with pytest.raises(dali_rec.errors.TooManyBadImagesError):
        dali_rec.pack(folder, tmp_path / "out" / "x")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"x-train.rejected.jsonl", "x.packing"}


# Classes


def test_order_of_classes_can_be_given(make):
    source = read_folder(make("a/1.jpg", "b/2.jpg"), classes=("b", "unseen", "a"))
    assert source.classes == ("b", "unseen", "a")
    assert labels_of(source) == {"a/1.jpg": (2.0,), "b/2.jpg": (0.0,)}
    assert "1 class has no images: unseen" in source.notes


def test_folder_that_is_not_among_the_classes_is_an_error(make):
    with pytest.raises(SourceError, match="1 folder is not in --classes: b"):
        read_folder(make("a/1.jpg", "b/2.jpg"), classes=("a",))


# Commands


@pytest.mark.parametrize("text", ["cat\nbee\nant\n", "\ufeffcat\r\nbee\r\nant"])
def test_classes_come_from_a_file(class_folder, tmp_path, text):
    (tmp_path / "classes.txt").write_bytes(text.encode())
    assert main(["pack", str(class_folder), str(tmp_path / "x"), "--classes", str(tmp_path / "classes.txt")]) == 0
    assert dali_rec.open(tmp_path / "x").classes == ("cat", "bee", "ant")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"a\na\n", "'a' stands twice"),
        (b"\n", "no class names"),
        ("ä\n".encode("cp1252"), "not UTF-8 text"),
        ("a\n".encode("utf-16"), "the text is UTF-16; save it as UTF-8"),
    ],
)
def test_bad_file_of_classes_is_an_error(capsys, class_folder, tmp_path, text, message):
    (tmp_path / "classes.txt").write_bytes(text)
    assert main(["pack", str(class_folder), str(tmp_path / "x"), "--classes", str(tmp_path / "classes.txt")]) == 1
    assert message in capsys.readouterr().err


def test_dry_run_prints_the_plan_and_writes_nothing(capsys, class_folder, tmp_path):
    arguments = ["pack", str(class_folder), str(tmp_path / "x"), "--dry-run", "--split", "train=0.75,val=0.25"]
    before = sorted(tmp_path.iterdir())
    assert main([*arguments, "--stratify"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["bee", "3", "1"] in rows
    assert ["all", "9", "3"] in rows
    assert sorted(tmp_path.iterdir()) == before


def test_dry_run_prints_names_as_they_are(capsys, tmp_path):
    (tmp_path / "x.csv").write_text('label,location\n"[red]",1.jpg\n"[/b]",2.jpg\n')
    assert main(["pack", str(tmp_path / "x.csv"), str(tmp_path / "y"), "--dry-run"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["[red]", "1"] in rows
    assert ["[/b]", "1"] in rows


def test_dry_run_names_missing_files(capsys, tmp_path):
    long = f"{'folder/' * 20}nothing.jpg"
    (tmp_path / "x.lst").write_text(f"7\t0\t{long}\n")
    assert main(["pack", str(tmp_path / "x.lst"), str(tmp_path / "y"), "--dry-run"]) == 0
    assert f"missing: id 7: {long}\n" in capsys.readouterr().out


def test_dry_run_of_several_labels_counts_the_first_by_name(capsys, make, tmp_path):
    folder = make(*TREE)
    assert main(["pack", str(folder), str(tmp_path / "y"), "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert f"{folder}: 2 labels an image, one for each level of folders (cat, dog / beagle, collie, manx); " in out
    assert [line.split()[0] for line in out.splitlines()[2:4]] == ["cat", "dog"]


def test_list_is_written_and_packs_to_the_same(capsys, class_folder, tmp_path):
    assert main(["list", str(class_folder), str(tmp_path / "a.lst")]) == 0
    assert "12 images" in capsys.readouterr().out
    dali_rec.pack(tmp_path / "a.lst", tmp_path / "x", root=class_folder)
    dali_rec.pack(class_folder, tmp_path / "y", shuffle=False)
    assert (tmp_path / "x.rec").read_bytes() == (tmp_path / "y.rec").read_bytes()


def test_list_can_be_split_and_shuffled(class_folder, tmp_path):
    arguments = ["list", str(class_folder), str(tmp_path / "a.lst"), "--split", "train=0.5,val=0.5", "--shuffle"]
    assert main(arguments) == 0
    rows = [(tmp_path / f"a-{split}.lst").read_text().splitlines() for split in ("train", "val")]
    assert [len(part) for part in rows] == [6, 6]
    paths = [row.split("\t")[-1] for part in rows for row in part]
    assert len(set(paths)) == 12
    assert paths != sorted(paths)


@pytest.mark.parametrize("option", [["--split", "a=2"], ["--leaf-labels", "--top-labels"], ["--encoding", "gif"]])
def test_wrong_options_are_status_2(class_folder, tmp_path, option):
    assert main(["pack", str(class_folder), str(tmp_path / "x"), *option]) == 2


# What a folder of others would have made of it


@pytest.mark.parametrize("labels", ["levels", "leaf", "top"])
def test_two_splits_beside_another_folder_are_said_to_be_labels(make, labels):
    inside = "" if labels == "levels" else "a/"
    source = read_folder(make(f"train/{inside}1.jpg", f"test/{inside}2.jpg", f"sample/{inside}3.jpg"), labels)
    assert any("test, train became labels and no splits, as sample lies beside" in note for note in source.notes)


def test_images_beside_the_folder_of_splits_are_counted(make):
    source = read_folder(make("set/train/a/1.jpg", "set/val/a/2.jpg", "3.jpg"))
    assert any("1 file directly in" in note and "3.jpg" in note for note in source.notes)


def test_split_by_itself_with_other_numbers_than_its_neighbour_is_said(make):
    folder = make("train/a/1.jpg", "train/b/2.jpg", "train/c/3.jpg", "val/a/4.jpg", "val/c/5.jpg", "test/x/6.jpg")
    for name, other in (("train", "val"), ("val", "train")):
        (note,) = read_folder(folder / name).notes
        assert note.startswith(f"{folder / other} has other classes than {folder / name}")
    assert "has other classes" not in "".join(read_folder(folder / "test").notes)
    assert read_folder(folder / "val", classes=("a", "b", "c")).notes == ("1 class has no images: b",)
    (folder / "val" / "b").mkdir()
    assert read_folder(folder / "train").notes == ()


def test_classes_come_from_a_packed_data_set(capsys, make, tmp_path):
    folder = make("train/a/1.jpg", "train/b/2.jpg", "val/b/3.jpg")
    out = str(tmp_path / "out")
    assert main(["pack", str(folder / "train"), f"{out}-train"]) == 0
    assert main(["pack", str(folder / "val"), f"{out}-val", "--classes", f"{out}-train.json"]) == 0
    assert [record.labels.tolist() for record in dali_rec.open(f"{out}-val")] == [[1.0]]
    (tmp_path / "x.lst").write_text(f"0\t5\t{folder}/val/b/3.jpg\n")
    assert main(["pack", str(tmp_path / "x.lst"), f"{out}-x"]) == 0
    assert main(["pack", str(folder / "val"), f"{out}-y", "--classes", f"{out}-x.json"]) == 1
    assert "out-x.json: this data set has no names of classes" in capsys.readouterr().err


def test_split_without_images_is_named(make, tmp_path):
    folder = make("train/a/1.jpg")
    (folder / "val").mkdir()
    with pytest.raises(SourceError, match="the split 'val' has no images; take it away"):
        dali_rec.pack(folder, tmp_path / "out")


# What lies among the images and is not read


@pytest.mark.parametrize(
    "text", ["labelTxt/1.txt", "ann/1.jpg.json", "images/1.xml", "label_2/1.txt"]
)  # DOTA, Supervisely, …, KITTI
def test_files_called_as_images_are_said_not_to_be_read(make, text):
    folder = make("images/1.jpg", "images/2.jpg")
    (folder / text).parent.mkdir(exist_ok=True)
    (folder / text).write_text("plane 1 2 3 4\n")
    said = f"1 file of an image's name is not read ({folder / text})"
    assert any(said in note for note in read_folder(folder).notes)
    (folder / text).rename(folder / "images" / "readme.txt")
    assert not any("of an image's name" in note for note in read_folder(folder).notes)


@pytest.mark.parametrize("name", ["annotations/instances_val2017.json", "val2017/_annotations.coco.json"])
def test_annotations_of_coco_in_a_folder_are_said_not_to_be_read(make, name):
    folder = make("val2017/1.jpg", "val2017/2.jpg")
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text('{"info": {}, "images": []}')
    assert any(f"{folder / name} has annotations of COCO" in note for note in read_folder(folder).notes)


BOXES = {
    "bbx_gt.txt": "1.jpg\n1\n1 2 3 4 0 0 0 0 0 0\n",
    "train_labels.csv": "filename,width,height,class,xmin,ymin,xmax,ymax\n1.jpg,40,32,cat,1,2,3,4\n",
    "train.odgt": "{}",
    "a.xml": "<annotations><meta/></annotations>",
}


@pytest.mark.parametrize("images", ["train/1.jpg", "images/a/1.jpg", "1.jpg"])
@pytest.mark.parametrize("name", BOXES)
def test_file_of_boxes_in_a_folder_is_said_not_to_be_read(make, images, name):
    folder = make(images)
    (folder / name).write_text(BOXES[name])
    assert any(f"{folder / name} has boxes in the format" in note for note in read_folder(folder).notes)


def test_folder_with_boxes_below_others_is_named(make):
    folder = make("part/train/images/1.jpg", "other/2.jpg")
    (folder / "part" / "train" / "labelTxt").mkdir()
    (folder / "part" / "train" / "labelTxt" / "1.txt").write_text("1 2 3 2 3 4 1 4 plane 0\n")
    said = f"to have the boxes in {folder / 'part' / 'train'}, pack that folder"
    assert any(said in note for note in read_folder(folder, "leaf").notes)


@pytest.mark.parametrize("labels", ["levels", "leaf", "top"])
def test_splits_below_classes_are_said(make, labels):
    folder = make("cat/train/1.jpg", "cat/test/2.jpg", "dog/train/3.jpg")
    said = "test, train lie below other folders and are no splits"
    assert any(said in note for note in read_folder(folder, labels).notes)


def test_drawings_beside_images_are_said(make):
    folder = make("JPEGImages/1.jpg", "SegmentationClass/1.png", "other/1.jpg")
    assert any("JPEGImages, SegmentationClass became labels; if they are" in note for note in read_folder(folder).notes)


def test_images_of_all_splits_are_counted_where_none_has_classes(make):
    folder = make("train/1.jpg", "train/2.jpg", "test/3.jpg")
    assert (
        f"{folder} has no class folders in it: its 3 images all get label 0; --label-pattern finds labels in names"
        in read_folder(folder).notes
    )


def test_folders_called_as_splits_and_somehow_after_them_are_said(make):
    # Dogs vs. Cats at Kaggle.
    (note, *_) = read_folder(make("train/cat.0.jpg", "test1/1.jpg")).notes
    assert "test1, train became labels and no splits: pack each by itself" in note


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["1", "10", "2"], "the class '1' has label 0, by its place among the sorted names"),  # Flowers-102
        (["0", "1", "10", "2"], "the class '10' has label 2, by its place"),
        (["00000", "00001"], None),  # GTSRB
        (["1", "10", "cat"], None),
    ],
)
def test_classes_called_by_other_numbers_than_their_labels_are_said(make, names, said):
    folder = make(*(f"{name}/1.jpg" for name in names))
    source = read_folder(folder)
    assert source.classes == tuple(names)
    assert any("by its place" in note for note in source.notes) == (said is not None)
    assert said is None or any(said in note for note in source.notes)
    assert not any("by its place" in note for note in read_folder(folder, classes=sorted(names, key=len)).notes)
