"""MXNet's ImageRecordIter over RecordIO."""

import numpy as np
from serve import MEAN, STD, Task, serve

np.bool = bool  # which MXNet 1.9.1 uses and NumPy took away

import mxnet as mx  # noqa: E402

task = Task()
prefix = str(task.work / "images")
record = mx.recordio.MXIndexedRecordIO(prefix + ".idx", prefix + ".rec", "w")
for number, (path, label) in enumerate(task.files()):
    record.write_idx(number, mx.recordio.pack(mx.recordio.IRHeader(0, float(label), number, 0), path.read_bytes()))
record.close()
names = "rgb"
iterator = mx.io.ImageRecordIter(
    path_imgrec=prefix + ".rec",
    path_imgidx=prefix + ".idx",
    data_shape=(3, task.size, task.size),
    batch_size=task.batch,
    shuffle=True,
    rand_mirror=True,
    random_resized_crop=True,
    min_random_area=0.08,
    max_random_area=1.0,
    min_aspect_ratio=3 / 4,
    max_aspect_ratio=4 / 3,
    preprocess_threads=task.threads,
    **{f"mean_{name}": 255 * value for name, value in zip(names, MEAN)},
    **{f"std_{name}": 255 * value for name, value in zip(names, STD)},
)


def batches():
    while True:
        for batch in iterator:
            batch.data[0].wait_to_read()
            yield task.batch
        iterator.reset()


serve("MXNet ImageRecordIter", mx.__version__, batches())
