"""Annotations of boxes in a file, and their images in a .tar or .zip."""

import json
import re
import shutil
import tarfile
import zipfile

import pytest
from PIL import Image
from support import encoded, jpeg, picture

import dali_rec
from dali_rec.cli import main
from dali_rec.errors import SourceError, TooManyBadImagesError
from dali_rec.images import stored_size
from dali_rec.sources import SourceOptions, open_source
from dali_rec.sources.archives.files import find_archives
from dali_rec.sources.archives.opened import open_archive
from dali_rec.sources.detection.sizes import read_sizes

SIZE = (40, 32)
COCO = {
    "images": [{"id": 9, "file_name": "0.jpg"}, {"id": 4, "file_name": "1.jpg", "width": 40, "height": 32}],
    "annotations": [{"image_id": 9, "category_id": 3, "bbox": [10, 8, 20, 16]}],
    "categories": [{"id": 3, "name": "cat"}],
}
SIDES = {"x1": 10, "y1": 8, "x2": 30, "y2": 24}
REGION = {
    "shape_attributes": {"name": "rect", "x": 10, "y": 8, "width": 20, "height": 16},
    "region_attributes": {"type": "cat"},
}
CREATE_ML = {"label": "cat", "coordinates": {"x": 20, "y": 16, "width": 20, "height": 16}}
CVAT = (
    '<annotations><version>1.1</version><meta><task><labels/></task></meta><image id="0" name="0.jpg">'
    '<box label="cat" xtl="10" ytl="8" xbr="30" ybr="24"/></image><image id="1" name="1.jpg"/></annotations>'
)
JOB = {
    "image_size": [{"width": 40, "height": 32, "depth": 3}],
    "annotations": [{"class_id": 0, "left": 10, "top": 8, "width": 20, "height": 16}],
}
#: By format: the file of annotations, what is in it, and the names of its images.
FILES = {
    "coco": ("instances_val2017.json", COCO, ("0.jpg", "1.jpg")),
    "openimages": (
        "validation-annotations-bbox.csv",
        "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax\n0,x,/m/01,1,.25,.75,.25,.75\n1,x,/m/02,1,0,1,0,1\n",
        ("0.jpg", "1.jpg"),
    ),
    "createml": (
        "_annotations.createml.json",
        [{"image": "0.jpg", "annotations": [CREATE_ML]}, {"image": "1.jpg", "annotations": []}],
        ("0.jpg", "1.jpg"),
    ),
    "via": (
        "via.json",
        {f"{name}9": {"filename": name, "size": 9, "regions": [REGION]} for name in ("0.jpg", "1.jpg")},
        ("0.jpg", "1.jpg"),
    ),
    "bdd100k": (
        "det_val.json",
        [
            {"name": f"{name}.jpg", "timestamp": 1, "labels": [{"category": "car", "box2d": SIDES}]}
            for name in ("b1c66a42-6f7d68ca", "b1c9c847-3bda4659")
        ],
        ("b1c66a42-6f7d68ca.jpg", "b1c9c847-3bda4659.jpg"),
    ),
    "widerface": (
        "wider_face_val_bbx_gt.txt",
        "0--Parade/0_1.jpg\n1\n10 8 20 16 0 0 0 0 0 0\n1--Handshaking/1_2.jpg\n1\n0 0 9 9 0 0 0 1 0 0\n",
        ("0--Parade/0_1.jpg", "1--Handshaking/1_2.jpg"),
    ),
    "crowdhuman": (
        "annotation_val.odgt",
        '{"ID": "27,a", "gtboxes": [{"tag": "person", "fbox": [10, 8, 20, 16]}]}\n{"ID": "28,b", "gtboxes": []}\n',
        ("27,a.jpg", "28,b.jpg"),
    ),
    "csv": (
        "_annotations.csv",
        "filename,width,height,class,xmin,ymin,xmax,ymax\n0.jpg,40,32,cat,10,8,30,24\n1.jpg,40,32,dog,0,0,9,9\n",
        ("0.jpg", "1.jpg"),
    ),
    "groundtruth": (
        "output.manifest",
        "".join(f'{{"source-ref": "s3://b/{name}.jpg", "boxes": {json.dumps(JOB)}}}\n' for name in "01"),
        ("0.jpg", "1.jpg"),
    ),
    "cvat": ("annotations.xml", CVAT, ("0.jpg", "1.jpg")),
}


