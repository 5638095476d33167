"""How often each class is drawn."""

from __future__ import annotations

import numpy as np
import pytest

from plantset.data.choices import Sampling
from plantset.data.sampler import EpochSampler, Key
from plantset.data.sampling import ClassBalance, count_repeats, epoch_order, sampled_counts

LABELS = np.repeat(np.arange(4), [60, 30, 9, 1])


def _order(sampling: Sampling, *, epoch: int = 0) -> np.ndarray:
    return epoch_order(100, seed=3, epoch=epoch, balance=ClassBalance(LABELS, sampling))


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        ("natural", [60, 30, 9, 1]),
        ("sqrt", [44.974, 31.801, 17.418, 5.806]),  # square roots 7.746, 5.477, 3, 1 of 17.223
        ("balanced", [25, 25, 25, 25]),
    ],
)
def test_an_epoch_draws_each_class_by_its_share_rounded(sampling: Sampling, expected: list[float]) -> None:
    drawn = np.bincount(LABELS[_order(sampling)], minlength=4)

    assert np.abs(drawn - expected).max() < 1
    assert drawn.sum() == 100


def test_over_many_epochs_the_rounding_evens_out() -> None:
    drawn = np.mean([np.bincount(LABELS[_order("sqrt", epoch=epoch)]) for epoch in range(400)], axis=0)

    assert drawn == pytest.approx(sampled_counts(np.bincount(LABELS), "sqrt"), abs=0.12)


def test_within_a_class_no_photo_is_drawn_two_times_more_than_another() -> None:
    times = np.bincount(_order("balanced"), minlength=100)

    assert all(np.ptp(times[label == LABELS]) <= 1 for label in range(4))


def test_the_order_is_a_function_of_seed_and_epoch() -> None:
    assert np.array_equal(_order("balanced", epoch=1), _order("balanced", epoch=1))
    assert not np.array_equal(_order("balanced", epoch=1), _order("balanced", epoch=2))


def test_a_class_without_a_photo_is_not_drawn() -> None:
    order = epoch_order(6, seed=0, epoch=0, balance=ClassBalance(np.array([0, 0, 0, 0, 2, 2]), "balanced"))

    assert sorted(order >= 4) == [False] * 3 + [True] * 3


def test_repeats_are_numbered_in_their_order() -> None:
    assert count_repeats(np.array([3, 1, 3, 3, 1, 0])).tolist() == [0, 0, 1, 2, 1, 0]


def test_the_repeats_of_a_photo_are_other_views_of_it() -> None:
    sampler = EpochSampler(100, 10, seed=0, epoch=2, balance=ClassBalance(LABELS, "balanced"))

    rare = [key for keys in sampler for key in keys if key.index == 99]

    assert rare == [Key(2, 99, repeat=repeat) for repeat in range(25)]
    assert [key.view for key in rare] == list(range(2, 27))


@pytest.mark.parametrize("world_size", [1, 2])
def test_a_balanced_epoch_goes_on_inside_on_any_number_of_processes(world_size: int) -> None:
    balance = ClassBalance(LABELS, "sqrt")
    whole = [key for keys in EpochSampler(100, 10, seed=0, balance=balance) for key in keys]

    parts = [
        EpochSampler(100, 10, seed=0, balance=balance, start=40, rank=rank, world_size=world_size)
        for rank in range(world_size)
    ]

    assert [key for step in zip(*parts, strict=True) for keys in step for key in keys] == whole[40:]
