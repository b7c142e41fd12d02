"""dali_rec.pack, timed from when it is imported, as the other writers are; with a fifth argument "trust" it trusts."""

import sys
import time

from serve import Writing

import dali_rec

if __name__ == "__main__":
    task = Writing()
    began = time.perf_counter()
    report = dali_rec.pack(
        task.images,
        task.out / "packed",
        resize=task.resize or None,
        quality=95,
        trust=sys.argv[5:] == ["trust"],
        workers=task.workers,
    )
    task.done(began, report.records)
