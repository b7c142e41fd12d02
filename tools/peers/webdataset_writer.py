"""WebDataset's ShardWriter, in one process or in several with shards of their own: untouched, or scaled by Pillow."""

import io
import multiprocessing
import time

from PIL import Image
from serve import Writing
from webdataset import ShardWriter


def scaled(path, side):
    """A JPEG of quality 95 whose shorter side is at most ``side``."""
    with Image.open(path) as image:
        scale = min(1, side / min(image.size))
        size = tuple(max(1, int(length * scale)) for length in image.size)
        file = io.BytesIO()
        image.convert("RGB").resize(size, Image.Resampling.BILINEAR).save(file, "JPEG", quality=95)
    return file.getvalue()


def write(part):
    """The images of one process; returns how many it wrote."""
    task, number = part
    with ShardWriter(str(task.out / f"{number}-%05d.tar"), maxcount=10_000, verbose=0) as writer:
        for path, label in task.share(number):
            data = scaled(path, task.resize) if task.resize else path.read_bytes()
            writer.write({"__key__": path.stem, "jpg": data, "cls": label})
        return writer.total


if __name__ == "__main__":
    task = Writing()
    began = time.perf_counter()
    if task.workers == 1:
        written = write((task, 0))
    else:
        with multiprocessing.Pool(task.workers) as pool:
            written = sum(pool.map(write, [(task, number) for number in range(task.workers)]))
    task.done(began, written)
