"""Which photos stand in which batch."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plantset.data.sampler import EpochSampler


@given(num_photos=st.integers(1, 60), batch_size=st.integers(1, 17), seed=st.integers(0, 3), epoch=st.integers(0, 3))
def test_each_photo_stands_in_an_epoch_exactly_once(num_photos: int, batch_size: int, seed: int, epoch: int) -> None:
    batches = list(EpochSampler(num_photos, batch_size, seed=seed, epoch=epoch))

    real = [key.index for keys in batches for key in keys if not key.is_padding]

    assert sorted(real) == list(range(num_photos))


@given(num_photos=st.integers(1, 60), batch_size=st.integers(1, 17))
def test_every_batch_has_the_same_size_and_the_length_is_their_number(num_photos: int, batch_size: int) -> None:
    sampler = EpochSampler(num_photos, batch_size, seed=0)

    batches = list(sampler)

    assert {len(keys) for keys in batches} == {batch_size}
    assert len(batches) == len(sampler)


def test_only_the_last_batch_is_padded_and_at_its_end() -> None:
    batches = list(EpochSampler(10, 4, seed=0))

    assert [[key.is_padding for key in keys] for keys in batches] == [
        [False] * 4,
        [False] * 4,
        [False, False, True, True],
    ]


@pytest.mark.parametrize("start", [1, 2, 3])
def test_an_epoch_taken_up_in_the_middle_is_the_tail_of_the_whole_one(start: int) -> None:
    whole = list(EpochSampler(23, 5, seed=4, epoch=2))

    resumed = EpochSampler(23, 5, seed=4, epoch=2, start_batch=start)

    assert list(resumed) == whole[start:]
    assert len(resumed) == len(whole) - start


def test_another_epoch_and_another_seed_have_another_order() -> None:
    orders = {
        tuple(key.index for keys in EpochSampler(40, 8, seed=seed, epoch=epoch) for key in keys)
        for seed in (0, 1)
        for epoch in (0, 1)
    }

    assert len(orders) == 4


def test_without_shuffling_the_order_is_the_manifests() -> None:
    keys = [key for keys in EpochSampler(7, 3, seed=5, shuffle=False) for key in keys]

    assert [key.index for key in keys if not key.is_padding] == list(range(7))
