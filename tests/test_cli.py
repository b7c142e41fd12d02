import errno
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from damage import flipped_image

import dali_rec
from dali_rec import _files, cli
from dali_rec.arrange import split
from dali_rec.cli import app, main
from dali_rec.commands.pack import pack
from dali_rec.errors import DatasetError

COMMANDS = [command.name or command.callback.__name__ for command in app.registered_commands]


def run(capsys, *arguments):
    status = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_pack_packs_and_says_what(capsys, class_folder, tmp_path):
    status, out, _ = run(capsys, "pack", class_folder, tmp_path / "x", "--resize", "16", "--shards", "2")
    assert status == 0
    assert "12 records in 3 classes in 2 shards" in out
    assert len(dali_rec.open(tmp_path / "x")) == 12


@pytest.mark.parametrize("name", ["a\tb.jpg", "a\nb.jpg"])
@pytest.mark.skipif(sys.platform == "win32", reason="no file has such a name there")
def test_list_takes_no_name_that_would_break_its_line(capsys, class_folder, tmp_path, name):
    (class_folder / "ant" / "ant_000.jpg").rename(class_folder / "ant" / name)
    status, _, err = run(capsys, "list", class_folder, tmp_path / "x.lst")
    assert status == 1
    assert err == f"dali-rec: {'ant/' + name!r}: its name holds a tab or a line break, which a .lst cannot; rename it\n"
    assert not (tmp_path / "x.lst").exists()


def test_labels_without_a_name_are_packed_and_shown_as_numbers(capsys, packed, tmp_path):
    manifest = packed.with_suffix(".json")
    content = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**content, "classes": ["ant"]}))
    flipped_image(packed.with_suffix(".rec"), -1)
    status, out, _ = run(capsys, "pack", packed, tmp_path / "x", "--dry-run")
    assert status == 0
    assert [line.split() for line in out.splitlines()[1:4]] == [["ant", "3"], ["1", "4"], ["2", "5"]]
    keep_last = split(packed, tmp_path / "last", ids=[0, 11]).sets[0].manifest_path
    assert run(capsys, "pack", keep_last, tmp_path / "y", "--max-bad", "1")[0] == 0


def test_failure_is_one_line_on_standard_error_and_status_1(capsys, tmp_path):
    status, out, err = run(capsys, "pack", tmp_path / "nothing", tmp_path / "x")
    assert (status, out) == (1, "")
    assert err == f"dali-rec: {tmp_path / 'nothing'}: no such file or folder\n"


@pytest.mark.parametrize(("length", "is_said"), [(259, True), (230, False)])
def test_path_that_is_too_long_for_windows_is_said_to_be(monkeypatch, length, is_said):
    path = str(Path("x").absolute()).ljust(length, "x")
    monkeypatch.setattr(_files, "sys", SimpleNamespace(platform="win32"))
    line = cli._one_line(FileNotFoundError(errno.ENOENT, "Not found", path))
    assert line.startswith(f"{path}: Not found")
    assert ("LongPathsEnabled" in line) == is_said


def test_debug_shows_the_traceback(capsys, tmp_path):
    _, _, err = run(capsys, "--debug", "pack", tmp_path / "nothing", tmp_path / "x")
    assert "Traceback" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["pack"],
        ["nothing"],
        ["pack", "a", "b", "--shards", "0"],
        ["pack", "a", "b", "--max-bad", "many"],
        ["pack", "a", "b", "--max-bad", "nan"],
        ["pack", "a", "b", "--max-bad", "nan%"],
        ["pack", "a", "b", "--max-bad", "inf"],
        ["pack", "a", "b", "--timeout", "nan"],
        ["pack", "a", "b", "--timeout", "inf"],
        ["bench", "a", "--seconds", "nan"],
        ["bench", "a", "--seconds", "0"],
        ["pack", "a", "b", "--split", "a/b=0.5,c=0.5"],
        ["list", "a", "b", "--split", "a/b=0.5,c=0.5"],
        ["split", "a", "b", "--split", "a/b=0.5,c=0.5"],
        ["show", "a", "--ids", "-1"],
        ["show", "a", "--ids", "1.5"],
        ["unpack", "a", "b", "--ids", "18446744073709551616"],
        ["unpack", "a", "b", "--ids", ""],
        ["--nothing"],
    ],
)
def test_wrong_usage_is_status_2(capsys, arguments):
    assert run(capsys, *arguments)[0] == 2


