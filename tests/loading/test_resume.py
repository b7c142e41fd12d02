import copy
import dataclasses
import io
import itertools
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from runs_of import runs_of
from support import jpeg

import dali_rec
from dali_rec import Loader
from dali_rec.errors import LoaderError
from dali_rec.loading import Augmentation

dali = pytest.importorskip("nvidia.dali", reason="DALI is not installed")

STATE_OF_ONE_PIPELINE = Path(__file__).with_name("state_of_one_pipeline.json")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """29 different images in three files, labelled by their id."""
    folder = tmp_path_factory.mktemp("resume")
    for key in range(29):
        (folder / f"{key}.jpg").write_bytes(jpeg(key, (24, 20)))
    (folder / "x.lst").write_text("".join(f"{key}\t{key}\t{key}.jpg\n" for key in range(29)))
    dali_rec.pack(folder / "x.lst", folder / "out" / "x", shards=3)
    return folder / "out" / "x"


def loader_of(data, **options):
    options = {"batch_size": 4, "image_size": 8, "shuffle_buffer": 7, "threads": 1, "seed": 5, **options}
    return Loader(data, framework="numpy", device="cpu", with_ids=True, **options)


def take(loader, epochs):
    return [[(ids.tolist(), np.array(images)) for images, _, ids in loader] for _ in range(epochs)]


def assert_same(found, wanted):
    assert [[ids for ids, _ in epoch] for epoch in found] == [[ids for ids, _ in epoch] for epoch in wanted]
    pairs = zip(itertools.chain(*found), itertools.chain(*wanted), strict=True)
    assert all(np.array_equal(one, two) for (_, one), (_, two) in pairs)


def stop_at(loader, epoch, batch):
    """Run to the middle of an epoch and return the state that is saved there, as JSON gives it back."""
    take(loader, epoch)
    if batch:
        for number, _ in enumerate(loader, start=1):
            if number == batch:
                break
    return json.loads(json.dumps(loader.state_dict()))


@settings(max_examples=40)
@given(
    shuffle=st.sampled_from([False, True, "global"]),
    last_batch=st.sampled_from(["partial", "drop", "pad"]),
    ranks=st.sampled_from([(0, 1), (0, 2), (1, 2), (2, 3)]),
    batch_size=st.integers(1, 9),
    epoch=st.integers(0, 2),
    part=st.floats(0, 1),
    runs=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    threads=st.integers(1, 2),
)
def test_resume_is_exact_to_the_sample_and_the_crop(
    data, shuffle, last_batch, ranks, batch_size, epoch, part, runs, threads
):
    options = {
        "threads": threads,
        "shuffle": shuffle,
        "last_batch": last_batch,
        "rank": ranks[0],
        "world_size": ranks[1],
        "batch_size": batch_size,
    }
    with runs_of(*runs):
        loaders = [loader_of(data, **options) for _ in range(2)]
    whole = take(loaders[0], epoch + 2)
    batch = round(part * len(whole[epoch]))
    state = stop_at(loaders[1], epoch, batch)
    # It takes the length of runs, and the pipelines, from the state.
    resumed = loader_of(data, **{**options, "threads": 3 - threads})
    resumed.load_state_dict(state)
    if batch < len(whole[epoch]):
        assert resumed.epoch == epoch
        assert_same(take(resumed, 2), [whole[epoch][batch:], whole[epoch + 1]])
    else:
        assert resumed.epoch == epoch + (batch > 0)
        assert_same(take(resumed, 1), [whole[epoch + 1]] if batch else [whole[epoch]])


@pytest.mark.parametrize("shuffle", [True, "global"])
def test_resume_after_an_epoch_that_was_left_early(data, shuffle):
    first = loader_of(data, shuffle=shuffle)
    next(iter(first))
    running = iter(first)
    next(running)
    state = first.state_dict()
    rest = [(ids.tolist(), np.array(images)) for images, _, ids in running]
    resumed = loader_of(data, shuffle=shuffle)
    resumed.load_state_dict(state)
    assert_same(take(resumed, 1), [rest])


