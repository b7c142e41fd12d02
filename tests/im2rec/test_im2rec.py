import os
import random
import re
import struct
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from support import DATA, encoded, jpeg, picture

from dali_rec.im2rec import database, main
from dali_rec.recordio import RecordReader, RecordWriter

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.fixture
def tree(tmp_path):
    """Images in two folders, in a folder within one of them, and one beside them."""
    for number, path in enumerate(("b/1.jpg", "b/0.jpg", "a/2.png", "b/in/3.JPEG", "4.jpg", "a/notes.txt")):
        file = tmp_path / "photos" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(encoded(picture(number, (60, 45)), "PNG" if path.endswith("png") else "JPEG"))
    return tmp_path / "photos"


@pytest.fixture
def begun(begun, monkeypatch):
    """A few images are worth a process already; those that were begun."""
    monkeypatch.setattr(database, "_IMAGES_A_PROCESS", 10)
    return begun


def lines(path):
    return path.read_text().splitlines()


def records(path):
    with RecordReader(path) as reader:
        return {record.key: (record.labels.tolist(), bytes(record.image)) for record in reader.records()}


# Lists


def test_labels_are_folders_in_the_order_of_the_walk(tree, tmp_path, capsys):
    assert main([str(tmp_path / "x"), str(tree), "--list", "--recursive", "--no-shuffle"]) == 0
    assert lines(tmp_path / "x.lst") == [
        "0\t0.000000\t4.jpg",
        "1\t1.000000\ta/2.png",
        "2\t2.000000\tb/0.jpg",
        "3\t2.000000\tb/1.jpg",
        "4\t3.000000\tb/in/3.JPEG",
    ]
    assert capsys.readouterr().out.splitlines() == [". 0", "a 1", "b 2", "b/in 3"]


def test_list_is_shuffled_by_mxnets_seed(tree, tmp_path):
    main([str(tmp_path / "x"), str(tree), "--list", "--recursive"])
    order = list(range(5))
    random.Random(100).shuffle(order)
    assert [int(line.split("\t")[0]) for line in lines(tmp_path / "x.lst")] == order


def test_only_the_root_is_listed_unless_recursive(tree, tmp_path):
    main([str(tmp_path / "x"), str(tree), "--list"])
    assert lines(tmp_path / "x.lst") == ["0\t0.000000\t4.jpg"]


def test_ratios_and_chunks_part_the_list_under_mxnets_names(tree, tmp_path):
    options = ["--list", "--recursive", "--chunks", "2", "--train-ratio", "0.5", "--test-ratio", "0.4"]
    main([str(tmp_path / "x"), str(tree), *options])
    counts = {path.name: len(lines(path)) for path in tmp_path.glob("x*.lst")}
    assert counts == {
        "x_0_test.lst": 1,
        "x_0_val.lst": 1,
        "x_0_train.lst": 1,
        "x_1_test.lst": 1,
        "x_1_val.lst": 0,
        "x_1_train.lst": 1,
    }


def test_ratios_that_leave_nothing_write_no_list_of_it(tree, tmp_path):
    main([str(tmp_path / "x"), str(tree), "--list", "--recursive", "--train-ratio", "0.5", "--test-ratio", "0.5"])
    assert sorted(path.name for path in tmp_path.glob("*.lst")) == ["x_test.lst", "x_train.lst"]


def test_ratio_of_the_test_alone_leaves_one_list_as_in_mxnet(tree, tmp_path, capsys):
    assert main([str(tmp_path / "x"), str(tree), "--list", "--recursive", "--test-ratio", "0.2"]) == 0
    assert "--test-ratio has no effect without --train-ratio" in capsys.readouterr().out
    assert {path.name: len(lines(path)) for path in tmp_path.glob("x*.lst")} == {"x.lst": 5}


@pytest.mark.parametrize(
    "options",
    [
        ["--list=1", "--recursive=1", "--shuffle=0"],
        ["--list", "True", "--recursive", "True", "--shuffle", "False"],
        ["--recursive", "1", "--shuffle", "0", "--list", "--pack-label", "1"],
    ],
)
def test_flags_may_have_values_as_they_had_until_mxnet_1_0(tree, tmp_path, options):
    assert main([*options, str(tmp_path / "x"), str(tree)]) == 0
    main([str(tmp_path / "y"), str(tree), "--list", "--recursive", "--no-shuffle"])
    assert lines(tmp_path / "x.lst") == lines(tmp_path / "y.lst")


