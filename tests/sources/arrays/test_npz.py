"""Data sets in .npz: MedMNIST's, Keras's, and plain ones."""

import io
import re
import tracemalloc
import zipfile

import numpy as np
import pytest
from array_files import decoded, labels_of, noise, pixels_of, read, split_of

import dali_rec
from dali_rec.cli import main
from dali_rec.errors import SourceError
from dali_rec.images import MAX_PIXELS
from dali_rec.sources import SourceOptions, open_source

SAVE = {"stored": np.savez, "deflated": np.savez_compressed}
LABELS = np.arange(12) % 4


def write_medmnist(path, save, width=1):
    arrays = {}
    for seed, (split, count) in enumerate([("train", 20), ("val", 5), ("test", 7)]):
        arrays[f"{split}_images"] = noise(count, 28, 28, 3, seed=seed)
        labels = np.random.default_rng(seed).integers(0, 2, (count, width), np.uint8)
        arrays[f"{split}_labels"] = labels
    save(path, **arrays)
    return arrays


@pytest.mark.parametrize("save", SAVE.values(), ids=SAVE)
def test_medmnist_is_packed_in_its_splits(tmp_path, save):
    arrays = write_medmnist(tmp_path / "pathmnist.npz", save)
    report = dali_rec.pack(tmp_path / "pathmnist.npz", tmp_path / "out" / "path", workers=3)
    assert [(one.split, one.manifest.records) for one in report.sets] == [("train", 20), ("val", 5), ("test", 7)]
    assert report.notes == ()
    for split in ("train", "val", "test"):
        records = list(dali_rec.open(tmp_path / "out" / f"path-{split}"))
        assert np.array_equal(decoded(record.image for record in records), arrays[f"{split}_images"])
        assert [record.labels.tolist() for record in records] == arrays[f"{split}_labels"].tolist()
    assert (tmp_path / "out" / "path-val.lst").read_text().splitlines()[3].endswith("\tpathmnist.npz//val_images#3")
    assert dali_rec.verify(tmp_path / "out" / "path-train").ok


def test_several_labels_an_image_are_kept(tmp_path):
    arrays = write_medmnist(tmp_path / "chestmnist.npz", np.savez, width=14)
    source = read(tmp_path / "chestmnist.npz")
    wanted = np.vstack([arrays[f"{split}_labels"] for split in ("train", "val", "test")])
    assert labels_of(source) == [*map(tuple, wanted.tolist())]


@pytest.mark.parametrize("save", SAVE.values(), ids=SAVE)
def test_keras_names_are_known_in_capitals_too(tmp_path, save):
    x, y = noise(12, 9, 7), LABELS
    save(tmp_path / "mnist.npz", x_test=x[8:], x_train=x[:8], y_train=y[:8], y_test=y[8:])
    source = read(tmp_path / "mnist.npz")
    assert [(one.name, one.start, one.stop) for one in source.splits] == [("train", 0, 8), ("test", 8, 12)]
    assert np.array_equal(pixels_of(source), x)
    assert labels_of(source) == y.tolist()
    save(tmp_path / "other.npz", X_train=x[:8], X_valid=x[8:], Y_train=y[:8], Y_valid=y[8:])
    assert split_of(read(tmp_path / "other.npz"), "val") == range(8, 12)
    assert read(tmp_path / "other.npz", split="").splits == ()


@pytest.mark.parametrize("names", [("images", "labels"), ("x", "y"), ("data", "target"), ("Images", "Label")])
def test_plain_names_are_one_data_set(tmp_path, names):
    x = noise(12, 5, 6, 3)
    np.savez(tmp_path / "x.npz", **dict(zip(names, (x, LABELS), strict=True)), target_names=np.array(["a", "b"]))
    source = read(tmp_path / "x.npz")
    assert (source.splits, source.classes, labels_of(source)) == ((), None, LABELS.tolist())
    assert np.array_equal(pixels_of(source), x)


@pytest.mark.parametrize("save", SAVE.values(), ids=SAVE)
@pytest.mark.parametrize("shape", [(12, 6, 5), (12, 6, 5, 1), (12, 6, 5, 3), (12, 3, 6, 5), (12, 1, 6, 5)])
def test_shapes_that_are_images(tmp_path, save, shape):
    x = noise(*shape)
    save(tmp_path / "x.npz", images=x, labels=LABELS)
    source = read(tmp_path / "x.npz")
    wanted = x.transpose(0, 2, 3, 1) if shape[2:] == (6, 5) else x
    assert np.array_equal(pixels_of(source), wanted[..., 0] if wanted.shape[-1] == 1 else wanted)
    assert bool(source.notes) == (shape[2:] == (6, 5))