@pytest.mark.parametrize(("budget", "status"), [("1", 0), ("2", 0), ("10%", 0), ("0.1", 0), ("0", 1), ("1%", 1)])
def test_max_bad_is_a_share_or_a_number(capsys, class_folder, tmp_path, budget, status):
    (class_folder / "ant" / "bad.jpg").write_bytes(b"")
    found, out, err = run(capsys, "pack", class_folder, tmp_path / "x", "--max-bad", budget)
    assert found == status
    assert "x.rejected.jsonl" in (out if status == 0 else err)


def test_index_is_rebuilt(capsys, packed):
    index = packed.with_name("photos.idx")
    before = index.read_bytes()
    index.unlink()
    status, out, _ = run(capsys, "index", packed.with_name("photos.rec"))
    assert (status, index.read_bytes()) == (0, before)
    assert "12 records" in out


def test_rebuilt_index_with_one_id_for_several_records_says_so(capsys, tmp_path):
    with dali_rec.RecordWriter(tmp_path / "x.rec") as writer:
        for seed in range(3):
            writer.write_image(bytes(seed), 0.0, 0)
    status, out, _ = run(capsys, "index", tmp_path / "x.rec")
    assert status == 0
    assert "note: 2 of its ids stand for several records" in out


def test_index_of_a_prefix_is_told_the_file(capsys, packed):
    status, _, err = run(capsys, "index", packed)
    assert status == 2
    assert f"{packed}: no such file; the .rec is called {packed}.rec" in " ".join(err.split())


@pytest.mark.parametrize("bytes_left", [5, 500])
def test_index_of_a_cut_file_says_where_it_ends(capsys, packed, bytes_left):
    # Not every exception gets past the argument parser: it takes an EOFError for an interruption.
    rec = packed.with_name("photos.rec")
    rec.write_bytes(rec.read_bytes()[:bytes_left])
    status, _, err = run(capsys, "index", rec)
    assert status == 1
    assert err.startswith(f"dali-rec: {rec}: ")
    assert "cut short" in err


def test_verify_fails_on_faults_and_names_them(capsys, packed):
    assert run(capsys, "verify", packed)[0] == 0
    rec = packed.with_name("photos.rec")
    rec.write_bytes(rec.read_bytes()[:-8])
    status, out, _ = run(capsys, "verify", packed)
    assert status == 1
    assert "photos.rec, offset" in out
    assert "4 faults" in out