def test_flag_whose_value_is_false_is_not_set(tree, tmp_path):
    assert main(["--list", "--recursive=False", "--pass-through", "0", str(tmp_path / "x"), str(tree)]) == 0
    assert lines(tmp_path / "x.lst") == ["0\t0.000000\t4.jpg"]


def test_prefix_may_be_a_number(tree, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["--list", "1", "photos"]) == 0
    assert lines(tmp_path / "1.lst") == ["0\t0.000000\t4.jpg"]


@pytest.mark.posix
def test_link_back_up_is_not_followed(tree, tmp_path):
    (tree / "a" / "up").symlink_to(tree)
    main([str(tmp_path / "x"), str(tree), "--list", "--recursive"])
    assert len(lines(tmp_path / "x.lst")) == 5


# Records


@pytest.mark.parametrize(
    ("name", "reference", "options"), [("list", "single", []), ("list4", "multi", ["--pack-label"])]
)
def test_records_are_byte_for_byte_mxnets(tmp_path, name, reference, options):
    (tmp_path / "x.lst").write_bytes((DATA / f"{name}.lst").read_bytes())
    assert main([str(tmp_path / "x"), str(DATA / "img"), "--pass-through", "--num-thread", "2", *options]) == 0
    for suffix in (".rec", ".idx"):
        assert (tmp_path / f"x{suffix}").read_bytes() == (DATA / f"{reference}{suffix}").read_bytes()


def test_first_label_alone_is_stored_unless_asked(tmp_path):
    (tmp_path / "x.lst").write_bytes((DATA / "list4.lst").read_bytes())
    main([str(tmp_path / "x"), str(DATA / "img"), "--pass-through"])
    assert all(len(labels) == 1 for labels, _ in records(tmp_path / "x.rec").values())


