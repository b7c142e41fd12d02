import pickle

import numpy as np
import pytest

import dali_rec.compat.mxnet as mx
from dali_rec.errors import DatasetError


def test_asnumpy_is_a_plain_copy():
    array = mx.nd.zeros((2, 3))
    plain = array.T.asnumpy()
    plain[...] = 1
    assert type(plain) is np.ndarray
    assert plain.flags.c_contiguous
    assert not array.any()


def test_element_is_a_number_to_python_as_well():
    labels = mx.nd.array([2, 0])
    assert (int(labels[0]), float(labels[0]), f"{labels[0]:.2f}", "abc"[labels.astype("int64")[0]]) == (
        2,
        2.0,
        "2.00",
        "c",
    )
    assert [bool(one) for one in labels] == [True, False]


def test_array_is_numpys_too():
    array = mx.nd.ones((2, 2))
    assert isinstance(array, np.ndarray)
    assert np.sqrt(array).sum() == 4
    assert type(pickle.loads(pickle.dumps(array))) is mx.nd.NDArray


def test_numpys_functions_do_as_with_numpys_arrays():
    array = mx.nd.array([[3, 1], [2, 9]])
    assert np.median(array) == 2.5  # by flatten, which MXNet has otherwise
    assert np.sort(array, axis=None).tolist() == [1, 2, 3, 9]
    assert np.take(array, [3]).tolist() == [9]
    assert (np.sum(array), np.mean(array), np.max(array)) == (15, 3.75, 9)
    first, second = np.split(array, 2)
    assert type(first) is type(np.concatenate([first, second])) is mx.nd.NDArray
    np.copyto(array, first)
    assert array.tolist() == [[3, 1], [3, 1]]


def test_mean_of_an_image_is_that_of_its_values():
    assert mx.nd.mean(mx.nd.full((300, 300), 117, dtype="uint8")).tolist() == [117]
    assert mx.nd.mean(mx.nd.full((300, 300), 117, dtype="float16")).tolist() == [117]


def test_other_borders_are_refused():
    with pytest.raises(mx.MXNetError, match="mode is 'wrap': one of constant, edge, reflect"):
        mx.nd.pad(mx.nd.ones((1, 1, 2, 2)), mode="wrap", pad_width=(0, 0, 0, 0, 1, 1, 1, 1))


def test_rows_are_written_by_numbers_that_are_float32():
    array = mx.nd.zeros((3, 2))
    array[mx.nd.array([2, 0])] = 1
    array[0, mx.nd.array([1])] = 5
    assert array.tolist() == [[1, 5], [0, 0], [1, 1]]
    with pytest.raises(IndexError):
        array[np.array([1.0])]


def test_numbers_of_all_kinds_are_known():
    assert isinstance(3, mx.base.numeric_types)
    assert isinstance(np.float32(3), mx.base.numeric_types)
    assert not isinstance("3", mx.base.numeric_types)
    assert isinstance(np.int64(3), mx.base.integer_types)
    assert isinstance("3", mx.base.string_types)


def test_several_elements_are_no_scalar():
    with pytest.raises(ValueError, match=r"shape \(2,\) is not a scalar"):
        mx.nd.ones((2,)).asscalar()


def test_no_array_is_on_a_gpu():
    array = mx.nd.array([1], ctx=mx.cpu())
    assert array.context == array.ctx == mx.cpu(0)
    for move in (array.as_in_context, array.copyto, lambda context: mx.nd.zeros((1,), context)):
        with pytest.raises(mx.base.MXNetError, match=r"in host memory, not on gpu\(1\).*framework='torch'"):
            move(mx.gpu(1))
    with mx.cpu(), pytest.raises(mx.MXNetError, match="in host memory"), mx.gpu():
        pass
    assert (mx.context.num_gpus(), mx.current_context()) == (0, mx.cpu())


def test_what_is_random_follows_from_the_seed():
    drawn = []
    for _ in range(2):
        mx.random.seed(3)
        numbers = [mx.nd.random.uniform(2, 4, (50,)), mx.random.normal(7, 0.1, (50,)), mx.random.randint(0, 3, (50,))]
        drawn.append([*numbers, mx.nd.random.shuffle(mx.nd.arange(50))])
    assert all(map(np.array_equal, *drawn))
    uniform, normal, whole, shuffled = drawn[0]
    assert uniform.min() >= 2
    assert uniform.max() < 4
    assert 6.9 < normal.mean() < 7.1
    assert set(whole.tolist()) == {0, 1, 2}
    assert shuffled.tolist() != sorted(shuffled.tolist()) == list(range(50))


def test_file_of_something_else_is_refused(tmp_path):
    (tmp_path / "x.nd").write_bytes(b"something else altogether")
    with pytest.raises(
        DatasetError, match=r"x\.nd: not a file of arrays that MXNet wrote \(it begins with b'somethin'"
    ):
        mx.nd.load(tmp_path / "x.nd")
    with pytest.raises(TypeError, match="no arrays of complex128"):
        mx.nd.save(tmp_path / "y.nd", np.zeros(2, complex))
    assert not (tmp_path / "y.nd").exists()


def test_file_of_an_array_without_axes_is_read_again(tmp_path):
    mx.nd.save(tmp_path / "x.nd", [mx.nd.ones((2, 3)).std(), mx.nd.array(5)])
    assert [one.tolist() for one in mx.nd.load(tmp_path / "x.nd")] == [[0], [5]]


@pytest.mark.parametrize("data", [[1.0], "text", {1: mx.nd.ones((1,))}, [[mx.nd.ones((1,))]], [np.float32(1)]])
def test_what_are_no_arrays_is_not_written(data, tmp_path):
    with pytest.raises(TypeError, match="an array, a list of arrays, or a dictionary of arrays by name"):
        mx.nd.save(tmp_path / "x.nd", data)
    assert not (tmp_path / "x.nd").exists()


def test_what_arrays_lack_is_said():
    with pytest.raises(AttributeError, match="NDArray has no 'attach_grad': it reads and writes data"):
        mx.nd.ones((1,)).attach_grad()
    with pytest.raises(ValueError, match="arrays are dense"):
        mx.nd.ones((1,)).tostype("csr")


def test_torch_takes_it():
    torch = pytest.importorskip("torch")
    assert torch.from_numpy(mx.nd.ones((2,))).tolist() == [1, 1]
    loader = torch.utils.data.DataLoader([(mx.nd.ones((2, 2)), mx.nd.array([3]))] * 2, batch_size=2)
    images, labels = next(iter(loader))
    assert (tuple(images.shape), labels.tolist()) == ((2, 2, 2), [[3], [3]])
