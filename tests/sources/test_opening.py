"""What is no file and no folder, at the place of a source."""

import os

import pytest

from dali_rec.errors import SourceError
from dali_rec.sources import open_source


@pytest.mark.posix
@pytest.mark.parametrize("name", ["x.npz", "x.h5", "x.tfrecord", "x.parquet", "x.tar", "x.csv", "x-images-idx3-ubyte"])
def test_a_pipe_is_refused_and_not_waited_for(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(SourceError, match=f"{name}: not a regular file; write what comes out of it to one"):
        open_source(tmp_path / name)
