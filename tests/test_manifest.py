import pytest

from dali_rec.manifest import Manifest, ShardEntry


@pytest.mark.parametrize(
    ("records", "classes", "shards", "wanted"),
    [
        (1, ("cat",), 1, "1 record in 1 class, 1.5 MB"),
        (12_000, ("cat", "dog"), 3, "12,000 records in 2 classes in 3 shards, 1.5 MB"),
        (2, None, 1, "2 records, 1.5 MB"),
    ],
)
def test_a_data_set_in_a_few_words(records, classes, shards, wanted):
    entries = tuple(ShardEntry(f"{n}.rec", f"{n}.idx", records, 1, "") for n in range(shards))
    manifest = Manifest(records, entries, 1, "class", 8, 8, 1_500_000, classes)
    assert manifest.in_few_words() == wanted
