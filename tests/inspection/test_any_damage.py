"""Whatever befalls the files: info and verify say something, repair leaves a clean data set, the .rec stays."""

import contextlib
import itertools
import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import DATA, encoded, jpeg, picture

import dali_rec
from dali_rec.errors import DaliRecError, DatasetError
from dali_rec.recordio.framing import MAGIC_BYTES

BYTES = st.one_of(st.binary(min_size=1, max_size=40), st.just(MAGIC_BYTES), st.just(MAGIC_BYTES + b"\x10\0\0\0"))
OVERWRITE = st.tuples(st.just("overwrite"), st.floats(0, 1), BYTES)
CUT = st.tuples(st.just("cut"), st.floats(0, 1), st.just(b""))
GROW = st.tuples(st.just("grow"), st.just(0.0), BYTES)
INSERT = st.tuples(st.just("insert"), st.floats(0, 1), BYTES)
LINES = st.sampled_from(
    [b"5\t0\n", b"1\t4\n", b"7\t99999\n", b"x\n", b"0\t0", b"-3\t0\n", b"18446744073709551615\t8\n"]
)
INDEX = st.tuples(st.sampled_from(["insert", "overwrite", "grow"]), st.floats(0, 1), LINES)


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """Eight images packed by dali-rec, in two shards, a split record among them; and MXNet's file of faces."""
    folder = tmp_path_factory.mktemp("sound")
    (folder / "photos").mkdir()
    for seed in range(6):
        (folder / "photos" / f"{seed}.jpg").write_bytes(jpeg(seed))
    with_magic = jpeg(6)
    with_magic = with_magic[:2] + b"\xff\xfe\x00\x16" + MAGIC_BYTES * 5 + with_magic[2:]
    (folder / "photos" / "6.jpg").write_bytes(with_magic)
    (folder / "photos" / "7.png").write_bytes(encoded(picture(7), "PNG"))
    dali_rec.pack(folder / "photos", folder / "x", shards=2, shuffle=False)
    for suffix in (".rec", ".idx"):
        shutil.copyfile(DATA / f"faces{suffix}", folder / f"faces{suffix}")
    return folder


def harm(path, how, where, data):
    content = bytearray(path.read_bytes())
    at = int(where * len(content))
    if how == "overwrite":
        content[at : at + len(data)] = data
    elif how == "insert":
        content[at:at] = data
    elif how == "cut":
        del content[at:]
    else:
        content += data
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "part"), [("x", "x-00000-of-00002"), ("x", "x-00001-of-00002"), ("faces.rec", "faces")]
)
@settings(max_examples=60)
@given(
    to_rec=st.lists(st.one_of(OVERWRITE, CUT, GROW, INSERT), max_size=3),
    to_index=st.lists(INDEX, max_size=2),
    decode=st.booleans(),
)
def test_repair_always_ends_in_a_clean_data_set(sound, tmp_path, name, part, to_rec, to_index, decode):
    shutil.rmtree(tmp_path / "d", ignore_errors=True)
    shutil.copytree(sound, tmp_path / "d", ignore=shutil.ignore_patterns("photos"))
    path, rec = tmp_path / "d" / name, tmp_path / "d" / f"{part}.rec"
    for one in to_rec:
        harm(rec, *one)
    for one in to_index:
        harm(rec.with_suffix(".idx"), *one)
    before = rec.read_bytes()
    with contextlib.suppress(DaliRecError):
        dali_rec.info(path)
    quick = dali_rec.verify(path, decode=False)
    report = dali_rec.verify(path, workers=2)
    assert quick.records == report.records
    assert quick.images >= report.images
    if not (to_rec or to_index):
        assert report.ok
    if not len(report.findings.shards[0].index) and name == "faces.rec" and not report.ok:
        with pytest.raises(DatasetError, match="no sound record is left"):
            dali_rec.repair(report)
        return
    dali_rec.repair(report)
    assert rec.read_bytes() == before
    again = dali_rec.verify(path, decode=decode)
    assert again.faults == ()
    assert again.records == sum(len(shard.index) for shard in report.findings.shards)
    dataset = dali_rec.open(path)
    assert len(dataset) == again.images if decode else len(dataset) <= again.records
    for record in itertools.islice(dali_rec.open(path), 20):
        if len(record.image):
            dali_rec.decode_image(record.image)
