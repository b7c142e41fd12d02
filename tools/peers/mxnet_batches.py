"""The batches of MXNet's iterators: `mxnet_batches.py REQUESTS OUT`, with any Python from 3.8 that has mxnet 1.9.1.

REQUESTS is a JSON list of {"iterator": name, "parameters": {…}, "epochs": how many}. OUT gets one NumPy file a request,
0.npz …: data, label, pad and index of all batches, "ends" with the number of batches after each epoch, or "error".
"""

import json
import sys
from pathlib import Path

import numpy as np

np.bool = bool  # which MXNet 1.9.1 uses and NumPy took away

import mxnet as mx  # noqa: E402


def batches_of(request):
    iterator = getattr(mx.io, request["iterator"])(**request["parameters"])
    data, label, pad, index, ends = [], [], [], [], []
    for _ in range(request["epochs"]):
        for batch in iterator:
            data.append(batch.data[0].asnumpy())
            label.append(batch.label[0].asnumpy())
            pad.append(batch.pad)
            index.append(batch.index)
        ends.append(len(data))
        iterator.reset()
    return {"data": np.array(data), "label": np.array(label), "pad": pad, "index": np.array(index), "ends": ends}


for number, request in enumerate(json.loads(Path(sys.argv[1]).read_text())):
    try:
        arrays = batches_of(request)
    except (mx.base.MXNetError, TypeError, ValueError) as error:
        arrays = {"error": str(error)}
    np.savez(Path(sys.argv[2], "{}.npz".format(number)), **arrays)
