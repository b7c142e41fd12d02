import errno
import hashlib
import itertools
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support import DATA

from dali_rec.errors import OutputExistsError, UnwritableRecordError
from dali_rec.recordio import RecordReader, RecordWriter
from dali_rec.recordio import writer as writer_module


def copy_of(name, tmp_path, write):
    with RecordReader(DATA / f"{name}.rec") as reader, RecordWriter(tmp_path / f"{name}.rec") as writer:
        write(reader, writer)
    return [(tmp_path / f"{name}{suffix}").read_bytes() for suffix in (".rec", ".idx")]


def original(name):
    return [(DATA / f"{name}{suffix}").read_bytes() for suffix in (".rec", ".idx")]


def test_payloads_are_written_byte_for_byte_as_by_mxnet(tmp_path):
    def write(reader, writer):
        for payload in reader:
            writer.write(payload)

    assert copy_of("magic", tmp_path, write) == original("magic")


@pytest.mark.parametrize("name", ["single", "multi", "detection"])
def test_images_are_written_byte_for_byte_as_by_mxnet(tmp_path, name):
    def write(reader, writer):
        for record in reader.records():
            labels = float(record.labels[0]) if name == "single" else record.labels
            writer.write_image(record.image, labels, record.key)

    assert copy_of(name, tmp_path, write) == original(name)


def test_single_is_written_from_the_image_files_as_by_mxnet(tmp_path):
    with RecordWriter(tmp_path / "single.rec") as writer:
        for line in (DATA / "list.lst").read_text().splitlines():
            key, label, path = line.split("\t")
            writer.write_image((DATA / "img" / path).read_bytes(), float(label), int(key))
    assert [(tmp_path / f"single{suffix}").read_bytes() for suffix in (".rec", ".idx")] == original("single")


def test_nothing_stands_under_the_final_name_before_close(tmp_path):
    with RecordWriter(tmp_path / "x.rec") as writer:
        writer.write(b"payload")
        assert not (tmp_path / "x.rec").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.idx", "x.rec"]