@pytest.mark.parametrize(
    "augment",
    [
        "randaugment",
        "autoaugment",
        Augmentation(jitter=(0.4, 0.4, 0.4, 0.1), jitter_chance=0.5, grey=0.3, blur=0.5, erase=0.5),
    ],
)
def test_every_random_number_resumes(data, augment):
    whole = take(loader_of(data, augment=augment, image_size=32), 1)
    state = stop_at(loader_of(data, augment=augment, image_size=32), 0, 3)
    resumed = loader_of(data, augment=augment, image_size=32)
    resumed.load_state_dict(state)
    assert_same(take(resumed, 1), [whole[0][3:]])


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1), (3, 2), (2, 5)])
@pytest.mark.parametrize("batch", [0, 1, 3])
def test_global_order_resumes_on_another_number_of_ranks(data, before, after, batch):
    def ranks(count):
        return [loader_of(data, shuffle="global", rank=r, world_size=count, batch_size=3) for r in range(count)]

    first, seen = ranks(before), []
    for loader in first:
        seen += [ids.tolist() for _, _, ids in itertools.islice(loader, batch)]
    state = first[-1].state_dict()
    later = ranks(after)
    for loader in later:
        loader.load_state_dict(state)
        seen += [ids for epoch in take(loader, 1) for ids, _ in epoch]
    assert sorted(itertools.chain(*seen)) == list(range(29))
    # And the epochs after it are whole again, in the order that any number of ranks has.
    following = [ids for loader in later for epoch in take(loader, 1) for ids, _ in epoch]
    assert sorted(itertools.chain(*following)) == list(range(29))


@pytest.mark.parametrize(
    ("batch", "left", "last_batch"), [(9, [[], [], [1]], "partial"), (10, None, "pad"), (9, None, "drop")]
)
def test_ranks_go_on_in_the_same_epoch_also_where_one_has_nothing_left_of_it(data, batch, left, last_batch):
    options = {"shuffle": "global", "subset": list(range(28)), "batch_size": 3, "last_batch": last_batch}
    first = loader_of(data, **options)
    state = [first.state_dict() for _ in itertools.islice(first, batch)][-1]
    later = [loader_of(data, **options, rank=rank, world_size=3) for rank in range(3)]
    for loader in later:
        loader.load_state_dict(state)
        loader.load_state_dict(loader.state_dict())
    if left is not None:
        assert {loader.epoch for loader in later} == {0}
        assert [[len(ids) for ids, _ in take(loader, 1)[0]] for loader in later] == left
    assert {loader.epoch for loader in later} == {1}
    following = [ids for loader in later for ids, _ in take(loader, 1)[0]]
    assert len(following) == (9 if last_batch == "drop" else 10)


@pytest.mark.parametrize("runs", [(1, 1), (2, 1), (3, 1), (1, 4), (2, 3)])
@pytest.mark.parametrize("batch", [1, 2, 3, 4, 5])
def test_global_order_resumes_from_the_state_of_another_rank(data, batch, runs):
    def ranks():
        with runs_of(*runs):
            return [loader_of(data, shuffle="global", rank=r, world_size=2, batch_size=3) for r in (0, 1)]

    whole = [take(loader, 2) for loader in ranks()]
    first = ranks()[0]
    state = [first.state_dict() for _ in itertools.islice(first, batch)][-1]
    for loader, (epoch, following) in zip(ranks(), whole, strict=True):
        loader.load_state_dict(state)
        wanted = [epoch[batch:], following] if batch < len(epoch) else [following]
        assert [[ids for ids, _ in one] for one in take(loader, len(wanted))] == [
            [ids for ids, _ in one] for one in wanted
        ]


