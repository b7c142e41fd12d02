"""What ``dali-rec index`` does, without the start of Python."""

import sys
import time

from dali_rec.recordio import RecordReader, write_index

began = time.perf_counter()
with RecordReader(sys.argv[1]) as reader:
    write_index(sys.argv[2], reader.build_index())
print(time.perf_counter() - began)
