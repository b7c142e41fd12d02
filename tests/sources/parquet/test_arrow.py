"""Arrow files, as Hugging Face's library keeps data sets on disk: of both formats, mapped or compressed."""

import base64
import pickle
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest
import windows_files
from hypothesis import given
from hypothesis import strategies as st
from support import jpeg

import dali_rec
from dali_rec.cli import main
from dali_rec.errors import SourceError, TooManyBadImagesError
from dali_rec.packing import workers
from dali_rec.sources.parquet import images as parquet_images
from dali_rec.sources.parquet.images import ParquetImages

pa = pytest.importorskip("pyarrow")

from parquet_files import (  # noqa: E402
    CLASSES,
    FILES,
    contents,
    features,
    images,
    images_of,
    labelled,
    labels_of,
    read,
    records_of,
    write,
    write_arrow,
)

LABELS = [0, 2, 1, 2, 0, 1, 1, 2, 0, 0, 1, 2]
FORMATS = pytest.mark.parametrize("new", [pa.ipc.new_stream, pa.ipc.new_file])
COMPRESSIONS = pytest.mark.parametrize("compression", [None, "lz4", "zstd"])


@FORMATS
@COMPRESSIONS
@pytest.mark.parametrize("group", [1, 5, 12])
def test_files_of_every_form_are_packed_in_their_order(tmp_path, new, compression, group):
    path = labelled(tmp_path / "x.arrow", LABELS, group=group, new=new, compression=compression)
    dali_rec.pack(path, tmp_path / "out" / "x", workers=4)
    wanted = [(number, [label], FILES[number]) for number, label in enumerate(LABELS)]
    assert records_of(tmp_path / "out" / "x") == wanted
    assert dali_rec.open(tmp_path / "out" / "x").classes == tuple(CLASSES)
    assert (tmp_path / "out" / "x.lst").read_text().splitlines()[3] == "3\t2\tn3.jpg"


@FORMATS
@COMPRESSIONS
def test_batches_without_rows_are_passed_over(tmp_path, new, compression):
    table = pa.table({"image": images(FILES[:4]), "label": [0, 1, 2, 3]})
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with new(tmp_path / "x.arrow", table.schema, options=options) as writer:
        for start, stop in ((0, 0), (0, 1), (1, 1), (1, 1), (1, 4), (4, 4)):
            writer.write_batch(
                table.slice(start, stop - start).combine_chunks().to_batches()[0]
                if stop > start
                else pa.RecordBatch.from_pylist([], schema=table.schema)
            )
    source = read(tmp_path / "x.arrow")
    assert (labels_of(source), images_of(source)) == ([(0,), (1,), (2,), (3,)], FILES[:4])
    labelled(tmp_path / "y.arrow", [], new=new, compression=compression)
    with pytest.raises(SourceError, match=r"y\.arrow: no labelled rows in it"):
        read(tmp_path / "y.arrow")


def test_feather_files_are_arrow(tmp_path):
    feather = pytest.importorskip("pyarrow.feather")
    table = pa.table({"image": images(FILES[:4]), "label": [0, 1, 2, 3]})
    feather.write_feather(table, tmp_path / "x.feather")
    assert images_of(read(tmp_path / "x.feather")) == FILES[:4]


@FORMATS
def test_shuffles_what_is_read_at_its_place(tmp_path, new):
    for number in range(2):
        rows = slice(6 * number, 6 * number + 6)
        labelled(tmp_path / f"{number}.arrow", LABELS[rows], FILES[rows], group=4, new=new)
    dali_rec.pack(tmp_path / "*.arrow", tmp_path / "out" / "x", shuffle=True)
    records = [(labels, bytes(image)) for _, labels, image in records_of(tmp_path / "out" / "x")]
    wanted = [([label], image) for label, image in zip(LABELS, FILES, strict=True)]
    assert records != wanted
    assert sorted(records) == sorted(wanted)


def test_shuffling_what_is_compressed_is_refused_with_the_way(tmp_path):
    labelled(tmp_path / "0.arrow", LABELS)
    labelled(tmp_path / "1.arrow", LABELS, compression="zstd")
    with pytest.raises(SourceError, match="leave --shuffle out, and shuffle the packed data set by 'dali-rec shuffle'"):
        dali_rec.pack(tmp_path / "*.arrow", tmp_path / "x", shuffle=True)


