#!/usr/bin/env python3
"""tools/rec2idx.py RECORD INDEX: make the .idx of a .rec file, as MXNet's rec2idx.py does.

The keys are the ids in the records; --renumber gives 0, 1, 2 and so on, as MXNet's tool does, which loses them.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from dali_rec._streams import prepare_streams
from dali_rec.errors import DaliRecError
from dali_rec.recordio import Index, RecordReader, write_index


def main() -> int:
    parser = argparse.ArgumentParser(description="Make the .idx of a .rec file.")
    parser.add_argument("record", help="the .rec file")
    parser.add_argument("index", help="the .idx file to write")
    parser.add_argument("--renumber", action="store_true", help="number the records from 0, whatever their ids")
    arguments = parser.parse_args()
    prepare_streams()
    try:
        with RecordReader(arguments.record) as reader:
            if arguments.renumber:
                offsets = np.fromiter(reader.offsets(), np.int64)
                index = Index(np.arange(len(offsets), dtype=np.int64), offsets)
            else:
                index = reader.build_index()
        write_index(arguments.index, index)
    except (DaliRecError, OSError) as error:
        print(f"rec2idx: {error}", file=sys.stderr)
        return 1
    print(f"{arguments.index}: {len(index)} records")
    if index.repeated:
        print(
            f"note: {index.repeated} of its ids stand for several records; MXNet's reader finds only the last of them; "
            "--renumber numbers them from 0"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
