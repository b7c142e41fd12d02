"""WebDataset over tar files."""

import io
from importlib.metadata import version

from serve import MEAN, STD, Task, serve, without_torchvision_operators

without_torchvision_operators()

import torch  # noqa: E402
import webdataset  # noqa: E402
from PIL import Image  # noqa: E402
from torchvision import transforms  # noqa: E402

SHARDS = 8

if __name__ == "__main__":
    task = Task()
    files = task.files()
    for shard in range(SHARDS):
        with webdataset.TarWriter(str(task.work / f"{shard}.tar")) as tar:
            for number, (path, label) in enumerate(files[shard::SHARDS]):
                tar.write({"__key__": f"{shard}-{number:06d}", "jpg": path.read_bytes(), "cls": str(label).encode()})
    transform = transforms.Compose(
        [
            transforms.RandomResizedCrop(task.size),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(MEAN, STD),
        ]
    )

    def decode(sample):
        with Image.open(io.BytesIO(sample["jpg"])) as image:
            return transform(image.convert("RGB")), int(sample["cls"])

    dataset = (
        webdataset.WebDataset([str(task.work / f"{shard}.tar") for shard in range(SHARDS)], shardshuffle=SHARDS)
        .repeat()
        .shuffle(1000)
        .map(decode)
        .batched(task.batch, partial=False)
    )
    loader = torch.utils.data.DataLoader(dataset, None, num_workers=task.threads, prefetch_factor=4)
    serve("WebDataset", version("webdataset"), (len(labels) for _, labels in loader))