def test_images_are_those_that_opencv_makes(tree, tmp_path):
    (tmp_path / "x.lst").write_text("7\t1\tb/0.jpg\n")
    main([str(tmp_path / "x"), str(tree), "--resize", "30", "--center-crop", "--quality", "80"])
    pixels = cv2.imread(str(tree / "b" / "0.jpg"))[:, 7:52]
    wanted = cv2.imencode(".jpg", cv2.resize(pixels, (30, 30)), [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()
    assert records(tmp_path / "x.rec") == {7: ([1.0], wanted)}


def test_bad_image_is_left_out_and_said(tree, tmp_path, capsys):
    (tree / "b" / "1.jpg").write_text("not an image")
    (tmp_path / "x.lst").write_text("0\t0\tb/0.jpg\n1\t0\tb/1.jpg\n2\t0\tnothing.jpg\n3\t0\ta/2.png\n")
    assert main([str(tmp_path / "x"), str(tree)]) == 0
    out = capsys.readouterr().out
    assert sorted(records(tmp_path / "x.rec")) == [0, 3]
    assert "left out: id 1" in out
    assert "left out: id 2" in out
    assert "2 records, 2 images left out" in out


@pytest.mark.parametrize(
    ("side", "why"),
    [
        ("40", "OpenCV cannot (store 80000 × 40 pixels as .jpg|make it ready: .* 65500 pixels)"),  # OpenCV 5, and 4.10
        ("9999999", "OpenCV cannot make it ready: "),
    ],
)
def test_what_opencv_cannot_make_is_left_out_and_said(tree, tmp_path, capsys, side, why):
    (tree / "wide.png").write_bytes(encoded(picture(0, (60_000, 30)), "PNG"))
    (tree / "small.png").write_bytes(encoded(picture(0, (1, 1)), "PNG"))
    (tmp_path / "x.lst").write_text("0\t0\twide.png\n1\t0\tb/1.jpg\n")
    status = main([str(tmp_path / "x"), str(tree), "--resize", side])
    said = capsys.readouterr()
    assert re.search(why, said.out)
    if side == "40":
        assert status == 0
        assert list(records(tmp_path / "x.rec")) == [1]
    else:
        assert status == 1
        assert "not one image could be packed" in said.err
        assert not (tmp_path / "x.rec").exists()


@pytest.mark.parametrize("options", [[], ["--resize", "20", "--quality", "80"], ["--encoding", ".png"]])
def test_processes_make_the_same_files_as_one_thread(tree, tmp_path, capsys, begun, options):
    (tree / "b" / "1.jpg").write_text("not an image")
    paths = ("b/0.jpg", "b/1.jpg", "nothing.jpg", "a/2.png", "4.jpg")
    text = "".join(f"{number}\t{number % 3}\t{paths[number % 5]}\n" for number in range(53))
    said = []
    for threads in ("1", "9"):
        (tmp_path / f"x{threads}.lst").write_text(text)
        assert main([str(tmp_path / f"x{threads}"), str(tree), "--num-thread", threads, *options]) == 0
        said.append(capsys.readouterr().out.splitlines()[:-1])
    assert [threads for threads, _ in begun] == [3, 3, 3]
    assert said[0] == said[1]
    assert len(said[0]) == 22
    for suffix in (".rec", ".idx"):
        assert (tmp_path / f"x1{suffix}").read_bytes() == (tmp_path / f"x9{suffix}").read_bytes()


@pytest.mark.parametrize(("rows", "options", "processes"), [(19, [], 0), (20, [], 2), (20, ["--pass-through"], 0)])
def test_processes_are_begun_where_they_are_worth_it(tree, tmp_path, begun, rows, options, processes):
    (tmp_path / "x.lst").write_text("".join(f"{number}\t0\t4.jpg\n" for number in range(rows)))
    assert main([str(tmp_path / "x"), str(tree), "--num-thread", "64", *options]) == 0
    assert len(records(tmp_path / "x.rec")) == rows
    assert len(begun) == processes


def test_only_the_lists_of_the_prefix_are_packed(tree, tmp_path):
    for name in ("x", "x_train", "x_1_val", "xylophone", "x_other"):
        (tmp_path / f"{name}.lst").write_text("0\t0\t4.jpg\n")
    main([str(tmp_path / "x"), str(tree), "--pass-through"])
    assert sorted(path.stem for path in tmp_path.glob("*.rec")) == ["x", "x_1_val", "x_train"]


def test_list_itself_may_stand_for_its_prefix(tree, tmp_path):
    for name in ("x", "x_train"):
        (tmp_path / f"{name}.lst").write_text("0\t0\t4.jpg\n")
    assert main([str(tmp_path / "x.lst"), str(tree), "--pass-through"]) == 0
    assert [path.name for path in tmp_path.glob("*.rec")] == ["x.rec"]


def test_prefix_may_be_the_name_of_the_folder_of_the_images(tree):
    assert main([str(tree), str(tree), "--list"]) == 0
    assert main([str(tree), str(tree)]) == 0
    assert list(records(tree.with_suffix(".rec"))) == [0]


def test_lists_in_a_folder_are_packed_there(tree, tmp_path):
    (tmp_path / "rec").mkdir()
    main([str(tmp_path / "rec" / "train"), str(tree), "--list"])
    main([str(tmp_path / "rec"), str(tree), "--list"])
    assert main([str(tmp_path / "rec"), str(tree)]) == 0
    assert [path.name for path in tmp_path.rglob("*.rec")] == ["train.rec"]


def test_empty_list_is_passed_over(tree, tmp_path, capsys):
    # With five images a tenth is none.
    main([str(tmp_path / "x"), str(tree), "--list", "--recursive", "--train-ratio", "0.6", "--test-ratio", "0.1"])
    assert not lines(tmp_path / "x_test.lst")
    assert main([str(tmp_path / "x"), str(tree), "--pass-through"]) == 0
    assert sorted(path.name for path in tmp_path.glob("*.rec")) == ["x_train.rec", "x_val.rec"]
    assert "x_test.lst: an empty list, passed over" in capsys.readouterr().out


def test_only_empty_lists_are_an_error(tree, tmp_path, capsys):
    (tmp_path / "x.lst").write_text("\n")
    assert main([str(tmp_path / "x"), str(tree)]) == 1
    assert "x.lst: an empty list" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["x", "x.lst"])
def test_missing_list_is_an_error(tree, tmp_path, capsys, name):
    assert main([str(tmp_path / name), str(tree)]) == 1
    assert f"{tmp_path / 'x.lst'}: no such list; make it with --list" in capsys.readouterr().err


def test_missing_root_is_one_error(tree, tmp_path, capsys):
    prefix = tmp_path / "x"
    assert main([str(prefix), str(tree), "--list", "--recursive"]) == 0
    assert main([str(prefix), str(tmp_path / "gone")]) == 1
    assert capsys.readouterr().err.splitlines() == [
        f"im2rec: {tmp_path / 'gone'}: no such folder; it is where the paths in {prefix}.lst begin"
    ]
    assert not prefix.with_suffix(".rec").exists()


def test_unknown_option_is_wrong_usage(tree, tmp_path):
    with pytest.raises(SystemExit) as end:
        main([str(tmp_path / "x"), str(tree), "--shuffel"])
    assert end.value.code == 2


@pytest.mark.parametrize("line", ["0 0 4.jpg", "x\t0\t4.jpg", "0\tcat\t4.jpg", "1_0\t0\t4.jpg", "1\t1_5\t4.jpg"])
def test_bad_line_is_named(tree, tmp_path, capsys, line):
    (tmp_path / "x.lst").write_text(f"5\t0\t4.jpg\n{line}\n")
    assert main([str(tmp_path / "x"), str(tree)]) == 1
    assert "x.lst, line 2" in capsys.readouterr().err
    assert not (tmp_path / "x.rec").exists()


def test_mark_of_the_byte_order_is_passed_over(tree, tmp_path):
    (tmp_path / "x.lst").write_text("5\t1\t4.jpg\r\n", encoding="utf-8-sig")
    assert main([str(tmp_path / "x"), str(tree)]) == 0
    assert main([str(tmp_path / "x.lst"), str(tree), str(tmp_path / "y.rec")]) == 0
    assert list(records(tmp_path / "x.rec")) == list(records(tmp_path / "y.rec")) == [5]


def test_list_may_have_the_slashes_of_windows(tree, tmp_path):
    (tmp_path / "x.lst").write_text("5\t1\tb\\in\\3.JPEG\n6\t0\tb/0.jpg\n7\t0\t4.jpg\n")
    assert main([str(tmp_path / "x"), str(tree), "--pass-through"]) == 0
    assert main([str(tmp_path / "x.lst"), str(tree), str(tmp_path / "y.rec"), "unchanged=1"]) == 0
    wanted = [(tree / name).read_bytes() for name in ("b/in/3.JPEG", "b/0.jpg", "4.jpg")]
    for name in "xy":
        assert [image for _, image in records(tmp_path / f"{name}.rec").values()] == wanted


def test_list_in_another_encoding_is_said(tree, tmp_path, capsys):
    (tmp_path / "x.lst").write_bytes("5\t1\tb\\Zürich.jpg\n6\t0\tb/0.jpg\n".encode("cp1252"))
    assert main([str(tmp_path / "x"), str(tree)]) == 0
    assert "left out: id 5: " in (out := capsys.readouterr().out)
    assert "the list is no UTF-8 there: save it as UTF-8" in out


def test_labels_that_are_not_stored_are_said(tree, tmp_path, capsys):
    (tmp_path / "x.lst").write_text("5\t1\t2\t4.jpg\n")
    said = "of several labels only the first is stored; --pack-label"
    for option, times in ((), 1), (("--pack-label",), 0):
        assert main([str(tmp_path / "x"), str(tree), *option]) == 0
        assert capsys.readouterr().out.count(said) == times


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        (["--exts", "jpg"], "extensions begin with a dot"),
        (["--exts", ".webp"], "--recursive looks deeper"),
        (["--exts", ".webp", "--recursive"], ".webp\n"),
    ],
)
def test_folder_without_images_is_an_error_that_helps(tree, tmp_path, capsys, options, hint):
    assert main([str(tmp_path / "x"), str(tree), "--list", *options]) == 1
    shown = capsys.readouterr().err
    assert hint in shown
    assert ("looks deeper" in shown) == ("looks deeper" in hint)


