import itertools
import math
from collections import Counter

import numpy as np
import pytest

from dali_rec.compat.mxnet.io.draws import Draws

COUNT = 20_000


def test_the_words_are_those_of_mt19937():
    # What the C++ standard says of the 10000th number with the default seed, [rand.predef].
    draws = Draws(5489)
    assert [draws._word() for _ in range(10_000)][-1] == 4123659995


def test_uniform_numbers_are_spread_evenly():
    values = np.array([Draws([1, number]).uniform(-2, 3) for number in range(COUNT)])
    assert values.min() >= -2
    assert values.max() <= 3
    counts, _ = np.histogram(values, 20, (-2, 3))
    assert np.abs(counts - COUNT / 20).max() < 5 * math.sqrt(COUNT / 20)


@pytest.mark.parametrize(("low", "high"), [(0, 0), (-3, 3), (5, 11)])
def test_whole_numbers_are_all_as_likely(low, high):
    draws = Draws(7)
    counts = Counter(draws.whole(low, high) for _ in range(COUNT))
    assert set(counts) == set(range(low, high + 1))
    likely = COUNT / (high - low + 1)
    assert max(abs(count - likely) for count in counts.values()) <= 5 * math.sqrt(likely)


def test_a_coin_falls_either_way():
    draws = Draws(7)
    assert abs(sum(draws.coin() for _ in range(COUNT)) - COUNT / 2) < 5 * math.sqrt(COUNT) / 2


def test_all_orders_of_three_are_as_likely():
    draws = Draws(7)
    counts = Counter(tuple(draws.order(3)) for _ in range(COUNT))
    assert set(counts) == set(itertools.permutations(range(3)))
    assert max(abs(count - COUNT / 6) for count in counts.values()) < 5 * math.sqrt(COUNT / 6)


def test_normal_numbers_have_their_deviation():
    draws = Draws(7)
    values = np.array([draws.normal(0.1) for _ in range(COUNT)])
    assert abs(values.mean()) < 5 * 0.1 / math.sqrt(COUNT)
    assert abs(values.std() - 0.1) < 0.005
    assert 0.67 < np.mean(np.abs(values) < 0.1) < 0.70


def test_the_same_seed_draws_the_same():
    def drawn(seed):
        draws = Draws(seed)
        return [draws.unit(), draws.whole(0, 99), draws.coin(), draws.normal(1)]

    assert drawn(3) == drawn(3)
    assert drawn([1, 2]) == drawn([1, 2])
    assert drawn([1, 2]) != drawn([2, 1])
