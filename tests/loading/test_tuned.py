import itertools
import json
import logging
import threading

import numpy as np
import pytest
from runs_of import runs_of
from support import make_class_folder

import dali_rec
from dali_rec import Loader
from dali_rec._dali import import_dali
from dali_rec.errors import DatasetError
from dali_rec.loading import Tuned, choose_device, tuned
from dali_rec.loading.tuned import Entry, machine_key, read_tuned, rec_bytes, save_tuned, tuned_path

pytest.importorskip("nvidia.dali", reason="DALI is not installed")

CPU = choose_device("cpu")


@pytest.fixture
def file(packed):
    return packed.with_name("photos.tuned.json")


def keep(prefix, settings, **key):
    """Keep settings for this machine, or for one that differs from it in ``key``."""
    dataset = dali_rec.open(prefix)
    machine = machine_key(CPU)._replace(**key)
    save_tuned(tuned_path(dataset), Entry(machine, rec_bytes(dataset), settings, {"date": "2026-01-01"}))


def loader_of(prefix, **options):
    return Loader(prefix, 4, 16, framework="numpy", device="cpu", **options)


def build_arguments(monkeypatch, prefix, **options):
    """Threads and prefetch with which DALI's pipeline is made."""
    dali, made = import_dali(), []
    original = dali.pipeline_def

    def watched(*arguments, **flags):
        definition = original(*arguments, **flags)
        return lambda **build: (made.append(build), definition(**build))[1]

    monkeypatch.setattr(dali, "pipeline_def", watched)
    with runs_of(1):
        loader_of(prefix, **options)
    return made[-1]["num_threads"], made[-1]["prefetch_queue_depth"]


def test_settings_kept_for_this_machine_are_taken(monkeypatch, packed, caplog):
    keep(packed, Tuned(threads=3, prefetch=5))
    caplog.set_level(logging.INFO, "dali_rec")
    assert build_arguments(monkeypatch, packed) == (3, 5)
    assert (
        "3 threads, 1 batches at once, 5 runs ahead; settings: threads 3, prefetch 5 (photos.tuned.json, of 2026-01-01)"
        in caplog.text
    )


def test_what_is_given_goes_before_what_is_kept(monkeypatch, packed):
    keep(packed, Tuned(threads=3, prefetch=5))
    assert build_arguments(monkeypatch, packed, threads=1) == (1, 5)
    assert build_arguments(monkeypatch, packed, prefetch=2) == (3, 2)
    assert loader_of(packed, threads=1).tuned == Tuned(prefetch=5)
    assert build_arguments(monkeypatch, packed, tuned=Tuned(prefetch=4), threads=2) == (2, 4)


def test_nothing_is_taken_where_that_is_asked(packed):
    keep(packed, Tuned(threads=3))
    assert loader_of(packed, tuned=False).tuned == Tuned()


@pytest.mark.parametrize("key", [{"cpu": "another"}, {"cores": 1000}, {"gpus": ("a GPU",)}, {"dali": "1.0.0"}])
def test_settings_of_another_machine_are_ignored_without_complaint(packed, caplog, key):
    keep(packed, Tuned(threads=3), **key)
    caplog.set_level(logging.WARNING, "dali_rec")
    assert loader_of(packed).tuned == Tuned()
    assert not caplog.records


def test_machines_are_kept_side_by_side(packed, file):
    keep(packed, Tuned(threads=7), cpu="another")
    keep(packed, Tuned(threads=2))
    keep(packed, Tuned(threads=3))
    assert {entry.machine.cpu: entry.settings.threads for entry in read_tuned(file)} == {
        "another": 7,
        machine_key(CPU).cpu: 3,
    }
    assert loader_of(packed).tuned == Tuned(threads=3)


