"""What the comparisons share: the images, and a Python environment for each group of peers."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

QUALITY = 90


@dataclass(frozen=True)
class Environment:
    """A Python for some peers: None as interpreter means this one, with nothing to install."""

    name: str
    interpreter: str | None = "python3"
    steps: tuple[tuple[str, ...], ...] = ()


HERE = Environment("here", None)
TORCH = Environment(
    "torch",
    steps=(("torch==2.13.0", "pillow", "numpy", "webdataset"), ("--no-deps", "torchvision")),
)
FFCV = Environment(
    "ffcv",
    steps=(
        ("torch==2.13.0", "numba", "numpy<2.3", "opencv-python-headless", "pillow", "setuptools", "wheel", "tqdm"),
        ("psutil", "terminaltables", "pytorch_pfn_extras", "fastargs", "assertpy"),
        ("--no-deps", "torchvision"),
        ("--no-deps", "--no-build-isolation", "ffcv"),
    ),
)
MXNET = Environment("mxnet", "python3.8", steps=(("numpy<1.24", "requests", "graphviz"), ("--no-deps", "mxnet==1.9.1")))
TENSORFLOW = Environment("tensorflow", steps=(("tensorflow-cpu",),))
#: With what MXNet's own tools import besides.
MXNET_TOOLS = Environment(
    "mxnet-tools",
    "python3.8",
    steps=(("numpy<1.24", "requests", "graphviz", "opencv-python-headless<4.10"), ("--no-deps", "mxnet==1.9.1")),
)
IMG2DATASET = Environment("img2dataset", steps=(("img2dataset",),))
SPDL = Environment("spdl", steps=(("spdl", "numpy"),))


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def make_images(source: Path | None, target: Path) -> tuple[Path, int, float]:
    """Encode the images anew, a class folder for each; gives their folder, number and mean size in bytes."""
    from PIL import Image

    from dali_rec.demo import write_images
    from dali_rec.images import LOADABLE_EXTENSIONS

    if source is None:
        source = target.with_name("drawn")
        write_images(source)
    files = sorted(path for path in source.rglob("*") if path.suffix.lower() in LOADABLE_EXTENSIONS)
    if not files:
        raise SystemExit(f"compare_loaders: {source}: no images in it")
    total = 0
    for number, path in enumerate(files):
        folder = target / (path.parent.name if path.parent != source else f"class_{number % 10}")
        folder.mkdir(parents=True, exist_ok=True)
        new = folder / f"{number:06d}.jpg"
        with Image.open(path) as image:
            image.convert("RGB").save(new, quality=QUALITY)
        total += new.stat().st_size
    return target, len(files), total / len(files)


def interpreter(environment: Environment, folder: Path) -> str:
    """The Python of an environment, which is made if it is not there. Raises RuntimeError if that fails."""
    if environment.interpreter is None:
        return sys.executable
    home = folder.resolve() / environment.name
    python = home / "bin" / "python"
    if (home / "complete").exists():
        return str(python)
    base = find_python(environment.interpreter)
    shutil.rmtree(home, ignore_errors=True)
    run([base, "-m", "venv", str(home)])
    for step in environment.steps:
        run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *step])
    (home / "complete").touch()
    return str(python)


def find_python(name: str) -> str:
    if name == "python3":
        return sys.executable
    version = name.removeprefix("python")
    candidates = [shutil.which(name), *map(str, Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))]
    for candidate in candidates:
        if candidate and subprocess.run([candidate, "--version"], capture_output=True, check=False).returncode == 0:
            return candidate
    raise RuntimeError(f"needs {name}, which is not installed")


def run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if "error" in line.lower()] or done.stderr.splitlines()
        raise RuntimeError(f"{' '.join(command[3:])[:80]}: {errors[-1].strip()[:200] if errors else 'failed'}")
