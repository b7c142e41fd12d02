import pytest
from support import jpeg

import dali_rec
from dali_rec.errors import SourceError
from dali_rec.sources import SourceOptions, open_source

LISTS = {
    "images.txt": "1 001.Auk/a.jpg\n2 001.Auk/b.jpg\n3 010.Wren/c d.jpg\n",
    "image_class_labels.txt": "1 1\n2 1\n3 10\n",
    "train_test_split.txt": "1 0\n2 1\n3 1\n",
    "classes.txt": "1 001.Auk\n9 009.Tit\n10 010.Wren\n",
}


@pytest.fixture
def write(tmp_path):
    """Writes a folder as CUB-200 has it, with these lists instead of the usual ones."""

    def write(**lists):
        for seed, name in enumerate(("001.Auk/a.jpg", "001.Auk/b.jpg", "010.Wren/c d.jpg")):
            path = tmp_path / "CUB" / "images" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(jpeg(seed))
        for name, text in LISTS.items():
            (tmp_path / "CUB" / name).write_text(lists.get(name.removesuffix(".txt"), text))
        return tmp_path / "CUB"

    return write


def test_lists_give_classes_and_splits(write, tmp_path):
    dali_rec.pack(write(), tmp_path / "out", shuffle=False)
    train, test = dali_rec.open(tmp_path / "out-train"), dali_rec.open(tmp_path / "out-test")
    assert train.classes == test.classes == ("001.Auk", "010.Wren")
    assert [(record.labels.tolist(), bytes(record.image)) for record in train] == [([0], jpeg(1)), ([1], jpeg(2))]
    assert [(record.labels.tolist(), bytes(record.image)) for record in test] == [([0], jpeg(0))]


def test_order_of_classes_can_be_given(write):
    source = open_source(write(), SourceOptions(classes=("010.Wren", "001.Auk")))
    assert [sample.labels for sample in source.samples] == [(1.0,), (0.0,), (1.0,)]


def test_folders_are_read_without_the_lists_where_that_is_asked(write):
    assert open_source(write(), SourceOptions(labels="leaf")).splits == ()
    assert open_source(write() / "images").splits == ()


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        ({"image_class_labels": "1 1\n2 1\n"}, "the image 3, 010.Wren/c d.jpg, has no match in image_class_labels.txt"),
        ({"train_test_split": "1 0\n2 1\n3 2\n"}, "the image 3, .* has no match in train_test_split.txt"),
        ({"classes": "1 001.Auk\n"}, "the image 3, .* has no match in classes.txt"),
        ({"images": "1 a.jpg\n1 b.jpg\n"}, r"images\.txt, line 2: '1' stands twice"),
        ({"images": "1\n"}, r"images\.txt, line 1: '1' has nothing behind it"),
    ],
)
def test_lists_that_do_not_match_are_refused(write, lists, message):
    with pytest.raises(SourceError, match=message):
        open_source(write(**lists))


def test_classes_of_one_name_are_one_and_said(write):
    source = open_source(write(classes="1 Auk\n10 Auk\n"))
    assert (source.classes, {sample.labels for sample in source.samples}) == (("Auk",), {(0.0,)})
    assert "several classes are called 'Auk'" in source.notes[-1]
