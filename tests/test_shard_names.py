import pytest

from dali_rec._shard_names import appended_name, appending_of, dataset_name, shard_names, without_number


@pytest.mark.parametrize("name", ["train", "my-train", "train-of", "v1.2"])
@pytest.mark.parametrize("count", [1, 8, 100_001])
def test_a_shard_tells_its_data_set_and_its_appending(name, count):
    for appending, whole in [(0, name), (1, appended_name(name, 1)), (12, appended_name(name, 12))]:
        for shard in (shard_names(whole, count)[0], shard_names(whole, count)[-1]):
            assert (dataset_name(shard), appending_of(shard), without_number(shard)) == (name, appending, whole)


def test_shards_are_numbered_in_five_digits_of_so_many():
    assert shard_names("train", 1) == ["train"]
    assert shard_names("train", 2) == ["train-00000-of-00002", "train-00001-of-00002"]
    assert shard_names(appended_name("train", 3), 2)[1] == "train-append3-00001-of-00002"
