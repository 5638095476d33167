"""MixUp and CutMix: what a mixture holds, and what it does not depend on."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from plantset.data.batch import Batch
from plantset.data.choices import MixPolicy
from plantset.data.mixing import Mixer, neighbours
from plantset.data.module import DataModule, create_data_module
from plantset.data.sampler import Key
from tests.fake_leaves import write_leaves

KEYS = [Key(epoch=3, index=index) for index in (7, 2, 9, 4)]
MIXUP, CUTMIX = MixPolicy(mixup=1.0, prob=1.0), MixPolicy(cutmix=1.0, prob=1.0)


def _photos(count: int = 4, side: int = 16) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, side, side, 3), dtype=torch.uint8, generator=generator)


def test_mixup_is_the_average_of_two_neighbours_by_its_share() -> None:
    photos = _photos().float()
    mixed = photos.clone()

    shares = Mixer(MIXUP, seed=0).mix(KEYS, mixed)

    share = shares[0]
    assert 0 < share <= 0.5
    torch.testing.assert_close(mixed[0], (1 - share) * photos[0] + share * photos[1])
    torch.testing.assert_close(mixed[1], (1 - share) * photos[1] + share * photos[0])


def test_cutmix_exchanges_one_box_whose_area_is_the_share() -> None:
    photos = _photos()
    mixed = photos.clone()

    shares = Mixer(CUTMIX, seed=1).mix(KEYS, mixed)

    moved = (mixed[0] != photos[0]).any(dim=-1)
    rows, columns = moved.any(dim=1), moved.any(dim=0)
    assert float(shares[0]) == pytest.approx(int(rows.sum()) * int(columns.sum()) / 256)
    assert torch.equal(mixed[0][moved], photos[1][moved])
    assert torch.equal(mixed[1][moved], photos[0][moved])


@pytest.mark.parametrize("policy", [MIXUP, CUTMIX], ids=["mixup", "cutmix"])
def test_the_two_mixtures_of_a_pair_hold_each_photo_once(policy: MixPolicy) -> None:
    photos = _photos().float()
    mixed = photos.clone()

    Mixer(policy, seed=0).mix(KEYS, mixed)

    torch.testing.assert_close(mixed[::2] + mixed[1::2], photos[::2] + photos[1::2])


def test_maps_of_features_are_cut_over_their_rows_and_columns() -> None:
    maps_BCHW = torch.randn(2, 5, 8, 8)
    mixed = maps_BCHW.clone()

    share = Mixer(CUTMIX, seed=4, axes=(1, 2)).mix(KEYS[:2], mixed)[0]

    moved_HW = (mixed[0] != maps_BCHW[0]).all(dim=0)
    assert float(moved_HW.float().mean()) == pytest.approx(float(share))
    assert share > 0


def test_photos_that_are_not_mixed_keep_their_bits() -> None:
    photos = _photos()
    mixed = photos.clone()

    shares = Mixer(dataclasses.replace(MIXUP, prob=0.0), seed=0).mix(KEYS, mixed)

    assert shares.tolist() == [0.0] * 4
    assert torch.equal(mixed, photos)


def test_padding_and_a_photo_without_a_neighbour_are_left_whole() -> None:
    keys = [*KEYS[:2], KEYS[2], dataclasses.replace(KEYS[3], is_padding=True), Key(3, 5)]

    shares = Mixer(MIXUP, seed=0).mix(keys, _photos(5))

    assert (shares > 0).tolist() == [True, True, False, False, False]


def test_half_of_the_pairs_are_mixed_and_each_kind_takes_half_of_them() -> None:
    policy = MixPolicy(mixup=1.0, cutmix=1.0, prob=0.5)
    kinds = {"whole": 0, "mixup": 0, "cutmix": 0}
    for index in range(600):
        photos = torch.stack([torch.zeros(8, 8, 1), torch.ones(8, 8, 1)])
        share = float(Mixer(policy, seed=0).mix([Key(0, index), Key(0, index + 1)], photos)[0])
        is_cut = set(photos.unique().tolist()) <= {0.0, 1.0}
        kinds["whole" if not share else "cutmix" if is_cut else "mixup"] += 1

    assert [kinds[name] / 600 for name in ("whole", "mixup", "cutmix")] == pytest.approx([0.5, 0.25, 0.25], abs=0.05)


def test_a_beta_of_one_draws_shares_evenly_up_to_a_half() -> None:
    shares = [float(Mixer(MIXUP, 0).mix([Key(0, i), Key(0, i + 1)], _photos(2, 2))[0]) for i in range(400)]

    assert np.quantile(shares, [0.25, 0.5, 0.75]) == pytest.approx([0.125, 0.25, 0.375], abs=0.04)


def test_a_row_without_a_neighbour_is_its_own() -> None:
    assert neighbours(torch.tensor([5, 6, 7])).tolist() == [6, 5, 7]


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> DataModule:
    folder = tmp_path_factory.mktemp("mixed")
    made = create_data_module(write_leaves(folder), None, 8, 32, 24, augment=True, num_workers=0)
    return dataclasses.replace(made, mixing=MixPolicy(mixup=0.4, cutmix=1.0, prob=0.7))


def _rows(module: DataModule, start: int = 0, **loader: int) -> list[tuple[object, ...]]:
    settings = dataclasses.replace(module.loader, **loader)
    shown = dataclasses.replace(module, loader=settings)
    return [row for batch in shown.train_dataloader(epoch=1, start=start) for row in _rows_of(batch)]


def _rows_of(batch: Batch) -> list[tuple[object, ...]]:
    assert batch.pixels_BHWC is not None
    assert batch.other_labels_B is not None
    assert batch.other_shares_B is not None
    pixels = [photo.numpy().tobytes() for photo in batch.pixels_BHWC]
    return list(
        zip(batch.indices_B.tolist(), pixels, batch.other_labels_B.tolist(), batch.other_shares_B.tolist(), strict=True)
    )


def test_mixtures_are_the_same_when_an_epoch_is_taken_up_in_its_middle(module: DataModule) -> None:
    assert _rows(module, start=16) == _rows(module)[16:]


def test_mixtures_are_the_same_with_worker_processes(module: DataModule) -> None:
    assert _rows(module, num_workers=1) == _rows(module)


def test_mixtures_are_the_same_on_two_processes(module: DataModule) -> None:
    ranks = [_rows(module, rank=rank, world_size=2) for rank in (0, 1)]
    together = [ranks[rank][batch * 4 + row] for batch in range(4) for rank in (0, 1) for row in range(4)]

    assert together == _rows(module)


def test_another_epoch_and_another_seed_mix_the_same_pair_otherwise() -> None:
    shares = [
        float(Mixer(MIXUP, seed).mix([Key(epoch, 7), Key(epoch, 2)], _photos(2))[0])
        for epoch, seed in ((1, 0), (2, 0), (1, 5))
    ]

    assert len(set(shares)) == 3


def test_a_mixture_has_no_note_and_no_caption_and_a_whole_photo_has_a_caption(module: DataModule) -> None:
    for batch in module.train_dataloader():
        assert batch.other_shares_B is not None
        for row, share in enumerate(batch.other_shares_B.tolist()):
            assert bool(batch.caption_ids_BT[row].any()) == (share == 0)
            assert share == 0 or (batch.notes[row], int(batch.note_labels_B[row])) == (None, -1)


def test_validation_is_never_mixed(module: DataModule, tmp_path: Path) -> None:
    assert all(batch.other_shares_B is None for batch in module.val_dataloader())
