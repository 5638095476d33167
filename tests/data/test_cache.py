"""Cached features: equal to computed ones, each photo's its own, never stale, never half, never a damaged byte."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import torch

from plantset.core.errors import ConfigError, DataError
from plantset.data import cache as cache_module
from plantset.data.cache import CachedLoader, CacheSpec, FeatureCache, FeatureStore
from plantset.data.choices import AugmentPolicy
from plantset.data.dataset import BatchMaker, PhotoReader
from plantset.data.feature_files import FeatureFile, find_files, scale_rows
from plantset.data.module import DataModule, LoaderSettings, create_data_module
from plantset.data.photos import photos_of
from plantset.data.sampler import EpochSampler, Key

HASHES = tuple(f"{n:064x}" for n in range(32))
SPEC = CacheSpec("weights", HASHES, num_views=2)
ROW_BYTES = 3 * 2


class _Encoder:
    """Halve the pixels' scale, and count the batches seen; dies in the batch that `dies_at` counts."""

    def __init__(self, dies_at: int = 10**9) -> None:
        self.batches = 0
        self.dies_at = dies_at

    def __call__(self, pixels_BHWC: torch.Tensor) -> torch.Tensor:
        if len(pixels_BHWC) > 1:  # one photo alone only asks for the shape
            self.batches += 1
        if self.batches >= self.dies_at:
            raise KeyboardInterrupt
        return pixels_BHWC.float().mean(dim=(1, 2)) / 512 + 0.1


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of 8 rows and files of 16, so that 64 rows are four files."""
    monkeypatch.setattr(cache_module, "_ENCODE_BATCH", 8)
    monkeypatch.setattr(cache_module, "_MIN_FILE_BYTES", 16 * ROW_BYTES)


@pytest.fixture(scope="module")
def module(manifest: Path) -> DataModule:
    return create_data_module(manifest, batch_size=5, image_size=24, num_workers=0)


def _reader(module: DataModule) -> PhotoReader:
    """The views of the 32 training photos, seeded by their hashes."""
    paths = photos_of(module.split("train"), module.images_dir)
    return PhotoReader(
        paths, module.preprocess, augment=AugmentPolicy(), photo_seeds=[int(name, 16) for name in HASHES]
    )


def _open(
    module: DataModule, root: Path, encoder: _Encoder, spec: CacheSpec = SPEC, *, store: FeatureStore | None = None
) -> FeatureCache:
    return (store or FeatureStore(root)).open(spec, _reader(module), encoder, LoaderSettings(5, 0))


def _keys(epoch: int = 0) -> list[Key]:
    return [Key(epoch, index) for index in range(32)]


def test_cached_features_are_the_fp16_of_computed_ones(module: DataModule, tmp_path: Path) -> None:
    cached = _open(module, tmp_path, _Encoder()).read(_keys(epoch=1))

    assert torch.equal(cached, _computed(module, epoch=1).half().float())


def test_features_kept_in_fp32_are_the_computed_ones(module: DataModule, tmp_path: Path) -> None:
    cached = _open(module, tmp_path, _Encoder(), dataclasses.replace(SPEC, dtype="fp32")).read(_keys(epoch=1))

    assert torch.equal(cached, _computed(module, epoch=1))


def _computed(module: DataModule, *, epoch: int) -> torch.Tensor:
    reader = _reader(module)
    return _Encoder()(torch.from_numpy(np.stack([reader.read(key) for key in _keys(epoch)])))


def test_epochs_go_round_the_views(module: DataModule, tmp_path: Path) -> None:
    cache = _open(module, tmp_path, _Encoder())

    first, second, third = (cache.read(_keys(epoch)) for epoch in range(3))

    assert torch.equal(first, third)
    assert not torch.equal(first, second)


def test_a_repeat_within_an_epoch_reads_the_next_view(module: DataModule, tmp_path: Path) -> None:
    cache = _open(module, tmp_path, _Encoder())

    assert torch.equal(cache.read([Key(0, 3, repeat=1)]), cache.read([Key(1, 3)]))


def test_a_filled_cache_is_not_computed_again(module: DataModule, tmp_path: Path) -> None:
    _open(module, tmp_path, first := _Encoder())

    _open(module, tmp_path, second := _Encoder())

    assert (first.batches, second.batches) == (8, 0)


@pytest.mark.parametrize(
    ("changed", "batches"),
    [
        (dataclasses.replace(SPEC, fingerprint="other weights"), 8),
        (dataclasses.replace(SPEC, dtype="fp32"), 8),
        (dataclasses.replace(SPEC, photo_hashes=(*HASHES[:-3], "f" * 64, "e" * 64, "d" * 64)), 1),
        (dataclasses.replace(SPEC, num_views=3), 4),
        (dataclasses.replace(SPEC, photo_hashes=HASHES[::-1]), 0),
        (dataclasses.replace(SPEC, photo_hashes=HASHES[:20]), 0),
    ],
    ids=["weights", "format", "three photos", "one view more", "the order", "fewer photos"],
)
def test_only_what_a_change_makes_new_is_computed(
    module: DataModule, tmp_path: Path, changed: CacheSpec, batches: int
) -> None:
    _open(module, tmp_path, _Encoder())

    _open(module, tmp_path, encoder := _Encoder(), changed)

    assert encoder.batches == batches


def test_a_row_follows_its_photo_to_another_position(module: DataModule, tmp_path: Path) -> None:
    straight = _open(module, tmp_path, _Encoder()).read(_keys())

    turned = _open(module, tmp_path, _Encoder(), dataclasses.replace(SPEC, photo_hashes=HASHES[::-1])).read(_keys())

    assert torch.equal(turned, straight.flip(0))


def test_equal_photos_share_one_row(module: DataModule, tmp_path: Path) -> None:
    spec = dataclasses.replace(SPEC, photo_hashes=(*HASHES[:31], HASHES[0]), num_views=1)

    cache = _open(module, tmp_path, _Encoder(), spec)

    assert torch.equal(cache.read([Key(0, 31)]), cache.read([Key(0, 0)]))
    assert sum(len(list(file.ids())) for file in find_files(tmp_path)) == 31


@pytest.mark.parametrize("dies_at", [1, 2, 4, 8])
def test_a_fill_that_was_killed_keeps_the_files_it_finished(module: DataModule, tmp_path: Path, dies_at: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        _open(module, tmp_path, _Encoder(dies_at=dies_at))

    cache = _open(module, tmp_path, encoder := _Encoder())

    assert encoder.batches == 8 - (dies_at - 1) // 2 * 2
    assert torch.equal(cache.read(_keys(1)), _open(module, tmp_path / "other", _Encoder()).read(_keys(1)))


def test_what_a_killed_fill_left_half_is_removed(module: DataModule, tmp_path: Path) -> None:
    folder = tmp_path / SPEC.folder_name()
    folder.mkdir()
    (folder / ".rows.npy.x.tmp").write_bytes(b"half")
    (folder / "rows.npy").write_bytes(b"rows of nobody")

    _open(module, tmp_path, _Encoder())

    assert len(list(folder.glob("*.npy"))) == len(list(folder.glob("*.npz"))) == 4
    assert not list(folder.glob(".*.tmp"))


@pytest.fixture
def file(module: DataModule, tmp_path: Path) -> FeatureFile:
    """One of the four files of a filled cache."""
    _open(module, tmp_path, _Encoder())
    return find_files(tmp_path)[0]


def test_a_torn_file_is_computed_again(module: DataModule, tmp_path: Path, file: FeatureFile) -> None:
    file.rows_path.write_bytes(file.rows_path.read_bytes()[:-1])

    _open(module, tmp_path, encoder := _Encoder())

    assert encoder.batches == 2


@pytest.mark.parametrize("place", [40, -30, -1])
def test_a_flipped_byte_of_an_index_is_found_at_opening(
    module: DataModule, tmp_path: Path, file: FeatureFile, place: int
) -> None:
    _flip(file.path, place)

    _open(module, tmp_path, encoder := _Encoder())

    assert encoder.batches in (0, 2)  # 0: a byte that zip readers do not use; the rows' own checksums hold
    assert torch.equal(
        _open(module, tmp_path, _Encoder()).read(_keys(1)), _open(module, tmp_path / "b", _Encoder()).read(_keys(1))
    )


@pytest.mark.parametrize("row", range(16))
def test_a_flipped_byte_of_any_row_is_found_at_opening_when_all_rows_are_checked(
    module: DataModule, tmp_path: Path, file: FeatureFile, row: int
) -> None:
    _flip(file.rows_path, -1 - row * ROW_BYTES)

    _open(module, tmp_path, encoder := _Encoder(), store=FeatureStore(tmp_path, check_all=True))

    assert encoder.batches == 2


def test_a_flipped_byte_never_reaches_the_model(module: DataModule, tmp_path: Path, file: FeatureFile) -> None:
    cache = _open(module, tmp_path, _Encoder())
    _flip(file.rows_path, -1 - 5 * ROW_BYTES)

    with pytest.raises(DataError, match="damaged"):
        [cache.read(_keys(epoch)) for epoch in range(2)]

    _open(module, tmp_path, encoder := _Encoder())
    assert encoder.batches == 2


def _flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    with path.open("rb+") as out:  # in place: a memory map of the file sees it
        out.write(content)


@pytest.mark.parametrize("largest", [1e-12, 0.4, 65_504.0, 1e9])
def test_fp16_rows_hold_values_of_any_size_to_eleven_bits(largest: float) -> None:
    rows = np.random.default_rng(0).uniform(0.1, 1.0, (4, 50)).astype(np.float32) * np.float32(largest)

    stored, scales = scale_rows(rows, "fp16")

    assert np.isfinite(stored).all()
    assert np.abs(stored.astype(np.float32) * scales[:, None] / rows - 1).max() <= 2**-11


def test_a_row_of_zeros_comes_back_as_zeros() -> None:
    stored, scales = scale_rows(np.zeros((1, 4), dtype=np.float32), "fp16")

    assert (stored.astype(np.float32) * scales[:, None] == 0).all()


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("dtype", ["fp16", "fp32"])
def test_a_feature_that_is_no_number_is_an_error(value: float, dtype: cache_module.CacheDtype) -> None:
    with pytest.raises(DataError, match="not numbers"):
        scale_rows(np.array([[1.0, value]], dtype=np.float32), dtype)


def test_a_full_disk_is_said_before_anything_is_written(
    module: DataModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 10}))

    with pytest.raises(DataError, match="GB"):
        _open(module, tmp_path, encoder := _Encoder())

    assert encoder.batches == 0
    assert not find_files(tmp_path)


def test_what_cannot_fit_into_the_limit_is_refused_before_anything_is_computed(
    module: DataModule, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="--cache-gb"):
        _open(module, tmp_path, encoder := _Encoder(), store=FeatureStore(tmp_path, limit_gb=63 * ROW_BYTES / 1e9))

    assert encoder.batches == 0


def test_the_estimate_is_said_before_filling(
    module: DataModule, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _open(module, tmp_path, _Encoder())

    assert "64 × 0 kB" in capsys.readouterr().err


def test_the_files_used_longest_ago_make_room(module: DataModule, tmp_path: Path) -> None:
    for age, fingerprint in ((300, "oldest"), (200, "old")):
        _open(module, tmp_path, _Encoder(), dataclasses.replace(SPEC, fingerprint=fingerprint))
        for file in find_files(tmp_path / dataclasses.replace(SPEC, fingerprint=fingerprint).folder_name()):
            os.utime(file.path, (1e9 - age, 1e9 - age))
    size = sum(file.size_bytes for file in find_files(tmp_path))

    store = FeatureStore(tmp_path, limit_gb=(size + 10) / 1e9)
    _open(module, tmp_path, _Encoder(), store=store)

    left = [len(find_files(tmp_path / dataclasses.replace(SPEC, fingerprint=name).folder_name()))
            for name in ("oldest", "old", "weights")]  # fmt: skip
    assert left[0] < 4
    assert left[1:] == [4, 4]


def test_files_in_use_are_never_removed_for_others(module: DataModule, tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, limit_gb=100 * ROW_BYTES / 1e9)
    _open(module, tmp_path, _Encoder(), dataclasses.replace(SPEC, num_views=1), store=store)

    with pytest.raises(ConfigError, match="--cache-gb"):
        _open(module, tmp_path, _Encoder(), dataclasses.replace(SPEC, fingerprint="val"), store=store)

    assert find_files(tmp_path)


def test_features_that_nobody_uses_are_told_with_their_size(
    module: DataModule, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _open(module, tmp_path, _Encoder(), dataclasses.replace(SPEC, fingerprint="old"))
    capsys.readouterr()

    _open(module, tmp_path, _Encoder())

    assert "does not use" in capsys.readouterr().err


def _fill_in_a_process(root: Path, reader: PhotoReader, counts: object) -> None:
    encoder = _Encoder()
    FeatureStore(root).open(SPEC, reader, encoder, LoaderSettings(5, 0))
    counts.put(encoder.batches)  # type: ignore[attr-defined]


def test_of_two_processes_that_want_the_same_features_one_computes_them(module: DataModule, tmp_path: Path) -> None:
    context = get_context("spawn")
    counts = context.Queue()
    processes = [context.Process(target=_fill_in_a_process, args=(tmp_path, _reader(module), counts)) for _ in range(2)]

    for process in processes:
        process.start()
    computed = sorted(counts.get(timeout=120) for _ in processes)
    for process in processes:
        process.join()

    assert computed == [0, 2]  # 64 rows in batches of 32
    assert len(find_files(tmp_path)) == 1


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
