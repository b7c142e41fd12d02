"""Data sets that are Python objects: what PyTorch calls map-style, and those of Hugging Face."""

import io
import threading

import numpy as np
import pytest
from PIL import Image
from support import jpeg

import dali_rec
from dali_rec.errors import SourceError, TooManyBadImagesError
from dali_rec.sources import TableOptions, open_source, read_items

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
datasets = pytest.importorskip("datasets")

FILES = [jpeg(number, (24, 32)) for number in range(6)]
LABELS = [0, 2, 1, 2, 0, 1]


class Photographs:
    """As torchvision's CIFAR10: ``targets`` and ``classes``, and pairs of image and number."""

    classes = ("hen", "tench", "shark")

    def __init__(self, images=FILES, targets=LABELS):
        self.images = images
        self.targets = targets
        self.read = []

    def __len__(self):
        return len(self.images)

    def __getitem__(self, item):
        self.read.append(item)
        return self.images[item], int(self.targets[item])


def rows_of(source):
    return [(sample.key, sample.labels) for sample in source.samples]


def images_of(source):
    return [source.pixels.read(sample.location) for sample in source.samples]


def test_packs_and_opens_with_labels_classes_and_bytes(tmp_path):
    report = dali_rec.pack(Photographs(), tmp_path / "out")
    packed = dali_rec.open(tmp_path / "out")
    assert report.records == 6
    assert packed.classes == ("hen", "tench", "shark")
    assert [(record.key, record.labels.tolist()) for record in packed] == [
        (n, [label]) for n, label in enumerate(LABELS)
    ]
    assert [record.image for record in packed] == FILES
    assert dali_rec.verify(tmp_path / "out").ok


@pytest.mark.parametrize("kind", [list, np.array, torch.tensor])
def test_labels_of_all_items_are_taken_at_once_where_they_are_there(kind):
    data = Photographs(targets=kind(LABELS))
    assert [label for _, (label,) in rows_of(open_source(data))] == LABELS
    assert sorted(data.read) == [0, 5]


def test_labels_that_items_do_not_have_are_not_taken():
    class Renumbered(Photographs):
        def __getitem__(self, item):
            image, label = super().__getitem__(item)
            return image, 2 - label

    assert [label for _, (label,) in rows_of(open_source(Renumbered()))] == [2 - label for label in LABELS]


def test_a_part_of_a_data_set_keeps_the_names_of_its_classes():
    whole = Photographs(targets=np.array(LABELS))
    part = torch.utils.data.Subset(torch.utils.data.Subset(whole, [0, 1, 3, 4]), [1, 2, 3])
    assert rows_of(open_source(part)) == [(0, (2.0,)), (1, (2.0,)), (2, (0.0,))]
    assert open_source(part).classes == Photographs.classes
    assert set(whole.read) == {1, 4}
    source = open_source(torch.utils.data.Subset(Photographs(), [1, 4]))
    assert source.classes == Photographs.classes
    assert rows_of(source) == [(0, (2.0,)), (1, (0.0,))]
    assert images_of(source) == [FILES[1], FILES[4]]


def test_images_of_every_form(tmp_path):
    (tmp_path / "a.jpg").write_bytes(FILES[0])
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    colour = np.arange(36, dtype=np.uint8).reshape(3, 4, 3)
    cmyk = Image.new("CMYK", (4, 3), (10, 20, 30, 40))
    images = [
        FILES[0],
        bytearray(FILES[0]),
        tmp_path / "a.jpg",
        str(tmp_path / "a.jpg"),
        {"bytes": FILES[0], "path": None},
    ]
    images += [{"bytes": None, "path": str(tmp_path / "a.jpg")}, grey, colour, Image.fromarray(colour), cmyk]
    stored = images_of(open_source([(image, 0) for image in images]))
    assert stored[:6] == [FILES[0]] * 6
    pixels = [np.asarray(Image.open(io.BytesIO(one))) for one in stored[6:]]
    for made, wanted in zip(pixels, (grey, colour, colour, np.asarray(cmyk.convert("RGB"))), strict=True):
        np.testing.assert_array_equal(made, wanted)


