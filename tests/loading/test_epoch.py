from hypothesis import given
from hypothesis import strategies as st

from dali_rec.loading.epoch import EpochPlan

SHARING = st.tuples(st.integers(1, 200), st.integers(1, 9), st.integers(1, 40)).filter(lambda s: s[0] >= s[1])


def plans(sharing, last_batch="partial", *, rotate=True):
    records, world_size, batch_size = sharing
    return [EpochPlan(records, rank, world_size, batch_size, last_batch, rotate) for rank in range(world_size)]


@given(SHARING, st.integers(0, 20), st.booleans())
def test_ranks_share_every_record_once(sharing, epoch, rotate):
    assert sum(plan.shard_size(epoch) for plan in plans(sharing, rotate=rotate)) == sharing[0]
    assert sorted(plan.shard(epoch) for plan in plans(sharing, rotate=rotate)) == list(range(sharing[1]))


@given(SHARING, st.integers(0, 20), st.sampled_from(["partial", "drop", "pad"]))
def test_batches_add_up_to_what_the_rule_says(sharing, epoch, last_batch):
    for plan in plans(sharing, last_batch):
        handed_out = [plan.valid(epoch, batch) for batch in range(plan.pipeline_batches)]
        size, full = plan.shard_size(epoch), plan.batch_size
        assert plan.batches(epoch) == sum(count > 0 for count in handed_out)
        wanted = {"partial": size, "drop": size - size % full, "pad": size + -size % full}
        assert sum(handed_out) == wanted[last_batch]
        assert all(count == full for count in handed_out[: max(0, plan.batches(epoch) - 1)])


@given(SHARING)
def test_all_ranks_run_the_pipeline_equally_often(sharing):
    assert len({plan.pipeline_batches for plan in plans(sharing)}) == 1
