"""What MXNet's rec2idx.py does: read every record through MXRecordIO, and note where each began."""

import sys
import time

import numpy as np

np.bool = bool  # which MXNet 1.9.1 uses and NumPy took away

import mxnet as mx  # noqa: E402

began = time.perf_counter()
reader = mx.recordio.MXRecordIO(sys.argv[1], "r")
with open(sys.argv[2], "w") as index:
    number = 0
    while True:
        position = mx.recordio.ctypes.c_size_t()
        mx.recordio.check_call(mx.recordio._LIB.MXRecordIOReaderTell(reader.handle, mx.recordio.ctypes.byref(position)))
        if reader.read() is None:
            break
        index.write(f"{number}\t{position.value}\n")
        number += 1
print(time.perf_counter() - began)
