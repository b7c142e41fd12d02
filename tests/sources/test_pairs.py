"""Verification sets of InsightFace are read, and nothing in them is run."""

import collections
import contextlib
import io
import os
import pickle
import struct
from fractions import Fraction

import numpy as np
import pytest
import support
from hypothesis import given, settings
from hypothesis import strategies as st
from support import jpeg

import dali_rec
from dali_rec.cli import main
from dali_rec.errors import ImageRejectedError, SourceError
from dali_rec.sources import open_source, pairs
from dali_rec.sources.pickled import read_pickle

IMAGES = [jpeg(number, (32, 32)) for number in range(6)]
FLAGS = [True, False, True]


def images_of(path):
    source = open_source(path)
    return [source.pixels.read(sample.location) for sample in source.samples]


def write(path, content, protocol=pickle.HIGHEST_PROTOCOL):
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path


def python2(protocol):
    """(IMAGES, FLAGS) as Python 2 pickles it: str in opcodes that Python 3 no longer writes."""
    if protocol == 2:
        strings = b"".join(b"T" + struct.pack("<i", len(one)) + one for one in IMAGES)
        return b"\x80\x02](" + strings + b"e](\x88\x89\x88e\x86."
    if protocol == 1:
        strings = b"".join(b"T" + struct.pack("<i", len(one)) + one for one in IMAGES)
        return b"(](" + strings + b"e](I01\nI00\nI01\net."
    strings = b"".join(b"S" + repr(one)[1:].encode("ascii") + b"\na" for one in IMAGES)
    return b"((lp0\n" + strings + b"(lp1\nI01\naI00\naI01\natp2\n."


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "content",
    [
        (IMAGES, FLAGS),
        [tuple(IMAGES), [1, 0, 1]],
        (IMAGES, np.array(FLAGS)),
        (IMAGES, [np.bool_(flag) for flag in FLAGS]),
        ([np.frombuffer(one, np.uint8) for one in IMAGES], FLAGS),
        ([np.array(list(one), np.uint8) for one in IMAGES], FLAGS),
        ([bytearray(one) for one in IMAGES], FLAGS),
        (np.array([*IMAGES, None], object)[:6], np.array(FLAGS)),
    ],
    ids=["lists", "numbers", "flag array", "flag scalars", "read-only arrays", "arrays", "bytearrays", "object array"],
)
def test_every_way_of_writing_a_set_gives_the_same_images(tmp_path, content, protocol):
    path = write(tmp_path / "lfw.bin", content, protocol)
    assert images_of(path) == IMAGES
    assert [sample.labels for sample in open_source(path).samples] == [(1, 0), (1, 0), (0, 1), (0, 1), (1, 2), (1, 2)]


@pytest.mark.parametrize("protocol", [0, 1, 2])
def test_set_of_python_2_gives_the_same_images(tmp_path, protocol):
    path = tmp_path / "lfw.bin"
    path.write_bytes(python2(protocol))
    assert pickle.loads(path.read_bytes(), encoding="bytes") == (IMAGES, FLAGS)
    assert images_of(path) == IMAGES


def test_arrays_of_old_numpy_are_read(tmp_path):
    content = pickle.dumps(([np.frombuffer(one, np.uint8) for one in IMAGES], np.array(FLAGS)), protocol=2)
    for old, new in ((b"numpy._core.", b"numpy.core."), (b"numpy.core.", b"numpy._core.")):
        (tmp_path / "lfw.bin").write_bytes(content.replace(old, new))
        assert images_of(tmp_path / "lfw.bin") == IMAGES


def test_command_packs_pairs_in_order(tmp_path, capsys):
    write(tmp_path / "lfw.bin", (IMAGES, FLAGS))
    assert main(["pack", str(tmp_path / "lfw.bin"), str(tmp_path / "out")]) == 0, capsys.readouterr().err
    dataset = dali_rec.open(tmp_path / "out")
    assert [bytes(record.image) for record in dataset] == IMAGES
    assert [record.labels.tolist() for record in dataset][2:4] == [[0, 1], [0, 1]]
    assert dataset.keys.tolist() == list(range(6))


