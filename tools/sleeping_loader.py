"""A Loader whose decoder sleeps, for tools/many_cores: `sleeping_loader.py DATASET BATCH THREADS MILLISECONDS SECONDS`.

Each image takes as long as its bytes are of the mean, times MILLISECONDS, on a thread of DALI's that finds a core, and
becomes a few grey pixels. All else is real. Prints images/s of one pipeline that makes a batch a run, of one that makes
as many in a run as the Loader makes at once, and of the Loader as it is, and how many these are; in turn.
"""

from __future__ import annotations

import ctypes
import dataclasses
import statistics
import sys
import time
from typing import Any

import numpy as np
from numba import carray, cfunc
from numba import types as numba_types

import dali_rec
from dali_rec.loading import loader
from dali_rec.loading.decoding import Decoder
from dali_rec.loading.host_resize import HostFunction
from dali_rec.resampling import _RUN, _pointer, shape_function

SIDE = 8
ROUNDS = 3
RUNS_AHEAD = 4

_usleep = ctypes.CDLL(None).usleep
_usleep.argtypes, _usleep.restype = [ctypes.c_uint], ctypes.c_int


@cfunc(_RUN)
def _sleep(
    _outs: int, _out_shapes: int, _out_ndims: int, _outs_count: int, ins: int, in_shapes: int, _in_ndims: int, _in: int
) -> None:
    length = carray(_pointer(carray(_pointer(in_shapes), 1, np.uint64)[0]), 1, np.int64)[0]
    for_a_byte = carray(_pointer(carray(_pointer(ins), 2, np.uint64)[1]), 1, np.float32)[0]
    _usleep(numba_types.uint32(length * for_a_byte))


def make_decoder_sleep(for_a_byte: float) -> None:
    """Let it sleep so many microseconds for each byte of an image instead of decoding it."""
    from nvidia import dali

    types = dali.types
    shape = {"setup_fn": shape_function((SIDE, SIDE, 3)), "out_types": [types.UINT8], "outs_ndim": [3]}

    def random_crop(_self: Decoder, encoded: Any, _area: Any, _aspect: Any) -> Any:
        function = HostFunction(run_fn=_sleep, in_types=[types.UINT8, types.FLOAT], ins_ndim=[1, 1], **shape)
        images = function(encoded, types.Constant(np.array([for_a_byte], np.float32)))
        return dali.fn.reshape(images, layout="HWC")

    Decoder.random_crop = random_crop  # type: ignore[method-assign]


def rate(one: dali_rec.Loader, seconds: float) -> float:
    """Images a second, from after what is made ahead."""

    def batches() -> Any:
        while True:
            yield from one

    stream = batches()
    for _ in range(RUNS_AHEAD * one.batches_at_once):
        next(stream)
    began, images = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        for _ in range(one.batches_at_once):
            images += len(next(stream)[1])
    return images / (time.perf_counter() - began)


def main() -> None:
    dataset = dali_rec.open(sys.argv[1])
    batch, threads = int(sys.argv[2]), int(sys.argv[3])
    milliseconds, seconds = float(sys.argv[4]), float(sys.argv[5])
    mean = sum(shard.reader.size for shard in dataset.shards) / len(dataset)
    make_decoder_sleep(1000 * milliseconds / mean)
    in_turn = loader.with_several_at_once

    def one_by_one(execution: Any, *_: Any) -> Any:
        return dataclasses.replace(execution, at_once=1)

    def in_one_run(execution: Any, *rest: Any) -> Any:
        chosen = in_turn(execution, *rest)
        return dataclasses.replace(chosen, at_once=chosen.at_once * chosen.pipelines, pipelines=1)

    rates: tuple[list[float], ...] = ([], [], [])
    for _ in range(ROUNDS):
        for choose, measured in zip((one_by_one, in_one_run, in_turn), rates, strict=True):
            loader.with_several_at_once = choose
            made = dali_rec.Loader(
                dataset, batch, SIDE, framework="numpy", device="cpu", threads=threads, tuned=False, shuffle_buffer=256
            )
            measured.append(rate(made, seconds))
    print(*map(statistics.median, rates), made.batches_at_once)


if __name__ == "__main__":
    main()
