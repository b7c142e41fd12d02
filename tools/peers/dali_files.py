"""NVIDIA DALI over the image files."""

import nvidia.dali
from nvidia.dali import fn, types
from serve import MEAN, STD, Task, serve

task = Task()
pipeline = nvidia.dali.Pipeline(batch_size=task.batch, num_threads=task.threads, device_id=None, seed=0)
with pipeline:
    encoded, labels = fn.readers.file(file_root=str(task.images), random_shuffle=True, initial_fill=1024)
    images = fn.decoders.image_random_crop(encoded, random_area=[0.08, 1.0], random_aspect_ratio=[3 / 4, 4 / 3])
    images = fn.resize(images, size=[task.size, task.size])
    images = fn.crop_mirror_normalize(
        images,
        dtype=types.FLOAT,
        output_layout="CHW",
        mean=[255 * value for value in MEAN],
        std=[255 * value for value in STD],
        mirror=fn.random.coin_flip(),
    )
    pipeline.set_outputs(images, labels)
pipeline.build()


def batches():
    while True:
        images, _labels = pipeline.run()
        yield len(images)


serve("DALI over files", nvidia.dali.__version__, batches())
