"""tf.data over TFRecord."""

import tensorflow as tf
from serve import MEAN, STD, Task, serve

SHARDS = 4

task = Task()
files = task.files()
for shard in range(SHARDS):
    with tf.io.TFRecordWriter(str(task.work / f"{shard}.tfrecord")) as writer:
        for path, label in files[shard::SHARDS]:
            features = {
                "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[path.read_bytes()])),
                "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
            }
            writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
mean, std = tf.constant(MEAN) * 255, tf.constant(STD) * 255


def decode(example):
    parsed = tf.io.parse_single_example(
        example, {"image": tf.io.FixedLenFeature([], tf.string), "label": tf.io.FixedLenFeature([], tf.int64)}
    )
    shape = tf.io.extract_jpeg_shape(parsed["image"])
    begin, size, _ = tf.image.sample_distorted_bounding_box(
        shape,
        tf.constant([0.0, 0.0, 1.0, 1.0], shape=[1, 1, 4]),
        area_range=(0.08, 1.0),
        aspect_ratio_range=(3 / 4, 4 / 3),
        max_attempts=10,
        use_image_if_no_bounding_boxes=True,
    )
    window = tf.stack([begin[0], begin[1], size[0], size[1]])
    image = tf.image.decode_and_crop_jpeg(parsed["image"], window, channels=3)
    image = tf.image.resize(image, [task.size, task.size], antialias=True)
    image = tf.image.random_flip_left_right(image)
    return (image - mean) / std, parsed["label"]


options = tf.data.Options()
options.threading.private_threadpool_size = task.threads
dataset = (
    tf.data.TFRecordDataset([str(task.work / f"{shard}.tfrecord") for shard in range(SHARDS)])
    .shuffle(1024)
    .repeat()
    .map(decode, num_parallel_calls=task.threads)
    .batch(task.batch, drop_remainder=True)
    .prefetch(2)
    .with_options(options)
)
serve("tf.data + TFRecord", tf.__version__, (int(labels.shape[0]) for _, labels in dataset))
