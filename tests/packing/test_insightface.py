"""InsightFace's layout, as its own readers take it."""

import json
import re

import numpy as np
import pytest
from support import jpeg, make_class_folder

import dali_rec
from dali_rec.cli import main
from dali_rec.compat.mxnet import recordio
from dali_rec.errors import OutputExistsError, SourceError, TooManyBadImagesError
from dali_rec.inspection import verify
from dali_rec.packing import pack_insightface, write_insightface
from dali_rec.packing.store import LocalStore


@pytest.fixture
def people(tmp_path):
    return make_class_folder(tmp_path / "people", {"ann": 3, "bob": 1, "cy": 4}, (32, 32))


def read_as_insightface(folder):
    """What InsightFace's reader and its triplet sampler see: (label, image) by id, and the images of each identity."""
    reader = recordio.MXIndexedRecordIO(str(folder / "train.idx"), str(folder / "train.rec"), "r")
    header, _ = recordio.unpack(reader.read_idx(0))
    assert header.flag > 0
    first, end = int(header.label[0]), int(header.label[1])
    images = {}
    for key in range(1, first):
        one, content = recordio.unpack(reader.read_idx(key))
        label = one.label if isinstance(one.label, float) else one.label[0]
        assert one.id == key
        images[key] = (int(label), content)
    groups = []
    for key in range(first, end):
        one, content = recordio.unpack(reader.read_idx(key))
        assert content == b""
        groups.append(range(int(one.label[0]), int(one.label[1])))
    reader.close()
    return images, groups


def test_reader_of_insightface_finds_every_image_and_identity(people, tmp_path):
    report = pack_insightface(people, tmp_path / "out" / "train")
    images, groups = read_as_insightface(tmp_path / "out")
    assert [label for label, _ in images.values()] == [0] * 3 + [1] + [2] * 4
    assert groups == [range(1, 4), range(4, 5), range(5, 9)]
    files = {path.read_bytes(): ["ann", "bob", "cy"].index(path.parent.name) for path in people.glob("*/*.jpg")}
    assert {content: label for label, content in images.values()} == files
    assert (tmp_path / "out" / "property").read_text() == "3,32,32\n"
    assert (report.records, report.manifest.classes) == (8, ("ann", "bob", "cy"))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "property", "train.idx", "train.json", "train.lst", "train.rec",
    ]  # fmt: skip


def test_folder_that_it_works_in_is_no_identity(people):
    assert pack_insightface(people, people / "train").manifest.classes == ("ann", "bob", "cy")


def test_data_set_opens_verifies_and_names_its_images(people, tmp_path):
    pack_insightface(people, tmp_path / "train")
    dataset = dali_rec.open(tmp_path / "train")
    assert (len(dataset), dataset.classes, dataset.num_classes) == (8, ("ann", "bob", "cy"), 3)
    assert dataset.identities.first.tolist() == [1, 4, 5]
    report = verify(tmp_path / "train")
    assert (report.ok, report.records, report.images) == (True, 12, 8), report.faults
    lines = [line.split("\t") for line in (tmp_path / "train.lst").read_text().splitlines()]
    for record, (key, label, path) in zip(dataset, lines, strict=True):
        assert (record.key, record.labels[0]) == (int(key), float(label))
        assert bytes(record.image) == (people / path).read_bytes()


def test_rejected_image_leaves_no_gap(people, tmp_path):
    (people / "ann" / "ann_000.jpg").write_bytes(b"not an image")
    (people / "bob" / "bob_000.jpg").write_bytes(b"")
    report = pack_insightface(people, tmp_path / "train", max_bad=2)
    images, groups = read_as_insightface(tmp_path)
    assert (list(images), groups) == ([1, 2, 3, 4, 5, 6], [range(1, 3), range(3, 7)])
    assert report.sets[0].rejected_path == tmp_path / "train.rejected.jsonl"
    assert len((tmp_path / "train.rejected.jsonl").read_text().splitlines()) == 2
    assert verify(tmp_path / "train").ok


def test_too_many_bad_images_leave_the_list_of_them_alone(people, tmp_path):
    (people / "ann" / "ann_000.jpg").write_bytes(b"not an image")
    out = tmp_path / "out" / "train"
    with pytest.raises(TooManyBadImagesError) as failure:
        pack_insightface(people, out)
    assert str(failure.value).endswith(f"the list is in {out}.rejected.jsonl")
    assert [path.name for path in out.parent.iterdir()] == ["train.rejected.jsonl"]


def test_images_of_different_sizes_are_refused_with_the_remedy(people, tmp_path):
    (people / "ann" / "ann_001.jpg").write_bytes(jpeg(5, (40, 32)))
    out = tmp_path / "out" / "train"
    with pytest.raises(SourceError, match=r"_00\d\.jpg has .* --resize 112 --resize-mode fill"):
        pack_insightface(people, out)
    assert list(out.parent.iterdir()) == []
    pack_insightface(people, out, resize=24, resize_mode="fill")
    assert (out.parent / "property").read_text() == "3,24,24\n"


def test_the_remedy_for_different_sizes_helps_where_some_are_smaller(people, tmp_path):
    (people / "ann" / "ann_001.jpg").write_bytes(jpeg(5, (200, 90)))
    with pytest.raises(SourceError, match=r"_00\d\.jpg has .* --resize 112 --resize-mode fill --upscale$"):
        pack_insightface(people, tmp_path / "train", resize=112, resize_mode="fill")
    pack_insightface(people, tmp_path / "train", resize=112, resize_mode="fill", upscale=True)
    assert (tmp_path / "property").read_text() == "3,112,112\n"


