"""Archives of images as the tests write them, and what is packed of them."""

import io
import tarfile
import zipfile
from pathlib import Path

import dali_rec


def tar_of(path, folder, top=""):
    with tarfile.open(path, "w") as tar:
        tar.add(folder, top or ".")
    return path


def zip_of(path, folder, top="", method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, Path(top) / file.relative_to(folder))
    return path


def tar_with(path, *members):
    """A .tar with (name, contents), or TarInfo of members without any."""
    with tarfile.open(path, "w") as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                tar.addfile(info, io.BytesIO(member[1]))
    return path


def link(name, target, kind):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def class_tars(folder, photos):
    folder.mkdir(parents=True)
    for one in photos.iterdir():
        tar_of(folder / f"{one.name}.tar", one)
    return folder


def tar_of_tars(path, photos):
    return tar_of(path, class_tars(path.with_suffix(""), photos))


def records_of(path):
    return [(record.key, record.labels.tolist(), bytes(record.image)) for record in dali_rec.open(path)]


def paths_in(path):
    return [line.split("\t")[-1] for line in path.with_name(f"{path.name}.lst").read_text("utf-8").splitlines()]


ARCHIVES = {
    "tar": lambda folder, photos: tar_of(folder / "photos.tar", photos),
    "zip": lambda folder, photos: zip_of(folder / "photos.zip", photos),
    "deflated": lambda folder, photos: zip_of(folder / "photos.zip", photos, method=zipfile.ZIP_DEFLATED),
    "inside a folder": lambda folder, photos: zip_of(folder / "photos.zip", photos, "photos"),
    "class tars": lambda folder, photos: class_tars(folder / "photos", photos),
    "tar of tars": lambda folder, photos: tar_of_tars(folder / "photos.tar", photos),
}