@pytest.mark.parametrize("runs", [(1, 1), (3, 1), (5, 1), (1, 3), (2, 2)])
@pytest.mark.parametrize("shuffle", [False, True, "global"])
def test_whole_epochs_follow_a_state_or_a_size_of_the_last_batch(data, shuffle, runs):
    def loader():
        with runs_of(*runs):
            return loader_of(data, shuffle=shuffle)

    first, grown = loader(), loader()
    state = [first.state_dict() for _ in first][-1]
    resumed = loader()
    resumed.load_state_dict(state)
    wanted = take(first, 2)
    assert_same(take(resumed, 2), wanted)
    for number, _ in enumerate(grown, start=1):
        if number == len(grown):
            grown.set_image_size(12)
    assert [[ids for ids, _ in epoch] for epoch in take(grown, 2)] == [[ids for ids, _ in epoch] for epoch in wanted]


def test_state_from_before_an_epoch_without_batches_leaves_that_to_come(data):
    options = {"batch_size": 10, "last_batch": "drop", "rank": 0, "world_size": 3, "shuffle": False}
    loader, later = loader_of(data, **options), loader_of(data, **options)
    later.load_state_dict(loader.state_dict())
    whole = take(loader, 3)
    assert [len(epoch) for epoch in whole] == [0, 1, 1]  # of 9, 10 and 10 records
    assert_same(take(later, 3), whole)


def test_epoch_in_which_another_number_of_ranks_has_no_batch_is_still_to_come(data):
    options = {"shuffle": "global", "last_batch": "drop"}
    loader = loader_of(data, **options, rank=0, world_size=8)  # that want 32 records a step
    loader.load_state_dict(loader_of(data, **options).state_dict())
    assert loader.epoch == 0
    assert take(loader, 1) == [[]]
    assert loader.epoch == 1


def test_global_order_is_the_same_on_any_number_of_ranks(data):
    def steps(world_size):
        epochs = [
            take(loader_of(data, shuffle="global", rank=r, world_size=world_size, batch_size=6 // world_size), 1)[0]
            for r in range(world_size)
        ]
        return [set(itertools.chain(*(ids for ids, _ in step))) for step in zip(*epochs, strict=True)]

    assert steps(1)[:4] == steps(2)[:4] == steps(3)[:4]


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"batch_size": 5}, "batch_size was 4, here it is 5"),
        ({"seed": 6}, "seed was 5, here it is 6"),
        ({"shuffle": "global"}, "shuffle was True, here it is 'global'"),
        ({"augment": "eval", "shuffle": True}, "augment was \"'train'\", here it is"),
        ({"shuffle_buffer": 8}, "shuffle_buffer was 7"),
        ({"rank": 1, "world_size": 2}, "only shuffle='global' goes on with another's, or with another number of ranks"),
        ({"subset": 0.5}, "other data: digest was"),
    ],
)
def test_state_of_other_options_is_refused_with_the_reason(data, option, message):
    state = loader_of(data).state_dict()
    with pytest.raises(LoaderError, match=message):
        loader_of(data, **option).load_state_dict(state)


def test_state_of_other_data_is_refused(data, packed):
    state = loader_of(data).state_dict()
    with pytest.raises(LoaderError, match="saved with other data"):
        loader_of(packed).load_state_dict(state)


def test_something_that_is_no_state_is_refused(data):
    with pytest.raises(LoaderError, match="not a state"):
        loader_of(data).load_state_dict({"epoch": 3})


def test_truncated_state_is_refused(data):
    state = loader_of(data).state_dict()
    del state["options"], state["batch"]
    with pytest.raises(LoaderError, match="the state is damaged: it has no batch, options"):
        loader_of(data).load_state_dict(state)


@pytest.mark.parametrize("shuffle", [True, "global"])
def test_state_is_plain_also_where_options_are_numbers_of_numpy(data, shuffle):
    options = {"rank": np.int64(0), "world_size": np.int32(2), "seed": np.uint32(5), "shuffle_buffer": np.int64(7)}
    options |= {"batch_size": np.int64(4), "mean": np.float32([0.5, 0.5, 0.5]), "std": np.array([0.5, 0.5, 0.5])}
    loader = loader_of(data, shuffle=np.True_ if shuffle is True else shuffle, dtype=np.dtype("float32"), **options)
    state = loader.state_dict()
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    assert torch.load(file, weights_only=True) == json.loads(json.dumps(state)) == state
    plain = {name: value.tolist() for name, value in options.items()}
    loader_of(data, shuffle=shuffle, **plain).load_state_dict(state)


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, pickle.dumps])
def test_copy_of_a_loader_is_refused_with_the_remedy(data, how):
    with pytest.raises(TypeError, match="make another one there"):
        how(loader_of(data))


