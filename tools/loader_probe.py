"""One Loader in a process of its own: how long it takes to start, how fast it runs, how much memory it has had.

`loader_probe.py OPTIONS` for tools/scaling. OPTIONS, JSON: dataset, seconds, batches (the fewest of a round), and the
Loader's own as "loader". It says when its first batch is there, waits for a line on standard input, and runs a round.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dali_rec import Loader

if TYPE_CHECKING:
    from collections.abc import Iterator

# What the Loader and its reader have made ahead while they waited must not count.
RUNS_AHEAD = 6


def memory() -> dict[str, int]:
    """In bytes: the most memory that this process has had, and what of it now is mapped files.

    Not by getrusage, whose figure begins with that of the process that started this one.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    fields = {name: value.split() for name, _, value in (line.partition(":") for line in lines)}
    return {name: 1024 * int(fields[key][0]) for name, key in (("memory", "VmHWM"), ("mapped", "RssFile"))}


def batches(loader: Loader) -> Iterator[Any]:
    while True:
        yield from loader


def main() -> None:
    options = json.loads(sys.argv[1])
    began = time.perf_counter()
    loader = Loader(options["dataset"], **options["loader"])
    if not len(loader):
        sys.exit(f"{options['dataset']}: fewer records than a batch of {loader.batch_size}")
    stream = batches(loader)
    next(stream)
    say({"startup": time.perf_counter() - began})
    sys.stdin.readline()
    for _ in range(RUNS_AHEAD * loader.batches_at_once):
        next(stream)
    images = count = 0
    began = time.perf_counter()
    while time.perf_counter() - began < options["seconds"] or count < options["batches"]:
        last, labels = next(stream)
        images += len(labels)
        count += 1
    if hasattr(last, "cpu"):
        last.flatten()[:1].cpu()  # waits for the GPU
    seconds = time.perf_counter() - began
    say({"images": images, "batches": count, "seconds": seconds, **memory()})


def say(answer: dict[str, float]) -> None:
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