def make_zip(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def make_deflated(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def make_tar(path, members):
    for name, data in members.items():
        file = path.parent / "unpacked" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    with tarfile.open(path, "w") as archive:
        archive.add(path.parent / "unpacked", ".")
    shutil.rmtree(path.parent / "unpacked")
    return path


MAKERS = {"x.zip": make_zip, "deflated.zip": make_deflated, "x.tar": make_tar}


@pytest.fixture(params=FILES)
def annotated(request, tmp_path):
    """The file of annotations in one folder, its images in another, and their names."""
    name, content, images = FILES[request.param]
    for seed, image in enumerate(images):
        file = tmp_path / "images" / image
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(jpeg(seed, SIZE))
    path = tmp_path / "boxes" / name
    path.parent.mkdir()
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path, tmp_path / "images", images


def records_of(path):
    return [(record.key, record.labels.tolist(), bytes(record.image)) for record in dali_rec.open(path)]


@pytest.mark.parametrize("inside", ["", "val2017/", "some/folder/"])
@pytest.mark.parametrize("name", MAKERS)
def test_packs_to_what_it_packs_to_with_the_folder(annotated, tmp_path, name, inside):
    file, folder, images = annotated
    archive = MAKERS[name](tmp_path / name, {f"{inside}{image}": (folder / image).read_bytes() for image in images})
    wanted = dali_rec.pack(file, tmp_path / "wanted", root=folder)
    report = dali_rec.pack(file, tmp_path / "out", root=archive)
    assert records_of(tmp_path / "out") == records_of(tmp_path / "wanted")
    assert (report.manifest.classes, report.manifest.label_kind) == (wanted.manifest.classes, "boxes")
    lines = (tmp_path / "out.lst").read_text().splitlines()
    assert [line.split("\t")[-1] for line in lines] == [f"{name}//{inside}{image}" for image in images]


def test_file_names_with_folders_that_the_archive_lacks(tmp_path):
    content = {
        **COCO,
        "images": [{"id": 9, "file_name": "coco/val2017/a/0.jpg"}, {"id": 4, "file_name": "coco/val2017/b/0.jpg"}],
    }
    (tmp_path / "x.json").write_text(json.dumps(content))
    archive = make_zip(tmp_path / "val2017.zip", {"a/0.jpg": jpeg(1), "b/0.jpg": jpeg(2)})
    dali_rec.pack(tmp_path / "x.json", tmp_path / "out", root=archive)
    assert [image for _, _, image in records_of(tmp_path / "out")] == [jpeg(1), jpeg(2)]


def test_sizes_are_read_as_those_of_files(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    wide = picture(0, (300, 200))
    images = {
        "turned.jpg": encoded(wide, "JPEG", exif=exif),
        "profile.jpg": encoded(wide, "JPEG", icc_profile=b"x" * 200_000, exif=exif),
        "turned.png": encoded(wide, "PNG", exif=exif),
        "turned.webp": encoded(wide, "WEBP", exif=exif),
        "turned.tif": encoded(wide, "TIFF", exif=exif),
        "plain.bmp": encoded(wide, "BMP"),
        "broken.jpg": jpeg()[:100],
        "none.jpg": b"",
    }
    for name, data in images.items():
        (tmp_path / name).write_bytes(data)
    wanted = [stored_size(tmp_path / name) for name in images]
    assert [None if size is None else size.orientation for size in wanted] == [6, 6, 6, 6, 6, 1, None, None]
    for name, make in MAKERS.items():
        archive = make(tmp_path / name, images)
        members = open_archive(find_archives(archive), archive).members
        with read_sizes(members, [*images, "missing.jpg"], tmp_path) as found:
            assert list(found) == [*wanted, None]


def test_sizes_take_the_heads_of_images_alone(tmp_path, monkeypatch):
    from dali_rec.sources import open_file

    members = {f"{name}.jpg": jpeg(0, (2000, 2000), quality=95) for name in "01"}
    (tmp_path / "x.json").write_text(json.dumps({**COCO, "images": [{"id": 9, "file_name": "0.jpg"}]}))
    read = []

    def counted(descriptor, start, size):
        read.append(size)
        return read_at(descriptor, start, size)

    read_at = open_file.read_at
    monkeypatch.setattr(open_file, "read_at", counted)
    for archive in (make_zip(tmp_path / "x.zip", members), make_tar(tmp_path / "x.tar", members)):
        read.clear()
        open_source(tmp_path / "x.json", SourceOptions(root=archive))
        assert 0 < sum(read) < 20_000 < len(members["0.jpg"])


def test_images_that_the_archive_lacks_are_named(tmp_path):
    content = {**COCO, "images": [*COCO["images"], {"id": 5, "file_name": "2.jpg", "width": 40, "height": 32}]}
    (tmp_path / "x.json").write_text(json.dumps(content))
    archive = make_zip(tmp_path / "x.zip", {"0.jpg": jpeg(), "1.jpg": jpeg()[:200]})
    report = dali_rec.pack(tmp_path / "x.json", tmp_path / "out", root=archive, max_bad=2)
    assert [(one.sample.key, one.sample.location) for one in report.rejections] == [(4, "x.zip//1.jpg"), (5, "2.jpg")]
    assert f"no such file: {archive / '2.jpg'}" in report.rejections[1].reason
    other = make_zip(tmp_path / "other.zip", {"9.jpg": jpeg()})
    with pytest.raises(SourceError, match=r"its images, '0\.jpg' and so on, are not in .*other\.zip; name the archive"):
        open_source(tmp_path / "x.json", SourceOptions(root=other))
    twice = make_zip(tmp_path / "twice.zip", {"train/0.jpg": jpeg(), "val/0.jpg": jpeg()})
    with pytest.raises(SourceError, match=r"'0\.jpg' may be train/0\.jpg or val/0\.jpg in .*twice\.zip; unpack it"):
        open_source(tmp_path / "x.json", SourceOptions(root=twice))


@pytest.mark.parametrize("folder", ["", "images/"])
def test_names_of_images_may_have_the_slashes_of_windows(tmp_path, folder):
    images = [{"id": 9, "file_name": "a\\0.jpg"}, {"id": 4, "file_name": "b\\0.jpg"}]
    (tmp_path / "x.json").write_text(json.dumps({**COCO, "images": images}))
    archive = make_zip(tmp_path / "x.zip", {f"{folder}{part}/0.jpg": jpeg() for part in "ab"})
    source = open_source(tmp_path / "x.json", SourceOptions(root=archive))
    assert [source.pixels.listed(sample.location) for sample in source.samples] == [
        f"x.zip//{folder}a/0.jpg",
        f"x.zip//{folder}b/0.jpg",
    ]


@pytest.fixture
def in_several(tmp_path):
    """Annotations of images in two archives."""
    (tmp_path / "parts").mkdir()
    for seed, part in enumerate(("01", "02")):
        make_zip(tmp_path / "parts" / f"CrowdHuman_train{part}.zip", {f"Images/{seed}.jpg": jpeg(seed)})
    (tmp_path / "annotation_train.odgt").write_text('{"ID": "1", "gtboxes": []}\n{"ID": "0", "gtboxes": []}\n')
    return tmp_path / "annotation_train.odgt"


@pytest.mark.parametrize("root", ["parts", "parts/CrowdHuman_train{01,02}.zip"])
def test_images_in_several_archives(in_several, tmp_path, root):
    report = dali_rec.pack(in_several, tmp_path / "out", root=tmp_path / root)
    assert [image for _, _, image in records_of(tmp_path / "out")] == [jpeg(1), jpeg(0)]
    paths = [line.split("\t")[-1] for line in (tmp_path / "out.lst").read_text().splitlines()]
    assert paths == ["CrowdHuman_train02.zip//Images/1.jpg", "CrowdHuman_train01.zip//Images/0.jpg"]
    place = f"{tmp_path / 'parts' / 'CrowdHuman_train02.zip'}//Images/1.jpg"
    assert any(f"'1.jpg' is {place}" in note for note in report.notes)


@pytest.mark.posix
@pytest.mark.parametrize("part", ["01", "02"])
@pytest.mark.parametrize("root", ["parts", "parts/CrowdHuman_train{01,02}.zip"])
def test_archive_of_the_images_is_not_written_over(in_several, tmp_path, root, part):
    (tmp_path / "out.rec").symlink_to(tmp_path / "parts" / f"CrowdHuman_train{part}.zip")
    with pytest.raises(FileExistsError, match="is what is being packed; name it otherwise"):
        dali_rec.pack(in_several, tmp_path / "out", root=tmp_path / root, overwrite=True)


def test_classes_of_images_without_boxes(tmp_path):
    content = {**COCO, "annotations": [{"image_id": 9, "category_id": 3}, {"image_id": 4, "category_id": 3}]}
    (tmp_path / "x.json").write_text(json.dumps(content))
    archive = make_zip(tmp_path / "x.zip", {"train/0.jpg": jpeg(0), "train/1.jpg": jpeg(1)})
    dali_rec.pack(tmp_path / "x.json", tmp_path / "out", root=archive)
    assert records_of(tmp_path / "out") == [(9, [0], jpeg(0)), (4, [0], jpeg(1))]


def test_interrupted_run_is_resumed(tmp_path):
    images = [{"id": number, "file_name": f"{number}.jpg"} for number in range(8)]
    (tmp_path / "x.json").write_text(json.dumps({**COCO, "images": images, "annotations": []}))
    archive = make_zip(tmp_path / "x.zip", {f"x/{number}.jpg": jpeg(number) for number in range(8)})

    def stop(done, total):
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dali_rec.pack(tmp_path / "x.json", tmp_path / "out", root=archive, shards=4, progress=stop)
    assert dali_rec.pack(tmp_path / "x.json", tmp_path / "out", root=archive, shards=4, resume=True).images < 8
    assert [image for _, _, image in records_of(tmp_path / "out")] == [jpeg(number) for number in range(8)]


def test_archive_of_the_images_is_named_where_it_lies_beside_their_folder(tmp_path, capsys):
    (tmp_path / "coco" / "annotations").mkdir(parents=True)
    file = tmp_path / "coco" / "annotations" / "instances_val2017.json"
    file.write_text(json.dumps(COCO))
    archive = make_zip(tmp_path / "coco" / "val2017.zip", {"val2017/0.jpg": jpeg(), "val2017/1.jpg": jpeg()})
    for source in (file, tmp_path / "coco"):
        with pytest.raises(SourceError, match=rf"neither beside it nor in .*; say --root {re.escape(str(archive))}$"):
            open_source(source)
    assert main(["pack", str(file), str(tmp_path / "out"), "--root", str(archive), "--dry-run"]) == 0
    assert "cat" in capsys.readouterr().out
    assert len(open_source(tmp_path / "coco", SourceOptions(root=archive)).samples) == 2


def test_annotations_in_archives_are_to_be_unpacked(tmp_path):
    archive = make_zip(tmp_path / "annotations_trainval2017.zip", {"annotations/instances_val2017.json": b"{}"})
    with pytest.raises(SourceError, match=r"but annotations/instances_val2017\.json; .*unpack.*pack FILE OUT --root"):
        open_source(archive)
    with pytest.raises(SourceError, match=r"or the annotations alone, .*: dali-rec pack FILE OUT --root ARCHIVE"):
        open_source(archive, SourceOptions(format="coco"))
    with pytest.raises(SourceError, match="unpack it, and pack the folder"):
        open_source(archive, SourceOptions(format="voc"))
    members = {"val2017/0.jpg": jpeg(0), "train2017/1.jpg": jpeg(1), "annotations/instances_val2017.json": b"{}"}
    whole = make_zip(tmp_path / "coco.zip", members)
    remedy = f"unpack that file: dali-rec pack instances_val2017.json OUT --root {whole}"
    assert any(remedy in note for note in open_source(whole).notes)


def test_archive_is_no_root_of_what_has_no_paths(tmp_path):
    archive = make_zip(tmp_path / "x.zip", {"a/0.jpg": jpeg()})
    folder = tmp_path / "yolo"
    for name, data in {"images/0.jpg": jpeg(), "labels/0.txt": b"0 .5 .5 .2 .2"}.items():
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_bytes(data)
    with pytest.raises(
        SourceError, match="--root goes with a list, a table, Parquet, or annotations in one file, which this is not"
    ):
        open_source(folder, SourceOptions(root=archive))


def test_archive_that_is_cut_off_while_sizes_are_read(tmp_path):
    (tmp_path / "x.json").write_text(json.dumps({**COCO, "images": COCO["images"][1:], "annotations": []}))
    archive = make_zip(tmp_path / "x.zip", {"1.jpg": jpeg()})
    data = bytearray(archive.read_bytes())
    data[:4] = b"none"
    archive.write_bytes(data)
    with pytest.raises(TooManyBadImagesError, match=r"x\.zip//1\.jpg: no member begins at byte 0"):
        dali_rec.pack(tmp_path / "x.json", tmp_path / "out", root=archive)
