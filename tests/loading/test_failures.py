import itertools
import re
import subprocess
import sys

import damage
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from runs_of import runs_of
from support import encoded, jpeg

import dali_rec
from dali_rec import Loader
from dali_rec.cli import main
from dali_rec.errors import DatasetError, LoaderError, RecordError
from dali_rec.loading import failures, readers

pytest.importorskip("nvidia.dali", reason="DALI is not installed")


RUNS = st.tuples(st.integers(1, 4), st.integers(1, 4))


def write(path, bad, count=20):
    with dali_rec.RecordWriter(path) as writer:
        for key in range(count):
            image = jpeg(key)
            writer.write_image(image[: len(image) // 2] if key in bad else image, float(key), 100 + key)
    return path


@pytest.fixture
def damaged(tmp_path):
    """20 records with the ids 100 to 119, of which 103, 104 and 111 cannot be decoded."""
    return write(tmp_path / "x.rec", {3, 4, 11})


def loader_of(data, batch_size=4, **options):
    return Loader(data, batch_size, 8, framework="numpy", device="cpu", with_ids=True, threads=1, **options)


def ids_of(loader):
    return [ids.tolist() for _, _, ids in loader]


@pytest.mark.parametrize("on_error", ["raise", "skip"])
def test_function_that_fails_at_sound_images_is_named(tmp_path, on_error):
    from nvidia.dali import fn, types

    def grey(images):
        return fn.color_space_conversion(images, image_type=types.RGB, output_type=types.GRAY)

    loader = loader_of(write(tmp_path / "x.rec", ()), augment=grey, on_error=on_error)
    with pytest.raises(LoaderError, match=r"augment, which is a function, may .* the ids \[100, .* channels"):
        ids_of(loader)


@pytest.mark.parametrize("shuffle", [False, True, "global"])
def test_error_names_id_file_offset_and_remedy(damaged, shuffle):
    loader = loader_of(damaged, shuffle=shuffle)
    with pytest.raises(LoaderError) as error:
        ids_of(loader)
    with dali_rec.RecordReader(damaged) as reader:
        wheres = [
            f"id {key} in {damaged} at offset {offset}: "
            for key, offset in zip(reader.keys(), reader.index.offsets.tolist(), strict=True)
            if key in (103, 104, 111)
        ]
    assert any(where in str(error.value) for where in wheres)
    assert f"'dali-rec verify {damaged}'" in str(error.value)


def test_remedy_that_the_error_names_repairs_the_data_set(class_folder, tmp_path):
    dali_rec.pack(class_folder, tmp_path / "x", shards=3)
    bad = damage.wiped_image(tmp_path / "x-00001-of-00003.rec", 1)
    with pytest.raises(LoaderError, match=f"--repair leaves it out for good.* id {bad.key} in ") as error:
        ids_of(loader_of(tmp_path / "x"))
    (command,) = re.findall(r"'dali-rec (.*?)'", str(error.value))
    assert main([*command.split(), "--repair"]) == 0
    ids = [one for batch in ids_of(loader_of(tmp_path / "x")) for one in batch]
    assert sorted(ids) == sorted({*range(12)} - {bad.key})


@pytest.mark.parametrize("shuffle", [False, True, "global"])
@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("runs", [(1, 1), (2, 1), (7, 1), (1, 3), (2, 2)])
def test_skipping_leaves_out_the_bad_records_and_no_other(damaged, shuffle, ranks, runs):
    good = sorted({*range(100, 120)} - {103, 104, 111})
    options = {"shuffle": shuffle, "on_error": "skip", "world_size": ranks}
    with runs_of(*runs):
        loaders = [loader_of(damaged, 3, rank=rank, **options) for rank in range(ranks)]
    for epoch in (1, 2, 3):
        ids = [one for loader in loaders for batch in ids_of(loader) for one in batch]
        assert sorted(ids) == good
        skipped = sorted(key for loader in loaders for key in loader.skipped)
        assert skipped == sorted([103, 104, 111] * epoch)


@pytest.mark.parametrize("runs", [(1, 1), (2, 1), (5, 1), (1, 3), (2, 2)])
def test_images_and_labels_of_a_batch_that_lost_one_belong_together(damaged, runs):
    with runs_of(*runs):
        loader = loader_of(damaged, augment="eval", shuffle=False, on_error="skip")
    whole = write(damaged.with_name("whole.rec"), ())
    wanted = {
        i: image
        for images, _, ids in loader_of(whole, augment="eval", shuffle=False)
        for image, i in zip(np.array(images), ids.tolist(), strict=True)
    }
    for images, labels, ids in loader:
        assert labels.tolist() == [key - 100 for key in ids.tolist()]
        assert all(np.array_equal(image, wanted[key]) for image, key in zip(images, ids.tolist(), strict=True))


@pytest.mark.parametrize("runs", [(1, 1), (2, 1), (5, 1), (1, 3), (2, 2)])
def test_batch_of_bad_records_alone_is_left_out(tmp_path, runs):
    with runs_of(*runs):
        loader = loader_of(write(tmp_path / "x.rec", {4, 5, 6, 7}), shuffle=False, on_error="skip")
    assert [batch[0] for batch in ids_of(loader)] == [100, 108, 112, 116]
    assert loader.skipped == (104, 105, 106, 107)


@pytest.mark.parametrize("shuffle", [False, "global"])
def test_batches_before_the_bad_record_are_handed_out(damaged, shuffle):
    with runs_of(5):
        loader = loader_of(damaged, shuffle=shuffle)
    order = [ids.tolist() for _, _, ids in loader_of(write(damaged.with_name("good.rec"), ()), shuffle=shuffle)]
    first = next(number for number, ids in enumerate(order) if {103, 104, 111} & {*ids})
    loop = iter(loader)
    assert [next(loop)[2].tolist() for _ in range(first)] == order[:first]
    with pytest.raises(LoaderError, match=rf"stopped at batch {first} of epoch 0; .* id 1(03|04|11) in "):
        next(loop)
    # The batch counts as taken: the state goes on behind it.
    later = loader_of(damaged, shuffle=shuffle, on_error="raise")
    later.load_state_dict(loader.state_dict())
    if not {103, 104, 111} & {*order[first + 1]}:
        assert next(iter(later))[2].tolist() == order[first + 1]


def test_padding_that_repeats_a_bad_record_is_not_counted(tmp_path):
    loader = loader_of(write(tmp_path / "x.rec", {9}, count=10), shuffle=False, on_error="skip")
    assert ids_of(loader)[-1] == [108]
    assert loader.skipped == (109,)


def test_state_of_longer_runs_skips_bad_records_too(damaged):
    with runs_of(5):
        loader = loader_of(damaged, on_error="skip")
    state = loader.state_dict()
    with runs_of(1):
        resumed = loader_of(damaged, on_error="skip")
    resumed.load_state_dict(state)
    assert ids_of(resumed) == ids_of(loader)
    assert sorted(resumed.skipped) == [103, 104, 111]


@settings(max_examples=30)
@given(batch=st.integers(0, 7), shuffle=st.sampled_from([False, True, "global"]), runs=RUNS)
def test_resume_is_exact_among_bad_records(damaged, batch, shuffle, runs):
    options = {"batch_size": 3, "shuffle": shuffle, "on_error": "skip"}
    with runs_of(*runs):
        loader = loader_of(damaged, **options)
    running = iter(loader)
    taken = [ids.tolist() for _, _, ids in itertools.islice(running, batch)]
    state = loader.state_dict()
    resumed = loader_of(damaged, **options)
    resumed.load_state_dict(state)
    assert sorted(resumed.skipped) == sorted(state["skipped"])
    if batch < 7:
        found, wanted = ([(ids.tolist(), np.array(images)) for images, _, ids in one] for one in (resumed, running))
        rest = [ids for ids, _ in found]
        assert rest == [ids for ids, _ in wanted]
        assert all(np.array_equal(one, two) for (_, one), (_, two) in zip(found, wanted, strict=True))
        assert sorted(itertools.chain(*taken, *rest, resumed.skipped)) == list(range(100, 120))


@pytest.mark.parametrize("shuffle", [False, True, "global"])
@pytest.mark.parametrize("on_error", ["raise", "skip"])
def test_damaged_framing_ends_the_epoch_with_file_and_remedy(tmp_path, shuffle, on_error):
    path = write(tmp_path / "x.rec", ())
    with dali_rec.RecordReader(path) as reader:
        offset = int(reader.index.offsets[6])
    content = bytearray(path.read_bytes())
    content[offset] ^= 0xFF
    path.write_bytes(content)
    loader = loader_of(path, shuffle=shuffle, on_error=on_error)
    with pytest.raises((LoaderError, RecordError), match=rf"x\.rec: .*'dali-rec verify {path}'"):
        ids_of(loader)


def test_file_that_vanished_is_refused_before_training(packed):
    dataset = dali_rec.open(packed)
    packed.with_name("photos.rec").unlink()
    with pytest.raises(DatasetError, match=r"photos\.rec: the file has gone since it was opened"):
        loader_of(dataset)


def test_file_that_was_replaced_is_refused_before_training(packed):
    dataset = dali_rec.open(packed)
    packed.with_name("new").write_bytes(packed.with_name("photos.rec").read_bytes()[:-400])
    packed.with_name("new").replace(packed.with_name("photos.rec"))
    with pytest.raises(DatasetError, match=r"photos\.rec: \d+ bytes, \d+ when it was opened"):
        loader_of(dataset)


def test_index_of_another_file_is_refused_before_training(packed, tmp_path):
    write(tmp_path / "other.rec", (), count=12)
    (tmp_path / "other.idx").replace(packed.with_name("photos.idx"))
    with pytest.raises(DatasetError, match=r"photos\.idx: .*dali-rec index"):
        loader_of(packed)


def test_index_with_other_ids_is_refused_where_a_manifest_says_that_we_made_it(packed):
    index = packed.with_name("photos.idx")
    lines = [line.split("\t") for line in index.read_text().splitlines()]
    index.write_text("".join(f"{int(key) + 1}\t{offset}\n" for key, offset in lines))
    with pytest.raises(DatasetError, match="has id 0, not 1; rebuild it with 'dali-rec index"):
        loader_of(packed)


UNREADABLE = {
    "text": b"<html>not an image</html>",
    "zeros": bytes(5000),
    "half a head": b"\xff\xd8\xff\xe0\0\x10JFIF",
    "half a PNG": b"\x89PNG\r\n\x1a\n\0\0\0\rIH",
    "a BMP without sizes": b"BM" + bytes(30),
    "nothing of a WebP": b"RIFF\0\0\0\0WEBPVP8 ",
}
IN_LARGE_BATCHES = """
import sys
import dali_rec
augment, *kinds = sys.argv[1:]
options = {"framework": "numpy", "device": "cpu", "augment": augment}
for kind in kinds:
    print(kind, flush=True)
    for epoch in range(3):
        loader = dali_rec.Loader(f"{kind}.rec", 128, 8, on_error="skip", **options)
        print(sum(len(labels) for _, labels in loader), len(loader.skipped))
    try:
        for _ in dali_rec.Loader(f"{kind}.rec", 128, 8, **options):
            pass
    except dali_rec.errors.LoaderError as error:
        print("error:", error)
"""


@pytest.mark.parametrize("augment", ["train", "eval"])
def test_large_batches_survive_images_without_a_header(tmp_path, augment):
    # In a process of its own: DALI's decoder, given such an image, ends the program.
    images = [jpeg(key) for key in range(9)]
    for kind, unreadable in UNREADABLE.items():
        with dali_rec.RecordWriter(tmp_path / f"{kind}.rec") as writer:
            for key in range(640):
                writer.write_image(unreadable if key % 200 == 77 else images[key % 9], 0.0, key)
    command = [sys.executable, "-c", IN_LARGE_BATCHES, augment, *UNREADABLE]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    lines = iter(done.stdout.splitlines())
    for kind in UNREADABLE:
        assert list(itertools.islice(lines, 4)) == [kind, *["637 3"] * 3]
        assert re.match(rf"error: .* id (77|277|477) in .*{kind}\.rec at offset", next(lines))


def test_records_that_only_dali_stops_at_are_found_by_its_message(tmp_path, monkeypatch):
    monkeypatch.setattr(failures, "bad_records", lambda *_: [])
    with dali_rec.RecordWriter(tmp_path / "x.rec") as writer:
        for key in range(20):
            image = jpeg(key, (200, 150))
            writer.write_image(image[: len(image) // 2] if key in (3, 4, 11) else image, 0.0, key)
    with pytest.raises(LoaderError, match=r"id [34] in .*x\.rec at offset \d+: DALI's decoder stops at it"):
        ids_of(loader_of(tmp_path / "x.rec", shuffle=False))
    loader = loader_of(tmp_path / "x.rec", 10, shuffle=False, on_error="skip")
    assert [one for batch in ids_of(loader) for one in batch] == sorted({*range(20)} - {3, 4, 11})
    assert sorted(loader.skipped) == [3, 4, 11]


def test_records_of_which_only_dali_cannot_read_the_header_are_found_one_by_one(damaged, monkeypatch):
    monkeypatch.setattr(failures, "bad_records", lambda *_: [])
    with pytest.raises(LoaderError, match=r"id 103 in .*x\.rec at offset \d+: DALI finds no size in its header"):
        ids_of(loader_of(damaged, shuffle=False))
    loader = loader_of(damaged, 10, shuffle=False, on_error="skip")
    assert [one for batch in ids_of(loader) for one in batch] == sorted({*range(100, 120)} - {103, 104, 111})
    assert loader.skipped == (103, 104, 111)


def test_what_nobody_can_name_is_an_error(damaged, monkeypatch):
    monkeypatch.setattr(failures, "bad_records", lambda *_: [])
    monkeypatch.setattr(failures, "stopped_at", lambda *_: [])
    with runs_of(1):
        loader = loader_of(damaged, shuffle=False, on_error="skip")
    with pytest.raises(LoaderError, match=r"they have the ids \[100, 101, 102, 103\]… DALI said: "):
        ids_of(loader)


def test_epochs_follow_one_whose_last_batch_nobody_can_name(tmp_path, monkeypatch):
    monkeypatch.setattr(failures, "bad_records", lambda *_: [])
    monkeypatch.setattr(failures, "stopped_at", lambda *_: [])
    with runs_of(4):  # of 5 batches, so the second has padding alone behind the last
        loader = loader_of(write(tmp_path / "x.rec", {19}), shuffle=False)
    for _ in range(2):
        loop = iter(loader)
        assert [len(ids) for _, _, ids in itertools.islice(loop, 4)] == [4, 4, 4, 4]
        with pytest.raises(LoaderError, match=r"they have the ids \[116, 117, 118, 119, "):
            next(loop)


def test_bad_records_are_looked_for_once_through_the_data(damaged, monkeypatch):
    begun = []
    build = readers.build_reader_pipeline
    monkeypatch.setattr(readers, "build_reader_pipeline", lambda *rest: begun.append(rest[3]) or build(*rest))
    loader = loader_of(damaged, on_error="skip", shuffle=True)
    for _ in range(4):
        ids_of(loader)
    assert len(loader.skipped) == 12
    assert begun.count(["source"]) == 1


def test_file_that_was_replaced_is_read_anew_while_an_older_loader_lives(tmp_path):
    levels, loaders = (0, 255, 128, 0), []
    for level in levels:
        image = encoded(Image.new("L", (8, 8), level), "PNG")
        with dali_rec.RecordWriter(tmp_path / "x.rec") as writer:
            for key in range(5):
                writer.write_image(image, 0.0, key)
        options = {"augment": None, "dtype": "uint8", "shuffle": False}
        loaders.append(loader_of(tmp_path / "x.rec", **options))
        ids, images = [], []
        for batch, _, keys in loaders[-1]:
            images.append(batch)
            ids += keys.tolist()
        assert ids == [0, 1, 2, 3, 4]
        assert set(np.concatenate(images).ravel().tolist()) == {level}


def test_batches_that_are_made_again_come_on_the_streams_of_the_framework(damaged, monkeypatch):
    import nvidia.dali

    streams, run = [], nvidia.dali.Pipeline.run
    monkeypatch.setattr(nvidia.dali.Pipeline, "run", lambda self, stream=None: streams.append(stream) or run(self))
    with runs_of(2):  # of the 20 images, in batches of 4
        loader = loader_of(damaged, shuffle="global", on_error="skip")
    monkeypatch.setattr(loader._arrays, "current_stream", lambda _device: "the framework's")
    again = []
    build = failures.build_fed_pipeline
    monkeypatch.setattr(failures, "build_fed_pipeline", lambda *given: again.append(build(*given)) or again[-1])
    assert sum(map(len, ids_of(loader))) == 17
    assert again
    assert streams.count("the framework's") == 3 + len(again)
