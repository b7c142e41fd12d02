"""TensorFlow's TFRecordWriter, one a thread as in the scripts for ImageNet: untouched, or scaled by tf.image."""

import os
import time
from concurrent.futures import ThreadPoolExecutor

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tensorflow as tf
from serve import Writing


def scaled(data, side):
    """A JPEG of quality 95 whose shorter side is at most ``side``."""
    pixels = tf.io.decode_jpeg(data, channels=3)
    height, width = pixels.shape[:2]
    scale = min(1, side / min(height, width))
    size = [max(1, int(height * scale)), max(1, int(width * scale))]
    pixels = tf.image.resize(pixels, size, method="area")
    return tf.io.encode_jpeg(tf.cast(tf.round(pixels), tf.uint8), quality=95).numpy()


def write(task, number):
    """The images of one thread; returns how many it wrote."""
    written = 0
    with tf.io.TFRecordWriter(str(task.out / f"{number}.tfrecord")) as writer:
        for path, label in task.share(number):
            data = path.read_bytes()
            if task.resize:
                data = scaled(data, task.resize)
            features = {
                "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[data])),
                "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
            }
            writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
            written += 1
    return written


task = Writing()
# An operation runs in the thread that calls it, so that there are as many at work as were asked for.
tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)
tf.constant(0)  # TensorFlow sets itself up before the clock starts
began = time.perf_counter()
with ThreadPoolExecutor(task.workers) as pool:
    written = sum(pool.map(lambda number: write(task, number), range(task.workers)))
task.done(began, written)