@pytest.mark.parametrize("name", [".", "", "/", ".."])
@pytest.mark.parametrize(
    "arguments",
    [["info"], ["verify"], ["index"], ["unpack", "DATASET", "x"], ["bench"], ["show"], ["merge", "DATASET", "x"]],
)
def test_folder_for_a_data_set_is_refused(capsys, tmp_path, monkeypatch, arguments, name):
    monkeypatch.chdir(tmp_path)
    command, *rest = [name if one == "DATASET" else one for one in arguments]
    status, out, err = run(capsys, command, *(rest or [name]))
    assert (status, out) == (1, "")
    assert err.startswith("dali-rec: ")
    assert err.count("\n") == 1
    assert "is no name of a data set; give a prefix" in err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["merge", "PACKED", ".."], "the output needs a name"),
        (["split", "PACKED", "..", "--split", "a=0.5,b=0.5"], "the output needs a name"),
        (["split", "PACKED", ".", "--shards", "2"], "the output needs a name"),
        (["shuffle", "PACKED", ".."], "the output needs a name"),
        (["list", "FOLDER", ".."], "the output needs a name"),
        (["pack", "FOLDER", "..", "--format", "insightface"], "the output needs a name"),
        (["merge", "PACKED", "s3://bucket/x"], "s3://bucket/x: this is not written to URLs: write to this machine"),
        (["split", "PACKED", "s3://bucket/x", "--shards", "2"], "this is not written to URLs"),
        (["unpack", "PACKED", "s3://bucket/x"], "this is not written to URLs"),
        (["info", "s3://bucket/x.json"], "of this machine: 'dali-rec fetch s3://bucket/x.json FOLDER' brings it here"),
        (["verify", "https://host/x.rec"], "https://host/x.rec: data sets are read from"),
        (["merge", "PACKED", "x.rec"], "x.rec: the output is a prefix, to which .rec is added: say x"),
        (["split", "PACKED", "x.json", "--shards", "2"], "x.json: the output is a prefix, to which .json is added"),
        (["shuffle", "PACKED", "x.rec"], "the output is a prefix"),
        (["pack", "FOLDER", "x.rec", "--format", "insightface"], "the output is a prefix"),
        (["pack", "FOLDER", "new/"], f"new/ is a folder: the output needs a name, such as {Path('new/train')}"),
        (["pack", "FOLDER", "new/", "--format", "insightface"], "new/ is a folder"),
        (["pack", "FOLDER", "s3://bucket/sets/"], "after the bucket, such as s3://bucket/sets/train"),
        (["merge", "PACKED", "new/"], "new/ is a folder"),
        (["split", "PACKED", "new/", "--shards", "2"], "new/ is a folder"),
        (["shuffle", "PACKED", "new/"], "new/ is a folder"),
        (["pack", "FOLDER", "x", "--classes", "gone.txt"], "dali-rec: gone.txt: No such file or directory"),
    ],
)
def test_place_that_is_no_prefix_of_this_machine_is_refused(
    capsys, packed, class_folder, tmp_path, monkeypatch, arguments, message
):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    names = {"PACKED": packed, "FOLDER": class_folder}
    status, _, err = run(capsys, *(names.get(one, one) for one in arguments))
    assert status == 1
    assert message in err
    assert not list((tmp_path / "empty").iterdir())


def test_closed_data_set_says_that_it_is_closed(packed):
    dataset = dali_rec.open(packed)
    dataset.close()
    with pytest.raises(DatasetError, match="it was closed; open it again"):
        dataset[0]


def test_list_of_commands_cuts_no_description_short(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    status, out, _ = run(capsys, "--help")
    assert status == 0
    described = [line for line in out.split("Commands:")[1].splitlines() if line.strip()]
    assert [line.split()[0] for line in described] == COMMANDS
    assert all(line.endswith(".") and not line.endswith("...") for line in described)


def test_version_is_printed(capsys):
    assert run(capsys, "--version") == (0, f"dali-rec {dali_rec.__version__}\n", "")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command_shows_an_example(capsys, command):
    status, out, _ = run(capsys, command, "--help")
    assert status == 0
    assert f"Example: dali-rec {command}" in out
    assert all(line.strip().startswith("Example:") for line in out.splitlines() if "Example:" in line)


def test_help_of_pack_has_every_option_under_a_heading(capsys):
    _, out, _ = run(capsys, "pack", "--help")
    headings, sections = (re.split(r"^(\S.*):$", out, flags=re.MULTILINE)[start::2] for start in (1, 2))
    options = {
        heading: re.findall(r"^  --([a-z-]+)", section, re.MULTILINE)
        for heading, section in zip(headings, sections, strict=True)
    }
    assert options.pop("Arguments") == []
    assert options.pop("Options") == ["dry-run", "help"]
    arguments = {"source", "out", "dry_run"}
    assert sum(map(len, options.values())) == len(inspect.signature(pack).parameters.keys() - arguments)
    assert options["Bad images"] == ["max-bad", "strict"]


def test_module_runs_as_the_command():
    command = [sys.executable, "-m", "dali_rec", "--version"]
    assert subprocess.run(command, capture_output=True, check=True, text=True).stdout.startswith("dali-rec ")