@given(
    rows=st.lists(st.integers(0, 11), max_size=30), group=st.integers(1, 12), compression=st.sampled_from([None, "lz4"])
)
def test_images_come_right_in_any_order(tmp_path, rows, group, compression):
    labelled(tmp_path / "x.arrow", LABELS, group=group, compression=compression)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"_WHOLE": 0, "_PIECE": 20000, "_MOST_BYTES": 2000, "_MOST_IMAGES": 2}.items():
            patch.setattr(parquet_images, name, value)
        held = ParquetImages(str(tmp_path), "image")
        assert [held.read(f"x.arrow#{row}") for row in rows] == [FILES[row] for row in rows]


def test_images_come_right_to_many_threads_that_read_many_files(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_images, "_MOST_MAPPED", 2)
    for number in range(4):
        labelled(tmp_path / f"{number}.arrow", LABELS, group=3)
    held = pickle.loads(pickle.dumps(ParquetImages(str(tmp_path), "image")))
    places = [(number, row) for row in range(12) for number in range(4)] * 5
    with ThreadPoolExecutor(8) as pool:
        found = [*pool.map(held.read, [f"{number}.arrow#{row}" for number, row in places])]
    assert found == [FILES[row] for _, row in places]
    assert len(held._rows._opened) == 2


@pytest.mark.parametrize("compression", [None, "zstd"])
def test_processes_make_the_same_files(tmp_path, begun, monkeypatch, compression):
    monkeypatch.setattr(workers, "_IMAGES_A_PROCESS", 4)
    files = [jpeg(number) for number in range(32)]
    path = labelled(tmp_path / "x.arrow", [number % 3 for number in range(32)], files, compression=compression)
    for count in (1, 8):
        dali_rec.pack(path, tmp_path / str(count) / "x", workers=count, shards=2)
    assert contents(tmp_path / "1") == contents(tmp_path / "8")
    assert len(begun) == 2


@pytest.mark.usefixtures("open_files_stay")
@pytest.mark.parametrize("compression", [None, "zstd"])
def test_nothing_stays_open_behind_packing(tmp_path, compression):
    good = labelled(tmp_path / "good.arrow", LABELS, compression=compression)
    bad = labelled(tmp_path / "bad.arrow", LABELS, [*FILES[:11], b"no image"], compression=compression)
    source = read(good)
    assert source.pixels.read(source.samples[3].location) == FILES[3]
    assert sys.platform == "win32" or compression or windows_files.is_open(good)
    del source
    dali_rec.pack(good, tmp_path / "out" / "good")
    with pytest.raises(TooManyBadImagesError):
        dali_rec.pack(bad, tmp_path / "out" / "bad")
    good.unlink()
    bad.unlink()


@pytest.mark.parametrize(
    "kind",
    [pa.binary(), pa.large_binary(), pa.binary_view(), pa.string(), pa.large_string(), pa.string_view()],
)
def test_columns_of_images_of_every_type(tmp_path, kind):
    values = FILES[:4]
    if kind in (pa.string(), pa.large_string(), pa.string_view()):
        values = ["data:image/jpeg;base64," + base64.b64encode(one).decode() for one in values]
    columns = {"picture": pa.array(values, kind), "label": pa.array(["b", "a", "b", "c"]).dictionary_encode()}
    source = read(write_arrow(tmp_path / "x.arrow", columns, group=3), location="picture")
    assert images_of(source) == FILES[:4]
    assert (labels_of(source), source.classes) == ([(1,), (0,), (1,), (2,)], ("a", "b", "c"))


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.binary_view()])
def test_structs_of_images_of_every_type(tmp_path, kind):
    struct = pa.struct([("bytes", kind), ("path", pa.large_string())])
    held = pa.array([{"bytes": one, "path": "n.jpg"} for one in FILES[:4]], struct)
    assert images_of(read(write_arrow(tmp_path / "x.arrow", {"image": held}, group=3))) == FILES[:4]


