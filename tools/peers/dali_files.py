"""NVIDIA DALI over the image files, on a GPU where there is one."""

import nvidia.dali
from nvidia.dali import fn, types
from serve import MEAN, STD, Task, serve

from dali_rec.loading import choose_device

task = Task()
device = choose_device("auto")
pipeline = nvidia.dali.Pipeline(batch_size=task.batch, num_threads=task.threads, device_id=device.index, seed=0)
with pipeline:
    encoded, labels = fn.readers.file(file_root=str(task.images), random_shuffle=True, initial_fill=1024)
    crops = {"random_area": [0.08, 1.0], "random_aspect_ratio": [3 / 4, 4 / 3]}
    if device.is_gpu:  # whose decoder may not cut crops out: see dali_rec/loading/decoding.py
        whole = fn.decoders.image(encoded, device="mixed")
        anchor, shape = fn.random_crop_generator(whole.shape(), **crops)
        images = fn.slice(whole, start=anchor, shape=shape, axes=[0, 1])
    else:
        images = fn.decoders.image_random_crop(encoded, **crops)
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
