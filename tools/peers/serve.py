"""How a peer takes part in a comparison: it gets ready, then runs for so many seconds whenever it is told to.

A peer is a script `PEER.py IMAGES WORK BATCH SIZE THREADS` that calls `serve` with an endless stream of batch sizes. It
lives in an environment of its own, so that versions may clash, and with any Python from 3.8.
"""

import json
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
        classes = sorted(path for path in self.images.iterdir() if path.is_dir())
        found = [(path, label) for label, folder in enumerate(classes) for path in sorted(folder.iterdir())]
        return sorted(found, key=lambda item: item[0].name[::-1])


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
