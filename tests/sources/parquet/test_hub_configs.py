"""The configs in the README.md of a folder of the Hugging Face Hub, against what its own library makes of them."""

import os

import pytest

from dali_rec.errors import SourceError
from dali_rec.sources.parquet.files import find_parquet
from dali_rec.sources.parquet.hub_configs import read_hub_configs

pq = pytest.importorskip("pyarrow.parquet")
pa = pytest.importorskip("pyarrow")

PART = "  - split: {}\n    path: {}\n"
ONE = """- config_name: default
  data_files:
  - split: train
    path: data/train-*
  - split: test
    path: data/test-*
"""
TWO = """  # the large one
  - config_name: full
    data_files:
      - split: train
        path: full/train-*
      - split: validation
        path:
        - "full/val-0.parquet"
        - full/val-1.parquet  # the rest
    default: true

  - config_name: tiny
    data_files: tiny/*.parquet
"""
FEATURES = """- "config_name": x
  'data_files': "*.parquet"
  features:
  - name: label
    dtype:
      class_label:
        names:
          '0': cat
          '1': "dog: large"
"""
TWO_FILES = ["full/train-0.parquet", "full/val-0.parquet", "full/val-1.parquet", "tiny/train.parquet"]


def hub(folder, configs, files):
    """A folder with these files, and a README.md with these configs among others of its fields."""
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"image": [b"x"]}), folder / file)
    other = "dataset_info:\n- config_name: other\n  features:\n  - name: image\n    dtype: image\n"
    (folder / "README.md").write_text(
        f"---\nlicense: mit\nconfigs: # of two\n{configs}{other}---\n# configs:\n- a: b\n"
    )
    return folder


def parts(found):
    """The files of each split."""
    of_split = {}
    for file, split in zip(found.files, found.splits or [None] * len(found.files), strict=True):
        of_split.setdefault(split, []).append(file)
    return of_split


@pytest.mark.parametrize(
    ("configs", "files", "unsaid"),
    [
        (ONE, ["data/train-0.parquet", "data/test-0.parquet", "data/old-0.parquet"], "train"),
        (TWO, TWO_FILES, "train"),
        (
            "- config_name: x\n  data_files: ['a.parquet', \"b.parquet\"]\n",
            ["a.parquet", "b.parquet", "c.parquet"],
            None,
        ),
        (FEATURES, ["a.parquet", "b.parquet"], None),
        ("- config_name: x\n  data_files:\n  - sub/*\n  - a.parquet\n", ["a.parquet", "sub/b.parquet"], None),
        (
            "- config_name: x\n  data_files:\n"
            + PART.format("train", "[b.parquet, ./a.parquet]")
            + PART.format("held_out", "sub/**"),
            ["a.parquet", "b.parquet", "sub/c/d.parquet", "sub/e.parquet"],
            "train",
        ),
        (
            "- data_files:\n"
            + PART.format("test", "b.parquet")
            + PART.format("eval", "a.parquet")
            + "  config_name: x\n",
            ["a.parquet", "b.parquet"],
            "train",
        ),
        (
            "- config_name: a\n  data_dir: one\n- config_name: default\n  data_dir: two\n",
            ["one/train.parquet", "one/test.parquet", "two/train.parquet", "two/test.parquet"],
            "train",
        ),
        ("- config_name: x\n  data_files:\n  - split: train\n    path: '*'\n", ["a.parquet", "b.parquet"], None),
    ],
)
def test_files_and_splits_are_those_of_load_dataset(tmp_path, configs, files, unsaid):
    datasets = pytest.importorskip("datasets")
    folder = hub(tmp_path / "set", configs, files)
    builder = datasets.load_dataset_builder(str(folder), cache_dir=str(tmp_path / "cache"))
    theirs = {
        str(split): [os.path.relpath(path, folder) for path in paths]
        for split, paths in builder.config.data_files.items()
    }
    wanted = {{"validation": "val", "train": unsaid}.get(split, split): paths for split, paths in theirs.items()}
    assert parts(find_parquet(folder)) == wanted


def test_the_command_says_which_config_it_takes_and_what_is_left_out(tmp_path):
    folder = hub(tmp_path / "two", TWO, TWO_FILES)
    remedy = "for 'tiny' name their folder, or their files by a pattern"
    assert find_parquet(folder).notes == (f"{folder / 'README.md'}: the config 'full' is packed; {remedy}",)
    assert find_parquet(folder / "tiny").files == ("train.parquet",)
    folder = hub(tmp_path / "one", ONE, ["data/train-0.parquet", "data/test-0.parquet", "data/old-0.parquet"])
    note = f"{folder / 'README.md'}: 1 Parquet file that it does not name left out: data/old-0.parquet"
    assert find_parquet(folder).notes == (note,)


def test_the_only_config_whose_files_are_here_is_taken(tmp_path):
    found = find_parquet(hub(tmp_path / "set", TWO, ["tiny/a.parquet", "tiny/b.parquet", "other/c.parquet"]))
    assert parts(found) == {None: ["tiny/a.parquet", "tiny/b.parquet"]}


@pytest.mark.parametrize("configs", [TWO.replace("    default: true\n", ""), TWO + "    default: true\n"])
def test_several_configs_without_one_default_are_refused_as_before(tmp_path, configs):
    with pytest.raises(SourceError, match="may be two data sets; pack one of them"):
        find_parquet(hub(tmp_path / "set", configs, TWO_FILES))


@pytest.mark.parametrize(
    ("configs", "line"),
    [
        ("- config_name: x\n  data_files: [a.parquet\n", "line 6: while parsing a flow sequence, expected ',' or ']'"),
        (
            "- config_name: x\n  data_files:\n  - split: train\n  path\n",
            "line 8: while scanning a simple key, could not find expected ':'",
        ),
        ("- split: train\n", "a config has no config_name"),
        ("- x\n", "a config has no config_name"),
        (
            "- config_name: x\n  data_files:\n  - path: a\n",
            "the data_files of the config 'x' are not all a split and its",
        ),
    ],
)
def test_configs_that_cannot_be_read_are_passed_over_and_told(tmp_path, configs, line):
    folder = hub(tmp_path / "set", configs, ["train.parquet", "test.parquet"])
    found = find_parquet(folder)
    assert parts(found) == {"test": ["test.parquet"], "train": ["train.parquet"]}
    (note,) = found.notes
    assert note.startswith(f"{folder / 'README.md'}")
    assert line in note
    assert note.endswith("; its configs are passed over")


@pytest.mark.parametrize(
    "text", ["", "# A data set\n", "---\nlicense: mit\n---\n", "---\nconfigs:\n---\n", "---\nconfigs:\n- x"]
)
def test_a_readme_without_configs_has_none(tmp_path, text):
    (tmp_path / "README.md").write_text(text)
    assert read_hub_configs(tmp_path / "README.md") == []
