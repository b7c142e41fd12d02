"""Folders of images: labels by the folders that these lie in, by their names, or by CUB's lists."""
