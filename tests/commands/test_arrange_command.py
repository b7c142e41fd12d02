import re

import pytest
from record_sets import contents

import dali_rec
from dali_rec.cli import main


def test_rate_of_a_small_data_set_is_not_zero(packed, tmp_path, capsys):
    assert main(["split", str(packed), str(tmp_path / "some"), "--class", "ant"]) == 0
    assert re.search(r" s, [1-9][\d.]* (kB|MB)/s$", capsys.readouterr().out.rstrip())


def test_merge_split_and_shuffle_one_after_another(packed, tmp_path, capsys):
    both, parts, mixed = (str(tmp_path / name) for name in ("both", "parts", "mixed"))
    assert main(["merge", str(packed), f"{packed}.rec", both, "--shard-records", "10"]) == 0
    assert "24 records in 3 classes in 3 shards" in capsys.readouterr().out
    assert main(["split", both, parts, "--split", "train=0.5,val=0.5", "--stratify", "--seed", "1"]) == 0
    said = capsys.readouterr().out
    assert "12 records in 3 classes" in said
    assert "parts-val.json" in said
    assert main(["shuffle", f"{parts}-train.json", mixed, "--seed", "1", "--memory", "64MiB", "--shards", "2"]) == 0
    assert dali_rec.verify(mixed).ok
    assert sorted(contents(tmp_path / "mixed")) == sorted(contents(tmp_path / "parts-train"))


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["merge", "A"], 2, "at least one data set"),
        (["merge", "A", "OUT"], 1, "no data set there"),
        (["merge", "P", "OUT", "--labels", "some"], 2, "labels"),
        (["merge", "P", "P", "--overwrite"], 1, "is what is being read"),
        (["split", "P", "OUT"], 2, "say how"),
        (["split", "P", "OUT", "--stratify"], 2, "needs --split"),
        (["split", "P", "OUT", "--split", "a=0.3"], 2, "add up to 0.3"),
        (["split", "P", "OUT", "--shards", "2", "--shard-size", "1MB"], 2, "say one of --shards, --shard-size"),
        (["shuffle", "P", "OUT", "--memory", "some"], 2, "expected a size"),
        (["shuffle", "P", "OUT", "--memory", "1MB"], 1, "at least 64MiB"),
        (["merge", "P", "OUT", "--shard-size", "0"], 2, "at least one byte"),
    ],
)
def test_wrong_usage_is_said_and_nothing_is_written(packed, tmp_path, capsys, arguments, status, message):
    places = {"P": str(packed), "OUT": str(tmp_path / "made"), "A": str(tmp_path / "absent")}
    assert main([places.get(argument, argument) for argument in arguments]) == status
    assert message in " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert not list(tmp_path.glob("made*"))


def test_split_takes_classes_and_a_file_of_ids(packed, tmp_path, capsys):
    (tmp_path / "ids").write_text("0\n\n3\t1\tbee.jpg\n11\n")
    chosen = ["--class", "ant", "--class", "cat", "--ids", str(tmp_path / "ids")]
    assert main(["split", str(packed), str(tmp_path / "some"), *chosen]) == 0
    assert [key for key, _ in contents(tmp_path / "some")] == [0, 11]
    (tmp_path / "ids").write_text("0\n-3\n")
    assert main(["split", str(packed), str(tmp_path / "made"), *chosen]) == 1
    assert "ids, line 2: b'-3' is not an id" in capsys.readouterr().err
