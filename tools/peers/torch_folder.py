"""PyTorch's DataLoader over torchvision's ImageFolder."""

from serve import MEAN, STD, Task, forever, serve, without_torchvision_operators

without_torchvision_operators()

import torch  # noqa: E402
import torchvision  # noqa: E402
from torchvision import datasets, transforms  # noqa: E402

if __name__ == "__main__":
    task = Task()
    dataset = datasets.ImageFolder(
        str(task.images),
        transforms.Compose(
            [
                transforms.RandomResizedCrop(task.size),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(MEAN, STD),
            ]
        ),
    )
    loader = torch.utils.data.DataLoader(
        dataset,
        task.batch,
        shuffle=True,
        num_workers=task.threads,
        drop_last=True,
        persistent_workers=True,
        prefetch_factor=4,
    )
    version = f"torch {torch.__version__}, torchvision {torchvision.__version__}"
    serve("PyTorch DataLoader + ImageFolder", version, forever(lambda: (len(labels) for _, labels in loader)))