# The C++ tool's form


def cpp(tmp_path, text, root, *options):
    (tmp_path / "x.lst").write_text(text)
    return main([str(tmp_path / "x.lst"), str(root), str(tmp_path / "x.rec"), *options])


def test_columns_may_be_parted_by_any_white_space(tree, tmp_path):
    (tree / "a b.jpg").write_bytes(jpeg(9))
    assert cpp(tmp_path, "5   1.5  2 a b.jpg\n6\t3\t4\t4.jpg\n", f"{tree}/", "label_width=2", "unchanged=1") == 0
    found = records(tmp_path / "x.rec")
    assert found == {5: ([1.5], jpeg(9)), 6: ([3.0], (tree / "4.jpg").read_bytes())}


def test_images_are_cropped_only_where_they_are_resized(tree, tmp_path):
    # As in im2rec.cc.
    shapes = []
    for options in ((), ("resize=20",)):
        assert cpp(tmp_path, "5 1 4.jpg\n", f"{tree}/", "center_crop=1", *options) == 0
        image = records(tmp_path / "x.rec")[5][1]
        shapes.append(cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR).shape)
    assert shapes == [(45, 60, 3), (20, 20, 3)]


def test_output_may_have_any_name_and_the_root_needs_no_slash(tree, tmp_path):
    (tmp_path / "x.lst").write_text("5\t1\t4.jpg\n6\t0\tb/0.jpg\n")
    assert main([str(tmp_path / "x.lst"), str(tree), str(tmp_path / "output.bin"), "unchanged=1"]) == 0
    found = records(tmp_path / "output.bin")
    assert found == {5: ([1.0], (tree / "4.jpg").read_bytes()), 6: ([0.0], (tree / "b" / "0.jpg").read_bytes())}


