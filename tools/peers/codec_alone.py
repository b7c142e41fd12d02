"""The codec alone: decode, resize and encode, or decode and check, from memory to nowhere, by threads."""

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from dali_rec.packing import ImageOptions
from dali_rec.packing.transform import transform_image

folder, threads, resize = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
options = ImageOptions(resize=resize or None, quality=95)
images = [path.read_bytes() for path in sorted(folder.rglob("*.jpg"))]
with ThreadPoolExecutor(threads) as pool:
    began = time.perf_counter()
    for _ in pool.map(lambda data: transform_image(data, options), images, chunksize=1):
        pass
print(time.perf_counter() - began)
