from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse

from plantset.evaluation.intervals import (
    Estimate,
    bootstrap_totals,
    group_sums,
    index_groups,
    mean_estimate,
    percentile_estimate,
)


def test_photos_of_one_group_share_a_number_and_photos_without_one_stand_alone() -> None:
    numbers = index_groups(["leaf-a", None, "leaf-a", None, "leaf-b"])

    assert numbers.tolist() == [0, 1, 0, 2, 3]


def test_group_sums_are_the_same_dense_and_sparse() -> None:
    values = np.array([[1.0, 0.0], [2.0, 1.0], [4.0, 0.0]])
    groups = np.array([0, 1, 0])

    dense = group_sums(values, groups)
    sparse = group_sums(scipy.sparse.csr_array(values), groups)

    assert dense.tolist() == [[5.0, 0.0], [2.0, 1.0]]
    assert sparse.toarray().tolist() == dense.tolist()


def test_each_resample_draws_as_many_groups_as_there_are() -> None:
    ones = np.ones((7, 1))

    totals = bootstrap_totals(ones, 50, np.random.default_rng(0))

    assert totals.tolist() == [[7.0]] * 50


def test_resamples_do_not_depend_on_how_they_are_cut_into_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    sums = np.arange(10.0).reshape(5, 2)
    whole = bootstrap_totals(sums, 40, np.random.default_rng(3))

    monkeypatch.setattr("plantset.evaluation.intervals._WEIGHTS_PER_CHUNK", 15)
    pieces = bootstrap_totals(sums, 40, np.random.default_rng(3))

    assert pieces.tolist() == whole.tolist()


def test_the_interval_covers_the_true_rate_about_95_times_in_100() -> None:
    """Leaves of four photos that are right or wrong together, the true rate being 0.7."""
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(100), 4)
    covered = 0

    for _ in range(300):
        right = np.repeat(rng.random(100) < 0.7, 4)
        estimate = mean_estimate(right, groups, 400, rng)
        assert estimate.low is not None
        assert estimate.high is not None
        covered += estimate.low <= 0.7 <= estimate.high

    assert 0.91 <= covered / 300 <= 0.98


def test_photos_of_one_leaf_widen_the_interval() -> None:
    right = np.repeat(np.arange(50) % 2, 4)
    alone = mean_estimate(right, np.arange(200), 1000, np.random.default_rng(0))
    by_leaf = mean_estimate(right, np.repeat(np.arange(50), 4), 1000, np.random.default_rng(0))

    assert alone.low is not None
    assert by_leaf.low is not None
    assert by_leaf.low < alone.low - 0.03


def test_twelve_leaves_out_of_twelve_do_not_claim_certainty() -> None:
    estimate = mean_estimate(np.ones(12), np.arange(12), 1000, np.random.default_rng(0))

    assert estimate.value == 1.0
    assert estimate.low == pytest.approx(0.7575, abs=1e-4)  # Wilson: 12 / (12 + 1.96²)
    assert estimate.high == pytest.approx(1.0)


def test_one_leaf_gives_no_interval() -> None:
    estimate = mean_estimate(np.array([1, 0, 1]), np.zeros(3, dtype=np.int64), 100, np.random.default_rng(0))

    assert (estimate.value, estimate.low, estimate.high) == (pytest.approx(2 / 3), None, None)


def test_no_resamples_give_no_interval() -> None:
    estimate = mean_estimate(np.array([1, 0, 1]), np.arange(3), 0, np.random.default_rng(0))

    assert (estimate.low, estimate.high) == (None, None)


def test_resamples_that_are_nan_are_left_out() -> None:
    estimate = percentile_estimate(0.5, np.array([np.nan, 0.0, 1.0]), 9)

    assert estimate.low == pytest.approx(0.025)
    assert estimate.high == pytest.approx(0.975)


def test_differences_that_all_agree_have_no_interval() -> None:
    rng = np.random.default_rng(0)

    equal = mean_estimate(np.zeros(100), np.arange(100), 200, rng, is_share=False)

    assert equal == Estimate(0.0)
