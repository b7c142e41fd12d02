"""``python -m dali_rec.compat.mxnet SCRIPT …``: runs a script in which ``import mxnet`` means dali_rec.compat.mxnet."""

import sys

from dali_rec.compat.mxnet.installation import run

if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help") or sys.argv[1:] == ["-m"]:
    sys.exit("usage: python -m dali_rec.compat.mxnet SCRIPT ARGUMENT …, or -m MODULE ARGUMENT …")
run(sys.argv[1:])
