import json
import multiprocessing
import subprocess
import sys
import threading

import numpy as np
import pytest
from support import encoded, picture

import dali_rec
import dali_rec.compat.mxnet as mx
from dali_rec.errors import LoaderError

data = mx.gluon.data
transforms = data.vision.transforms


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


@pytest.mark.parametrize("workers", [{}, {"num_workers": 2, "thread_pool": True}])
def test_loader_gives_batches_in_order(rec, workers):
    dataset = data.vision.ImageRecordDataset(rec).take(4).transform_first(lambda image: image[:8])
    loader = data.DataLoader(dataset, 3, **workers)
    for _ in range(2):
        images, labels = zip(*loader, strict=True)
        assert [one.tolist() for one in labels] == [[0, 1, 2], [3]]
        expected = np.stack([np.asarray(picture(number))[:8] for number in range(4)])
        assert np.array_equal(np.concatenate(images), expected)
        assert isinstance(images[0], mx.nd.NDArray)


@pytest.mark.parametrize("sample", ["text", {"label": 1}, None])
def test_samples_that_are_no_numbers_want_a_batchify_fn(sample):
    with pytest.raises(TypeError, match=rf"{type(sample).__name__} make no array: give DataLoader a batchify_fn"):
        list(data.DataLoader([sample, sample], 2))
    assert list(data.DataLoader([sample, sample], 2, batchify_fn=list)) == [[sample, sample]]


def test_batch_that_does_not_come_is_an_error():
    goes_on = threading.Event()
    slow = data.SimpleDataset([1]).transform(lambda _: goes_on.wait(60))
    with pytest.raises(LoaderError, match=r"no batch in 0\.05 seconds: the data set hangs, or give a longer timeout"):
        next(iter(data.DataLoader(slow, 1, num_workers=1, thread_pool=True, timeout=0.05)))
    goes_on.set()


HANGS = """
import os, signal, time
import dali_rec.compat.mxnet as mx
data = mx.gluon.data
dataset = data.SimpleDataset([0, 60]).transform(lambda seconds: time.sleep(seconds) or seconds)
"""
TIMED_OUT = "list(data.DataLoader(dataset, 1, num_workers=2, timeout=0.5))"
KILLED = "next(iter(data.DataLoader(dataset, 1, num_workers=2))); os.kill(os.getpid(), signal.SIGKILL)"


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
@pytest.mark.parametrize(("script", "end"), [(TIMED_OUT, "or give a longer timeout\n"), (KILLED, "")])
def test_processes_of_a_loader_end_with_the_program_also_where_the_data_set_hangs(script, end):
    # The output is open as long as one of them lives.
    done = subprocess.run(
        [sys.executable, "-c", HANGS + script], capture_output=True, text=True, check=False, timeout=30
    )
    assert done.stderr.endswith(end)
    assert done.returncode == (1 if script is TIMED_OUT else -9)


def test_threads_of_a_loader_read_one_file(rec):
    loader = data.DataLoader(data.vision.ImageRecordDataset(rec).take(4), 1, num_workers=4, thread_pool=True)
    assert [int(labels[0]) for _ in range(50) for _, labels in loader] == [0, 1, 2, 3] * 50


PROCESSES = """
import json, multiprocessing, os, random, sys
import numpy as np
import dali_rec.compat.mxnet as mx
data = mx.gluon.data

def drawn(number):
    return number, random.random(), np.random.random(), float(mx.random.uniform()[0])

def ended(*sample):
    return sample[0] < 4 or os._exit(3)

def failed(*sample):
    return 1 / 0

if __name__ == "__main__":
    if sys.argv[2] == "spawn":
        multiprocessing.get_all_start_methods = lambda: ["spawn"]
    draws = data.SimpleDataset(range(8)).transform(drawn)
    loader = data.DataLoader(draws, 1, num_workers=2)
    for _ in range(2):
        random.seed(5)
        print([[float(one[0]) for one in batch] for batch in loader])
    records = data.vision.ImageRecordDataset(sys.argv[1])
    print([[int(label[0]), int(image.sum())] for image, label in data.DataLoader(records.take(4), 1, num_workers=2)])
    ends = data.DataLoader(draws.transform(ended), 2, num_workers=1)
    for _ in range(2):
        try:
            print(json.dumps([len(batch) for batch in ends]))
        except RuntimeError as error:
            print(json.dumps(str(error)))
    for _ in data.DataLoader(records.transform(failed), 2, num_workers=1):
        pass
"""


