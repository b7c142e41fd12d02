"""``python -m dali_rec.im2rec``: tools/im2rec.py for where dali-rec is installed without its tools."""

import sys

from dali_rec.im2rec.arguments import main

sys.exit(main())
