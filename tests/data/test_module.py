"""Manifest -> loaders: workers, broken photos, the contract's keywords, the halves of val."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from plantset.core.errors import ConfigError, DataError
from plantset.core.photo import PhotoError, decode_photo
from plantset.core.records import Record
from plantset.data.batch import Batch
from plantset.data.geometry import fit_photo
from plantset.data.module import DataModule, create_data_module, photo_batches, split_val_in_two
from tests.fake_leaves import CLASS_IDS, leaf_record, write_leaves


def _module(manifest: Path, **settings: object) -> DataModule:
    return create_data_module(
        manifest,
        **{"batch_size": 5, "image_size": 24, "text_length": 30, "num_workers": 0, **settings},  # type: ignore[arg-type]
    )


def _assert_equal(left: Batch, right: Batch) -> None:
    for field in dataclasses.fields(Batch):
        one, other = getattr(left, field.name), getattr(right, field.name)
        if isinstance(one, torch.Tensor):
            assert torch.equal(one, other), field.name
        else:
            assert one == other, field.name


def test_the_contracts_call_gives_train_val_and_test_batches(manifest: Path) -> None:
    data_module = create_data_module(
        jsonl_file=str(manifest), root_dir=str(manifest.parent / "images"), batch_size=64, image_size=384,
        text_length=256, augment=True, num_workers=0, pin_memory=False,
    )  # fmt: skip

    batch = next(iter(data_module.train_dataloader()))

    assert data_module.num_classes == 4
    assert batch.pixels_BHWC is not None
    assert (batch.pixels_BHWC.shape, batch.pixels_BHWC.dtype) == ((64, 384, 384, 3), torch.uint8)
    assert batch.caption_ids_BT.shape == (64, 256)
    assert batch.weights_B.sum() == 32
    assert sum(int(b.weights_B.sum()) for b in data_module.val_dataloader()) == 16
    assert sum(int(b.weights_B.sum()) for b in data_module.test_dataloader()) == 8


def test_two_spawned_workers_give_the_batches_of_none(manifest: Path) -> None:
    alone = list(_module(manifest).train_dataloader(epoch=3))

    shared = list(_module(manifest, num_workers=2).train_dataloader(epoch=3))

    assert len(shared) == len(alone) == 7
    for left, right in zip(shared, alone, strict=True):
        _assert_equal(left, right)


def test_an_epoch_taken_up_in_the_middle_gives_the_same_batches(manifest: Path) -> None:
    whole = list(_module(manifest).train_dataloader(epoch=1))

    resumed = list(_module(manifest).train_dataloader(epoch=1, start=20))

    assert len(resumed) == 3
    for left, right in zip(resumed, whole[4:], strict=True):
        _assert_equal(left, right)


def _reader_processes() -> set[int]:
    return {process.pid for process in multiprocessing.active_children() if process.pid is not None}


def test_the_same_workers_read_every_epoch(manifest: Path) -> None:
    epochs = _module(manifest, num_workers=1).train_epochs()
    first = list(epochs.epoch(0))
    workers = _reader_processes()

    third = list(epochs.epoch(2, start=5))

    assert _reader_processes() == workers != set()
    assert len(first) == 7
    for left, right in zip(third, _module(manifest).train_dataloader(epoch=2, start=5), strict=True):
        _assert_equal(left, right)


def _views(module: DataModule, epoch: int = 0) -> dict[int, torch.Tensor]:
    """Return each training photo's view in one epoch."""
    views: dict[int, torch.Tensor] = {}
    for batch in module.train_dataloader(epoch=epoch):
        assert batch.pixels_BHWC is not None
        views |= dict(zip(batch.indices_B.tolist(), batch.pixels_BHWC, strict=True))
    return views


def test_a_photos_view_does_not_depend_on_the_batch_it_is_in(manifest: Path) -> None:
    views = [_views(_module(manifest, batch_size=size)) for size in (5, 8)]

    assert len(views[0]) == 32
    assert all(torch.equal(view, views[1][index]) for index, view in views[0].items())


