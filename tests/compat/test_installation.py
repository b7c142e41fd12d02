import operator
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support import DATA

import dali_rec.compat.mxnet as mx

ROOT = Path(__file__).parents[2]

SCRIPT = f"""
import multiprocessing, subprocess, sys
import mxnet as mx
import mxnet.ndarray as nd
from mxnet import gluon, image, io, recordio
from mxnet.io import DataBatch, DataIter
from mxnet.gluon.data.vision import ImageRecordDataset
from mxnet.gluon.data.vision.datasets import ImageFolderDataset
from mxnet.image.image import ImageIter
from mxnet.io.io import ResizeIter
from helper import answer

def label(number):
    return recordio.unpack(mx.recordio.MXRecordIO({str(DATA / "single.rec")!r}, "r").read())[0].label + number

if __name__ == "__main__":
    assert (DataIter, nd.NDArray) == (mx.io.DataIter, image.imdecode.__globals__["NDArray"])
    assert ImageRecordDataset is gluon.data.vision.ImageRecordDataset
    assert (ImageFolderDataset.__module__, ImageIter, ResizeIter) == (
        "dali_rec.compat.mxnet.gluon.data.vision.datasets", image.ImageIter, io.io.ResizeIter
    )
    assert answer == 42
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(sys.argv[1:], mx.__name__, pool.map(label, [1, 2]), flush=True)
    subprocess.run([sys.executable, "-c", "import mxnet; print(mxnet.__name__)"], check=True)
"""


def run(*arguments, **options):
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": path}, **options
    )


@pytest.fixture
def script(tmp_path):
    (tmp_path / "train.py").write_text(SCRIPT)
    (tmp_path / "helper.py").write_text("answer = 42\n")
    return tmp_path / "train.py"


@pytest.mark.parametrize("way", ["script", "module"])
def test_script_that_imports_mxnet_runs_as_it_stands(script, way):
    what = [script] if way == "script" else ["-m", "train"]
    done = run("-m", "dali_rec.compat.mxnet", *what, "--epochs", "3", cwd=script.parent)
    assert done.stderr == ""
    printed = "['--epochs', '3'] dali_rec.compat.mxnet [1.0, 2.0]\ndali_rec.compat.mxnet\n"
    assert done.stdout.replace("\r", "") == printed


@pytest.mark.parametrize(
    "line",
    ["from mxnet import autograd", "import mxnet.gluon.nn", "from mxnet.gluon.data.vision import CIFAR10"],
)
def test_import_of_what_is_not_there_says_where_to_read(tmp_path, line):
    (tmp_path / "train.py").write_text(line)
    done = run("-m", "dali_rec.compat.mxnet", tmp_path / "train.py")
    assert done.stderr.endswith("docs/from-mxnet.md says what there is, and what to write instead\n")


def test_import_of_other_modules_fails_as_it_would(tmp_path):
    (tmp_path / "train.py").write_text("import mxnet, mxnet_more")
    assert run("-m", "dali_rec.compat.mxnet", tmp_path / "train.py").stderr.endswith("No module named 'mxnet_more'\n")


def test_usage_is_shown():
    done = run("-m", "dali_rec.compat.mxnet")
    assert done.returncode == 1
    assert "usage: python -m dali_rec.compat.mxnet SCRIPT" in done.stderr


def test_install_serves_a_process():
    code = (
        "import dali_rec.compat.mxnet as mx; mx.install(); mx.install(); from mxnet.image import imread; print(imread)"
    )
    assert "imread" in run("-c", code).stdout


def test_mxnet_itself_is_not_replaced(tmp_path):
    (tmp_path / "mxnet.py").write_text("")
    done = run("-c", "import mxnet, dali_rec.compat.mxnet as mx; mx.install()", cwd=tmp_path)
    assert re.search(r"RuntimeError: mxnet has been imported from .*: call install\(\) before that", done.stderr)


def test_im2rec_is_where_mxnet_has_it(tmp_path):
    done = run("-m", "dali_rec.compat.mxnet", "-m", "mxnet.tools.im2rec", "--list", tmp_path / "x", DATA / "img" / "c0")
    assert done.returncode == 0
    assert (tmp_path / "x.lst").exists()


@pytest.mark.parametrize(
    "name", ["sym", "io.NDArrayIter", "image.ImageJob", "nd.FullyConnected", "gluon.nn", "gluon.utils.download"]
)
def test_what_is_not_there_is_said(name):
    last = name.rpartition(".")[2]
    with pytest.raises(AttributeError, match=f"no '{last}': it reads and writes data.*md says what there is"):
        operator.attrgetter(name)(mx)
