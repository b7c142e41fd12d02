"""img2dataset over file:// addresses, into tar files, with a process a worker: untouched, or scaled."""

import csv
import json
import os
import sys
import time

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # no look for newer versions

from img2dataset import download
from serve import Writing

READERS = 16  # threads that only read, in each process

if __name__ == "__main__":
    task = Writing()
    files = task.files
    table = task.out.with_suffix(".csv")
    with table.open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["url", "label"])
        lines.writerows([path.resolve().as_uri(), label] for path, label in files)
    if task.resize:
        images = {"image_size": task.resize, "resize_mode": "keep_ratio"}
        images |= {"resize_only_if_bigger": True, "encode_quality": 95}
    else:
        images = {"disable_all_reencoding": True, "resize_mode": "no"}
    began = time.perf_counter()
    download(
        url_list=str(table),
        input_format="csv",
        url_col="url",
        save_additional_columns=["label"],
        output_format="webdataset",
        output_folder=str(task.out),
        processes_count=task.workers,
        thread_count=READERS,
        number_sample_per_shard=-(-len(files) // task.workers),  # a shard for each process
        **images,
    )
    ended = time.perf_counter()
    stats = [json.loads(path.read_text()) for path in task.out.glob("*_stats.json")]
    failures = {reason for one in stats for reason in one["status_dict"] if reason != "success"}
    if failures:
        sys.exit(f"img2dataset: {min(failures)}")
    task.done(began, sum(one["successes"] for one in stats), ended)
