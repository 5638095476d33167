"""Cached features: equal to computed ones, never stale, never half."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from plantset.core.errors import DataError
from plantset.data import cache as cache_module
from plantset.data.cache import CachedLoader, CacheSpec, FeatureCache, open_cache
from plantset.data.dataset import BatchMaker
from plantset.data.module import DataModule, LoaderSettings, create_data_module
from plantset.data.sampler import EpochSampler, Key

SPEC = CacheSpec("weights", tuple(f"{n:064x}" for n in range(32)), num_views=2)


class _Encoder:
    """Halve the pixels' scale, and count the photos seen; dies on the photo that `dies_at` counts."""

    def __init__(self, dies_at: int = 10**9) -> None:
        self.photos = 0
        self.dies_at = dies_at

    def __call__(self, pixels_BHWC: torch.Tensor) -> torch.Tensor:
        self.photos += len(pixels_BHWC)
        if self.photos >= self.dies_at:
            raise KeyboardInterrupt
        return pixels_BHWC.float().mean(dim=(1, 2)) / 512 + 0.1


@pytest.fixture(scope="module")
def module(manifest: Path) -> DataModule:
    return create_data_module(manifest, batch_size=5, image_size=24, num_workers=0)


def _open(module: DataModule, root: Path, encoder: _Encoder, spec: CacheSpec = SPEC) -> FeatureCache:
    records = module.split("train")
    maker = BatchMaker(module.examples(records, training=False))
    return open_cache(root, spec, module.reader(records, augment=True), maker, encoder, LoaderSettings(5, 0))


def _keys(epoch: int = 0) -> list[Key]:
    return [Key(epoch, index) for index in range(32)]


def test_cached_features_are_the_fp16_of_computed_ones(module: DataModule, tmp_path: Path) -> None:
    reader = module.reader(module.split("train"), augment=True)

    cached = _open(module, tmp_path, _Encoder()).read(_keys(epoch=1))

    views = torch.from_numpy(np.stack([reader.read(key) for key in _keys(epoch=1)]))
    assert torch.equal(cached, _Encoder()(views).half().float())


def test_epochs_go_round_the_views(module: DataModule, tmp_path: Path) -> None:
    cache = _open(module, tmp_path, _Encoder())

    first, second, third = (cache.read(_keys(epoch)) for epoch in range(3))

    assert torch.equal(first, third)
    assert not torch.equal(first, second)


def test_a_filled_cache_is_not_computed_again(module: DataModule, tmp_path: Path) -> None:
    _open(module, tmp_path, first := _Encoder())

    _open(module, tmp_path, second := _Encoder())

    assert (first.photos, second.photos) == (64, 0)


@pytest.mark.parametrize(
    "changed",
    [
        dataclasses.replace(SPEC, fingerprint="other weights"),
        dataclasses.replace(SPEC, photo_hashes=(*SPEC.photo_hashes[:-1], "f" * 64)),
        dataclasses.replace(SPEC, photo_hashes=SPEC.photo_hashes[::-1]),
    ],
    ids=["weights", "a photo", "the order"],
)
def test_a_change_of_what_features_depend_on_computes_them_anew(
    module: DataModule, tmp_path: Path, changed: CacheSpec
) -> None:
    _open(module, tmp_path, _Encoder())

    _open(module, tmp_path, encoder := _Encoder(), changed)

    assert encoder.photos == 64


def test_a_fill_that_was_killed_goes_on_with_the_view_it_was_in(module: DataModule, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        _open(module, tmp_path, _Encoder(dies_at=50))

    cache = _open(module, tmp_path, encoder := _Encoder())

    assert encoder.photos == 32
    assert torch.equal(cache.read(_keys(1)), _open(module, tmp_path / "other", _Encoder()).read(_keys(1)))


@pytest.fixture
def view_path(module: DataModule, tmp_path: Path) -> Path:
    _open(module, tmp_path, _Encoder())
    return tmp_path / SPEC.folder_name() / "view_1.npy"


def test_a_torn_view_is_filled_again(module: DataModule, tmp_path: Path, view_path: Path) -> None:
    view_path.write_bytes(view_path.read_bytes()[:-40])

    _open(module, tmp_path, encoder := _Encoder())

    assert encoder.photos == 32


def test_a_changed_view_is_filled_again(module: DataModule, tmp_path: Path, view_path: Path) -> None:
    stored = np.load(view_path)
    stored[7] += 1
    np.save(view_path, stored)

    _open(module, tmp_path, encoder := _Encoder())

    assert encoder.photos == 32


def test_a_full_disk_is_said_before_anything_is_written(
    module: DataModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 10}))

    with pytest.raises(DataError, match="GB"):
        _open(module, tmp_path, _Encoder())

    assert not list(tmp_path.rglob("*.npy"))


def test_a_cached_loader_gives_the_batches_of_the_sampler_with_features_in_place_of_photos(
    module: DataModule, tmp_path: Path
) -> None:
    records = module.split("train")
    cache = _open(module, tmp_path, _Encoder())
    loader = CachedLoader(
        cache, EpochSampler(32, 5, seed=0, epoch=1), BatchMaker(module.examples(records, training=True))
    )

    batches = list(_without_photos(loader))

    plain = list(module.train_dataloader(epoch=1))
    assert len(loader) == len(batches) == len(plain)
    assert [b.indices_B.tolist() for b in batches] == [b.indices_B.tolist() for b in plain]
    assert [b.notes for b in batches] == [b.notes for b in plain]
    assert all(torch.equal(b.weights_B, p.weights_B) for b, p in zip(batches, plain, strict=True))


def _without_photos(loader: CachedLoader) -> Iterator[cache_module.Batch]:
    for batch in loader:
        assert batch.pixels_BHWC is None
        assert batch.features_B is not None
        yield batch
