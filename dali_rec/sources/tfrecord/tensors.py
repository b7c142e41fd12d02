"""Images as TensorFlow's serialize_tensor writes them: the TensorProto of an array of bytes.

    TensorProto  { DataType dtype = 1; TensorShapeProto tensor_shape = 2; bytes tensor_content = 4; }
    TensorShapeProto  { Dim dim = 2; }     Dim  { int64 size = 1; }

(tensorflow/core/framework/tensor.proto and tensor_shape.proto.)
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from dali_rec.sources.tfrecord.example import Span, Window, messages, numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

_UINT8 = 4
# The type, and then the shape.
_BEGINNING = bytes((1 << 3, _UINT8, 2 << 3 | 2))


def is_tensor(beginning: bytes) -> bool:
    """Whether bytes are a tensor of bytes, by the first three of them."""
    return beginning.startswith(_BEGINNING)


def read_tensor(data: bytes) -> NDArray[np.uint8]:
    """The array that a tensor is. Raises ValueError where it is none, or of another size."""
    window, whole = Window(data), Span(0, len(data))
    shape = [
        size
        for of_shape in messages(window, whole, 2)
        for dimension in messages(window, of_shape, 2)
        for size in [*numbers(window, dimension, 1)][-1:] or [0]
    ]
    content = b"".join(window.take(one) for one in messages(window, whole, 4))
    if any(size <= 0 for size in shape) or math.prod(shape) != len(content):
        raise ValueError(f"a tensor of shape {tuple(shape)} with {len(content):,} bytes")
    return np.frombuffer(content, np.uint8).reshape(shape)