@pytest.mark.parametrize("begun_by", [pytest.param("fork", marks=pytest.mark.posix), "spawn"])
def test_processes_of_a_loader_give_batches_in_order_and_draw_different_numbers(rec, tmp_path, begun_by):
    # In a process of its own: a fork of one in which tests have imported other frameworks may hang.
    (tmp_path / "script.py").write_text(PROCESSES)
    command = [sys.executable, tmp_path / "script.py", rec, begun_by]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    first, second, records, *killed = map(json.loads, done.stdout.splitlines())
    assert first == second
    numbers, *drawn = zip(*first, strict=True)
    assert numbers == tuple(range(8))
    assert all(len(set(one)) == 8 for one in drawn)
    assert records == [[number, int(np.asarray(picture(number)).sum())] for number in range(4)]
    assert killed == ["a process of the loader ended: if memory was short, take fewer num_workers"] * 2
    assert done.stderr.endswith("ZeroDivisionError: division by zero\n")


def test_data_set_that_no_process_can_be_begun_with_is_refused(monkeypatch):
    monkeypatch.setattr(multiprocessing, "get_all_start_methods", lambda: ["spawn"])
    dataset = data.SimpleDataset([1, 2]).transform(lambda number: number)
    with pytest.raises(LoaderError, match=r"cannot have the data set \(.*lambda.*\): .* or take thread_pool=True"):
        list(data.DataLoader(dataset, 1, num_workers=1))
    assert len(list(data.DataLoader(dataset, 1, num_workers=1, thread_pool=True))) == 2


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, "needs batch_size or batch_sampler"),
        ({"batch_size": 2, "shuffle": True, "sampler": data.SequentialSampler(3)}, "leave shuffle out"),
        ({"batch_size": 2, "batch_sampler": [[0]]}, "takes the place of batch_size"),
        ({"batch_size": 2, "last_batch": "pad"}, "one of keep, discard, rollover"),
    ],
)
def test_parameters_that_exclude_each_other_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        data.DataLoader([1, 2, 3], **parameters)