def test_state_survives_a_move_of_the_files(data, tmp_path):
    state = stop_at(loader_of(data), 0, 2)
    for file in data.parent.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    resumed = loader_of(tmp_path / "x")
    resumed.load_state_dict(state)
    assert_same(take(resumed, 1), [take(loader_of(data), 1)[0][2:]])


@pytest.mark.skipif(not dali.__version__.startswith("2.4"), reason="its state is DALI 2.4's")
def test_state_from_before_there_were_several_pipelines_goes_on(tmp_path):
    with dali_rec.RecordWriter(tmp_path / "x.rec") as writer:
        for key in range(8):
            writer.write_image(jpeg(key, (24, 20)), float(key), key)
    state = json.loads(STATE_OF_ONE_PIPELINE.read_text())
    options = {"augment": "train", "shuffle": False, "dtype": "uint8", "framework": "numpy", "with_ids": True}
    loader = Loader(tmp_path / "x.rec", 2, 8, device="cpu", **options)
    loader.load_state_dict({**state, "data": loader.state_dict()["data"]})
    assert [ids.tolist() for _, _, ids in loader] == [[2, 3], [4, 5], [6, 7]]
    assert loader.epoch == 2


@pytest.mark.parametrize("shuffle", [True, "global"])
def test_image_size_changes_between_epochs_and_the_order_goes_on(data, shuffle):
    still, grown = loader_of(data, shuffle=shuffle), loader_of(data, shuffle=shuffle)
    take(still, 1), take(grown, 1)
    grown.set_image_size(12)
    state = grown.state_dict()
    wanted, found = take(still, 1)[0], take(grown, 1)[0]
    assert [ids for ids, _ in found] == [ids for ids, _ in wanted]
    assert found[0][1].shape == (4, 3, 12, 12)
    resumed = loader_of(data, shuffle=shuffle)
    resumed.load_state_dict(state)
    assert resumed.image_size == (12, 12)
    assert_same(take(resumed, 1), [found])


def test_augmentation_of_a_state_is_told_by_its_numbers(data):
    strong = Augmentation(area=(0.5, 1.0))
    state = loader_of(data, augment=strong).state_dict()
    with pytest.raises(LoaderError, match="augment was"):
        loader_of(data, augment=dataclasses.replace(strong, area=(0.4, 1.0))).load_state_dict(state)