def test_decoded_images_become_what_encoding_says(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (12, 8, 3), np.uint8)
    items = [(Image.fromarray(pixels), 0), (pixels[:, :, 0], 0), (Image.fromarray(pixels).convert("P"), 0)]
    for encoding, start in (("keep", b"\x89PNG"), ("png", b"\x89PNG"), ("jpeg", b"\xff\xd8")):
        dali_rec.pack(items, tmp_path / encoding, encoding=encoding)
        stored = [record.image for record in dali_rec.open(tmp_path / encoding)]
        assert [one[: len(start)] for one in stored] == [start] * 3
        if encoding != "jpeg":
            np.testing.assert_array_equal(dali_rec.decode_image(stored[0]), pixels)


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (np.zeros((3, 4), np.float32), "pixels must be whole numbers"),
        (np.full((3, 4), 300), "pixel values from 300 to 300; expected 0 to 255"),
        (torch.zeros(3, 8, 8), "the image is a Tensor; expected the bytes"),
        (Image.new("F", (4, 4)), "the image is a floating-point image"),
        (None, "the image is a NoneType"),
        ("no/such/file.jpg", "FileNotFoundError"),
        (b"<html>", "not an image: it begins with b'<html>'"),
    ],
)
def test_a_bad_image_is_left_out_and_named(image, reason, tmp_path):
    report = dali_rec.pack([(FILES[0], 0), (image, 1)], tmp_path / "out", max_bad=1)
    assert report.records == 1
    assert reason in report.rejections[0].reason


def test_an_item_that_cannot_be_read_is_rejected_like_any_bad_image(tmp_path):
    class Broken(Photographs):
        def __getitem__(self, item):
            if item == 3:
                raise RuntimeError("bad sector")
            return super().__getitem__(item)

    with pytest.raises(TooManyBadImagesError, match="item 3: RuntimeError: bad sector"):
        dali_rec.pack(Broken(), tmp_path / "out")
    assert dali_rec.pack(Broken(), tmp_path / "out", max_bad=1).records == 5


def test_items_are_read_one_at_a_time(tmp_path):
    class Alone(Photographs):
        busy = threading.Lock()

        def __getitem__(self, item):
            assert self.busy.acquire(blocking=False)
            try:
                return super().__getitem__(item)
            finally:
                self.busy.release()

    many = Alone(FILES * 50, LABELS * 50)
    assert dali_rec.pack(many, tmp_path / "out", workers=8, strict=True).records == 300


def test_names_are_labels_and_so_are_several_numbers():
    assert open_source([(FILES[0], "b"), (FILES[1], "a")]).classes == ("a", "b")
    named = open_source([(FILES[0], "b"), (FILES[1], "a")], dali_rec.sources.SourceOptions(classes=("b", "a")))
    assert rows_of(named) == [(0, (0.0,)), (1, (1.0,))]
    several = open_source([(FILES[0], (0.5, 1)), (FILES[1], torch.tensor([2, 3]))])
    assert (several.label_kind, several.classes) == ("values", None)
    assert rows_of(several) == [(0, (0.5, 1.0)), (1, (2.0, 3.0))]
    mixed = open_source([(FILES[0], ("b", 1)), (FILES[1], ("a", 3))])
    assert mixed.label_classes == (("a", "b"), None)


def test_items_that_are_mappings():
    items = [{"image": FILES[0], "label": 4, "colour": "red"}, {"image": FILES[1], "label": 5, "colour": "blue"}]
    assert rows_of(open_source(items)) == [(0, (4.0,)), (1, (5.0,))]
    options = dali_rec.sources.SourceOptions(table=TableOptions(labels=("colour", "label"), location="image"))
    assert rows_of(open_source(items, options)) == [(0, (1.0, 4.0)), (1, (0.0, 5.0))]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (iter([(FILES[0], 0)]), "list_iterator: no data set that has a length and an index"),
        ([], "list: no labelled items in it"),
        ({}, "dict: no labelled items in it"),
        (17, "int: no data set"),
        ([(FILES[0], 0), (FILES[1], 0, 1)], "list, item 1: its label cannot be had .it is a tuple; expected .image"),
        ([{"image": FILES[0]}], "item 0: its label cannot be had .no 'label' among 'image'"),
        ([(FILES[0], 0), (FILES[1], None)], "list, item 1: a label is a NoneType"),
        ([(FILES[0], float("nan"))], "list, item 0: the label nan is not finite"),
        ([(FILES[0], ())], "list, item 0: it has no label"),
        ([(FILES[0], 0), (FILES[1], (0, 1))], "list, item 1: 2 labels, and 1 in the first"),
        ([(FILES[0], "a"), (FILES[1], 1)], "list, item 1: the label 1 is no name, as others are"),
        (Photographs(targets=[0, 1, 2, 3, 1, 0]), "Photographs, item 3: the label 3 is none of the 3 classes"),
    ],
)
def test_what_is_no_data_set_is_refused(data, message):
    with pytest.raises(SourceError, match=message):
        open_source(data)


