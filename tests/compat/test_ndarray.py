import pickle

import numpy as np
import pytest

import dali_rec.compat.mxnet as mx


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


def test_several_elements_are_no_scalar():
    with pytest.raises(ValueError, match=r"shape \(2,\) is not a scalar"):
        mx.nd.ones((2,)).asscalar()


def test_no_array_is_on_a_gpu():
    array = mx.nd.array([1], ctx=mx.cpu())
    assert array.context == array.ctx == mx.cpu(0)
    for move in (array.as_in_context, array.copyto, lambda context: mx.nd.zeros((1,), context)):
        with pytest.raises(ValueError, match=r"in host memory, not on gpu\(1\).*framework='torch'"):
            move(mx.gpu(1))


def test_torch_takes_it():
    torch = pytest.importorskip("torch")
    assert torch.from_numpy(mx.nd.ones((2,))).tolist() == [1, 1]
    loader = torch.utils.data.DataLoader([(mx.nd.ones((2, 2)), mx.nd.array([3]))] * 2, batch_size=2)
    images, labels = next(iter(loader))
    assert (tuple(images.shape), labels.tolist()) == ((2, 2, 2), [[3], [3]])