def test_nothing_is_replaced_unasked(people, tmp_path):
    (tmp_path / "property").write_text("somebody else's")
    with pytest.raises(OutputExistsError, match="property exists already"):
        pack_insightface(people, tmp_path / "train")
    pack_insightface(people, tmp_path / "train", overwrite=True)
    assert (tmp_path / "property").read_text() == "3,32,32\n"


def test_list_that_is_packed_is_not_replaced_by_the_list_of_the_faces(people, tmp_path):
    (tmp_path / "train.lst").write_text("5\t0\tpeople/ann/ann_000.jpg\n")
    with pytest.raises(OutputExistsError, match=r"train\.lst is what is being read"):
        pack_insightface(tmp_path / "train.lst", tmp_path / "train", overwrite=True)


def test_interruption_leaves_nothing_and_names_no_option_that_is_refused(people, tmp_path, monkeypatch, caplog):
    write = LocalStore.write

    def stop(self, name, data):
        if name.endswith("packing/publishing.json"):  # the shard is finished
            raise KeyboardInterrupt
        write(self, name, data)

    monkeypatch.setattr(LocalStore, "write", stop)
    with pytest.raises(KeyboardInterrupt):
        pack_insightface(people, tmp_path / "out" / "train")
    assert caplog.text == ""
    assert list((tmp_path / "out").iterdir()) == []


def test_shards_of_a_data_set_that_is_replaced_are_gone(people, tmp_path):
    dali_rec.pack(people, tmp_path / "train", shards=2)
    with pytest.raises(OutputExistsError, match=r"train-00000-of-00002\.\S+ is what is being read"):
        write_insightface(dali_rec.open(tmp_path / "train"), tmp_path / "train", overwrite=True)
    pack_insightface(people, tmp_path / "train", overwrite=True)
    assert sorted(path.name for path in tmp_path.glob("train*")) == [
        f"train.{end}" for end in ("idx", "json", "lst", "rec")
    ]


def test_packed_data_set_is_written_anew(people, tmp_path):
    dali_rec.pack(people, tmp_path / "plain", shards=2)
    with dali_rec.open(tmp_path / "plain") as dataset:
        write_insightface(dataset, tmp_path / "faces" / "train")
        with pytest.raises(OutputExistsError):
            write_insightface(dali_rec.open(tmp_path / "faces" / "train"), tmp_path / "faces" / "train", overwrite=True)
    assert len(read_as_insightface(tmp_path / "faces")[0]) == 8


def test_labels_that_are_no_classes_are_refused(people, tmp_path):
    (tmp_path / "x.lst").write_text("0\t0.5\tpeople/ann/ann_000.jpg\n")
    said = f"{tmp_path / 'x.lst'}: the record with id 0 has the label 0.5, which is no class index"
    with pytest.raises(SourceError, match=f"^{re.escape(said)}$"):
        pack_insightface(tmp_path / "x.lst", tmp_path / "train")


def test_message_calls_an_object_by_its_type(tmp_path):
    halves = [(jpeg(), 0.5)]
    dali_rec.pack(halves, tmp_path / "halves")
    packed = dali_rec.open(tmp_path / "halves")
    for source, name in ((halves, "list"), (packed, packed.name)):
        with pytest.raises(SourceError, match=f"^{re.escape(name)}: the record with id 0 has the label 0.5"):
            pack_insightface(source, tmp_path / "train")


def test_command_packs_and_refuses_shards(people, tmp_path, capsys):
    out = tmp_path / "out" / "train"
    assert main(["pack", str(people), str(out), "--format", "insightface"]) == 0
    assert "8 records in 3 classes" in capsys.readouterr().out
    assert json.loads((tmp_path / "out" / "train.json").read_text())["options"]["format"] == "insightface"
    assert main(["pack", str(people), str(tmp_path / "y"), "--format", "insightface", "--shards", "2"]) == 2
    assert "one file" in capsys.readouterr().err
    with pytest.raises(ValueError, match="one file"):
        pack_insightface(people, tmp_path / "y", split={"a": 0.5, "b": 0.5})


def test_machines_that_the_environment_names_are_refused_too(people, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SLURM_PROCID", "1")
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "2")
    assert main(["pack", str(people), str(tmp_path / "x"), "--format", "insightface"]) == 2
    assert "one file, made at once: leave out shards, splits, nodes" in " ".join(capsys.readouterr().err.split())


def test_loader_takes_the_images(people, tmp_path):
    pytest.importorskip("nvidia.dali", reason="DALI is not installed")
    pack_insightface(people, tmp_path / "train")
    loader = dali_rec.Loader(tmp_path / "train", 3, 32, augment=None, framework="numpy", device="cpu", shuffle="global")
    assert sorted(np.concatenate([labels for _, labels in loader]).tolist()) == [0] * 3 + [1] + [2] * 4


def test_object_store_is_refused_before_any_work(people, capsys):
    assert main(["pack", str(people), "s3://bucket/train", "--format", "insightface"]) == 1
    assert "copy it there afterwards" in capsys.readouterr().err