def interrupt(loader, monkeypatch, *, after):
    """Let Ctrl-C come while the next run is made, before DALI's step or after it."""
    pipelines = loader._runs._pipelines
    run = pipelines.run

    def interrupted(*arguments):
        monkeypatch.undo()
        if after:
            run(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(pipelines, "run", interrupted)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("shuffle", [True, "global"])
@pytest.mark.parametrize(
    ("taken", "runs"), [(3, (1, 1)), (7, (1, 1)), (4, (2, 1)), (6, (3, 1)), (3, (1, 2)), (4, (2, 4))]
)  # of 8 batches
def test_state_saved_on_interruption_goes_on_with_the_batch_that_was_not_had(
    data, monkeypatch, shuffle, taken, runs, after
):
    with runs_of(*runs):
        whole = take(loader_of(data, shuffle=shuffle), 2)
        loader = loader_of(data, shuffle=shuffle)
    loop = iter(loader)
    for _ in range(taken):
        next(loop)
    interrupt(loader, monkeypatch, after=after)
    with pytest.raises(KeyboardInterrupt):
        next(loop)
    resumed = loader_of(data, shuffle=shuffle)
    resumed.load_state_dict(json.loads(json.dumps(loader.state_dict())))
    assert_same(take(resumed, 2), [whole[0][taken:], whole[1]])
    # And the loader itself has ended its epoch; the ones after it are whole.
    following = take(loader, 2)
    assert [sorted(itertools.chain(*(ids for ids, _ in epoch))) for epoch in following] == [list(range(29))] * 2


def test_image_size_changes_after_an_interruption_and_the_order_goes_on(data, monkeypatch):
    with runs_of(1):
        whole = take(loader_of(data), 1)[0]
        loader = loader_of(data)
    loop = iter(loader)
    next(loop)
    interrupt(loader, monkeypatch, after=True)
    with pytest.raises(KeyboardInterrupt):
        next(loop)
    loader.set_image_size(12)
    resumed = loader_of(data)
    resumed.load_state_dict(loader.state_dict())
    assert [ids for ids, _ in take(resumed, 1)[0]] == [ids for ids, _ in whole[1:]]


# Epochs by number


def test_global_order_of_an_epoch_that_is_set_is_that_of_a_run_without_a_break(data):
    whole = take(loader_of(data, shuffle="global", augment=None), 3)
    loader = loader_of(data, shuffle="global", augment=None)
    loader.set_epoch(1)
    assert loader.epoch == 1
    assert_same(take(loader, 2), whole[1:])


@pytest.mark.parametrize("shuffle", [False, True, "global"])
def test_setting_the_epoch_that_comes_next_changes_nothing(data, shuffle):
    wanted = take(loader_of(data, shuffle=shuffle), 3)
    loader, found = loader_of(data, shuffle=shuffle), []
    for epoch in range(3):
        loader.set_epoch(epoch)
        # A loop that counts the batches does not run to the end, as those of Lightning.
        counted = zip(range(len(loader)), loader, strict=False) if epoch == 1 else enumerate(loader)
        found.append([(ids.tolist(), np.array(images)) for _, (images, _, ids) in counted])
    assert_same(found, wanted)


def test_epoch_that_is_set_after_a_glance_at_it_is_whole(data):
    whole = take(loader_of(data, shuffle="global"), 1)
    loader = loader_of(data, shuffle="global")
    next(iter(loader))
    loader.set_epoch(0)
    assert_same(take(loader, 1), whole)


def test_epoch_set_within_a_loop_is_an_error_and_no_endless_loop(data):
    loader = loader_of(data)
    with pytest.raises(LoaderError, match="set_epoch"):
        [loader.set_epoch(0) for _ in loader]


@pytest.mark.parametrize("goes_on", [False, True])
def test_loop_within_which_a_state_is_loaded_goes_on_there_and_ends_its_epoch_if_left(data, goes_on):
    options = {"shuffle": "global", "augment": None}
    whole = take(loader_of(data, **options), 2)
    loader, state = loader_of(data, **options), stop_at(loader_of(data, **options), 0, 2)
    batches = iter(loader)
    [next(batches) for _ in range(4)]
    loader.load_state_dict(state)
    if goes_on:
        assert next(batches)[2].tolist() == whole[0][2][0]
    assert_same(take(loader, 1), [whole[1] if goes_on else whole[0][2:]])


def test_negative_epoch_is_refused(data):
    with pytest.raises(ValueError, match="epoch is -1"):
        loader_of(data).set_epoch(-1)


@pytest.mark.parametrize("ranks", [1, 2])
def test_rest_of_an_epoch_comes_first_whatever_is_set(data, ranks):
    state = stop_at(loader_of(data, shuffle="global"), 1, 3)
    rest = []
    for rank in range(ranks):
        loader = loader_of(data, shuffle="global", rank=rank, world_size=ranks)
        loader.load_state_dict(state)
        loader.set_epoch(0)
        rest += [ids for epoch in take(loader, 1) for ids, _ in epoch]
    assert len(set(itertools.chain(*rest))) == len(list(itertools.chain(*rest))) == 29 - 3 * 4


def test_sampler_names_what_to_write_and_is_not_found_by_libraries(data):
    loader = loader_of(data)
    assert not hasattr(loader, "sampler")
    with pytest.raises(AttributeError, match=r"loader\.set_epoch\(epoch\)"):
        loader.sampler.set_epoch(0)