def test_splits_become_data_sets_with_one_table_of_classes(tmp_path):
    report = dali_rec.pack({"train": Photographs(), "val": Photographs(FILES[:2], LABELS[:2])}, tmp_path / "out")
    assert [(one.split, one.manifest.records) for one in report.sets] == [("train", 6), ("val", 2)]
    assert dali_rec.open(tmp_path / "out-val").classes == Photographs.classes
    with pytest.raises(ValueError, match="'a/b'"):
        dali_rec.pack({"a/b": Photographs()}, tmp_path / "other")


def test_other_options_and_engines_are_refused(tmp_path):
    with pytest.raises(SourceError, match="Photographs: --root goes with"):
        dali_rec.pack(Photographs(), tmp_path / "out", root=tmp_path)
    with pytest.raises(ValueError, match="engine='ray' packs what other machines can read"):
        dali_rec.pack(Photographs(), tmp_path / "out", engine="ray")


def test_an_interrupted_run_goes_on_with_the_same_bytes(tmp_path):
    def stop(done, total):
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dali_rec.pack(Photographs(), tmp_path / "out", shards=3, workers=1, progress=stop)
    dali_rec.pack(Photographs(), tmp_path / "out", shards=3, resume=True)
    dali_rec.pack(Photographs(), tmp_path / "whole", shards=3)
    for shard in range(3):
        name = f"{shard:05d}-of-00003.rec"
        assert (tmp_path / f"out-{name}").read_bytes() == (tmp_path / f"whole-{name}").read_bytes()


# --- Hugging Face ----------------------------------------------------------------------------------------------------

ANIMALS = datasets.ClassLabel(names=list(Photographs.classes))


def hugging_face(labels=LABELS, **features):
    columns = {"image": [{"bytes": one, "path": None} for one in FILES], "label": labels}
    shape = {"image": datasets.Image(), "label": ANIMALS, **features}
    for name in features:
        columns.setdefault(name, labels)
    return datasets.Dataset.from_dict(columns, features=datasets.Features(shape))


def test_of_hugging_face_the_files_and_the_names_come_as_they_are(tmp_path):
    dali_rec.pack(hugging_face(), tmp_path / "out")
    packed = dali_rec.open(tmp_path / "out")
    assert [record.image for record in packed] == FILES
    assert [record.labels.tolist() for record in packed] == [[label] for label in LABELS]
    assert packed.classes == Photographs.classes


def test_formats_and_transforms_of_hugging_face_do_not_count():
    made = hugging_face().with_transform(lambda batch: {"image": [0] * len(batch["image"])})
    assert images_of(open_source(made)) == FILES
    assert images_of(open_source(hugging_face().select([4, 2]))) == [FILES[4], FILES[2]]


def test_columns_of_hugging_face_are_found_or_asked_for():
    source = open_source(hugging_face().rename_columns({"image": "img", "label": "animal"}))
    assert (source.classes, source.notes) == (Photographs.classes, ("the column 'animal' is taken for 'label'",))
    two = hugging_face(coarse=datasets.ClassLabel(names=["a", "b", "c"]))
    options = dali_rec.sources.SourceOptions(table=TableOptions(labels=("label", "coarse")))
    assert open_source(two, options).label_classes == (Photographs.classes, ("a", "b", "c"))
    with pytest.raises(SourceError, match="the labels may be in any of the columns 'fine', 'coarse'; name it by table"):
        open_source(two.rename_column("label", "fine"))
    with pytest.raises(SourceError, match="which column has the images is not to be seen from 'label'"):
        open_source(hugging_face().remove_columns("image"))


def test_splits_of_hugging_face_without_labels_are_left_out(tmp_path):
    sets = datasets.DatasetDict({"train": hugging_face(), "test": hugging_face([-1] * 6)})
    report = dali_rec.pack(sets, tmp_path / "out")
    assert [one.split for one in report.sets] == ["train"]
    assert report.notes == ("the split 'test' is left out, as it has no labels",)
    with pytest.raises(SourceError, match=r"DatasetDict\['train'\], item 0: the label -1 is none of the 3 classes"):
        open_source(datasets.DatasetDict({"train": hugging_face([-1, 0, 0, 0, 0, 0])}))


def test_a_stream_of_hugging_face_is_refused():
    with pytest.raises(SourceError, match="no data set that has a length and an index"):
        open_source(hugging_face().to_iterable_dataset())


def test_labels_can_be_left_out():
    for data in (hugging_face().remove_columns("label"), hugging_face(), Photographs()):
        source = read_items(data, TableOptions(labels=("",)))
        assert {sample.labels for sample in source.samples} == {(0,)}
        assert source.classes is None
        assert len(source.samples) == len(data)
        with pytest.raises(SourceError, match="--classes numbers the names of classes, and there are no labels"):
            read_items(data, TableOptions(labels=("",)), ("a", "b"))
