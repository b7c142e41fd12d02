import collections

import numpy as np
import pytest
import torch
from support import DATA, jpeg, make_class_folder

import dali_rec
from dali_rec import Loader
from dali_rec.errors import DatasetError
from dali_rec.loading import PaddedLabels
from dali_rec.loading.selection import select

pytest.importorskip("nvidia.dali", reason="DALI is not installed")


@pytest.fixture(scope="module")
def uneven(tmp_path_factory):
    """Three classes of 30, 6 and 2 images in two files."""
    folder = tmp_path_factory.mktemp("uneven")
    make_class_folder(folder / "in", {"ant": 30, "bee": 6, "cat": 2}, size=(8, 8))
    dali_rec.pack(folder / "in", folder / "x", shards=2)
    return folder / "x"


def loader_of(data, **options):
    return Loader(data, 5, 8, framework="numpy", device="cpu", threads=1, with_ids=True, **options)


def epoch(loader):
    parts = [(labels, ids) for _, labels, ids in loader]
    return np.concatenate([labels for labels, _ in parts]), np.concatenate([ids for _, ids in parts])


@pytest.mark.parametrize("shuffle", [True, "global"])
@pytest.mark.parametrize(
    ("subset", "labels"),
    [
        (["bee"], [0, 6, 0]),
        (["cat", "ant"], [30, 0, 2]),
        (0.5, [15, 3, 1]),
        (lambda record: record.labels[0] == 2, [0, 0, 2]),
    ],
)
def test_subset_loads_just_these_records(uneven, subset, labels, shuffle):
    before = [shard.path.read_bytes() for shard in dali_rec.open(uneven).shards]
    loader = loader_of(uneven, subset=subset, shuffle=shuffle)
    for _ in range(2):
        found, ids = epoch(loader)
        assert np.bincount(found, minlength=3).tolist() == labels
        assert len(set(ids.tolist())) == sum(labels)
    assert [shard.path.read_bytes() for shard in dali_rec.open(uneven).shards] == before


def test_subset_by_ids(uneven):
    _, ids = epoch(loader_of(uneven, subset=[3, 37, 11]))
    assert sorted(ids.tolist()) == [3, 11, 37]
    with pytest.raises(DatasetError, match="1 of the 2 ids are not in it, id 999"):
        loader_of(uneven, subset=[3, 999])


def test_subset_of_one_record_in_the_last_file_has_its_own_id(uneven):
    last = int(dali_rec.open(uneven).keys[-1])
    _, ids = epoch(loader_of(uneven, subset=[0, last]))
    assert sorted(ids.tolist()) == [0, last]


@pytest.mark.parametrize("ids", [{3, 37, 11}, torch.tensor([3, 37, 11]), np.array([3, 37, 11]), iter([3, 37, 11])])
def test_ids_come_in_any_collection(uneven, ids):
    assert sorted(epoch(loader_of(uneven, subset=ids))[1].tolist()) == [3, 11, 37]


def test_share_of_numpy_is_a_share(uneven):
    shares = [epoch(loader_of(uneven, subset=share))[1].tolist() for share in (0.5, np.float32(0.5))]
    assert sorted(shares[0]) == sorted(shares[1])


@pytest.mark.parametrize("subset", [3, "bee", np.int64(3)])
def test_subset_that_is_none_is_refused(uneven, subset):
    with pytest.raises(ValueError, match="expected a share"):
        loader_of(uneven, subset=subset)


def test_empty_subset_is_an_error(uneven):
    with pytest.raises(DatasetError, match="no records are left"):
        loader_of(uneven, subset=lambda _record: False)


def test_balance_draws_classes_alike(uneven):
    labels, _ = epoch(loader_of(uneven, balance="class", samples=300))
    assert np.bincount(labels).tolist() == pytest.approx([100] * 3, abs=2)


