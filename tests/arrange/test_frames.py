import numpy as np
import pytest
from record_sets import contents, payload, write_set

import dali_rec
from dali_rec.arrange import frames, merge
from dali_rec.arrange.frames import read_frames
from dali_rec.errors import CorruptRecordError, RecordError, TruncatedRecordError
from dali_rec.recordio import RecordReader
from dali_rec.recordio.framing import MAGIC_BYTES, aligned_magics


def read(prefix):
    with dali_rec.open(prefix) as dataset:
        return [
            (int(key), int(row), bytes(one.payload(number)))
            for one in read_frames(dataset)
            for number, (key, row) in enumerate(zip(one.keys, one.rows, strict=True))
        ]


@pytest.mark.parametrize("chunk", [1, 100, 150, 1 << 20])
def test_pieces_of_any_length_give_every_record(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(frames, "CHUNK_BYTES", chunk)
    sizes = [0, 1, 500, 3, 4, 90, 91, 0, 700]
    payloads = [payload(key, [0.0], bytes([key]) * size) for key, size in enumerate(sizes)]
    payloads[6] = payload(6, [0.0], MAGIC_BYTES * 30)
    write_set(tmp_path / "a", payloads, list(range(9)), shards=2)
    assert read(tmp_path / "a") == [(key, key, body) for key, body in enumerate(payloads)]


def test_record_longer_than_a_piece_is_copied_also_where_it_is_split(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, frames.CHUNK_BYTES + 5, dtype=np.uint8)
    image[4000:4004] = np.frombuffer(MAGIC_BYTES, np.uint8)
    payloads = [payload(key, [0.0], body) for key, body in enumerate([b"before", image.tobytes(), b"behind"])]
    assert aligned_magics(payloads[1])
    write_set(tmp_path / "a", payloads, [0, 1, 2])
    merge([tmp_path / "a"], tmp_path / "b")
    assert (tmp_path / "b.rec").read_bytes() == (tmp_path / "a.rec").read_bytes()
    assert [body for _, body in contents(tmp_path / "b")] == payloads


def test_runs_join_what_lies_together(tmp_path):
    write_set(tmp_path / "a", [payload(key, [0.0], b"abcd") for key in range(6)], list(range(6)))
    with dali_rec.open(tmp_path / "a") as dataset:
        (one,) = read_frames(dataset)
    data = (tmp_path / "a.rec").read_bytes()
    assert [bytes(run) for run in one.runs()] == [data]
    assert [bytes(run) for run in one.take(np.array([1, 2, 5, 0])).runs()] == [data[36:108], data[180:], data[:36]]
    assert one.take(np.array([], np.int64)).runs() == []


SIZE = 24 + 100 + 8
DAMAGE = {
    "magic": (2 * SIZE, b"\0\0\0\0", CorruptRecordError, "bad magic number"),
    "continuation": (2 * SIZE + 4, (2 << 29 | 124).to_bytes(4, "little"), CorruptRecordError, "inside a record"),
    "flag": (2 * SIZE + 4, (7 << 29 | 124).to_bytes(4, "little"), CorruptRecordError, "unknown continuation flag"),
    "length": (2 * SIZE + 4, (4000).to_bytes(4, "little"), TruncatedRecordError, "cut short"),
    "beyond the next": (2 * SIZE + 4, (130).to_bytes(4, "little"), CorruptRecordError, "beyond the next record"),
    "too short": (2 * SIZE + 4, (20).to_bytes(4, "little"), CorruptRecordError, "too few for an image header"),
    "labels": (2 * SIZE + 8, (1000).to_bytes(4, "little"), CorruptRecordError, "promises 1000 labels"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_said_with_file_record_offset_and_remedy(tmp_path, kind):
    write_set(tmp_path / "a", [payload(key, [0.0], bytes(100)) for key in range(5)], [20, 21, 22, 23, 24])
    offset, instead, error, message = DAMAGE[kind]
    data = bytearray((tmp_path / "a.rec").read_bytes())
    data[offset : offset + 4] = instead
    (tmp_path / "a.rec").write_bytes(data)
    with pytest.raises(error, match=message) as caught:
        read(tmp_path / "a")
    assert f"{tmp_path / 'a.rec'}: the record with id 22, at offset {2 * SIZE}, is damaged" in str(caught.value)
    assert f"'dali-rec verify --repair {tmp_path / 'a.rec'}'" in str(caught.value)


@pytest.mark.parametrize("offset", [4, 2, SIZE + 8])
def test_index_of_another_file_is_said(tmp_path, offset):
    write_set(tmp_path / "a", [payload(key, [0.0], bytes(100)) for key in range(3)], [0, 1, 2])
    (tmp_path / "a.idx").write_text(f"0\t0\n7\t{offset}\n2\t{2 * SIZE}\n")
    with pytest.raises(RecordError, match="or the index belongs to another file"):
        read(tmp_path / "a")


def test_cut_file_without_index_is_refused(tmp_path):
    write_set(tmp_path / "a", [payload(key, [0.0], bytes(100)) for key in range(3)], [0, 1, 2])
    (tmp_path / "a.idx").unlink()
    (tmp_path / "a.rec").write_bytes((tmp_path / "a.rec").read_bytes()[:-50])
    with pytest.raises(TruncatedRecordError, match=r"a\.rec: .*cut short"):
        merge([tmp_path / "a"], tmp_path / "b")
    assert RecordReader(tmp_path / "a.rec").size == 3 * SIZE - 50