def test_root_may_be_the_beginning_of_a_name(tree, tmp_path):
    assert cpp(tmp_path, "5 1 otos/4.jpg\n", tmp_path / "ph", "unchanged=1") == 0
    assert list(records(tmp_path / "x.rec")) == [5]


def test_packed_labels_keep_the_first_in_the_header(tree, tmp_path):
    cpp(tmp_path, "5 1.5 2 4.jpg\n", f"{tree}/", "label_width=2", "pack_label=1", "unchanged=1")
    with RecordReader(tmp_path / "x.rec") as reader:
        assert bytes(reader.read(5))[:32] == struct.pack("<IfQQff", 2, 1.5, 5, 0, 1.5, 2.0)


def test_resize_and_interpolation_are_opencvs(tree, tmp_path):
    options = ("resize=20", "inter_method=2", "encoding=.png", "quality=1", "color=0")
    cpp(tmp_path, "5 1 4.jpg\n", f"{tree}/", *options)
    pixels = cv2.imread(str(tree / "4.jpg"), cv2.IMREAD_GRAYSCALE)
    wanted = cv2.resize(pixels, (26, 20), interpolation=cv2.INTER_CUBIC)
    image = records(tmp_path / "x.rec")[5][1]
    assert np.array_equal(cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_UNCHANGED), wanted)


def test_parts_hold_every_line_once(tree, tmp_path):
    text = "".join(f"{key} 0 4.jpg\n" for key in range(23))
    keys = []
    for part in range(4):
        assert cpp(tmp_path, text, f"{tree}/", "nsplit=4", f"part={part}", "unchanged=1") == 0
        keys += list(records(tmp_path / f"x.rec.part{part:03d}"))
    assert keys == list(range(23))


def test_parts_have_an_index_each(tree, tmp_path):
    for part in range(2):
        cpp(tmp_path, "".join(f"{key} 0 4.jpg\n" for key in range(6)), f"{tree}/", "nsplit=2", f"part={part}")
    assert len(list(tmp_path.glob("*.idx"))) == 2
    for part, expected in enumerate(([0, 1, 2, 3], [4, 5])):
        rec = tmp_path / f"x.rec.part{part:03d}"
        with RecordReader(rec) as reader, RecordReader(rec, f"{rec}.idx") as other:
            assert [reader.record(key).key for key in reader.keys()] == expected
            assert reader.index == other.index


