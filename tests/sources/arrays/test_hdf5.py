"""Data sets in HDF5 files: PCam's, Galaxy10's and others."""

import sys

import numpy as np
import pytest
from array_files import decoded, labels_of, noise, pixels_of, read

import dali_rec
from dali_rec.errors import MissingDependencyError, SourceError
from dali_rec.sources.arrays import layout, unpacked

h5py = pytest.importorskip("h5py")

LABELS = np.arange(12) % 4
LAYOUTS = {
    "contiguous": {},
    "chunks": {"chunks": (5, 6, 5, 3)},
    "chunks of parts": {"chunks": (2, 4, 3, 1), "compression": "gzip"},
    "chunks of one": {"chunks": (1, 6, 5, 3), "compression": "lzf"},
    "automatic": {"chunks": True, "compression": "gzip", "shuffle": True},
}


def write(path, arrays, **options):
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array, **(options if array.ndim == 4 else {}))
    return path


@pytest.mark.parametrize("options", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("names", [("images", "ans"), ("images", "labels"), ("X", "y"), ("data/x", "data/y")])
def test_every_way_of_storing_gives_the_same_images(tmp_path, options, names):
    x = noise(12, 6, 5, 3)
    path = write(tmp_path / "x.h5", dict(zip(names, (x, LABELS), strict=True)), **options)
    columns = {"location": "data/x", "labels": ("data/y",)} if names[0] == "data/x" else {}
    source = read(path, **columns)
    assert np.array_equal(pixels_of(source), x)
    assert np.array_equal(pixels_of(source, [11, 0, 7, 3]), x[[11, 0, 7, 3]])
    assert labels_of(source) == LABELS.tolist()
    assert source.samples[3].location == f"x.h5//{names[0]}#3"


def test_pcam_has_its_labels_in_another_file(tmp_path):
    x, y = noise(12, 6, 5, 3), (np.arange(12) % 2).reshape(12, 1, 1, 1).astype(np.uint8)
    stem = "camelyonpatch_level_2_split_train"
    with h5py.File(tmp_path / f"{stem}_x.h5", "w") as file:
        file.create_dataset("x", data=x, chunks=(4, 6, 5, 3), compression="gzip")
    with h5py.File(tmp_path / f"{stem}_y.h5", "w") as file:
        file.create_dataset("y", data=y)
    dali_rec.pack(tmp_path / f"{stem}_x.h5", tmp_path / "out", workers=2)
    dataset = dali_rec.open(tmp_path / "out")
    assert np.array_equal(decoded(record.image for record in dataset), x)
    assert [int(record.labels[0]) for record in dataset] == y.ravel().tolist()
    for name in ("x", "y"):
        (tmp_path / f"{stem}_{name}.h5").rename(tmp_path / f"{stem}_{name}.h5".upper())
    assert labels_of(read(tmp_path / f"{stem}_x.h5".upper())) == y.ravel().tolist()
    (tmp_path / f"{stem}_y.h5".upper()).unlink()
    (tmp_path / f"{stem}_x.h5".upper()).rename(tmp_path / f"{stem}_x.h5")
    with pytest.raises(SourceError, match=r"_x\.h5: no array that is called as labels are in 'x'; name"):
        read(tmp_path / f"{stem}_x.h5")


def test_groups_of_splits_and_names_as_strings(tmp_path):
    x = noise(12, 6, 5)
    names = np.array(["cat", "dog", "cat", "emu"] * 3, object)
    with h5py.File(tmp_path / "x.hdf5", "w") as file:
        for split, rows in (("train", slice(0, 8)), ("test", slice(8, 12))):
            file[f"{split}/images"] = x[rows]
            file[f"{split}/labels"] = names[rows]
    source = read(tmp_path / "x.hdf5")
    assert [(one.name, one.start, one.stop) for one in source.splits] == [("train", 0, 8), ("test", 8, 12)]
    assert source.classes == ("cat", "dog", "emu")
    assert labels_of(source)[:4] == [0, 1, 0, 2]
    assert np.array_equal(pixels_of(source), x)


def test_places_behind_a_user_block_are_found(tmp_path):
    x = noise(12, 6, 5, 3)
    with h5py.File(tmp_path / "x.h5", "w", userblock_size=1024) as file:
        file["images"], file["labels"] = x, LABELS
    assert np.array_equal(pixels_of(read(tmp_path / "x.h5")), x)


def test_values_in_other_files_and_values_that_were_never_written_are_refused(tmp_path):
    x = noise(12, 6, 5, 3)
    write(tmp_path / "part.h5", {"images": x})
    (tmp_path / "secret").write_bytes(x.tobytes())
    together = h5py.VirtualLayout(shape=x.shape, dtype=x.dtype)
    together[:] = h5py.VirtualSource(tmp_path / "part.h5", "images", shape=x.shape)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_virtual_dataset("virtual", together)
        file.create_dataset("external", x.shape, np.uint8, external=[(tmp_path / "secret", 0, x.nbytes)])
        file.create_dataset("unwritten", (1 << 40, 6, 5), np.uint8, chunks=(1, 6, 5))
        file.create_dataset("nothing", data=h5py.Empty("u1"))
        file["link"] = h5py.ExternalLink("part.h5", "/images")
        file["x"], file["labels"] = x, LABELS
        file.create_dataset("others", (12,), np.uint8, external=[(tmp_path / "secret", 0, 12)])
    elsewhere, empty = r"x\.h5, \w+: its values are in other files", r"x\.h5, \w+: nothing was written into it"
    for name, reason in (("virtual", elsewhere), ("external", elsewhere), ("unwritten", empty), ("nothing", empty)):
        with pytest.raises(SourceError, match=reason):
            read(tmp_path / "x.h5", location=name)
    with pytest.raises(SourceError, match=r"x\.h5: no array 'link' in"):
        read(tmp_path / "x.h5", location="link")
    with pytest.raises(SourceError, match=elsewhere):
        read(tmp_path / "x.h5", location="x", labels=("others",))
    with h5py.File(tmp_path / "links.h5", "w") as file:
        file["images"] = h5py.ExternalLink("part.h5", "/images")
    with pytest.raises(SourceError, match=r"links\.h5: no arrays in it"):
        read(tmp_path / "links.h5")


def test_chunks_of_many_images_are_not_shuffled_unless_all_are_kept(tmp_path, monkeypatch):
    x = noise(12, 6, 5, 3)
    many = write(tmp_path / "many.h5", {"images": x, "labels": LABELS}, chunks=(4, 6, 5, 3))
    single = write(tmp_path / "single.h5", {"images": x, "labels": LABELS}, chunks=(1, 6, 5, 3))
    dali_rec.pack(many, tmp_path / "out", shuffle=True)
    monkeypatch.setattr(layout, "MOST_KEPT", 500)
    monkeypatch.setattr(unpacked, "MOST_KEPT", 500)
    with pytest.raises(SourceError, match="can be read in their order alone"):
        dali_rec.pack(many, tmp_path / "out2", shuffle=True)
    dali_rec.pack(single, tmp_path / "out2", shuffle=True)
    order = [int(line.rpartition("#")[2]) for line in (tmp_path / "out2.lst").read_text().splitlines()]
    assert np.array_equal(decoded(record.image for record in dali_rec.open(tmp_path / "out2")), x[order])


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"images": noise(12, 6, 5) / 255, "labels": LABELS}, r"x\.h5, images: its images are of the type float64"),
        (
            {"images": noise(12, 6, 5), "labels": LABELS[:9]},
            r"x\.h5, labels: 9 labels, and 12 images in .*, images",
        ),
        ({"weights": noise(12, 6, 5)}, r"x\.h5: no array that is called as images are in 'weights'"),
    ],
)
def test_other_data_sets_are_refused(tmp_path, arrays, reason):
    with pytest.raises(SourceError, match=reason):
        read(write(tmp_path / "x.h5", arrays))