def test_balance_goes_by_the_labels_of_a_list(uneven, tmp_path):
    lines = "".join(f"{key}\t{int(key < 3)}{{}}\tx.jpg\n" for key in range(38))
    (tmp_path / "other.lst").write_text(lines.format(*[""] * 38))
    labels, ids = epoch(loader_of(uneven, balance="class", samples=300, labels=tmp_path / "other.lst"))
    assert np.bincount(labels).tolist() == pytest.approx([150, 150], abs=2)
    assert ((ids < 3) == labels).all()
    (tmp_path / "halves.lst").write_text(lines.format(*[".5"] * 38))
    with pytest.raises(DatasetError, match=r"halves.lst: its labels are not one class index a record"):
        loader_of(uneven, balance="class", labels=tmp_path / "halves.lst")


def test_weights_draw_records_as_often_as_they_say(uneven):
    weights = np.zeros(38)
    weights[[2, 9]] = 1, 3
    keys = dali_rec.open(uneven).keys
    _, ids = epoch(loader_of(uneven, weights=weights, samples=40))
    assert {key: (ids == key).sum() for key in set(ids.tolist())} == {int(keys[2]): 10, int(keys[9]): 30}


def test_data_sets_are_mixed_by_share(uneven, packed, tmp_path):
    make_class_folder(tmp_path / "in", {"ant": 4, "bee": 4, "cat": 4}, size=(8, 8))
    dali_rec.pack(tmp_path / "in", tmp_path / "more")
    loader = loader_of([uneven, tmp_path / "more"], mix=[0.2, 0.8], samples=500)
    labels, _ = epoch(loader)
    # 38 records make up 100 draws, 12 make up 400, a third of them each class.
    assert np.bincount(labels)[2] == pytest.approx(100 * 2 / 38 + 400 / 3, abs=6)


def test_views_of_one_data_set_are_mixed_by_share(uneven):
    whole = dali_rec.open(uneven)
    few, many = whole.take(range(4)), whole.take(range(2, 38))
    loader = loader_of([few, uneven, many], mix=[1, 2, 1], samples=400)
    _, ids = epoch(loader)
    counts = collections.Counter(ids.tolist())
    # 4 records make up 100 draws, 38 make up 200, and 36 of them 100: the first two are not among the last.
    assert [counts[int(key)] for key in whole.keys[:2]] == pytest.approx([25 + 200 / 38] * 2, abs=2)
    assert [counts[int(key)] for key in whole.keys[2:4]] == pytest.approx([25 + 200 / 38 + 100 / 36] * 2, abs=3)
    assert sum(counts.values()) == 400
    half = loader_of([few, many], mix=[1, 1], subset=whole.keys[:3].tolist(), samples=40)
    assert collections.Counter(epoch(half)[1].tolist()).keys() == set(whole.keys[:3].tolist())


@pytest.mark.parametrize("shuffle", [True, "global"])
def test_data_set_that_is_given_twice_counts_twice(uneven, tmp_path, shuffle):
    make_class_folder(tmp_path / "in", {"ant": 1, "bee": 1, "cat": 8}, size=(8, 8))
    dali_rec.pack(tmp_path / "in", tmp_path / "more")
    loader = loader_of([tmp_path / "more", uneven, tmp_path / "more"], mix=[1, 2, 3], samples=600, shuffle=shuffle)
    labels, _ = epoch(loader)
    # Of 100 + 300 draws 8 in 10 are cats, of the 200 between them 2 in 38.
    assert np.bincount(labels)[2] == pytest.approx(400 * 0.8 + 200 * 2 / 38, abs=6)


def test_shares_hold_for_what_a_subset_leaves_of_each_data_set(uneven):
    shard = uneven.with_name("x-00001-of-00002.rec")
    rare = [int(label) for label in dali_rec.open(shard).class_indices if label > 0]
    chosen, sizes = select([uneven, shard, uneven], lambda record: record.labels[0] > 0)
    assert sizes == [8, len(rare), 8]
    assert len(chosen) == sum(sizes)


