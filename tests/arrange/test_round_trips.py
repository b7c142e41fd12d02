import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from record_sets import contents, files, payload, sets, write_set

import dali_rec
from dali_rec.arrange import merge, shuffle, split


@settings(max_examples=40, deadline=None)
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
        assert ran.returncode == -signal.SIGKILL
        assert [path.name for path in tmp_path.glob("b*")] == ["b.arranging"]
    merge([tmp_path / "a"], tmp_path / "b")
    assert sorted(files(tmp_path / "b")) == [".idx", ".json", ".lst", ".rec"]
    assert contents(tmp_path / "b") == contents(tmp_path / "a")
