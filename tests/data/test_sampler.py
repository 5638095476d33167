"""Which photos stand in which batch."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plantset.data.sampler import EpochSampler, Key

WORLDS = st.integers(1, 5)
SHARES = st.integers(1, 7)  # photos of a batch for each process
PHOTOS = st.integers(1, 60)


def _parts(num_photos: int, share: int, world_size: int, *, start: int = 0, epoch: int = 0) -> list[list[list[Key]]]:
    """Return what each rank gets: rank -> batches -> keys."""
    return [
        list(
            EpochSampler(
                num_photos,
                share * world_size,
                seed=3,
                epoch=epoch,
                start=start,
                rank=rank,
                world_size=world_size,
            )
        )
        for rank in range(world_size)
    ]


def _global_order(parts: list[list[list[Key]]]) -> list[int]:
    """Return the photos in the order of the batches, in each of them rank after rank, without padding."""
    batches = zip(*parts, strict=True)
    return [key.index for batch in batches for keys in batch for key in keys if not key.is_padding]


def _order(num_photos: int, *, epoch: int = 0) -> list[int]:
    return [key.index for keys in EpochSampler(num_photos, 1, seed=3, epoch=epoch) for key in keys]


@given(num_photos=PHOTOS, share=SHARES, world_size=WORLDS, epoch=st.integers(0, 3))
def test_each_photo_stands_in_an_epoch_exactly_once_over_all_processes(
    num_photos: int, share: int, world_size: int, epoch: int
) -> None:
    order = _global_order(_parts(num_photos, share, world_size, epoch=epoch))

    assert sorted(order) == list(range(num_photos))


@given(num_photos=PHOTOS, share=SHARES, world_size=WORLDS, data=st.data())
def test_the_global_order_is_the_same_for_any_processes_batch_size_and_start(
    num_photos: int, share: int, world_size: int, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, num_photos))

    order = _global_order(_parts(num_photos, share, world_size, start=start))

    assert order == _order(num_photos)[start:]


@given(num_photos=PHOTOS, share=SHARES, world_size=WORLDS, data=st.data())
def test_every_process_gets_as_many_batches_of_the_same_size_as_it_was_told(
    num_photos: int, share: int, world_size: int, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, num_photos))
    sampler = EpochSampler(num_photos, share * world_size, seed=0, start=start, world_size=world_size)

    parts = _parts(num_photos, share, world_size, start=start)

    assert {len(keys) for part in parts for keys in part} <= {share}
    assert {len(part) for part in parts} == {len(sampler)}


@given(num_photos=st.integers(1, 40), worlds=st.lists(WORLDS, min_size=2, max_size=4), data=st.data())
def test_a_run_that_changes_its_number_of_processes_inside_an_epoch_sees_the_same_order(
    num_photos: int, worlds: list[int], data: st.DataObject
) -> None:
    seen: list[int] = []
    for world_size in worlds:
        share = data.draw(SHARES)
        batches = list(zip(*_parts(num_photos, share, world_size, start=len(seen)), strict=True))
        done = data.draw(st.integers(0, len(batches)))  # the run is stopped after these
        seen += _global_order([list(part) for part in zip(*batches[:done], strict=True)] if done else [])

    assert seen == _order(num_photos)[: len(seen)]


def test_a_process_takes_its_contiguous_chunk_of_the_global_batch() -> None:
    whole = list(EpochSampler(16, 8, seed=4))

    halves = [list(EpochSampler(16, 8, seed=4, rank=rank, world_size=2)) for rank in range(2)]

    assert [first + second for first, second in zip(*halves, strict=True)] == whole


def test_only_the_last_batch_is_padded_and_at_its_end() -> None:
    batches = list(EpochSampler(10, 4, seed=0))

    assert [[key.is_padding for key in keys] for keys in batches] == [
        [False] * 4,
        [False] * 4,
        [False, False, True, True],
    ]


def test_the_padding_of_the_last_batch_falls_to_the_last_processes() -> None:
    last = [list(EpochSampler(9, 8, seed=0, rank=rank, world_size=4))[-1] for rank in range(4)]

    assert [[key.is_padding for key in keys] for keys in last] == [[False, True], *[[True, True]] * 3]


def test_an_epoch_that_was_seen_to_its_end_has_no_batch_left() -> None:
    assert list(EpochSampler(10, 4, seed=0, start=10)) == []


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


@pytest.mark.parametrize(
    ("batch_size", "rank", "world_size", "start"),
    [(9, 0, 2, 0), (0, 0, 1, 0), (8, 2, 2, 0), (8, -1, 2, 0), (8, 0, 2, 21), (8, 0, 2, -1)],
    ids=["uneven share", "no photo", "rank too high", "rank below 0", "start beyond the end", "start below 0"],
)
def test_a_division_that_cannot_be_is_refused(batch_size: int, rank: int, world_size: int, start: int) -> None:
    with pytest.raises(ValueError, match=r"\d"):
        EpochSampler(20, batch_size, seed=0, rank=rank, world_size=world_size, start=start)
