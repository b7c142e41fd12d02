"""The examples as a user runs them: each a program of its own that must reach the accuracy that its text states."""

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import dali_rec
from dali_rec.demo import write_images
from dali_rec.packing import pack_insightface

pytest.importorskip("nvidia.dali", reason="DALI is not installed")
pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """120 drawn images in three classes, packed."""
    folder = tmp_path_factory.mktemp("drawn")
    write_images(folder / "in")
    for kind in (folder / "in").iterdir():
        if kind.name not in ("circles", "stars", "stripes"):
            shutil.rmtree(kind)
    dali_rec.pack(folder / "in", folder / "x")
    return folder / "x"


def accuracy(*command):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3", "OMP_NUM_THREADS": "1"}
    run = subprocess.run(
        [sys.executable, *map(str, command)], env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr[-2000:]
    return float(re.search(r"accuracy ([\d.]+)", run.stdout)[1])


def stated(example):
    return int(re.search(r"above (\d+) %", (EXAMPLES / example).read_text("utf-8"))[1]) / 100


@pytest.mark.parametrize(
    ("example", "framework"),
    [
        ("pytorch.py", "torch"),
        ("keras_fit.py", "tensorflow"),
        ("jax_train.py", "jax"),
        ("lightning_fit.py", "lightning"),
    ],
)
def test_example_trains_to_the_accuracy_it_states(drawn, example, framework):
    if find_spec(framework) is None:
        pytest.skip(f"{framework} is not installed")
    assert accuracy(EXAMPLES / example, drawn) > stated(example)


@pytest.fixture(scope="module")
def drawn_faces(tmp_path_factory, drawn):
    """The same images as a face set of InsightFace."""
    out = tmp_path_factory.mktemp("faces") / "train"
    pack_insightface(drawn.parent / "in", out, resize=48, resize_mode="fill")
    return out


@pytest.mark.parametrize("launcher", [(), ("-m", "torch.distributed.run", "--nproc-per-node", 2, "--standalone")])
def test_arcface_trains_to_the_accuracy_it_states(drawn_faces, launcher):
    pytest.importorskip("torch")
    batch = 8 if launcher else 16
    command = (*launcher, EXAMPLES / "arcface.py", drawn_faces, "--image-size", 48, "--batch-size", batch)
    assert accuracy(*command) > stated("arcface.py")


def test_pytorch_trains_in_two_processes(drawn):
    pytest.importorskip("torch")
    launcher = ("-m", "torch.distributed.run", "--nproc-per-node", 2, "--standalone")
    assert accuracy(*launcher, EXAMPLES / "pytorch.py", drawn) > 0.6


def test_pytorch_goes_on_from_its_checkpoint_as_if_never_stopped(drawn, tmp_path):
    torch = pytest.importorskip("torch")
    for name, epochs in (("whole", 2), ("parts", 1), ("parts", 2)):
        accuracy(EXAMPLES / "pytorch.py", drawn, "--epochs", epochs, "--checkpoint", tmp_path / name)
    whole, parts = (torch.load(tmp_path / name, weights_only=True)["network"] for name in ("whole", "parts"))
    assert all(torch.equal(weights, parts[name]) for name, weights in whole.items())
