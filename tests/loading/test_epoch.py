from hypothesis import given
from hypothesis import strategies as st

from dali_rec.loading.epoch import EpochPlan

SHARING = st.tuples(st.integers(1, 200), st.integers(1, 9), st.integers(1, 40)).filter(lambda s: s[0] >= s[1])


def plans(sharing, last_batch="partial", *, rotate=True, even=False, at_once=1):
    records, world_size, batch_size = sharing
    shared = (world_size, batch_size, last_batch, rotate, even, at_once)
    return [EpochPlan(records, rank, *shared) for rank in range(world_size)]


@given(SHARING, st.integers(0, 20), st.booleans())
def test_ranks_share_every_record_once(sharing, epoch, rotate):
    assert sum(plan.shard_size(epoch) for plan in plans(sharing, rotate=rotate)) == sharing[0]
    assert sorted(plan.shard(epoch) for plan in plans(sharing, rotate=rotate)) == list(range(sharing[1]))


@given(SHARING, st.integers(0, 20), st.sampled_from(["partial", "drop", "pad"]), st.integers(1, 5))
def test_batches_add_up_to_what_the_rule_says(sharing, epoch, last_batch, at_once):
    for plan in plans(sharing, last_batch, at_once=at_once):
        handed_out = [plan.valid(epoch, batch) for batch in range(plan.pipeline_batches)]
        size, full = plan.shard_size(epoch), plan.batch_size
        assert plan.batches(epoch) == sum(count > 0 for count in handed_out)
        wanted = {"partial": size, "drop": size - size % full, "pad": size + -size % full}
        assert sum(handed_out) == wanted[last_batch]
        assert all(count == full for count in handed_out[: max(0, plan.batches(epoch) - 1)])


@given(SHARING, st.integers(0, 20), st.sampled_from(["partial", "drop", "pad"]), st.integers(1, 5))
def test_even_hands_out_as_many_batches_on_every_rank(sharing, epoch, last_batch, at_once):
    own = [plan.batches(epoch) for plan in plans(sharing, last_batch, at_once=at_once)]
    wanted = min(own) if last_batch == "drop" else max(own)
    for plan, before in zip(plans(sharing, last_batch, even=True, at_once=at_once), own, strict=True):
        handed_out = [plan.valid(epoch, batch) for batch in range(plan.pipeline_batches)]
        assert plan.batches(epoch) == sum(count > 0 for count in handed_out) == wanted
        rows = plan.shard_size(epoch) + wanted - before  # the last record once more for each batch that it lacks
        assert sum(handed_out) == (rows if last_batch == "partial" else wanted * plan.batch_size)


@given(SHARING, st.sampled_from(["partial", "drop", "pad"]), st.booleans(), st.booleans(), st.integers(1, 5))
def test_whole_is_what_hands_out_all_that_the_pipeline_makes(sharing, last_batch, rotate, even, at_once):
    for plan in plans(sharing, last_batch, rotate=rotate, even=even, at_once=at_once):
        made = {plan.valid(epoch, batch) for epoch in range(sharing[1]) for batch in range(plan.pipeline_batches)}
        assert plan.is_whole == (made == {plan.batch_size})


@given(SHARING, st.integers(1, 5))
def test_all_ranks_run_the_pipeline_equally_often(sharing, at_once):
    assert len({plan.runs for plan in plans(sharing, at_once=at_once)}) == 1


@given(SHARING, st.integers(1, 300))
def test_runs_are_as_long_as_they_can_be_without_much_padding(sharing, most):
    plan = plans(sharing)[0]
    single = plan.pipeline_batches
    chosen = plan.making_at_once(most)
    assert 1 <= chosen.at_once <= most
    assert chosen.pipeline_batches - single <= single / 32
    longer = [plan.making_at_once(more) for more in range(chosen.at_once + 1, most + 1)]
    assert all(one.at_once == chosen.at_once for one in longer)
    assert chosen.making_at_once(chosen.at_once) == chosen


def test_runs_of_a_large_data_set_are_as_long_as_they_may_be():
    assert EpochPlan(1_281_167, 0, 8, 64, "partial", rotate=True).making_at_once(4).at_once == 4
