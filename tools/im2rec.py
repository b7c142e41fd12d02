#!/usr/bin/env python3
"""tools/im2rec.py: MXNet's im2rec.py and the C++ im2rec, without MXNet. See docs/from-im2rec.md."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dali_rec.im2rec import main

if __name__ == "__main__":
    sys.exit(main())