def test_dictionaries_that_change_from_batch_to_batch(tmp_path):
    batches = [
        pa.record_batch(
            {"image": pa.array(FILES[at : at + 2]).dictionary_encode(), "label": pa.array(names).dictionary_encode()}
        )
        for at, names in ((0, ["b", "a"]), (2, ["c", "b"]))
    ]
    with pa.ipc.new_stream(tmp_path / "x.arrow", batches[0].schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    source = read(tmp_path / "x.arrow")
    assert (images_of(source), labels_of(source)) == (FILES[:4], [(1,), (0,), (2,), (1,)])


@pytest.mark.parametrize(
    "kind", [pa.list_(pa.int8()), pa.large_list(pa.int8()), pa.list_view(pa.int8()), pa.list_(pa.int8(), 2)]
)
def test_lists_of_labels_of_every_type(tmp_path, kind):
    columns = {"image": images(FILES[:2]), "label": pa.array([[0, 1], [2, 2]], kind)}
    said = features(label={"feature": {"_type": "ClassLabel", "names": CLASSES}, "_type": "List"})
    source = read(write_arrow(tmp_path / "x.arrow", columns, said))
    assert (labels_of(source), source.label_classes) == ([(0, 1), (2, 2)], (tuple(CLASSES), tuple(CLASSES)))


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        (
            {"views": [[{"bytes": b"x", "path": "a"}]], "label": [0]},
            r"'views' is of the type list<.*>; .* make a row of each image, as explode\('views'\) of pandas does, or n",
        ),
        (
            {"views": pa.array([[b"x"]], pa.list_view(pa.binary())), "label": [0]},
            "make a row of each image, as explode",
        ),
        (
            {"image": pa.DictionaryArray.from_arrays([0], images(FILES[:1])), "label": [0]},
            "'image' is of the type dictionary<.*>; expected images, or their paths",
        ),
        ({"image": pa.array([b"abcd"], pa.binary(4)), "label": [0]}, r"type fixed_size_binary\[4\]; expected images"),
        (
            {"image": images(FILES[:1]), "label": pa.array([None])},
            "'label' is of the type null; expected numbers, names",
        ),
        ({"image": images(FILES[:1]), "label": [None, 1][:1]}, "'label' is of the type null"),
    ],
)
def test_columns_that_make_no_sense_are_errors(tmp_path, columns, reason):
    with pytest.raises(SourceError, match=reason):
        read(write_arrow(tmp_path / "x.arrow", columns))


def test_a_list_of_images_in_arrow_files_is_refused(tmp_path, capsys):
    assert main(["list", str(labelled(tmp_path / "x.arrow", [0])), str(tmp_path / "x.lst")]) == 1
    assert "a list names files, and these images are in Arrow files: pack it as it is" in capsys.readouterr().err


def test_folders_and_patterns_are_those_of_parquet(tmp_path):
    labelled(tmp_path / "set" / "data" / "train-00000-of-00002.arrow", LABELS[:6])
    labelled(tmp_path / "set" / "data" / "train-00001-of-00002.arrow", LABELS[6:], FILES[6:])
    labelled(tmp_path / "set" / "data" / "test-00000-of-00001.arrow", [-1])
    (tmp_path / "set" / "logo.jpg").write_bytes(FILES[0])
    source = read(tmp_path / "set")
    assert (images_of(source), [one.name for one in source.splits]) == (FILES, ["train"])
    assert source.notes == (
        f"{tmp_path / 'set'}: 1 image beside the Arrow files left out: logo.jpg",
        f"{tmp_path / 'set'}: the split 'test' is left out, as it has no labels",
    )
    assert images_of(read(tmp_path / "set" / "data" / "train-*.arrow")) == FILES
    write(tmp_path / "set" / "data" / "train-00000-of-00001.parquet", {"image": images(FILES[:1]), "label": [0]})
    source = read(tmp_path / "set")
    assert len(source.samples) == 1
    assert "3 Arrow files beside the Parquet files left out: data/test-00000-of-00001.arrow, " in source.notes[1]


@pytest.mark.parametrize("suffix", [".arrow", ".parquet"])
def test_files_in_an_archive_are_to_be_unpacked(tmp_path, suffix):
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.writestr(f"data/train{suffix}", b"")
    with pytest.raises(SourceError, match=rf"no images in it, but data/train\{suffix}. Unpack it, and pack these"):
        read(tmp_path / "set.zip")
