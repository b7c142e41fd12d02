import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dali_rec.loading.dealing import Deal
from dali_rec.loading.order import SampleOrder, balanced_weights, mixed_weights, permutation

DEALS = st.tuples(st.integers(1, 300), st.integers(1, 9), st.integers(1, 20)).filter(lambda deal: deal[0] >= deal[1])


def deals(deal, last_batch="partial", *, even=False, start=0):
    count, world_size, batch_size = deal
    return [Deal(count, rank, world_size, batch_size, last_batch, even, start) for rank in range(world_size)]


def rows_of(deal, batches=None):
    order = np.arange(deal.count)
    return [deal.rows(order, batch).tolist() for batch in range(deal.batches if batches is None else batches)]


def flat(nested):
    return list(itertools.chain.from_iterable(nested))


@given(st.integers(1, 500), st.integers(0, 2**63), st.integers(0, 1000))
def test_permutation_has_every_row_once_and_follows_seed_and_epoch(count, seed, epoch):
    rows = permutation(count, seed, epoch)
    assert sorted(rows.tolist()) == list(range(count))
    assert np.array_equal(rows, permutation(count, seed, epoch))
    if count > 50:
        assert not np.array_equal(rows, permutation(count, seed, epoch + 1))
        assert not np.array_equal(rows, permutation(count, seed + 1, epoch))


def test_permutation_is_uniform():
    places = np.array([np.argsort(permutation(8, 0, epoch)) for epoch in range(4000)])
    counts = np.array([np.bincount(places[:, row], minlength=8) for row in range(8)])
    assert abs(counts - 500).max() < 5 * np.sqrt(500)


def test_permutation_of_a_seed_never_changes():
    # A state saved today must mean the same order in years.
    assert permutation(10, 1, 2).tolist() == [8, 5, 6, 0, 9, 1, 4, 3, 7, 2]


@given(DEALS)
def test_ranks_share_every_row_once(deal):
    taken = flat(flat(rows_of(one) for one in deals(deal)))
    assert sorted(taken) == list(range(deal[0]))


@given(DEALS, st.sampled_from(["partial", "drop", "pad"]))
def test_batches_have_the_size_that_the_rule_says(deal, last_batch):
    for one in deals(deal, last_batch):
        sizes = [len(rows) for rows in rows_of(one)]
        assert all(size == deal[2] for size in sizes[: None if last_batch != "partial" else -1])
        assert all(0 < size <= deal[2] for size in sizes)


def test_rows_are_dealt_out_as_the_table_says():
    assert [rows_of(one) for one in deals((23, 2, 4))] == [
        [[0, 1, 2, 3], [8, 9, 10, 11], [16, 17, 18]],
        [[4, 5, 6, 7], [12, 13, 14, 15], [19, 20, 21, 22]],
    ]


@given(DEALS, st.sampled_from(["partial", "drop", "pad"]), st.booleans(), st.data())
def test_each_rank_gets_its_slice_of_each_step(deal, last_batch, even, data):
    count, world_size, batch_size = deal
    start = data.draw(st.integers(0, count))
    full, left = divmod(count - start, world_size * batch_size)
    last = list(range(count - left, count))
    for one in deals(deal, last_batch, even=even, start=start):
        places = [start + (step * world_size + one.rank) * batch_size for step in range(full)]
        wanted = [list(range(place, place + batch_size)) for place in places]
        first, end = left * one.rank // world_size, left * (one.rank + 1) // world_size
        share = last[first : max(end, first + even)]
        if share and last_batch != "drop":
            wanted.append(share + share[-1:] * (batch_size - len(share)) if last_batch == "pad" else share)
        assert rows_of(one) == wanted


@given(DEALS, st.sampled_from(["partial", "drop", "pad"]))
def test_even_gives_every_rank_as_many_batches(deal, last_batch):
    all_rows = [rows_of(one) for one in deals(deal, last_batch, even=True)]
    assert len({len(rows) for rows in all_rows}) == 1
    if last_batch != "drop":
        assert set(flat(flat(all_rows))) == set(range(deal[0]))


@given(DEALS, st.lists(st.integers(1, 9), min_size=1, max_size=3), st.data())
def test_another_number_of_ranks_goes_on_where_the_last_stood(deal, later_ranks, data):
    taken, start = [], 0
    for ranks in (deal[1], *later_ranks):
        stage = deals((deal[0], ranks, deal[2]), start=start)
        done = data.draw(st.integers(0, min(one.batches for one in stage)))
        taken += flat(flat(rows_of(one, done) for one in stage))
        start = stage[0].taken(done)
        assert sorted(taken) == list(range(start))
    rest = flat(flat(rows_of(one) for one in deals((deal[0], 2, 3), start=start)))
    assert sorted(taken + rest) == list(range(deal[0]))


def test_global_batches_do_not_depend_on_the_number_of_ranks():
    order = permutation(1000, 0, 0)
    one = [set(Deal(1000, 0, 1, 24, "drop").rows(order, batch).tolist()) for batch in range(41)]
    four = [
        set(flat(Deal(1000, rank, 4, 6, "drop").rows(order, batch).tolist() for rank in range(4)))
        for batch in range(41)
    ]
    assert one == four


@given(st.lists(st.integers(0, 100), min_size=1, max_size=40).filter(any), st.integers(1, 200), st.integers(0, 9))
def test_rows_are_drawn_as_often_as_their_weight_says(weights, samples, epoch):
    order = SampleOrder(len(weights), 3, weights=np.array(weights, dtype=float), samples=samples)
    counts = np.bincount(order.rows(epoch), minlength=len(weights))
    expected = np.array(weights) / np.sum(weights) * samples
    assert counts.sum() == samples
    # A row lies over at most two slices more than it fills.
    assert (abs(counts - expected) < 2).all()
    assert not counts[np.array(weights) == 0].any()


def test_balanced_weights_draw_classes_alike():
    classes = np.array([0] * 90 + [1] * 9 + [7])
    rows = SampleOrder(100, 0, weights=balanced_weights(classes), samples=3000).rows(0)
    assert np.bincount(classes[rows])[[0, 1, 7]].tolist() == pytest.approx([1000] * 3, abs=2)


def test_mixed_weights_give_each_data_set_its_share():
    rows = SampleOrder(110, 0, weights=mixed_weights([100, 10], [0.25, 0.75]), samples=1000).rows(0)
    assert (rows >= 100).sum() == pytest.approx(750, abs=2)


@pytest.mark.parametrize("weights", [[1, 2], [1, -1, 1], [0, 0, 0], [1, np.nan, 1]])
def test_senseless_weights_are_refused(weights):
    with pytest.raises(ValueError, match="weights"):
        SampleOrder(3, 0, weights=np.array(weights, dtype=float))
