import numpy as np
import pytest
from support import encoded, picture

import dali_rec
import dali_rec.compat.mxnet as mx

data = mx.gluon.data


@pytest.fixture
def rec(tmp_path):
    """Five pictures, the last with two labels."""
    with dali_rec.RecordWriter(tmp_path / "x.rec") as writer:
        for number in range(5):
            labels = float(number) if number < 4 else [4.0, 8.0]
            writer.write_image(encoded(picture(number), "PNG"), labels, 10 + number)
    return tmp_path / "x.rec"


def test_samples_are_images_and_labels(rec):
    dataset = data.vision.ImageRecordDataset(rec)
    assert len(dataset) == 5
    for number, (image, label) in enumerate(dataset[row] for row in range(5)):
        assert np.array_equal(image.asnumpy(), np.asarray(picture(number)))
        assert np.atleast_1d(label).tolist() == ([number] if number < 4 else [4, 8])
    assert data.vision.ImageRecordDataset(rec, flag=0)[0][0].shape == (32, 40, 1)


def test_samples_are_transformed(rec):
    dataset = data.vision.ImageRecordDataset(rec, transform=lambda image, label: (image.sum(), label))
    plain = data.vision.ImageRecordDataset(rec)
    expected = [plain[row][0].sum() for row in range(5)]
    assert [dataset[row][0] for row in range(5)] == expected
    for lazy in (True, False):
        first = plain.transform_first(lambda image: image.sum(), lazy)
        assert [first[row][0] for row in range(5)] == expected
        assert plain.transform(lambda image, label: np.max(label), lazy)[4] == 8


def test_records_are_bytes(rec):
    with dali_rec.RecordReader(rec) as reader:
        expected = [bytes(reader.read(key)) for key in reader.keys()]
    dataset = data.RecordFileDataset(rec)
    assert [dataset[row] for row in range(5)] == expected


def test_parts_are_those_of_mxnet():
    numbers = data.SimpleDataset(list(range(10)))
    parts = [numbers.shard(4, index) for index in range(4)]
    assert [[part[row] for row in range(len(part))] for part in parts] == [[0, 1, 2], [3, 4, 5], [6, 7], [8, 9]]
    assert len(numbers.take(3)) == 3
    assert len(numbers.take(None)) == len(numbers.take(99)) == 10
    even = numbers.filter(lambda number: number % 2 == 0)
    assert [even[row] for row in range(len(even))] == [0, 2, 4, 6, 8]
    with pytest.raises(ValueError, match="count from 0"):
        numbers.shard(4, 4)


def test_arrays_lie_side_by_side():
    assert data.ArrayDataset([1, 2], "ab")[1] == (2, "b")
    assert data.ArrayDataset([1, 2])[1] == 2
    with pytest.raises(ValueError, match=r"lengths are \[2, 3\]"):
        data.ArrayDataset([1, 2], "abc")


def test_loader_of_torch_takes_it_in_a_worker(rec):
    torch = pytest.importorskip("torch")
    dataset = data.vision.ImageRecordDataset(rec).take(4)
    dataset[0]
    loader = torch.utils.data.DataLoader(dataset, batch_size=2, num_workers=1, multiprocessing_context="spawn")
    images, labels = zip(*loader, strict=True)
    assert torch.cat(labels).tolist() == [0, 1, 2, 3]
    expected = np.stack([np.asarray(picture(number)) for number in range(4)])
    assert np.array_equal(torch.cat(images).numpy(), expected)
