"""What the tests of Parquet files share."""

import pytest


@pytest.fixture
def hub(tmp_path):
    """A data set laid out as on the Hub: two files of train, one of validation, and a test without labels."""
    pytest.importorskip("pyarrow")
    from parquet_files import FILES, labelled

    folder = tmp_path / "set"
    labelled(folder / "data" / "train-00000-of-00002.parquet", [0, 2, 1, 2, 0, 1, 1], group=3)
    labelled(folder / "data" / "train-00001-of-00002.parquet", [2, 2], FILES[7:9])
    labelled(folder / "data" / "validation-00000-of-00001.parquet", [1, 0], FILES[9:11])
    labelled(folder / "data" / "test-00000-of-00001.parquet", [-1], FILES[11:])
    (folder / "README.md").write_text("# A data set")
    return folder
