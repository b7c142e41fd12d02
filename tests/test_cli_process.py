"""The command line as a process: closed streams, narrow encodings, full disks, Ctrl-C."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest

import dali_rec

COMMAND = [sys.executable, "-m", "dali_rec"]


def after(preparation, *arguments):
    """The command, in a process that has done something before. Not by preexec_fn, which forks: JAX warns of that."""
    program = f"import os, sys; {preparation}; os.execv(sys.executable, sys.argv[1:])"
    return [sys.executable, "-c", program, *COMMAND, *map(str, arguments)]


def run(*arguments, closed=(), **environment):
    """Run a command with these descriptors closed; gives its status, standard output and standard error."""
    command = [*COMMAND, *map(str, arguments)]
    done = subprocess.run(
        after(f"[os.close(one) for one in {closed}]", *arguments) if closed else command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        env={**os.environ, **environment},
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.mark.posix
@pytest.mark.parametrize("closed", [(2,), (1,), (0, 1, 2)])
def test_commands_work_with_closed_streams(class_folder, tmp_path, closed):
    assert run("pack", class_folder, tmp_path / "x", closed=closed)[0] == 0
    assert len(dali_rec.open(tmp_path / "x")) == 12
    status, out, _ = run("verify", tmp_path / "x", closed=closed)
    assert status == 0
    assert ("no faults" in out) == (1 not in closed)


@pytest.mark.posix
def test_failure_with_closed_standard_error_says_nothing_elsewhere(tmp_path):
    assert run("pack", tmp_path / "nothing", tmp_path / "x", closed=(2,)) == (1, "", "")


@pytest.mark.parametrize(("encoding", "name", "shown"), [("ascii", "né", r"n\xe9"), ("cp1252", "n猫", r"n\u732b")])
def test_letters_that_the_terminal_has_not_are_escaped(class_folder, tmp_path, encoding, name, shown):
    (class_folder / "bee").rename(class_folder / name)
    status, out, _ = run("pack", class_folder, tmp_path / name, PYTHONIOENCODING=encoding)
    assert status == 0
    assert f"{shown}.json" in out
    status, out, _ = run("info", tmp_path / name, PYTHONIOENCODING=encoding)
    assert status == 0
    assert shown in out.partition("\n")[2]
    status, _, error = run("info", tmp_path / f"{name}s", PYTHONIOENCODING=encoding)
    assert status == 1
    assert error.startswith("dali-rec: ")
    assert f"{shown}s: " in error


@pytest.mark.skipif(sys.platform == "win32", reason="names are Unicode there")
def test_locale_without_the_letters_of_a_name_is_told_of(class_folder, tmp_path):
    (class_folder / "bee").rename(class_folder / "bié")
    ascii_names = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    told = "the locale's encoding, ascii, has not all letters of its name; set PYTHONUTF8=1"
    status, _, error = run("pack", class_folder, tmp_path / "x", **ascii_names)
    assert status == 1
    assert f": cannot be read: {told}; the list is in" in error
    dali_rec.pack(class_folder, tmp_path / "x")
    status, _, error = run("unpack", tmp_path / "x", tmp_path / "files", **ascii_names)
    assert status == 1
    assert error == f"dali-rec: bi\\xe9: {told}\n"


def run_with_limit(name, soft, hard, *arguments):
    """Run a command under a limit of the system (RLIMIT_NAME); gives its status and standard error."""
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_{name}, ({soft}, {hard}))"
    done = subprocess.run(after(limit, *arguments), capture_output=True, check=False, text=True)
    return done.returncode, done.stderr


def run_with_file_limit(size, *arguments):
    """Run a command that may write no file beyond so many bytes: what it gets is the error of a full disk."""
    return run_with_limit("FSIZE", size, size, *arguments)


@pytest.mark.posix
@pytest.mark.parametrize(
    ("size", "arguments", "file"),
    [
        (100, ["pack", "photos", "x"], "x.packing/job.json"),
        (4000, ["pack", "photos", "x"], "x.packing/x.rec"),
        (4000, ["pack", "photos", "x", "--shards", "2"], "x.packing/x-00000-of-00002.rec"),
        (4000, ["pack", "photos", "x", "--format=insightface"], "x.arranging/x.packed.packing/x.packed.rec"),
        (4000, ["merge", "out/photos", "x"], "x.arranging/x.rec.0"),
        (4000, ["shuffle", "out/photos", "x"], "x.arranging/x.rec.0"),
        (4000, ["split", "out/photos", "x", "--shards", "1"], "x.arranging/x.rec.0"),
        (400, ["unpack", "out/photos", "x"], "x/ant/ant_000.jpg"),
        (4000, ["show", "out/photos", "--out", "x.png"], "x.png"),
        (4000, ["show", "out/photos", "--html", "x.html"], "x.html"),
    ],
)
def test_file_without_room_is_named_and_not_left_half_written(packed, tmp_path, size, arguments, file):
    command, *rest = arguments
    paths = [one if one.startswith("-") or one.isdecimal() else tmp_path / one for one in rest]
    status, error = run_with_file_limit(size, command, *paths)
    assert status == 1
    assert error.startswith(f"dali-rec: {tmp_path / file}: File too large; no file is left half-written: raise the lim")
    assert not list(tmp_path.rglob("*.partial"))
    assert not (tmp_path / file).exists()
    assert not list(tmp_path.glob("x.*ing"))


@pytest.mark.posix
def test_list_without_room_is_named_too(packed, tmp_path):
    lst = packed.with_suffix(".lst")
    lst.write_text("".join(line.rsplit("\t", 1)[0] + f"\t{'x' * 9000}\n" for line in lst.read_text().splitlines()))
    status, error = run_with_file_limit(40_000, "merge", packed, tmp_path / "x")
    assert status == 1
    assert error.startswith(f"dali-rec: {tmp_path}/x.arranging/x.lst: File too large; no file is left half-written: ")
    assert not list(tmp_path.glob("x*"))


@pytest.mark.posix
def test_more_shards_than_files_may_be_open(class_folder, tmp_path):
    for number in range(8):
        (class_folder / "ant" / f"more_{number}.jpg").write_bytes((class_folder / "ant" / "ant_000.jpg").read_bytes())
    dali_rec.pack(class_folder, tmp_path / "x", shards=20)
    assert run_with_limit("NOFILE", 20, 4096, "split", tmp_path / "x", tmp_path / "y", "--shards", "1")[0] == 0
    status, error = run_with_limit("NOFILE", 20, 20, "split", tmp_path / "x", tmp_path / "z", "--shards", "1")
    assert status == 1
    assert re.fullmatch(r"dali-rec: .*x-\d+-of-00020.rec: too many open files: .*'ulimit -n 65536'\n", error)


@pytest.mark.posix
def test_interruption_of_work_is_one_line_and_status_130(class_folder, tmp_path):
    lines = (f"{key}\t0\tant/ant_000.jpg\n" for key in range(200_000))
    (tmp_path / "long.lst").write_text("".join(lines))
    command = [
        *COMMAND,
        "pack",
        tmp_path / "long.lst",
        tmp_path / "out" / "x",
        "--root",
        class_folder,
        "--resize",
        "20",
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    ends = time.monotonic() + 60
    while not list(tmp_path.rglob("x.rec.partial")) and time.monotonic() < ends:
        time.sleep(0.02)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=60)
    assert (process.returncode, out, error) == (130, "", "interrupted\n")


@pytest.mark.posix
def test_interruption_while_it_starts_is_one_line_and_status_130():
    command = [sys.executable, "-X", "importtime", "-m", "dali_rec", "doctor"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        for line in process.stderr:
            if line.rstrip().endswith("dali_rec._interrupt"):
                break
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read().splitlines()
    assert (process.returncode, rest[-1]) == (130, "interrupted")
    assert not [line for line in rest if "Traceback" in line]