class Hostile:
    """Pickles as a call of anything."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


HOSTILE = {
    "os.system": lambda mark: Hostile(os.system, f"touch {mark}"),
    "eval": lambda mark: Hostile(eval, f"open({str(mark)!r}, 'w')"),
    "exec": lambda mark: Hostile(exec, f"open({str(mark)!r}, 'w')"),
    "open": lambda mark: Hostile(open, str(mark), "w"),
    "getattr": lambda mark: Hostile(getattr, Hostile(__import__, "os"), "system"),
    "in an object array": lambda mark: np.array([Hostile(os.system, f"touch {mark}"), None], object),
    "import": lambda mark: Hostile(__import__, "antigravity"),
    "harmless class": lambda mark: collections.OrderedDict(),
    "fraction": lambda mark: Fraction(1, 2),
    "huge bytes": lambda mark: Hostile(bytes, 1 << 40),
    "dict": lambda mark: {"a": 1},
    "set": lambda mark: {1},
    "float": lambda mark: 0.5,
}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_in_a_pickle_is_run(tmp_path, name, protocol):
    mark = tmp_path / "mark"
    path = write(tmp_path / "x.bin", ([*IMAGES[:5], HOSTILE[name](mark)], FLAGS), protocol)
    with pytest.raises(SourceError, match=r"x\.bin"):
        open_source(path)
    assert not mark.exists()


@pytest.mark.parametrize(
    "program",
    [
        b"cos\nsystem\n(S'touch mark'\ntR.",
        b"\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R.",
        b"\x8c\x05numpy\x8c\x0bload.system\x93.",
        b"cnumpy\nndarray\n(I1000000000000\ntR.",
        b"cnumpy\nndarray\n)\x81}b.",
        b"c_codecs\nencode\n(Vx\nVrot13\ntR.",
        b"cnumpy.core.multiarray\n_reconstruct\n(cbuiltins\nbytes\n(K\x00tVb\ntR.",
        b"(i__main__\nx\n.",
        b"\x82\x01.",
        b"Pid\n.",
        b"K\x01K\x02b.",
        b"h\x07.",
        b"]K\x01u.",
        b"e.",
        b"t.",
        b"a.",
        b"R.",
        b"\x87.",
        b".",
        b"\x8e" + struct.pack("<Q", 1 << 62) + b"x.",
        b"B\xff\xff\xff\xffx.",
        b"T\xff\xff\xff\xffx.",
        b"\x8a\xff\x01.",
        b"I" + b"9" * 100_000 + b"\n.",
        b"S'no end\n.",
        b"\x96" + struct.pack("<Q", 1 << 40),
        b"r\xff\xff\xff\xff.",
        b"\x8b\xff\xff\xff\x7f.",
        b"]" + b"(" * 1000,
        b"",
        b"PK\x03\x04",
        b"\xff\xd8\xff",
    ],
)
def test_hand_made_programs_are_refused(tmp_path, program):
    (tmp_path / "x.bin").write_bytes(program)
    with pytest.raises(SourceError, match=r"x\.bin"):
        open_source(tmp_path / "x.bin")


def test_every_truncation_is_refused(tmp_path):
    whole = pickle.dumps((IMAGES[:2], [True]), protocol=2)
    for length in range(len(whole)):
        with pytest.raises(SourceError):
            read_pickle(whole[:length], "x.bin")


@given(st.binary(max_size=60))
@settings(max_examples=400)
def test_any_bytes_are_read_or_refused(data):
    with contextlib.suppress(SourceError):
        read_pickle(data, "x.bin")


@given(st.data())
@settings(max_examples=400)
def test_any_damage_to_a_set_is_read_or_refused(tmp_path_factory, data):
    whole = bytearray(pickle.dumps(([np.frombuffer(b"abc", np.uint8), b"d"], np.array([True])), protocol=2))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damage") / "x.bin"
    path.write_bytes(whole)
    with contextlib.suppress(SourceError):
        open_source(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ((IMAGES, FLAGS[:2]), "6 images and 2 flags"),
        ((IMAGES, [True, False, 2]), "flag 2 is neither"),
        ((IMAGES, ["a", "b", "c"]), "flag 0 is neither"),
        ((IMAGES, np.array([0.5, 1, 2])), "float|f8|array of"),
        (([*IMAGES[:5], "text"], FLAGS), "image 5 is not"),
        (([*IMAGES[:5], np.zeros(3)], FLAGS), "image 5 is not"),
        ((IMAGES, FLAGS, 1), "not a pair"),
        (([], []), "0 images"),
        ((7, FLAGS), "something else"),
    ],
)
def test_what_is_no_verification_set_is_said(tmp_path, content, message):
    with pytest.raises(SourceError, match=message):
        open_source(write(tmp_path / "x.bin", content))


def test_image_whose_bytes_are_damaged_is_rejected(tmp_path):
    # Of Python 2: a list of two strings, and one of a truth.
    (tmp_path / "x.bin").write_bytes(rb"((lS'\xzz'" + b"\naS'a'\na(lI01\nat.")
    source = open_source(tmp_path / "x.bin")
    with pytest.raises(ImageRejectedError, match=r"image at byte \d+ of .*x\.bin: "):
        source.pixels.read(source.samples[0].location)


def test_image_that_claims_too_many_bytes_is_rejected(tmp_path, monkeypatch):
    monkeypatch.setattr(pairs, "MAX_IMAGE_BYTES", len(IMAGES[0]) - 1)
    source = open_source(write(tmp_path / "x.bin", (IMAGES, FLAGS)))
    with pytest.raises(ImageRejectedError, match="too many for an image"):
        source.pixels.read(source.samples[0].location)


def test_one_image_repeated_without_end_is_refused(tmp_path):
    with pytest.raises(SourceError, match="repeats"):
        open_source(write(tmp_path / "x.bin", ([bytes(10_000)] * 2000, [True] * 1000)))


def test_memory_is_bounded_by_the_file(tmp_path):
    # 40 MB of images, never read at once; claimed lengths of 1 TB, never made.
    bombs = io.BytesIO()
    bombs.write(b"\x80\x04](" + b"B" + struct.pack("<I", 40_000_000) + bytes(40_000_000))
    bombs.write(b"\x8e" + struct.pack("<Q", 1 << 40))
    (tmp_path / "x.bin").write_bytes(bombs.getvalue())
    said, peak = support.peak_memory(f"""
from dali_rec.sources import open_source
from pathlib import Path
before = peak()
try:
    open_source(Path({str(tmp_path / "x.bin")!r}))
except Exception as error:
    print(type(error).__name__, peak() - before < 20_000)
""")
    assert said == "SourceError True"
    assert peak < 400_000
