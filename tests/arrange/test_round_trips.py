import subprocess
import sys
import tempfile
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kills import KILLED_ITSELF
from record_sets import contents, files, payload, sets, write_set
from support import jpeg, make_class_folder

import dali_rec
from dali_rec.arrange import merge, shuffle, split
from dali_rec.errors import SourceError
from dali_rec.packing.options import ImageOptions

IMAGE_OPTIONS = [field.name for field in fields(ImageOptions)]


@settings(max_examples=40)
@given(sets(min_size=10, max_size=30), st.integers(0, 9), st.integers(1, 4))
def test_no_record_is_lost_doubled_or_changed_on_the_way_round(records, seed, shards):
    keys, payloads = records
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        write_set(here / "a", payloads, keys, shards=shards)
        shuffle(here / "a", here / "b", seed=seed, shard_size=200)
        split(here / "b", here / "c", shares={"x": 0.3, "y": 0.7}, seed=seed, shard_records=3)
        merge([here / "c-y.json", here / "c-x"], here / "d", shards=shards)
        assert sorted(contents(here / "d")) == sorted(zip(keys, payloads, strict=True))
        first, last = (
            sorted((record.key, record.labels.tolist(), bytes(record.image)) for record in dali_rec.open(here / name))
            for name in "ad"
        )
        assert first == last
        lists = [sorted(files(here / name)[".lst"].splitlines()) for name in ("b", "d")]
        assert lists[0] == lists[1]


def test_run_that_is_killed_leaves_nothing_under_the_final_names(tmp_path):
    write_set(tmp_path / "a", [payload(key, [0.0], bytes(100)) for key in range(9)], list(range(9)), shards=3)
    for command in ("merge(['a'], 'b'", "split('a', 'b'", "shuffle('a', 'b'"):
        code = f"import dali_rec.arrange, os\ndali_rec.arrange.{command}, progress=lambda *_: os.kill(os.getpid(), 9))"
        ran = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False)
        assert ran.returncode == KILLED_ITSELF
        assert [path.name for path in tmp_path.glob("b*")] == ["b.arranging"]
    merge([tmp_path / "a"], tmp_path / "b")
    assert sorted(files(tmp_path / "b")) == [".idx", ".json", ".lst", ".rec"]
    assert contents(tmp_path / "b") == contents(tmp_path / "a")


@pytest.mark.parametrize("command", [merge, shuffle, split])
def test_images_are_appended_as_those_before_them_were_packed(tmp_path, command):
    photos, more = (make_class_folder(tmp_path / name, {"ant": 3, "bee": 3}) for name in ("photos", "more"))
    dali_rec.pack(photos, tmp_path / "a", resize=20, max_pixels=10**9)
    options = {"shares": {"train": 1.0}} if command is split else {}
    made = command([tmp_path / "a"] if command is merge else tmp_path / "a", tmp_path / "b", **options).sets[0]
    before = dali_rec.open(tmp_path / "a").manifest.options
    assert {name: made.manifest.options[name] for name in IMAGE_OPTIONS} == {
        name: before[name] for name in IMAGE_OPTIONS
    }
    prefix = made.manifest_path.with_suffix("")
    with pytest.raises(SourceError, match="was packed with --resize 20, and this would be with no --resize"):
        dali_rec.pack(more, prefix, append=True)
    assert dali_rec.pack(more, prefix, append=True, resize=20).manifest.records == 12


def test_options_that_differ_are_left_out_where_sets_are_merged(tmp_path):
    photos = make_class_folder(tmp_path / "photos", {"ant": 3, "bee": 3})
    dali_rec.pack(photos, tmp_path / "a", resize=20, max_pixels=10**6)
    dali_rec.pack(photos, tmp_path / "b", resize=24, max_pixels=10**9)
    write_set(tmp_path / "c", [payload(0, [0.0], jpeg(1))], [0])
    options = merge([tmp_path / "a", tmp_path / "b"], tmp_path / "all").manifest.options
    assert {name for name in IMAGE_OPTIONS if name not in options} == {"resize"}
    assert options["max_pixels"] == 10**9
    options = merge([tmp_path / "a", tmp_path / "c"], tmp_path / "some", labels="keep").manifest.options
    assert {name for name in IMAGE_OPTIONS if name in options} == {"max_pixels"}