@pytest.mark.parametrize(
    ("images", "reason"),
    [
        (noise(12, 6, 5) / 255, r"of the type float64; save them as 0 to 255: of 0…1 \(255"),
        (noise(12, 6, 5).astype(np.uint16), "of the type uint16; save them as 0 to 255"),
        (noise(12, 6, 5) > 9, "of the type bool"),
        (noise(12, 784), r"12 × 784; .*save it as images\.reshape\(-1, 28, 28\)"),
        (noise(12, 6, 5, 4), "12 × 6 × 5 × 4; expected N × height × width, or × 1 or × 3 behind, grey or RGB"),
        (noise(12, 3, 5, 3), "the second or the last may be the channels"),
        (noise(0, 6, 5), "holds no images"),
        (np.array([{}] * 12, object), r"objects, which are pickled, and never read"),
        (np.asfortranarray(noise(12, 6, 5)), "its columns come first"),
        (np.zeros(12, [("a", "u1")]), "structured|void"),
    ],
)
def test_other_arrays_are_refused_with_the_remedy(tmp_path, images, reason):
    np.savez(tmp_path / "x.npz", images=images, labels=LABELS)
    with pytest.raises(SourceError, match=rf"x\.npz, images: .*({reason})"):
        read(tmp_path / "x.npz")


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        (np.arange(11), "labels: 11 labels, and 12 images in .*x.npz, images; as many are expected"),
        (np.zeros((12, 6, 5)), "labels of 12 × 6 × 5; expected one or several"),
        (np.zeros((12, 1 << 17), np.bool_), "labels of 12 × 131072; expected one or several"),
        (np.zeros(12, "U20000"), r"labels of the type str\d+; expected numbers, or names"),
        (np.array([0.0] * 7 + [np.nan] * 5), "labels, row 7: a label is not finite"),
        (np.zeros(12, "M8[s]"), r"labels of the type datetime64\[s\]; expected numbers, or names"),
        (np.array(["a"] * 12, object), "objects, which are pickled"),
        (np.array([b"\xff"] * 12), "not UTF-8"),
        (np.full(12, 0x110000, np.uint32).view("U1"), "labels: a label is no text of Unicode"),
        (np.full(12, 0xD800, ">u4").view(">U1"), "labels: a label is no text of Unicode"),
    ],
)
def test_labels_that_are_none_are_refused(tmp_path, labels, reason):
    np.savez(tmp_path / "x.npz", images=noise(12, 6, 5), labels=labels)
    with pytest.raises(SourceError, match=reason):
        read(tmp_path / "x.npz")


@pytest.mark.parametrize("kind", ["U", "S"])
def test_names_get_numbers(tmp_path, kind):
    names = np.array([("cat", "dog", "ape")[row % 3] for row in range(12)], kind)
    np.savez(tmp_path / "x.npz", images=noise(12, 6, 5), labels=names)
    source = read(tmp_path / "x.npz")
    assert source.classes == ("ape", "cat", "dog")
    assert labels_of(source)[:3] == [1, 2, 0]
    source = read(tmp_path / "x.npz", classes=("dog", "cat", "ape"))
    assert labels_of(source)[:3] == [1, 0, 2]


def test_classes_name_numbers_and_refuse_others_with_the_row(tmp_path):
    np.savez(tmp_path / "x.npz", images=noise(12, 6, 5), labels=LABELS)
    source = read(tmp_path / "x.npz", classes=("a", "b", "c", "d"))
    assert (source.classes, labels_of(source)) == (("a", "b", "c", "d"), LABELS.tolist())
    with pytest.raises(SourceError, match=r"x\.npz, labels, item 3: the label 3 is none of the 3 classes"):
        read(tmp_path / "x.npz", classes=("a", "b", "c"))
    with pytest.raises(SourceError, match="there are no labels"):
        read(tmp_path / "x.npz", classes=("a", "b", "c"), labels=("",))


def test_a_label_of_a_later_split_is_named_by_its_place_there(tmp_path):
    x = noise(12, 6, 5)
    np.savez(tmp_path / "x.npz", x_train=x, y_train=LABELS, x_test=x, y_test=np.array([0] * 7 + [4] * 5))
    with pytest.raises(SourceError, match=r"x\.npz, y_test, item 7: the label 4 is none of the 4 classes"):
        read(tmp_path / "x.npz", classes=tuple("abcd"))