@pytest.mark.parametrize("line", ["1_0 1 4.jpg", "5 1_5 4.jpg"])
def test_line_without_numbers_is_named(tree, tmp_path, capsys, line):
    assert cpp(tmp_path, f"5 1 4.jpg\n{line}\n", f"{tree}/") == 1
    assert "x.lst, line 2: the id and labels" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["resise=5"], "unknown option 'resise'"),
        (["resize=big"], "expected a whole number"),
        (["resize=2_0"], "expected a whole number"),
        (["resize", "20"], "write resize=VALUE"),
        (["pack_label=1"], "needs a label_width above 1"),
        (["nsplit=2", "part=2"], "part is 2 of nsplit 2"),
        (["inter_method=7"], "inter_method is 7"),
        (["label_width=3"], "line 1"),
    ],
)
def test_wrong_options_are_refused(tree, tmp_path, capsys, options, message):
    assert cpp(tmp_path, "5 1 4.jpg\n", f"{tree}/", *options) == 1
    assert message in capsys.readouterr().err


# The scripts


def test_scripts_run(tree, tmp_path):
    def run(tool, *arguments):
        command = [sys.executable, str(TOOLS / tool), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, check=True, text=True).stdout

    run("im2rec.py", tmp_path / "x", tree, "--list", "--recursive")
    run("im2rec.py", tmp_path / "x", tree, "--pass-through")
    assert "5 records" in run("rec2idx.py", tmp_path / "x.rec", tmp_path / "y.idx")
    assert (tmp_path / "y.idx").read_bytes() == (tmp_path / "x.idx").read_bytes()
    installed = [sys.executable, "-m", "dali_rec.im2rec", str(tmp_path / "w"), str(tree), "--list", "--recursive"]
    subprocess.run(installed, check=True, capture_output=True)
    assert lines(tmp_path / "w.lst") == lines(tmp_path / "x.lst")
    run("rec2idx.py", tmp_path / "x.rec", tmp_path / "z.idx", "--renumber")
    assert [line.split("\t")[0] for line in lines(tmp_path / "z.idx")] == ["0", "1", "2", "3", "4"]
    offsets = [[line.split("\t")[1] for line in lines(tmp_path / name)] for name in ("y.idx", "z.idx")]
    assert offsets[0] == offsets[1]


def test_scripts_escape_what_the_encoding_of_a_pipe_lacks(tree, tmp_path):
    (tree / "b").rename(tree / "日本")
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252"}  # as on Windows

    def run(tool, *arguments):
        command = [sys.executable, str(TOOLS / tool), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, check=True, text=True, env=environment).stdout

    assert "\\u65e5\\u672c 2\n" in run("im2rec.py", tmp_path / "x", tree, "--list", "--recursive")
    run("im2rec.py", tmp_path / "x", tree, "--pass-through")
    assert "\\u65e5.idx: 5 records" in run("rec2idx.py", tmp_path / "x.rec", tmp_path / "日.idx")


def test_rec2idx_says_where_one_id_stands_for_several_records(tmp_path):
    with RecordWriter(tmp_path / "x.rec") as writer:
        for seed in range(3):
            writer.write_image(jpeg(seed), 0.0, 0)
    command = [sys.executable, str(TOOLS / "rec2idx.py"), str(tmp_path / "x.rec"), str(tmp_path / "y.idx")]
    said = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    assert "note: 2 of its ids stand for several records" in said
    assert "--renumber" in said


def test_rec2idx_says_what_is_wrong(tmp_path):
    (tmp_path / "x.rec").write_bytes(b"not RecordIO")
    command = [sys.executable, str(TOOLS / "rec2idx.py"), str(tmp_path / "x.rec"), str(tmp_path / "x.idx")]
    ran = subprocess.run(command, capture_output=True, check=False, text=True)
    assert ran.returncode == 1
    assert "bad magic number" in ran.stderr
    assert not (tmp_path / "x.idx").exists()
