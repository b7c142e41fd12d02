"""Packed data sets of odd records for the tests of rearranging, and what is in them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from support import DATA

import dali_rec
from dali_rec.manifest import LabelKind, Manifest, ShardEntry
from dali_rec.recordio import RecordReader, RecordWriter, read_index
from dali_rec.recordio.framing import MAGIC_BYTES
from dali_rec.recordio.header import HEADER


def payload(key: int, labels: list[float], image: bytes, *, flag: int | None = None, header_label: float = 0) -> bytes:
    """An image record by hand: one label in the header, several behind it, unless ``flag`` says otherwise."""
    flag = (0 if len(labels) == 1 else len(labels)) if flag is None else flag
    head = HEADER.pack(flag, header_label if flag else labels[0], key, 0)
    return head + (np.array(labels, "<f4").tobytes() if flag else b"") + image


def write_set(
    prefix: Path,
    payloads: list[bytes],
    keys: list[int],
    classes: tuple[str, ...] | None = None,
    *,
    shards: int = 1,
    kind: LabelKind = "class",
) -> Path:
    """Payloads as PREFIX.rec and .idx (or shards), with a manifest if there are classes or shards; gives the prefix."""
    entries = []
    bounds = [len(payloads) * shard // shards for shard in range(shards + 1)]
    for shard in range(shards):
        name = prefix.name if shards == 1 else f"{prefix.name}-{shard:05d}-of-{shards:05d}"
        rows = range(bounds[shard], bounds[shard + 1])
        with RecordWriter(prefix.with_name(f"{name}.rec")) as writer:
            for row in rows:
                writer.write(payloads[row], keys[row])
        entries.append(ShardEntry(f"{name}.rec", f"{name}.idx", len(rows), writer.position, writer.sha256))
    if classes is not None or shards > 1:
        size = sum(entry.bytes for entry in entries)
        width = 1 if kind == "class" else 0
        manifest = Manifest(len(payloads), tuple(entries), width, kind, 9, 9, size, classes)
        manifest.write(prefix.with_name(prefix.name + ".json"))
    return prefix


def contents(prefix: Path) -> list[tuple[int, bytes]]:
    """(key in the index, payload) of every record in the order of the files, as RecordReader finds them."""
    manifest = prefix.with_name(prefix.name + ".json")
    names = [shard["rec"] for shard in json.loads(manifest.read_text())["shards"]] if manifest.exists() else []
    found = []
    for path in [prefix.with_name(name) for name in names] or [prefix.with_name(prefix.name + ".rec")]:
        with RecordReader(path) as reader:
            index = read_index(path.with_suffix(".idx"))
            assert index.offsets.tolist() == list(reader.offsets())
            found += [
                (key % (1 << 64), bytes(reader.read_at(offset)))
                for key, offset in zip(index.keys.tolist(), index.offsets.tolist(), strict=True)
            ]
    return found


def images_of_faces() -> list[tuple[int, bytes]]:
    """What ``contents`` finds of images in the face set of the test data, without its header and identities."""
    keys = set(dali_rec.open(DATA / "faces.rec").keys.tolist())
    return [(key, body) for key, body in contents(DATA / "faces") if key in keys]


def files(prefix: Path) -> dict[str, bytes]:
    """Every file whose name begins with the prefix, by the rest of its name."""
    return {
        path.name[len(prefix.name) :]: path.read_bytes()
        for path in sorted(prefix.parent.iterdir())
        if path.name.startswith(prefix.name)
    }


# Images that hold the magic, aligned and not, and none at all.
IMAGES = st.one_of(
    st.binary(max_size=40),
    st.lists(st.sampled_from([MAGIC_BYTES, b"abcd", b"x", MAGIC_BYTES[:3]]), max_size=5).map(b"".join),
)
LABELS = st.lists(st.integers(0, 3).map(float), min_size=1, max_size=3)
IDS = st.one_of(st.integers(0, 99), st.integers(0, (1 << 64) - 1), st.sampled_from([3470205706, (1 << 63) + 7]))


@st.composite
def sets(draw, min_size: int = 1, max_size: int = 12, labels=LABELS) -> tuple[list[int], list[bytes]]:
    """Distinct ids and payloads."""
    keys = draw(st.lists(IDS, min_size=min_size, max_size=max_size, unique=True))
    return keys, [payload(key, draw(labels), draw(IMAGES)) for key in keys]


def assert_indices_fit(folder: Path) -> None:
    """No index lies beside records of another file, even for those who read a .rec by itself."""
    for rec in folder.glob("*.rec"):
        with dali_rec.RecordReader(rec) as reader:
            made = reader.build_index()
            if rec.with_suffix(".idx").exists():
                assert (reader.index.keys.tolist(), reader.index.offsets.tolist()) == (
                    made.keys.tolist(),
                    made.offsets.tolist(),
                )