def test_cut_files_and_others_are_refused(tmp_path):
    path = write(tmp_path / "x.h5", {"images": noise(12, 6, 5, 3), "labels": LABELS})
    whole = path.read_bytes()
    for data in (b"", b"<html>", whole[: len(whole) // 2], whole[:-1]):
        path.write_bytes(data)
        with pytest.raises(SourceError, match=r"x\.h5: cannot be read as HDF5 \(.*\); get it anew"):
            read(path)


def test_a_damaged_chunk_ends_packing(tmp_path):
    options = {"chunks": (4, 30, 30, 3), "compression": "gzip", "fletcher32": True}
    path = write(tmp_path / "x.h5", {"images": noise(40, 30, 30, 3), "labels": np.arange(40)}, **options)
    with h5py.File(path) as file:
        place = file["images"].id.get_chunk_info(5).byte_offset
    data = bytearray(path.read_bytes())
    data[place + 50] ^= 255
    path.write_bytes(data)
    with pytest.raises(SourceError, match=r"x\.h5, images, from row 0 on: cannot be read as HDF5"):
        dali_rec.pack(path, tmp_path / "out")


def test_without_h5py_the_line_that_installs_it_is_told(tmp_path, monkeypatch):
    path = write(tmp_path / "x.h5", {"images": noise(12, 6, 5, 3), "labels": LABELS})
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingDependencyError, match=r'HDF5 files need h5py .* pip install "dali-rec\[hdf5\]"'):
        read(path)
