"""``python -m mxnet.tools.im2rec``; see docs/from-im2rec.md."""

import sys

from dali_rec.im2rec import main

if __name__ == "__main__":
    sys.exit(main())