def test_exception_leaves_nothing(tmp_path):
    def fail():
        with RecordWriter(tmp_path / "x.rec") as writer:
            writer.write(b"payload")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_exception_leaves_the_file_that_was_there(tmp_path):
    with RecordWriter(tmp_path / "x.rec") as writer:
        writer.write(b"old")

    def fail():
        with RecordWriter(tmp_path / "x.rec") as writer:
            writer.write(b"new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    with RecordReader(tmp_path / "x.rec") as reader:
        assert [bytes(payload) for payload in reader] == [b"old"]


@pytest.fixture
def crashes(tmp_path, monkeypatch):
    """What lies in the folder before each rename and removal in it, as a crash at that moment would leave it."""
    kept, numbers = [], itertools.count()

    def watch(name):
        original = getattr(Path, name)

        def watched(path, *arguments, **options):
            kept.append(shutil.copytree(tmp_path / "x", tmp_path / f"crash {next(numbers)}"))
            return original(path, *arguments, **options)

        monkeypatch.setattr(Path, name, watched)

    (tmp_path / "x").mkdir()
    watch("replace")
    watch("unlink")
    return kept


def write_images(path, images):
    with RecordWriter(path) as writer:
        for key, image in images.items():
            writer.write_image(image, 0.0, key)


def read_images(path):
    with RecordReader(path) as reader:
        return {key: (reader.record(key).key, bytes(reader.record(key).image)) for key in reader.keys()}


def test_crash_while_a_file_is_replaced_leaves_the_old_records_or_the_new_ones(tmp_path, crashes):
    # As long as the old ones, so that an index of the others names records that are there.
    old, new = {1: b"a", 2: b"b", 3: b"c"}, {30: b"d", 10: b"e", 20: b"f"}
    write_images(tmp_path / "x" / "x.rec", old)
    crashes.clear()
    write_images(tmp_path / "x" / "x.rec", new)
    found = [read_images(folder / "x.rec") for folder in crashes]
    whole = [{key: (key, image) for key, image in images.items()} for images in (old, new)]
    assert len(found) == 3
    assert [whole.index(one) for one in found] == [0, 0, 1]
    assert read_images(tmp_path / "x" / "x.rec") == whole[1]
    assert sorted(path.name for path in (tmp_path / "x").iterdir()) == ["x.idx", "x.rec"]


def test_crash_while_a_file_is_finished_leaves_no_records_without_their_index(tmp_path, crashes):
    write_images(tmp_path / "x" / "x.rec", {5: b"a"})
    assert [sorted(path.name for path in folder.iterdir()) for folder in crashes] == [
        ["x.idx.partial", "x.rec.partial"],
        ["x.idx", "x.rec.partial"],
    ]


def test_what_a_crash_left_is_written_over(tmp_path, crashes):
    write_images(tmp_path / "x" / "x.rec", {1: b"a"})
    write_images(tmp_path / "x" / "x.rec", {2: b"b"})
    for folder in list(crashes):
        write_images(folder / "x.rec", {3: b"c"})
        assert read_images(folder / "x.rec") == {3: (3, b"c")}
        assert sorted(path.name for path in folder.iterdir()) == ["x.idx", "x.rec"]


def test_index_that_cannot_be_written_leaves_what_was_there(tmp_path, monkeypatch):
    write_images(tmp_path / "x.rec", {1: b"a"})

    def fail(_index):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(writer_module, "format_index", fail)
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        write_images(tmp_path / "x.rec", {2: b"b"})
    assert read_images(tmp_path / "x.rec") == {1: (1, b"a")}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.idx", "x.rec"]


@pytest.mark.posix
def test_killed_writer_leaves_nothing_under_the_final_name_and_is_written_over(tmp_path):
    code = f"""
import os, signal
from dali_rec.recordio import RecordWriter
writer = RecordWriter({str(tmp_path / "x.rec")!r})
for _ in range(100):
    writer.write(b"x" * 100_000)
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    assert [path.name for path in tmp_path.iterdir()] == ["x.rec.partial"]
    with RecordWriter(tmp_path / "x.rec") as writer:
        writer.write(b"again")
    with RecordReader(tmp_path / "x.rec") as reader:
        assert [bytes(payload) for payload in reader] == [b"again"]
    assert not (tmp_path / "x.rec.partial").exists()


def test_closed_writer_takes_no_more(tmp_path):
    with RecordWriter(tmp_path / "x.rec") as writer:
        writer.write(b"payload")
    writer.close()
    with pytest.raises(ValueError, match=r"x\.rec: the writer is closed"):
        writer.write(b"more")


def test_second_writer_of_the_same_file_is_refused(tmp_path):
    with RecordWriter(tmp_path / "x.rec") as writer:
        with pytest.raises(OutputExistsError, match="another process is writing"):
            RecordWriter(tmp_path / "x.rec")
        writer.write(b"payload")
    assert (tmp_path / "x.rec").stat().st_size == 16


def in_fork(tmp_path, child):
    """What a process prints that forks one which runs ``child`` while ``writer`` writes x.rec, and then closes that."""
    code = f"""
import os, sys
from dali_rec.recordio import RecordReader, RecordWriter
writer = RecordWriter({str(tmp_path / "x.rec")!r})
writer.write_image(b"one", 1.0)
pid = os.fork()
if pid == 0:
    {child}
    sys.exit(0)
os.waitpid(pid, 0)
writer.write_image(b"two", 2.0)
writer.close()
print([bytes(record.image) for record in RecordReader(writer.path).records()])
"""
    return subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)


@pytest.mark.posix
@pytest.mark.parametrize("child", ["pass", "writer.abort()", "del writer", "writer.__exit__(SystemExit)"])
def test_forked_process_leaves_the_files_of_its_parent_alone(tmp_path, child):
    ran = in_fork(tmp_path, child)
    assert (ran.stdout, ran.stderr) == ("[b'one', b'two']\n", "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.idx", "x.rec"]


@pytest.mark.posix
@pytest.mark.parametrize("child", ["writer.write(b'x')", "writer.close()", "writer.__exit__(None)"])
def test_forked_process_that_goes_on_writing_is_refused(tmp_path, child):
    ran = in_fork(tmp_path, child)
    assert ran.stdout == "[b'one', b'two']\n"
    assert "RuntimeError" in ran.stderr
    assert "x.rec: the process that this one was forked from is writing it" in ran.stderr


def test_refused_record_names_the_file_and_leaves_the_writer_usable(tmp_path):
    with RecordWriter(tmp_path / "x.rec") as writer:
        with pytest.raises(UnwritableRecordError, match=r"x\.rec: record 3470205706"):
            writer.write_image(b"image", 1.0, 3470205706)
        writer.write_image(b"image", 1.0, 1)
    with RecordReader(tmp_path / "x.rec") as reader:
        assert reader.keys() == [1]


def test_checksum_is_that_of_the_file(tmp_path):
    with RecordWriter(tmp_path / "x.rec") as writer:
        writer.write(b"one")
        writer.write(b"three")
    assert writer.sha256 == hashlib.sha256((tmp_path / "x.rec").read_bytes()).hexdigest()
    assert writer.position == (tmp_path / "x.rec").stat().st_size


def test_ids_up_to_64_bits_read_back(tmp_path):
    keys = [0, 2**24 + 1, 2**63, 2**64 - 1]
    with RecordWriter(tmp_path / "x.rec") as writer:
        for key in keys:
            writer.write_image(b"image", 0.0, key)
    with RecordReader(tmp_path / "x.rec") as reader:
        assert reader.keys() == keys
        assert [reader.record(key).key for key in keys] == keys


@pytest.mark.posix
def test_disk_that_fails_while_more_is_written_fails_the_file(tmp_path, monkeypatch):
    def fail(_descriptor):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fdatasync", fail)
    monkeypatch.setattr(writer_module, "_WRITE_BACK_BYTES", 1 << 20)
    writer = RecordWriter(tmp_path / "x.rec")
    for _ in range(40):
        writer.write(bytes(100_000))
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        writer.close()
    assert not list(tmp_path.iterdir())


@pytest.mark.posix
def test_disk_begins_before_all_is_written(tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(os, "fdatasync", lambda descriptor: written.append(os.fstat(descriptor).st_size))
    monkeypatch.setattr(writer_module, "_WRITE_BACK_BYTES", 2 << 20)
    with RecordWriter(tmp_path / "x.rec") as writer:
        for _ in range(100):
            writer.write(bytes(100_000))
    assert written
    assert written[0] < (tmp_path / "x.rec").stat().st_size


@pytest.mark.parametrize("key", [1 << 64, -(1 << 63) - 1])
def test_key_of_more_than_64_bits_is_refused(tmp_path, key):
    with RecordWriter(tmp_path / "x.rec") as writer:
        with pytest.raises(UnwritableRecordError, match=f"the key {key} has more than 64 bits"):
            writer.write(b"payload", key)
        writer.write(b"payload", (1 << 64) - 1)
    with RecordReader(tmp_path / "x.rec") as reader:
        assert reader.keys() == [(1 << 64) - 1]