def test_arrays_of_other_names_are_named_by_options(tmp_path):
    x = noise(12, 6, 5)
    np.savez(tmp_path / "x.npz", x, LABELS, fine=LABELS * 2.5)
    with pytest.raises(SourceError, match=r"no array that is called as images are in 'fine', 'arr_0', 'arr_1'; name "):
        read(tmp_path / "x.npz")
    with pytest.raises(SourceError, match=r"as labels are in .* by --label-column, or '' for none"):
        read(tmp_path / "x.npz", location="arr_0")
    source = read(tmp_path / "x.npz", location="arr_0", labels=("arr_1", "fine"))
    assert np.array_equal(pixels_of(source), x)
    assert labels_of(source)[3] == (3, 7.5)
    assert labels_of(read(tmp_path / "x.npz", location="arr_0", labels=("",))) == [0] * 12
    with pytest.raises(SourceError, match="no array 'other' in"):
        read(tmp_path / "x.npz", location="arr_0", labels=("other",))


def test_one_split_can_be_named(tmp_path):
    arrays = write_medmnist(tmp_path / "x.npz", np.savez)
    source = read(tmp_path / "x.npz", location="val_images", labels=("val_labels",))
    assert source.splits == ()
    assert np.array_equal(pixels_of(source), arrays["val_images"])


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (("images", "x", "y"), "'images' and 'x' may both be meant; name one by --location-column"),
        (("x", "y", "x_train"), "'x' is of no split by its name, as 'x_train' is"),
        (("x_train", "x_val", "y_test"), "y_test are of other splits than the images x_train, x_val"),
    ],
)
def test_names_that_do_not_say_what_belongs_together_are_refused(tmp_path, names, reason):
    np.savez(tmp_path / "x.npz", **{name: noise(4, 5, 5)[:, 0] if "y" in name else noise(4, 5, 5) for name in names})
    with pytest.raises(SourceError, match=reason):
        read(tmp_path / "x.npz")


def test_a_split_without_labels_is_left_out_and_told(tmp_path):
    x = noise(12, 6, 5)
    np.savez(tmp_path / "x.npz", x_train=x[:8], y_train=LABELS[:8], x_test=x[8:])
    source = read(tmp_path / "x.npz")
    assert source.splits == ()
    assert np.array_equal(pixels_of(source), x[:8])
    assert source.notes == (f"{tmp_path / 'x.npz'}: 'x_test' is left out, as no labels of that split are there",)


def test_one_hot_labels_are_told(tmp_path):
    np.savez(tmp_path / "x.npz", images=noise(12, 6, 5), labels=np.eye(4)[LABELS])
    source = read(tmp_path / "x.npz")
    assert labels_of(source)[1] == (0, 1, 0, 0)
    assert re.search(r"single 1 among 4 labels, .*argmax\(1\)", *source.notes)


@pytest.mark.parametrize("save", SAVE.values(), ids=SAVE)
def test_every_cut_file_is_refused(tmp_path, save):
    save(tmp_path / "x.npz", images=noise(12, 6, 5), labels=LABELS)
    whole = (tmp_path / "x.npz").read_bytes()
    for length in range(0, len(whole) - 1, 7):
        (tmp_path / "x.npz").write_bytes(whole[:length])
        with pytest.raises(SourceError, match=r"x\.npz: cannot be read as \.npz"):
            read(tmp_path / "x.npz")


