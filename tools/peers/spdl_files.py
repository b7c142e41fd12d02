"""SPDL over the image files: decoding, cropping and scaling by FFmpeg in threads."""

import random
from importlib.metadata import version

import numpy as np
import spdl.io
from serve import MEAN, STD, Task, serve
from spdl.pipeline import PipelineBuilder

task = Task()
files = task.files()
mean = np.array(MEAN, np.float32)[:, None, None] * 255
std = np.array(STD, np.float32)[:, None, None] * 255


def endless():
    generator = random.Random(0)
    while True:
        generator.shuffle(files)
        yield from files


def decode(item):
    path, label = item
    area, ratio = random.uniform(0.08, 1.0), np.exp(random.uniform(np.log(3 / 4), np.log(4 / 3)))
    width, height = min(1.0, (area * ratio) ** 0.5), min(1.0, (area / ratio) ** 0.5)
    left, top = random.uniform(0, 1 - width), random.uniform(0, 1 - height)
    flip = "hflip," if random.random() < 0.5 else ""
    crop = f"crop=iw*{width:.4f}:ih*{height:.4f}:iw*{left:.4f}:ih*{top:.4f}"
    graph = f"{crop},{flip}scale={task.size}:{task.size}:flags=bilinear,format=rgb24"
    frames = spdl.io.decode_packets(spdl.io.demux_image(str(path)), filter_desc=graph)
    return spdl.io.to_numpy(spdl.io.convert_frames(frames)), label


def collate(samples):
    images = np.stack([image for image, _ in samples]).transpose(0, 3, 1, 2)
    return (images - mean) / std, np.array([label for _, label in samples])


decode(next(endless()))  # SPDL passes over images that fail: without FFmpeg's libraries there would be a time-out alone
pipeline = (
    PipelineBuilder()
    .add_source(endless())
    .pipe(decode, concurrency=task.threads)
    .aggregate(task.batch, drop_last=True)
    .pipe(collate)
    .add_sink(2)
    .build(num_threads=task.threads + 1)
)


def batches():
    with pipeline.auto_stop():
        for _, labels in pipeline.get_iterator(timeout=60):
            yield len(labels)


serve("SPDL over files", version("spdl"), batches())
