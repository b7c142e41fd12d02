"""``python -m dali_rec``: the command line."""

import sys

from dali_rec.cli import main

sys.exit(main())
