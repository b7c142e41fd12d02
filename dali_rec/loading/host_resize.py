"""Resizing on the CPU by PyTorch's or OpenCV's kernels, as a node of the DALI graph.

DALI's own resizing takes more of the processor than decoding does (docs/performance.md). PyTorch's antialiased kernel
for uint8 is Pillow's algorithm in AVX2: a fifth of DALI's time, and within two levels of Pillow. Without antialiasing
OpenCV's linear kernel is faster still. Both let go of the interpreter's lock.
"""

from __future__ import annotations

import functools
import math
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal

import cv2
import numpy as np

from dali_rec.errors import MissingDependencyError

if TYPE_CHECKING:
    from numpy.typing import NDArray

Resizer = Literal["dali", "torch", "opencv"]
_VECTOR_EXTENSIONS = ("AVX2", "AVX512")


def choose_resizer(wanted: Literal["auto"] | Resizer, *, on_gpu: bool, antialias: bool, framework: str) -> Resizer:
    """What resizes random crops: ``wanted``, or for "auto" the fastest that makes the same images.

    "auto" takes PyTorch's kernel only where the framework is PyTorch: others need not import it.

    Raises ValueError where ``wanted`` cannot be had on the GPU or with ``antialias``, MissingDependencyError without
    PyTorch.
    """
    if wanted not in ("auto", "dali", "torch", "opencv"):
        raise ValueError(f"resizer is {wanted!r}: expected 'auto', 'dali', 'torch' or 'opencv'")
    if wanted == "auto":
        if on_gpu:
            return "dali"
        if not antialias:
            return "opencv"
        return "torch" if framework == "torch" and _torch_is_fast() else "dali"
    if wanted != "dali" and on_gpu:
        raise ValueError(f"resizer is {wanted!r}, which works on the CPU, and images are decoded on a GPU; take 'auto'")
    if wanted == "torch" and not antialias:
        raise ValueError("resizer is 'torch', which antialiases; with antialias=False take 'opencv'")
    if wanted == "opencv" and antialias:
        raise ValueError("resizer is 'opencv', which does not antialias; say antialias=False, or take 'torch'")
    if wanted == "torch":
        _import_torch()
    return wanted


def _import_torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise MissingDependencyError(
            f"resizer='torch' needs PyTorch ({error}); install it with: pip install torch, or take resizer='dali'"
        ) from None
    return torch


def _torch_is_fast() -> bool:
    """Whether PyTorch has a vectorised kernel for this processor."""
    return _import_torch().backends.cpu.get_cpu_capability() in _VECTOR_EXTENSIONS


def resize_on_host(dali: Any, images: Any, size: tuple[int, int], resizer: Resizer, threads: int) -> Any:
    """The node that resizes uint8 HWC images of three channels to ``size``, by ``threads`` threads of Python."""
    fn, types = dali.fn, dali.types
    # DALI copies what Python returns element by element: the larger its elements, the faster.
    size_in_bytes = math.prod(size) * 3
    element = next(dtype for dtype in (np.int64, np.int32, np.int16, np.uint8) if size_in_bytes % dtype().itemsize == 0)
    resized = fn.python_function(
        images, function=BatchResizer(size, resizer, threads, element), batch_processing=True, num_outputs=1
    )
    return fn.reinterpret(resized, dtype=types.UINT8, shape=[*size, 3], layout="HWC")


class BatchResizer:
    """Called by DALI with the images of a batch; gives each, resized, as a row of ``element``."""

    def __init__(self, size: tuple[int, int], resizer: Resizer, threads: int, element: type[np.generic]) -> None:
        self._size = size
        self._resize = {"torch": _resize_by_torch, "opencv": _resize_by_opencv}[resizer]
        self._threads = threads
        self._element = element

    def __call__(self, images: list[NDArray[np.uint8]]) -> list[NDArray[Any]]:
        """Rows of the pixels of each image, shape (height · width · 3 / item size,)."""
        # Every nth image, so that each thread gets large and small ones; a task an image costs more than that evens.
        tasks = 2 * self._threads
        parts = list(_pool(self._threads).map(self._several, [images[task::tasks] for task in range(tasks)]))
        return [parts[number % tasks][number // tasks] for number in range(len(images))]

    def _several(self, images: list[NDArray[np.uint8]]) -> list[NDArray[Any]]:
        return [self._resize(image, self._size).reshape(-1).view(self._element) for image in images]


@functools.cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="dali-rec-resize")


def _resize_by_torch(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    torch = _import_torch()
    planes = torch.from_numpy(np.asarray(image)).permute(2, 0, 1).unsqueeze(0)
    scaled = torch.nn.functional.interpolate(planes, size=size, mode="bilinear", antialias=True)
    resized: NDArray[np.uint8] = scaled[0].permute(1, 2, 0).numpy()
    return resized


def _resize_by_opencv(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(image, size[::-1], interpolation=cv2.INTER_LINEAR), np.uint8)