def test_machines_that_save_at_the_same_time_are_all_kept(file):
    def save(first):
        for number in range(first, first + 15):
            machine = tuned.MachineKey(f"cpu {number}", 1, (), "2.4.0")
            save_tuned(file, Entry(machine, (1,), Tuned(threads=1), {}))

    threads = [threading.Thread(target=save, args=(15 * number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {entry.machine.cpu for entry in read_tuned(file)} == {f"cpu {number}" for number in range(60)}
    assert not list(file.parent.glob("*.lock"))


def test_ranks_that_share_a_machine_take_none(monkeypatch, packed):
    keep(packed, Tuned(threads=3))
    assert loader_of(packed, rank=0, world_size=2).tuned == Tuned()
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "1")
    assert loader_of(packed, rank=0, world_size=2).tuned == Tuned(threads=3)


def test_settings_of_data_that_was_replaced_are_ignored(packed, tmp_path):
    keep(packed, Tuned(threads=3))
    make_class_folder(tmp_path / "other", {"a": 9})
    dali_rec.pack(tmp_path / "other", packed, overwrite=True)
    assert loader_of(packed).tuned == Tuned()


def test_views_and_shards_take_those_of_the_whole(class_folder, tmp_path):
    dali_rec.pack(class_folder, tmp_path / "x", shards=3)
    keep(tmp_path / "x", Tuned(threads=3))
    assert (tmp_path / "x.tuned.json").exists()
    assert loader_of(tmp_path / "x", subset=["ant"]).tuned == Tuned(threads=3)
    assert loader_of(tmp_path / "x-00001-of-00003.rec").tuned == Tuned(threads=3)


def test_data_sets_together_take_none(packed, tmp_path, class_folder):
    dali_rec.pack(class_folder, tmp_path / "x")
    keep(packed, Tuned(threads=3))
    assert loader_of([packed, tmp_path / "x"]).tuned == Tuned()


@pytest.mark.parametrize(
    "damage",
    [
        "",
        "[]",
        "{}",
        '"text"',
        '{"format": "dali-rec-tuned", "version": 2, "machines": []}',
        '{"format": "dali-rec-tuned", "version": 1, "machines": ["text"]}',
        '{"format": "dali-rec-tuned", "version": 1, "machines": 5}',
    ],
)
def test_damaged_file_is_ignored_with_a_warning_and_replaced(packed, file, caplog, damage):
    file.write_text(damage)
    assert loader_of(packed).tuned == Tuned()
    assert f"ignored: {file}: not settings" in caplog.text
    assert "delete it" in caplog.text
    keep(packed, Tuned(threads=3))
    assert f"replaced: {file}" in caplog.text
    assert loader_of(packed).tuned == Tuned(threads=3)


@pytest.mark.parametrize("settings", [{"threads": 0}, {"threads": "many"}, {"speed": 1}, {"hw_decoder_load": 2}])
def test_senseless_settings_in_the_file_are_damage(packed, file, caplog, settings):
    keep(packed, Tuned(threads=3))
    content = json.loads(file.read_text())
    content["machines"][0]["settings"] = settings
    file.write_text(json.dumps(content))
    assert loader_of(packed).tuned == Tuned()
    assert "not settings that this dali-rec can read" in caplog.text


def test_file_that_cannot_be_written_says_what_to_give_the_loader(packed, monkeypatch):
    def refuse(*_arguments):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tuned, "write_text_atomically", refuse)
    with pytest.raises(DatasetError, match=r"Permission denied.*tuned=dali_rec.loading.Tuned\(threads=3"):
        keep(packed, Tuned(threads=3))


@pytest.mark.parametrize(
    "senseless", [{"threads": 0}, {"prefetch": True}, {"hw_decoder_load": 1.5}, {"preallocate": "yes"}]
)
def test_senseless_settings_are_refused(senseless):
    with pytest.raises(ValueError, match=next(iter(senseless))):
        Tuned(**senseless)


def test_loader_refuses_other_words_for_tuned(packed):
    with pytest.raises(ValueError, match="expected True, False or a Tuned"):
        loader_of(packed, tuned="auto")


def collect(loader):
    return [(ids.tolist(), images.copy(), labels.tolist()) for images, labels, ids in loader]


def assert_same(found, wanted):
    for (ids, images, labels), (same_ids, same_images, same_labels) in zip(found, wanted, strict=True):
        assert (ids, labels) == (same_ids, same_labels)
        assert np.array_equal(images, same_images)


SETTINGS = [False, Tuned(threads=1), Tuned(threads=4, prefetch=5), Tuned(threads=3, prefetch=1)]


@pytest.mark.parametrize("shuffle", [True, "global"])
def test_settings_change_no_batch(packed, shuffle):
    options = {"shuffle": shuffle, "shuffle_buffer": 5, "with_ids": True, "seed": 3}
    wanted = None
    for settings in SETTINGS:
        loader = loader_of(packed, tuned=settings, **options)
        found = [batch for _ in range(3) for batch in collect(loader)]
        wanted = wanted or found
        assert_same(found, wanted)


@pytest.mark.parametrize("shuffle", [True, "global"])
@pytest.mark.parametrize(("before", "after"), [pair for pair in itertools.permutations(SETTINGS, 2) if False in pair])
def test_states_go_from_tuned_to_untuned_and_back(packed, shuffle, before, after):
    options = {"shuffle": shuffle, "shuffle_buffer": 5, "with_ids": True, "seed": 3}
    whole = loader_of(packed, tuned=before, **options)
    wanted = [batch for _ in range(3) for batch in collect(whole)]
    stopped = loader_of(packed, tuned=before, **options)
    collect(stopped)
    next(iter(stopped))
    state = json.loads(json.dumps(stopped.state_dict()))
    resumed = loader_of(packed, tuned=after, **options)
    resumed.load_state_dict(state)
    assert_same([batch for _ in range(2) for batch in collect(resumed)], wanted[4:])


def test_image_pipeline_takes_them_too(packed):
    keep(packed, Tuned(threads=3))
    assert dali_rec.image_pipeline(packed, 4, 16, device="cpu").num_threads == 3
    assert dali_rec.image_pipeline(packed, 4, 16, device="cpu", threads=2).num_threads == 2
