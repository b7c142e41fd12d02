"""How a peer takes part in a comparison. It lives in an environment of its own, with any Python from 3.8.

A loader is a script `PEER.py IMAGES WORK BATCH SIZE THREADS` that gets ready and calls `serve` with an endless stream
of batch sizes; it runs for so many seconds whenever it is told to. A writer is a script `PEER.py IMAGES OUT WORKERS
RESIZE` that makes a `Writing`, writes once, and ends with its `done`.
"""

import json
import shutil
import sys
import time
from pathlib import Path

WARM_UP_BATCHES = 8


class Task:
    """What a peer is asked for, from its command line."""

    def __init__(self):
        self.images = Path(sys.argv[1])  # class folders of JPEGs
        self.work = Path(sys.argv[2])  # an empty folder for what the peer makes of them
        self.batch, self.size, self.threads = (int(argument) for argument in sys.argv[3:6])

    def files(self):
        """The images with their labels, in an order that mixes the classes."""
        return sorted(labelled(self.images), key=lambda item: item[0].name[::-1])


class Writing:
    """What a writer is asked for, from its command line; makes its empty folder."""

    def __init__(self):
        self.images, self.out = Path(sys.argv[1]), Path(sys.argv[2])
        self.workers, self.resize = int(sys.argv[3]), int(sys.argv[4])  # 0 stores the files untouched
        self.files = labelled(self.images)
        shutil.rmtree(str(self.out), ignore_errors=True)
        self.out.mkdir(parents=True)

    def share(self, worker):
        """The images of one worker, with their labels."""
        return self.files[worker :: self.workers]

    def done(self, began, written, ended=None):
        """Print the seconds from ``began``, if all was written; fail otherwise."""
        seconds = (ended or time.perf_counter()) - began
        if written != len(self.files):
            sys.exit(f"{written} of {len(self.files)} images were written")
        print(seconds)


def labelled(images):
    """The files in a folder of class folders, each with the number of its class."""
    classes = sorted(path for path in images.iterdir() if path.is_dir())
    return [(path, label) for label, folder in enumerate(classes) for path in sorted(folder.iterdir())]


MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


def without_torchvision_operators():
    """Let torchvision's Python transforms be imported where its compiled operators do not fit the build of PyTorch."""
    import types

    sys.modules.setdefault("torchvision._meta_registrations", types.ModuleType("torchvision._meta_registrations"))


def serve(name, version, batches):
    """Answer requests on standard input until it ends; `batches` yields the size of each batch, for ever."""
    answers = sys.stdout
    sys.stdout = sys.stderr  # what libraries print must not get between the answers
    for _ in range(WARM_UP_BATCHES):
        next(batches)
    answers.write(json.dumps({"name": name, "version": version}) + "\n")
    answers.flush()
    for line in sys.stdin:
        seconds, images, count = float(line), 0, 0
        began = time.perf_counter()
        while time.perf_counter() - began < seconds:
            images += next(batches)
            count += 1
        taken = time.perf_counter() - began
        answers.write(json.dumps({"images": images, "batches": count, "seconds": taken}) + "\n")
        answers.flush()


def forever(epoch):
    """One epoch after the other."""
    while True:
        yield from epoch()