def test_another_epoch_shows_another_view_of_each_photo(manifest: Path) -> None:
    first, second = (_views(_module(manifest), epoch) for epoch in (0, 1))

    assert not any(torch.equal(first[index], second[index]) for index in range(32))


def test_val_photos_come_in_manifest_order_as_inference_sees_them(manifest: Path) -> None:
    module = _module(manifest)
    records = module.split("val")

    batch = next(iter(module.val_dataloader()))

    expected = np.stack(
        [fit_photo(decode_photo(module.images_dir / r.image_path).pixels, module.preprocess) for r in records[:5]]
    )
    assert np.array_equal(batch.pixels_BHWC, expected)
    assert set(batch.notes) == {None}


def test_without_augmentation_training_sees_the_whole_photo(manifest: Path) -> None:
    module = _module(manifest, augment=False)

    first, second = (_views(module, epoch) for epoch in (0, 1))

    assert all(torch.equal(first[index], second[index]) for index in range(32))


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_broken_photo_is_an_error_that_names_the_file(tmp_path: Path, num_workers: int) -> None:
    manifest = write_leaves(tmp_path, (("train", 2),), classes=CLASS_IDS[:2])
    broken = tmp_path / "images" / f"{CLASS_IDS[1]}_train_1.jpg"
    broken.write_bytes(broken.read_bytes()[:300])

    with pytest.raises(PhotoError) as refused:
        list(_module(manifest, num_workers=num_workers).train_dataloader())

    assert broken.name in refused.value.problem


def test_a_missing_photo_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    manifest = write_leaves(tmp_path, (("train", 2),), classes=CLASS_IDS[:2])
    gone = tmp_path / "images" / f"{CLASS_IDS[1]}_train_1.jpg"
    gone.unlink()

    with pytest.raises(PhotoError) as refused:
        list(_module(manifest).train_dataloader())

    assert gone.name in refused.value.problem


def test_a_split_is_picked_out_of_the_manifest_once(manifest: Path) -> None:
    """Asking for it in a loop over its photos once made the start of 100,000 of them take 92 s instead of 9."""
    data = _module(manifest)

    assert data.split("val") is data.split("val")
    assert [r.image_path for r in data.split("val")] == [r.image_path for r in data.records if r.split == "val"]


def test_an_empty_split_is_named_with_what_there_is(tmp_path: Path) -> None:
    module = _module(write_leaves(tmp_path, (("train", 2),), classes=CLASS_IDS[:2]))

    with pytest.raises(DataError, match="val") as refused:
        module.val_dataloader()

    assert "'train': 4" in refused.value.fix