def test_other_files_of_a_folder_are_left_out(tmp_path, caplog):
    for name in ("b/2.PNG", "b/1.jpg", "a/x.txt", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(encoded(picture(0), "PNG"))
    folder = data.vision.ImageFolderDataset(tmp_path)
    assert folder.synsets == ["a", "b"]
    assert folder.items == [(str(tmp_path / "b" / name), 1) for name in ("1.jpg", "2.PNG")]
    assert "2 entries are no folders of classes, or no .jpg .jpeg .png" in caplog.text


@pytest.mark.parametrize(
    ("transform", "least", "most"),
    [
        (transforms.RandomBrightness(0.5), 0.5, 1.5),
        (transforms.RandomContrast(0.5), 1, 1),  # the mean of one colour stays
        (transforms.RandomSaturation(0.5), 1, 1),  # grey has none
        (transforms.RandomHue(0.5), 1, 1),
        (transforms.RandomColorJitter(0.5, 0.5, 0.5, 0.5), 0.5, 1.5),
    ],
)
def test_colours_of_grey_change_as_much_as_is_said(transform, least, most):
    image = mx.nd.full((4, 5, 3), 100)
    made = [transform(image).mean().asscalar() / 100 for _ in range(100)]
    assert least - 1e-3 <= min(made)
    assert max(made) <= most + 1e-3
    assert len({round(float(one), 4) for one in made}) > 1 or least == most


def test_saturation_moves_pixels_to_and_from_their_grey():
    image = mx.nd.array(np.asarray(picture(3)))
    coloured = np.asarray(image)
    grey = coloured @ np.array([0.299, 0.587, 0.114])
    changed = mx.nd.image.random_saturation(image, 0.25, 0.25)
    assert np.allclose(changed, 0.25 * coloured + 0.75 * grey[..., np.newaxis], atol=1e-3)


@pytest.mark.parametrize("transform", [transforms.RandomHue(0.4), transforms.RandomLighting(0.5)])
def test_grey_images_have_no_hue(transform):
    grey = mx.nd.array(np.arange(12).reshape(3, 4, 1), dtype="uint8")
    assert np.array_equal(transform(grey), grey)
    assert transforms.RandomColorJitter(0.5, 0.5, 0.5, 0.5)(grey).shape == (3, 4, 1)


def test_transforms_at_random_are_each_taken_now_and_then():
    image = mx.nd.array(np.asarray(picture(3)), dtype="uint8")
    for transform, other in (
        (transforms.RandomFlipLeftRight(), image[:, ::-1]),
        (transforms.RandomFlipTopBottom(), image[::-1]),
        (transforms.RandomApply(lambda one: one[:1]), image[:1]),
    ):
        made = [transform(image) for _ in range(60)]
        taken = sum(np.array_equal(one, other) for one in made)
        assert taken + sum(np.array_equal(one, image) for one in made) == 60
        assert 0 < taken < 60
    assert len({transforms.RandomLighting(0.5)(image).tobytes() for _ in range(20)}) > 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda image: mx.nd.image.crop(image, 30, 0, 11, 5), r"11 by 5 pixels from \(30, 0\) are not within"),
        (lambda image: mx.nd.image.to_tensor(image[0]), r"not \(40, 3\)"),
        (lambda image: mx.nd.image.normalize(image, (0, 1, 2)), r"the shape is \(32, 40, 3\), with 3 means and 1 dev"),
        (lambda image: mx.nd.image.resize(image, -4), "size is -4: expected one number or two, from 1"),
        (lambda image: mx.nd.image.resize(image, (4, 5, 6)), "expected one number or two"),
    ],
)
def test_images_that_do_not_fit_are_refused(call, message):
    with pytest.raises(mx.MXNetError, match=message) as raised:
        call(mx.nd.array(np.asarray(picture(3))))
    assert isinstance(raised.value, ValueError)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda image: mx.image.imrotate(image, 3, zoom_in=True, zoom_out=True), ValueError, "exclude each other"),
        (lambda image: mx.image.imrotate(image.astype("uint8"), 3), TypeError, "the image is uint8"),
        (lambda image: mx.image.imrotate(image[0], 3), ValueError, r"the shape is \(40, 3\)"),
        (lambda image: mx.image.imrotate(image, mx.nd.array([1, 2])), TypeError, "one image has one angle"),
        (lambda image: mx.image.imrotate(mx.nd.stack(image), mx.nd.array([1, 2])), ValueError, "2 angles for 1 images"),
        (lambda _: transforms.RandomRotation((3, 3)), ValueError, "the lower one comes first"),
        (lambda _: transforms.RandomRotation((3, 4), rotate_with_proba=2), ValueError, "from 0 to 1"),
        (lambda image: mx.gluon.utils.split_data(image, 5), ValueError, "32 samples cannot be shared evenly among 5"),
    ],
)
def test_what_cannot_be_turned_or_parted_is_refused(call, kind, message):
    with pytest.raises(kind, match=message):
        call(mx.nd.array(np.asarray(picture(3))))


def test_rotation_is_left_out_now_and_then():
    image = mx.nd.array(np.asarray(picture(3))).transpose((2, 0, 1))
    step = transforms.RandomRotation((10, 20), rotate_with_proba=0.5)
    kept = sum(np.array_equal(step(image), image) for _ in range(60))
    assert 0 < kept < 60


def test_batch_is_not_loaded_to_a_gpu():
    with pytest.raises(mx.MXNetError, match="in host memory"):
        mx.gluon.utils.split_and_load(mx.nd.ones((4, 1)), [mx.gpu(0), mx.gpu(1)])


def test_loader_of_torch_takes_it_in_a_worker(rec):
    torch = pytest.importorskip("torch")
    dataset = data.vision.ImageRecordDataset(rec).take(4)
    dataset[0]
    loader = torch.utils.data.DataLoader(dataset, batch_size=2, num_workers=1, multiprocessing_context="spawn")
    images, labels = zip(*loader, strict=True)
    assert torch.cat(labels).tolist() == [0, 1, 2, 3]
    expected = np.stack([np.asarray(picture(number)) for number in range(4)])
    assert np.array_equal(torch.cat(images).numpy(), expected)