@pytest.mark.parametrize("mix", [[1.0], [1, 2, 3], [-1, 1], [0, 0], 0.5])
def test_senseless_mix_is_refused(uneven, packed, mix):
    with pytest.raises(ValueError, match="mix"):
        loader_of([uneven, uneven], mix=mix)


@pytest.mark.parametrize("shuffle", [True, "global"])
def test_list_overrides_labels_by_id(uneven, tmp_path, shuffle):
    (tmp_path / "other.lst").write_text("".join(f"{key}\t{1000 + key}\tx.jpg\n" for key in reversed(range(38))))
    labels, ids = epoch(loader_of(uneven, labels=tmp_path / "other.lst", shuffle=shuffle))
    assert labels.tolist() == [1000 + key for key in ids.tolist()]
    images = Loader(uneven, 5, 8, framework="numpy", device="cpu", labels=tmp_path / "other.lst")
    assert all((labels >= 1000).all() for _, labels in images)


@pytest.mark.parametrize(("ids", "listed"), [((43, 40, 42), (43, 40, 42)), ((0, 0, 0), (0, 1, 2))])
def test_list_has_the_ids_of_the_records_also_beside_an_index_that_numbers_anew(tmp_path, ids, listed):
    # As MXNet's rec2idx numbers. Where all records have one id, only the index tells them apart.
    with dali_rec.RecordWriter(tmp_path / "x.rec") as writer:
        offsets = [writer.write_image(jpeg(seed), float(seed), key) for seed, key in enumerate(ids)]
    (tmp_path / "x.idx").write_text("".join(f"{line}\t{offset}\n" for line, offset in enumerate(offsets)))
    wanted = dict(zip(listed, (7, 8, 9), strict=True))
    (tmp_path / "x.lst").write_text("".join(f"{key}\t{wanted.get(key, 99)}\tx.jpg\n" for key in range(50)))
    (batch,) = Loader(
        tmp_path / "x.rec", 5, 8, framework="numpy", device="cpu", labels=tmp_path / "x.lst", shuffle=False
    )
    assert batch[1].tolist() == [7, 8, 9]


def test_list_without_a_record_is_an_error(uneven, tmp_path):
    (tmp_path / "other.lst").write_text("".join(f"{key}\t1\tx.jpg\n" for key in range(37)))
    with pytest.raises(DatasetError, match=r"no line for 1 of the 38 records .*id 37"):
        loader_of(uneven, labels=tmp_path / "other.lst")


@pytest.mark.parametrize("shuffle", [False, "global"])
def test_ragged_labels_come_padded_or_as_a_list(shuffle):
    dataset = dali_rec.open(DATA / "detection.rec")
    wanted = {record.key: record.labels.tolist() for record in dataset}
    for _, labels, ids in loader_of(dataset, ragged="list", shuffle=shuffle):
        assert [one.tolist() for one in labels] == [wanted[key] for key in ids.tolist()]
    for _, labels, ids in loader_of(dataset, ragged="pad", shuffle=shuffle):
        assert isinstance(labels, PaddedLabels)
        assert labels.values.shape == labels.mask.shape
        for values, mask, key in zip(labels.values, labels.mask, ids.tolist(), strict=True):
            assert values[mask].tolist() == wanted[key]
            assert not values[~mask].any()


@pytest.mark.parametrize("shuffle", [False, True, "global"])
@pytest.mark.parametrize("last_batch", ["partial", "drop", "pad"])
def test_even_ranks_have_as_many_batches(uneven, shuffle, last_batch):
    options = {"shuffle": shuffle, "last_batch": last_batch, "even": True, "subset": list(range(16)), "world_size": 3}
    loaders = [loader_of(uneven, rank=rank, **options) for rank in range(3)]
    for _ in range(3):
        lengths = {len(loader) for loader in loaders}
        epochs = [[ids.tolist() for _, _, ids in loader] for loader in loaders]
        assert {len(batches) for batches in epochs} == lengths
        assert len(lengths) == 1
        seen = {one for batches in epochs for batch in batches for one in batch}
        assert seen == set(range(16)) or (last_batch == "drop" and len(seen) == 15)
