"""Face sets through DALI: images alone, class from the first label, mixed identities."""

import numpy as np
import pytest
from support import DATA, jpeg

import dali_rec

pytest.importorskip("nvidia.dali", reason="DALI is not installed")


@pytest.fixture
def faces(tmp_path):
    """20 identities of 8 images each, sorted by identity, every other image labelled [class, aligned]."""
    with dali_rec.RecordWriter(tmp_path / "train.rec") as writer:
        for number in range(160):
            label = number // 8
            writer.write_image(jpeg(number, (32, 32)), [label, 1.0] if number % 2 else label, number + 1)
        writer.write_image(b"", [161.0, 181.0], 0)
        for one in range(20):
            writer.write_image(b"", [one * 8 + 1.0, one * 8 + 9.0], 161 + one)
    return tmp_path / "train"


@pytest.mark.parametrize("shuffle", [False, True, "global"])
@pytest.mark.parametrize("ragged", ["error", "pad", "list"])
def test_every_image_comes_once_with_its_class_as_int64(faces, shuffle, ragged):
    loader = dali_rec.Loader(
        faces, 32, 32, augment=None, framework="numpy", device="cpu", shuffle=shuffle, ragged=ragged, with_ids=True
    )
    found = [(key, label) for _, labels, ids in loader for key, label in zip(ids, labels, strict=True)]
    assert sorted(found) == [(number + 1, number // 8) for number in range(160)]
    assert {label.dtype for _, label in found} == {np.dtype(np.int64)}


def test_file_of_mxnet_loads():
    loader = dali_rec.Loader(DATA / "faces.rec", 5, 32, augment=None, framework="numpy", device="cpu", shuffle=False)
    assert np.concatenate([labels for _, labels in loader]).tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert len(loader) == 3


def test_global_shuffle_mixes_the_identities_of_a_sorted_set(faces):
    options = {"framework": "numpy", "device": "cpu", "augment": None}
    loader = dali_rec.Loader(faces, 32, 32, shuffle="global", **options)
    distinct = [len(set(labels.tolist())) for _, labels in loader]
    assert min(distinct) >= 10  # in the order of the file a batch has 4
    assert [len(set(labels.tolist())) for _, labels in dali_rec.Loader(faces, 32, 32, **options)] == [4] * 5


def test_ranks_share_the_images_of_a_face_set(faces):
    ids = []
    for rank in range(3):
        loader = dali_rec.Loader(
            faces, 16, 32, augment=None, framework="numpy", device="cpu", shuffle="global", rank=rank, world_size=3,
            with_ids=True,
        )  # fmt: skip
        ids += [key for _, _, keys in loader for key in keys.tolist()]
    assert sorted(ids) == list(range(1, 161))
