import pytest
from record_sets import contents, images_of_faces, payload, write_set
from support import DATA, jpeg

import dali_rec
from dali_rec.arrange import merge, shuffle, split

HALVES = {"a": 0.5, "b": 0.5}
FACES = DATA / "faces.rec"
SIZE = FACES.stat().st_size


def images_loaded(report):
    pytest.importorskip("nvidia.dali", reason="DALI is not installed")
    loaders = [
        dali_rec.Loader(one.manifest_path, 4, (16, 16), augment="eval", framework="numpy", device="cpu", threads=1)
        for one in report.sets
    ]
    return sum(len(images) for loader in loaders for images, _ in loader)


@pytest.mark.parametrize(
    "arrange",
    [
        lambda out: shuffle(FACES, out),
        lambda out: shuffle(FACES, out, shards=1),
        lambda out: split(FACES, out, shard_size=SIZE),
        lambda out: split(FACES, out, shard_records=16),
        lambda out: merge([FACES], out),
    ],
)
def test_faces_keep_their_identities_in_one_file(tmp_path, arrange):
    report = arrange(tmp_path / "out")
    before, after = dali_rec.open(FACES), dali_rec.open(tmp_path / "out")
    assert sorted(contents(tmp_path / "out")) == sorted(contents(DATA / "faces"))
    assert after.is_face_set
    assert after.num_identities == before.num_identities
    assert report.records == len(after) == len(before)
    assert report.notes == ()


@pytest.mark.parametrize(
    "arrange",
    [
        lambda out: shuffle(FACES, out, shards=2),
        lambda out: split(FACES, out, shards=3),
        lambda out: split(FACES, out, shard_size=SIZE - 1),
        lambda out: split(FACES, out, shard_records=15),
        lambda out: split(FACES, out, shares=HALVES),
        lambda out: merge([FACES], out, shards=2),
        lambda out: merge([FACES], out, renumber=True),
    ],
)
def test_faces_without_the_identities_of_their_file_are_images_alone(tmp_path, arrange):
    report = arrange(tmp_path / "out")
    images = images_of_faces()
    assert report.records == images_loaded(report) == len(images)
    made = [pair for one in report.sets for pair in contents(one.manifest_path.with_suffix(""))]
    assert sorted(body[24:] for _, body in made) == sorted(body[24:] for _, body in images)
    assert all(dali_rec.verify(one.manifest_path).ok for one in report.sets)
    assert len(report.notes) == 1
    assert "4 records without an image) are left out" in report.notes[0]


def test_faces_are_merged_with_other_images(tmp_path):
    write_set(tmp_path / "more", [payload(500, [0.0], jpeg(1)), payload(501, [1.0], jpeg(2))], [500, 501])
    report = merge([FACES, tmp_path / "more"], tmp_path / "all")
    assert contents(tmp_path / "all") == images_of_faces() + contents(tmp_path / "more")
    assert images_loaded(report) == report.records
    twice = merge([FACES, FACES], tmp_path / "twice")
    assert images_loaded(twice) == twice.records == 2 * len(images_of_faces())
    assert dali_rec.verify(tmp_path / "twice").ok