@pytest.mark.parametrize("name", ["batch_size", "image_size", "text_length"])
def test_a_number_below_one_is_refused_by_name(manifest: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        _module(manifest, **{name: 0})


def test_a_negative_number_of_workers_is_refused(manifest: Path) -> None:
    with pytest.raises(ConfigError, match="num_workers"):
        _module(manifest, num_workers=-1)


def test_a_sidecar_that_contradicts_the_records_is_refused(tmp_path: Path) -> None:
    manifest = write_leaves(tmp_path, (("train", 2),), classes=CLASS_IDS[:2])
    lines = manifest.read_text(encoding="utf-8").splitlines()
    manifest.write_text("\n".join(lines[:2]) + "\n", encoding="utf-8")

    with pytest.raises(DataError, match=CLASS_IDS[1]):
        _module(manifest)


def test_a_minimal_manifest_loads(tmp_path: Path) -> None:
    write_leaves(tmp_path, (("train", 1),))
    rows = [
        f'{{"image_path": "{c}_train_0.jpg", "label": "{c}", "split": "train", "text": "Feuille."}}' for c in CLASS_IDS
    ]
    (tmp_path / "plain.jsonl").write_text("\n".join(rows), encoding="utf-8")

    module = _module(tmp_path / "plain.jsonl", root_dir=tmp_path / "images", batch_size=4)

    batch = next(iter(module.train_dataloader()))
    assert sorted(batch.labels_B.tolist()) == [0, 1, 2, 3]
    assert set(batch.notes) == {None}


def test_counts_are_of_training_photos_alone(manifest: Path) -> None:
    assert _module(manifest).class_counts.tolist() == [8, 8, 8, 8]


def test_moving_a_batch_keeps_what_is_in_it(manifest: Path) -> None:
    batch = next(iter(_module(manifest).train_dataloader()))

    _assert_equal(batch.to(torch.device("cpu")), batch)


def test_photo_batches_end_with_a_short_one_and_keep_the_order(manifest: Path) -> None:
    module = _module(manifest)
    records = module.split("val")

    batches = list(photo_batches(records, module.images_dir, module.preprocess, batch_size=6))

    assert [record for rows, _ in batches for record in rows] == list(records)
    assert [len(pixels) for _, pixels in batches] == [6, 6, 4]


VAL = [leaf_record(f"{c}_{n}.jpg", c, "val", group=f"{c}_{n // 3}") for c in CLASS_IDS for n in range(15)]


def _groups(records: list[Record], positions: list[int]) -> set[str | None]:
    return {records[position].group for position in positions}


def test_no_group_stands_in_both_halves_of_val_and_none_is_lost() -> None:
    selection, calibration = split_val_in_two(VAL, seed=0)

    assert not _groups(VAL, selection) & _groups(VAL, calibration)
    assert sorted(selection + calibration) == list(range(60))


@pytest.mark.parametrize("class_id", CLASS_IDS)
def test_each_class_has_groups_in_both_halves(class_id: str) -> None:
    halves = split_val_in_two(VAL, seed=0)

    counts = [len({VAL[p].group for p in half if VAL[p].class_id == class_id}) for half in halves]

    assert sorted(counts) == [2, 3]


def test_the_halves_depend_on_the_seed_alone() -> None:
    assert split_val_in_two(VAL, seed=1) == split_val_in_two(VAL, seed=1)
    assert split_val_in_two(VAL, seed=1) != split_val_in_two(VAL, seed=2)


def test_a_group_over_two_classes_stays_whole() -> None:
    mixed = [leaf_record(f"{n}.jpg", CLASS_IDS[n % 2], "val", group=f"g{n // 4}") for n in range(16)]

    selection, calibration = split_val_in_two(mixed, seed=0)

    assert not _groups(mixed, selection) & _groups(mixed, calibration)


def test_photos_without_a_group_are_each_their_own() -> None:
    lone = [leaf_record(f"{n}.jpg", CLASS_IDS[0], "val") for n in range(8)]

    assert [len(half) for half in split_val_in_two(lone, seed=0)] == [4, 4]


@pytest.mark.parametrize("num_workers", [0, 1])
def test_reading_photos_leaves_the_random_numbers_of_dropout_alone(manifest: Path, num_workers: int) -> None:
    data_module = _module(manifest, num_workers=num_workers)
    before = torch.get_rng_state()

    list(data_module.train_dataloader())
    list(data_module.val_dataloader())

    assert torch.equal(torch.get_rng_state(), before)


def _held() -> tuple[int, int]:
    """Return this process's open files and resident bytes, as Linux tells them."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return len(list(Path("/proc/self/fd").iterdir())), pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="asks Linux what the process holds")
@pytest.mark.parametrize("num_workers", [0, 1])
def test_fifty_epochs_leave_no_file_open_and_no_memory_taken(manifest: Path, num_workers: int) -> None:
    data_module = _module(manifest, num_workers=num_workers, image_size=96)
    epochs, val = data_module.train_epochs(), data_module.val_dataloader(keep_workers=True)

    def run(start: int, end: int) -> tuple[int, int]:
        for epoch in range(start, end):
            for loader in (epochs.epoch(epoch), val):
                for _ in loader:
                    pass
        return _held()

    files, memory = run(0, 5)
    files_after, memory_after = run(5, 50)

    assert files_after <= files
    assert memory_after - memory < 10e6  # the pixels of 45 epochs would be 60 MB
