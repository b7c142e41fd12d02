import numpy as np
import pytest
from support import DATA, encoded, picture

import dali_rec
import dali_rec.compat.mxnet as mx
from dali_rec.errors import DatasetError, LoaderError, SourceError


@pytest.fixture
def rec(tmp_path):
    """Seven pictures of 12 by 10 under the ids 10 to 16, labelled 0 to 6."""
    with dali_rec.RecordWriter(tmp_path / "x.rec") as writer:
        for number in range(7):
            writer.write_image(encoded(picture(number, (12, 10)), "PNG"), float(number), 10 + number)
    return tmp_path / "x.rec"


def labels_of(iterator):
    return [batch.label[0].tolist() for batch in iterator]


def test_images_are_those_of_pillow(rec):
    batch = next(mx.image.ImageIter(3, (3, 10, 12), path_imgrec=rec))
    expected = np.stack([np.asarray(picture(number, (12, 10))).transpose(2, 0, 1) for number in range(3)])
    assert np.array_equal(batch.data[0].asnumpy(), expected)
    assert batch.data[0].dtype == np.float32


@pytest.mark.parametrize(
    ("handle", "first", "second"),
    [
        ("pad", [[0, 1, 2], [3, 4, 5], [6, 0, 1]], [[0, 1, 2], [3, 4, 5], [6, 0, 1]]),
        ("discard", [[0, 1, 2], [3, 4, 5]], [[0, 1, 2], [3, 4, 5]]),
        ("roll_over", [[0, 1, 2], [3, 4, 5]], [[6, 0, 1], [2, 3, 4]]),
    ],
)
def test_last_batch_is_handled_as_asked(rec, handle, first, second):
    iterator = mx.image.ImageIter(3, (3, 10, 12), path_imgrec=rec, last_batch_handle=handle)
    assert labels_of(iterator) == first
    assert labels_of(iterator) == []
    iterator.reset()
    assert labels_of(iterator) == second


def test_epoch_may_be_smaller_than_a_batch(rec):
    batch = next(mx.image.ImageIter(16, (3, 10, 12), path_imgrec=rec))
    assert batch.label[0].tolist() == [*range(7), *range(7), 0, 1]
    assert batch.pad == 9


def test_parts_have_each_record_once(rec):
    parts = [mx.image.ImageIter(1, (3, 10, 12), path_imgrec=rec, num_parts=3, part_index=part) for part in range(3)]
    assert sorted(label for part in parts for [label] in labels_of(part)) == list(range(7))


def test_shuffled_epochs_have_each_record_once_and_differ(rec):
    iterator = mx.image.ImageIter(7, (3, 10, 12), path_imgrec=rec, shuffle=True)
    epochs = []
    for _ in range(4):
        epochs += labels_of(iterator)
        iterator.reset()
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1


def test_labels_may_come_from_a_list(rec, tmp_path):
    lines = "".join(f"{10 + number}\t{2 * number}\t1\tx.png\n" for number in range(7))
    (tmp_path / "x.lst").write_text(lines, encoding="utf-8-sig")
    iterator = mx.image.ImageIter(7, (3, 10, 12), 2, path_imgrec=rec, path_imglist=tmp_path / "x.lst")
    assert labels_of(iterator) == [[[2 * number, 1] for number in range(7)]]


def test_files_may_be_named_in_memory():
    files = [[3, "c0/im_00.jpg"], [4.5, "c1/im_01.jpg"]]
    batch = next(mx.image.ImageIter(2, (3, 20, 20), imglist=files, path_root=DATA / "img", dtype="float64"))
    assert batch.label[0].tolist() == [3, 4.5]
    assert batch.label[0].dtype == np.float64


def test_subclass_makes_batches_of_the_same_steps(rec):
    class Own(mx.image.ImageIter):
        def next(self):
            label, encoded = self.next_sample()
            image = self.imdecode(encoded)
            self.check_valid_image([image])
            made = self.postprocess_data(self.augmentation_transform(image))
            return mx.io.io.DataBatch([mx.nd.expand_dims(made, 0)], [mx.nd.array([label + 0.5])])

    iterator = Own(1, (3, 10, 12), path_imgrec=rec)
    assert [batch.label[0].tolist() for batch in iterator] == [[number + 0.5] for number in range(7)]
    with pytest.raises(RuntimeError, match="no image"):
        iterator.check_valid_image([mx.nd.ones(())])


def test_file_below_the_root_is_read():
    iterator = mx.image.ImageIter(1, (3, 20, 20), imglist=[[3, "c0/im_00.jpg"]], path_root=DATA / "img")
    assert iterator.read_image("c1/im_01.jpg") == (DATA / "img" / "c1" / "im_01.jpg").read_bytes()


def test_bad_image_is_named(tmp_path):
    with dali_rec.RecordWriter(tmp_path / "x.rec") as writer:
        writer.write_image(b"not an image", 0.0, 5)
    with pytest.raises(LoaderError, match=r"x.*, id 5: it cannot be decoded"):
        next(mx.image.ImageIter(1, (3, 4, 4), path_imgrec=tmp_path / "x.rec"))


@pytest.mark.parametrize(
    ("parameters", "kind", "message"),
    [
        ({"data_shape": (1, 4, 4)}, ValueError, r"expected \(3, height, width\)"),
        ({"last_batch_handle": "keep"}, ValueError, "one of pad, discard, roll_over"),
        ({"num_parts": 9, "part_index": 0}, DatasetError, "cannot be shared among 9 parts"),
        ({"label_width": 2}, DatasetError, "has 1 labels, label_width is 2"),
        ({"aug_list": []}, LoaderError, r"makes \(3, 10, 12\) of it, data_shape is \(3, 8, 8\)"),
        ({"path_imgrec": None}, ValueError, "needs path_imgrec, path_imglist or imglist"),
        ({"path_imglist": "x.lst"}, SourceError, "line 1: .* is not id, labels and path"),
    ],
)
def test_what_is_wrong_is_said(rec, tmp_path, monkeypatch, parameters, kind, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.lst").write_text("a\t1\tx.png\n")
    with pytest.raises(kind, match=message):
        next(mx.image.ImageIter(**{"batch_size": 2, "data_shape": (3, 8, 8), "path_imgrec": rec, **parameters}))
