"""A mapped file that cannot be read, as one is that was cut short meanwhile, ends a command with a line."""

import subprocess
import sys

import pytest

from dali_rec.recordio import RecordWriter


@pytest.mark.skipif(sys.platform != "linux", reason="the system ends the process in another way")
def test_file_that_cannot_be_read_is_named_by_a_command(tmp_path):
    with RecordWriter(tmp_path / "x.rec") as writer:
        for _ in range(9):
            writer.write_image(bytes(100_000), 1.0)
    code = f"""
import os, sys
from dali_rec.cli import main
from dali_rec.recordio import RecordReader
build_index = RecordReader.build_index
def cut(reader, *arguments):
    os.truncate(reader.path, 50_000)
    return build_index(reader, *arguments)
RecordReader.build_index = cut
sys.exit(main(["index", {str(tmp_path / "x.rec")!r}]))
"""
    ran = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 1
    assert ran.stderr.startswith(f"dali-rec: {tmp_path / 'x.rec'}: cannot be read to the end: ")
    assert len(ran.stderr.splitlines()) == 1