def test_damage_in_what_is_deflated_ends_packing(tmp_path):
    np.savez_compressed(tmp_path / "x.npz", images=noise(2000, 32, 32) // 64, labels=np.arange(2000))
    whole = bytearray((tmp_path / "x.npz").read_bytes())
    with zipfile.ZipFile(tmp_path / "x.npz") as file:
        member = file.getinfo("images.npy")
    whole[member.header_offset + member.compress_size // 2] ^= 255
    (tmp_path / "x.npz").write_bytes(whole)
    with pytest.raises(SourceError, match=r"x\.npz, images: cannot be unpacked from about image [\d,]+ on .* anew"):
        dali_rec.pack(tmp_path / "x.npz", tmp_path / "out", workers=2)
    assert not (tmp_path / "out.json").exists()


def test_a_checksum_that_is_another_is_noticed_at_the_end(tmp_path):
    np.savez_compressed(tmp_path / "x.npz", images=noise(20, 60, 50), labels=np.arange(20))
    whole = (tmp_path / "x.npz").read_bytes()
    with zipfile.ZipFile(tmp_path / "x.npz") as file:
        checksum = file.getinfo("images.npy").CRC.to_bytes(4, "little")
    assert whole.count(checksum) == 2
    (tmp_path / "x.npz").write_bytes(whole.replace(checksum, b"abcd"))
    source = read(tmp_path / "x.npz")
    with pytest.raises(SourceError, match="its checksum is another"):
        pixels_of(source)


def test_members_that_lie_about_their_length_are_refused(tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": (1 << 40, 1 << 10, 1 << 10)}
    )
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as file:
        file.writestr("images.npy", header.getvalue() + bytes(100))
        file.writestr("labels.npy", b"no numpy")
    with pytest.raises(SourceError, match=r"x\.npz, images: 228 bytes, and [\d,]+ are expected of .*cut off"):
        read(tmp_path / "x.npz")
    with pytest.raises(SourceError, match=r"x\.npz, labels: cannot be read as \.npy"):
        read(tmp_path / "x.npz", location="labels", labels=("",))


def test_labels_that_would_fill_the_memory_are_refused_unread(tmp_path):
    many = 1 << 26
    np.savez_compressed(tmp_path / "x.npz", images=noise(12, 6, 5), labels=np.zeros(many, np.uint8))
    tracemalloc.start()
    try:
        with pytest.raises(SourceError, match=f"labels: {many} labels, and 12 images in"):
            read(tmp_path / "x.npz")
        assert tracemalloc.get_traced_memory()[1] < many / 4
    finally:
        tracemalloc.stop()


def test_images_of_more_pixels_than_are_packed_are_refused(tmp_path):
    np.savez_compressed(tmp_path / "x.npz", images=np.zeros((1, 1, MAX_PIXELS + 1), np.uint8), labels=np.zeros(1))
    with pytest.raises(SourceError, match=r"x\.npz, images: its images are 1 × 178956971; at most 178,956,970 pixels"):
        read(tmp_path / "x.npz")


def test_other_compression_is_refused(tmp_path):
    np.savez(tmp_path / "x.npz", images=noise(12, 6, 5), labels=LABELS)
    with zipfile.ZipFile(tmp_path / "x.npz") as old, zipfile.ZipFile(tmp_path / "y.npz", "w", zipfile.ZIP_BZIP2) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    with pytest.raises(SourceError, match=r"y\.npz, images: compressed in a way that NumPy does not write"):
        read(tmp_path / "y.npz")


@pytest.mark.parametrize(
    "options",
    [
        {"root": "."},
        {"labels": "leaf"},
        {"label_pattern": "(x)"},
        {"label_width": 2},
        {"flagged": "keep"},
    ],
)
def test_options_of_other_sources_are_refused(tmp_path, options):
    np.savez(tmp_path / "x.npz", images=noise(12, 6, 5), labels=LABELS)
    with pytest.raises(SourceError, match=r"x\.npz: --.* which this is not; leave it out"):
        open_source(tmp_path / "x.npz", SourceOptions(**options))


@pytest.mark.parametrize("columns", [{"id": "labels"}, {"split": "labels"}, {"columns": ("a", "b")}])
def test_columns_that_arrays_do_not_have_are_refused(tmp_path, columns):
    np.savez(tmp_path / "x.npz", images=noise(12, 6, 5), labels=LABELS)
    with pytest.raises(SourceError, match=r"x\.npz: --id-column, --columns and --split-column NAME go with tables"):
        read(tmp_path / "x.npz", **columns)


def test_command_packs_shuffled_as_jpeg(tmp_path, capsys):
    np.savez(tmp_path / "x.npz", images=np.full((12, 16, 16, 3), 100, np.uint8), labels=np.arange(12))
    command = ["pack", str(tmp_path / "x.npz"), str(tmp_path / "out"), "--encoding", "jpeg", "--shuffle"]
    assert main(command) == 0, capsys.readouterr().err
    dataset = dali_rec.open(tmp_path / "out")
    labels = [int(record.labels[0]) for record in dataset]
    assert sorted(labels) == list(range(12)) != labels
    assert all(bytes(record.image).startswith(b"\xff\xd8") for record in dataset)
    paths = [line.split("\t")[2] for line in (tmp_path / "out.lst").read_text().splitlines()]
    assert paths == [f"x.npz//images#{label}" for label in labels]
