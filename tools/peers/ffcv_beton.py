"""FFCV over its own file, JPEG inside."""

from importlib.metadata import version

from serve import MEAN, STD, Task, forever, serve, without_torchvision_operators

without_torchvision_operators()

import numpy as np  # noqa: E402
from ffcv.fields import IntField, RGBImageField  # noqa: E402
from ffcv.fields.decoders import IntDecoder  # noqa: E402
from ffcv.fields.rgb_image import RandomResizedCropRGBImageDecoder  # noqa: E402
from ffcv.loader import Loader, OrderOption  # noqa: E402
from ffcv.transforms import NormalizeImage, RandomHorizontalFlip, ToTensor, ToTorchImage  # noqa: E402
from ffcv.writer import DatasetWriter  # noqa: E402
from PIL import Image  # noqa: E402


class Files:
    """What FFCV's writer takes: an image and its label by number."""

    def __init__(self, files):
        self._files = files

    def __len__(self):
        return len(self._files)

    def __getitem__(self, number):
        path, label = self._files[number]
        with Image.open(path) as image:
            return image.convert("RGB"), label


if __name__ == "__main__":
    task = Task()
    beton = str(task.work / "images.beton")
    # FFCV encodes the pixels anew; the quality is that of the images.
    writer = DatasetWriter(
        beton, {"image": RGBImageField(write_mode="jpg", jpeg_quality=90), "label": IntField()}, num_workers=1
    )
    writer.from_indexed_dataset(Files(task.files()))
    image = [
        RandomResizedCropRGBImageDecoder((task.size, task.size)),
        RandomHorizontalFlip(),
        NormalizeImage(np.array(MEAN) * 255, np.array(STD) * 255, np.float32),
        ToTensor(),
        ToTorchImage(convert_back_int16=False),
    ]
    loader = Loader(
        beton,
        batch_size=task.batch,
        num_workers=task.threads,
        order=OrderOption.RANDOM,
        drop_last=True,
        os_cache=True,
        pipelines={"image": image, "label": [IntDecoder(), ToTensor()]},
    )
    serve("FFCV", version("ffcv"), forever(lambda: (len(labels) for _, labels in loader)))
