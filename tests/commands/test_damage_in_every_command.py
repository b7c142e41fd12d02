"""Each kind of damage through each command that looks at a data set: an answer or one clear line, never a traceback."""

import shutil

import damage
import pytest
from support import DATA, make_class_folder

import dali_rec
from dali_rec.cli import main
from dali_rec.inspection import packages

HAS_DALI = bool(packages.find_dali(packages.installed()))
KINDS = {
    "sound": lambda rec, _other: None,
    "bad magic": lambda rec, _other: damage.bad_magic(rec),
    "cut tail": lambda rec, _other: damage.cut_tail(rec),
    "flipped bytes in an image": lambda rec, _other: damage.flipped_image(rec),
    "index beyond the end": lambda rec, _other: damage.index_beyond_the_end(rec),
    "index of another file": damage.index_of_another_file,
    "wrong checksum": lambda rec, _other: damage.harmless_change(rec),
    "missing shard": lambda rec, _other: rec.unlink(),
    "no index": lambda rec, _other: rec.with_suffix(".idx").unlink(),
    "nothing in it": lambda rec, _other: rec.write_bytes(b""),
}
#: Without a manifest nobody can know of these.
NO_FAULT_ELSEWHERE = {"sound", "wrong checksum", "no index"}


@pytest.fixture
def ours(tmp_path):
    """A data set of three shards, the first of which is to be damaged, and another file with its own index."""
    folder = make_class_folder(tmp_path / "photos", {"ant": 9, "bee": 9})
    dali_rec.pack(folder, tmp_path / "x", shards=3, shuffle=False)
    other = make_class_folder(tmp_path / "others", {"cat": 7})
    dali_rec.pack(other, tmp_path / "other", shuffle=False)
    return tmp_path / "x", tmp_path / "x-00000-of-00003.rec", tmp_path / "other.idx"


@pytest.fixture
def foreign(tmp_path):
    """A file that MXNet wrote, and another one's index."""
    for name in ("single.rec", "single.idx"):
        shutil.copyfile(DATA / name, tmp_path / name)
    other = make_class_folder(tmp_path / "others", {"cat": 7})
    dali_rec.pack(other, tmp_path / "other", shuffle=False)
    return tmp_path / "single.rec", tmp_path / "single.rec", tmp_path / "other.idx"


def commands(target, out):
    found = {
        "info": ["info", target],
        "info --json": ["info", target, "--json"],
        "verify": ["verify", target],
        "verify --quick": ["verify", target, "--quick"],
        "verify --json": ["verify", target, "--json"],
        "sheet": ["show", target, "-o", out / "sheet.png"],
        "page": ["show", target, "--html", out / "page.html"],
        "unpack": ["unpack", target, out / "files"],
    }
    if HAS_DALI:
        found["augmented sheet"] = ["show", target, "--augmented", "--count", "2", "-o", out / "augmented.png"]
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("origin", ["ours", "foreign"])
def test_answer_or_one_clear_line(request, tmp_path, capsys, origin, kind):
    target, rec, other = request.getfixturevalue(origin)
    KINDS[kind](rec, other)
    out = tmp_path / "out"
    out.mkdir()
    for name, command in commands(target, out).items():
        status = main([str(part) for part in command])
        said = capsys.readouterr()
        assert "Traceback" not in said.out + said.err, name
        assert status in (0, 1), name
        if kind == "sound":
            assert status == 0, (name, said.err)
        elif status and not name.startswith("verify"):
            lines = said.err.strip().splitlines()
            assert lines[-1].startswith("dali-rec: "), (name, said.err)
            assert str(tmp_path) in lines[-1], (name, lines[-1])
        # Nothing half-written under a final name.
        assert not [path for path in out.rglob("*") if "partial" in path.name], name


@pytest.mark.parametrize("kind", KINDS)
def test_verify_fails_for_every_kind_of_damage(ours, tmp_path, capsys, kind):
    target, rec, other = ours
    KINDS[kind](rec, other)
    assert main(["verify", str(target)]) == (0 if kind == "sound" else 1)
    assert kind == "sound" or rec.name in capsys.readouterr().out.replace("\n", "")


@pytest.mark.parametrize("kind", KINDS)
def test_verify_of_a_file_from_elsewhere(foreign, capsys, kind):
    target, rec, other = foreign
    KINDS[kind](rec, other)
    assert main(["verify", str(target)]) == (0 if kind in NO_FAULT_ELSEWHERE else 1)
    assert "Traceback" not in "".join(capsys.readouterr())


@pytest.mark.parametrize("command", ["pack", "merge", "split"])
def test_advice_to_repair_is_given_once(ours, tmp_path, capsys, command):
    target, rec, _ = ours
    damage.bad_magic(rec)
    more = ["--shards", "2"] if command == "split" else []
    assert main([command, str(target), str(tmp_path / "out"), *more]) == 1
    said = capsys.readouterr().err
    assert said.count("dali-rec verify") == said.count("--repair") == 1
    assert said.count("bad magic number") == 1
