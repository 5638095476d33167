"""The whole of clean, on real files in a temporary folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from plantset.clean.config import CleanConfig
from plantset.clean.report import CleanReport
from plantset.clean.run import clean
from plantset.core.errors import ConfigError, DataError
from plantset.core.language import set_message_language
from plantset.core.photo import encode_jpeg
from plantset.core.records import (
    CleanRecord,
    find_images_dir,
    meta_path,
    read_clean_records,
    read_meta,
    read_records,
    read_rejected,
    rejected_path,
)

WritePhoto = Callable[..., Path]
MakePixels = Callable[..., NDArray[np.uint8]]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return tmp_path / "photos"


@pytest.fixture
def config(tmp_path: Path, photos: Path) -> CleanConfig:
    return CleanConfig(data_dir=photos, output_file=tmp_path / "out" / "clean.jsonl", num_workers=0)


def records_of(config: CleanConfig) -> dict[str, CleanRecord]:
    return {record.source_path: record for record in read_clean_records(config.output_file)}


def reasons_of(config: CleanConfig) -> dict[str, str]:
    return {record.source_path: record.reason for record in read_rejected(rejected_path(config.output_file))}


def everything(folder: Path) -> dict[str, bytes]:
    """Every output but the journal, which knows when the source files were made."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(".work.jsonl")
    }


def test_every_file_found_is_kept_or_rejected(config: CleanConfig, photos: Path, write_photo: WritePhoto) -> None:
    write_photo(photos / "rust" / "1.jpg", 1)
    write_photo(photos / "rust" / "small.jpg", 2, width=300, height=255)
    (photos / "rust" / ".DS_Store").write_bytes(b"\x00\x01")
    (photos / "rust" / "empty.jpg").write_bytes(b"")
    (photos / "README.txt").write_text("hello", encoding="utf-8")

    report = clean(config)

    assert (report.found, report.kept, sum(report.rejected.values())) == (5, 1, 4)
    assert reasons_of(config) == {
        "README.txt": "not-an-image",
        "rust/.DS_Store": "not-an-image",
        "rust/empty.jpg": "empty",
        "rust/small.jpg": "too-small",
    }


def test_the_image_is_shrunk_by_its_longer_side(config: CleanConfig, photos: Path, write_photo: WritePhoto) -> None:
    write_photo(photos / "rust" / "1.jpg", 1, width=1200, height=600)

    clean(config)

    record = records_of(config)["rust/1.jpg"]
    assert (record.original_size, record.size) == ((1200, 600), (512, 256))
    with Image.open(config.output_file.parent / "clean_images" / record.image_path) as image:
        assert image.size == (512, 256)


def test_a_photo_smaller_than_the_target_keeps_its_size(
    config: CleanConfig, photos: Path, write_photo: WritePhoto
) -> None:
    write_photo(photos / "rust" / "1.jpg", 1, width=300, height=260)

    clean(config)

    assert records_of(config)["rust/1.jpg"].size == (300, 260)


def test_readers_find_the_images_without_being_told(config: CleanConfig, photos: Path, write_photo: WritePhoto) -> None:
    write_photo(photos / "rust" / "1.png", 1)
    clean(config)

    first = read_clean_records(config.output_file)[0]

    assert first.image_path == "rust/1.png.jpg"
    row = json.loads(config.output_file.read_text(encoding="utf-8")) | {"text": ""}
    config.output_file.write_text(json.dumps(row), encoding="utf-8")
    found = find_images_dir(config.output_file, read_records(config.output_file), None)
    assert (found / first.image_path).exists()


def test_the_sidecar_counts_and_lists_classes(config: CleanConfig, photos: Path, write_photo: WritePhoto) -> None:
    write_photo(photos / "scab" / "1.jpg", 1)
    write_photo(photos / "rust" / "1.jpg", 2)

    clean(replace(config, seed=7))

    meta = read_meta(config.output_file)
    assert meta is not None
    assert (meta.classes, meta.seed, meta.counts["found"], meta.counts["kept"]) == (("rust", "scab"), 7, 2, 2)


def test_the_sidecar_holds_a_command_that_repeats_the_run(
    config: CleanConfig, photos: Path, write_photo: WritePhoto
) -> None:
    write_photo(photos / "rust" / "1.jpg", 1)

    clean(replace(config, min_size=100))

    meta = read_meta(config.output_file)
    assert meta is not None
    assert meta.command.startswith(f"plantset clean --data-dir {photos} --min-size 100 ")


def test_an_exact_copy_is_rejected_and_names_its_twin(
    config: CleanConfig, photos: Path, write_photo: WritePhoto
) -> None:
    write_photo(photos / "rust" / "a.jpg", 1)
    write_photo(photos / "rust" / "b.jpg", 1)

    clean(config)

    (copy,) = read_rejected(rejected_path(config.output_file))
    assert (copy.source_path, copy.reason, copy.detail) == ("rust/b.jpg", "exact-copy", "of rust/a.jpg")


def test_an_exact_copy_leaves_no_image_behind(config: CleanConfig, photos: Path, write_photo: WritePhoto) -> None:
    write_photo(photos / "rust" / "a.jpg", 1)
    write_photo(photos / "rust" / "b.jpg", 1)

    report = clean(config)

    assert [path.name for path in report.images_dir.rglob("*.jpg")] == ["a.jpg.jpg"]


def test_one_photo_under_two_labels_is_kept_twice_and_flagged(
    config: CleanConfig, photos: Path, write_photo: WritePhoto
) -> None:
    write_photo(photos / "rust" / "a.jpg", 1)
    write_photo(photos / "scab" / "b.jpg", 1)
    write_photo(photos / "scab" / "c.jpg", 2)

    report = clean(config)

    records = records_of(config)
    assert records["rust/a.jpg"].issues == records["scab/b.jpg"].issues == ("label-conflict",)
    assert records["rust/a.jpg"].group == records["scab/b.jpg"].group
    assert records["rust/a.jpg"].split == records["scab/b.jpg"].split
    assert report.label_conflicts == (("rust/a.jpg", "scab/b.jpg"),)


def test_a_turned_copy_is_in_the_group_of_its_original(
    config: CleanConfig, photos: Path, write_photo: WritePhoto, make_pixels: MakePixels
) -> None:
    write_photo(photos / "rust" / "a.jpg", 1)
    (photos / "rust" / "b.jpg").write_bytes(encode_jpeg(np.rot90(make_pixels(1)), 60))
    write_photo(photos / "rust" / "c.jpg", 2)

    clean(config)

    records = records_of(config)
    assert records["rust/a.jpg"].group == records["rust/b.jpg"].group != records["rust/c.jpg"].group


def test_a_photo_turned_by_exif_is_in_the_group_of_its_original(
    config: CleanConfig, photos: Path, write_photo: WritePhoto, make_pixels: MakePixels
) -> None:
    write_photo(photos / "rust" / "a.jpg", 1)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(make_pixels(1)).save(photos / "rust" / "b.jpg", exif=exif)

    clean(config)

    records = records_of(config)
    assert records["rust/b.jpg"].original_size == (300, 400)
    assert records["rust/a.jpg"].group == records["rust/b.jpg"].group


def test_the_users_folders_are_the_splits(config: CleanConfig, photos: Path, write_photo: WritePhoto) -> None:
    for index, split in enumerate(("train", "val", "test")):
        write_photo(photos / split / "rust" / "1.jpg", index)

    clean(config)

    assert {record.source_path: record.split for record in records_of(config).values()} == {
        "train/rust/1.jpg": "train",
        "val/rust/1.jpg": "val",
        "test/rust/1.jpg": "test",
    }


def leaky(photos: Path, write_photo: WritePhoto, pixels: NDArray[np.uint8]) -> None:
    write_photo(photos / "train" / "rust" / "1.jpg", 1)
    write_photo(photos / "train" / "rust" / "2.jpg", 2)
    write_photo(photos / "val" / "rust" / "3.jpg", 3)
    (photos / "val" / "rust" / "again.jpg").write_bytes(encode_jpeg(np.fliplr(pixels), 60))


def test_a_leak_between_the_users_splits_is_reported(
    config: CleanConfig, photos: Path, write_photo: WritePhoto, make_pixels: MakePixels
) -> None:
    leaky(photos, write_photo, make_pixels(1))

    report = clean(config)

    assert (report.leaks, report.leaks_left) == (1, 1)
    assert "--fix-leaks" in report.summary()
    assert records_of(config)["train/rust/1.jpg"].split == "train"


def test_a_leak_is_mended_when_asked(
    config: CleanConfig, photos: Path, write_photo: WritePhoto, make_pixels: MakePixels
) -> None:
    leaky(photos, write_photo, make_pixels(1))

    report = clean(replace(config, fix_leaks=True))

    assert (report.leaks, report.leaks_left) == (1, 0)
    assert records_of(config)["train/rust/1.jpg"].split == "val"


def test_of_exact_copies_over_two_splits_the_held_out_one_stays(
    config: CleanConfig, photos: Path, write_photo: WritePhoto
) -> None:
    write_photo(photos / "train" / "rust" / "1.jpg", 1)
    write_photo(photos / "train" / "rust" / "2.jpg", 2)
    write_photo(photos / "val" / "rust" / "again.jpg", 1)

    report = clean(config)

    assert reasons_of(config) == {"train/rust/1.jpg": "exact-copy"}
    assert (report.leaks, report.leaks_left) == (1, 0)


def test_classes_with_few_groups_are_left_out_and_counted(
    config: CleanConfig, photos: Path, write_photo: WritePhoto
) -> None:
    for seed in range(3):
        write_photo(photos / "rust" / f"{seed}.jpg", seed)
    write_photo(photos / "scab" / "1.jpg", 9)

    report = clean(replace(config, min_group_count=2))

    assert (tuple(report.classes), dict(report.rejected)) == (("rust",), {"too-few-groups": 1})


def test_excluded_labels_are_left_out_and_counted(config: CleanConfig, photos: Path, write_photo: WritePhoto) -> None:
    write_photo(photos / "rust" / "1.jpg", 1)
    write_photo(photos / "unsure rust" / "1.jpg", 2)

    report = clean(replace(config, exclude_labels=("unsure *",)))

    assert (tuple(report.classes), dict(report.rejected)) == (("rust",), {"excluded-label": 1})


def test_class_folders_that_differ_by_case_or_spaces_are_proposed_not_merged(
    config: CleanConfig, photos: Path, write_photo: WritePhoto
) -> None:
    write_photo(photos / "Leaf  spot" / "1.jpg", 1)
    write_photo(photos / "leaf_spot" / "2.jpg", 2)

    report = clean(config)

    assert report.class_twins == (("Leaf  spot", "leaf_spot"),)
    assert len(report.classes) == 2


def test_twins_by_case_are_two_images(config: CleanConfig, photos: Path, write_photo: WritePhoto) -> None:
    write_photo(photos / "rust" / "A.jpg", 1)
    write_photo(photos / "rust" / "a.jpg", 2)
    if len(list((photos / "rust").iterdir())) == 1:
        pytest.skip("this file system has no twins by case")

    clean(config)

    names = {record.image_path.casefold() for record in records_of(config).values()}
    assert len(names) == 2


@pytest.mark.parametrize("name", ["two\nlines.jpg", "x" * 251 + ".jpg", 'ta\'che "é" 😀.jpg', "back\\slash.jpg"])
def test_an_odd_name_is_kept_like_any_other(
    config: CleanConfig, photos: Path, write_photo: WritePhoto, name: str
) -> None:
    write_photo(photos / "rust" / name, 1)

    clean(config)

    assert list(records_of(config)) == [f"rust/{name}"]


def test_a_folder_without_a_good_photo_is_an_error_that_counts_reasons(config: CleanConfig, photos: Path) -> None:
    (photos / "rust").mkdir(parents=True)
    (photos / "rust" / "1.jpg").write_bytes(b"")

    with pytest.raises(DataError, match="empty 1"):
        clean(config)


def test_photos_outside_any_class_folder_are_rejected(
    config: CleanConfig, photos: Path, write_photo: WritePhoto
) -> None:
    write_photo(photos / "loose.jpg", 1)
    write_photo(photos / "rust" / "1.jpg", 2)

    clean(config)

    assert reasons_of(config) == {"loose.jpg": "no-label"}


# ---- places and flags -----------------------------------------------------------------------------------------------


def test_an_output_inside_the_source_is_refused(config: CleanConfig, photos: Path, write_photo: WritePhoto) -> None:
    write_photo(photos / "rust" / "1.jpg", 1)

    with pytest.raises(ConfigError, match="never written to"):
        clean(replace(config, output_file=photos / "clean.jsonl"))


def test_an_images_folder_inside_the_source_is_refused(
    config: CleanConfig, photos: Path, write_photo: WritePhoto
) -> None:
    write_photo(photos / "rust" / "1.jpg", 1)

    with pytest.raises(ConfigError, match="never written to"):
        clean(replace(config, images_dir=photos / "clean"))


def test_the_source_is_left_as_it_was(config: CleanConfig, photos: Path, write_photo: WritePhoto) -> None:
    write_photo(photos / "rust" / "1.jpg", 1)
    write_photo(photos / "rust" / "2.jpg", 1)
    before = {path: path.stat().st_mtime_ns for path in photos.rglob("*")}

    clean(config)

    assert {path: path.stat().st_mtime_ns for path in photos.rglob("*")} == before


def test_an_images_folder_elsewhere_is_recorded(
    config: CleanConfig, photos: Path, tmp_path: Path, write_photo: WritePhoto
) -> None:
    write_photo(photos / "rust" / "1.jpg", 1)

    clean(replace(config, images_dir=tmp_path / "elsewhere"))

    meta = read_meta(config.output_file)
    assert meta is not None
    assert Path(meta.images_dir) == (tmp_path / "elsewhere").resolve()


@pytest.mark.parametrize(
    ("change", "flag"),
    [
        ({"min_size": 0}, "--min-size"),
        ({"target_size": 2}, "--target-size"),
        ({"val_ratio": 1.0}, "--val-ratio"),
        ({"test_ratio": -0.1}, "--test-ratio"),
        ({"val_ratio": 0.5, "test_ratio": 0.5}, "--test-ratio"),
        ({"min_group_count": 0}, "--min-group-count"),
        ({"num_workers": -1}, "--num-workers"),
        ({"group_column": "leaf"}, "--group-column"),
        ({"data_dir": None}, "photo folder"),
        ({"data_dir": Path("nowhere")}, "nowhere"),
    ],
)
def test_flags_that_make_no_sense_are_named(
    config: CleanConfig, photos: Path, change: dict[str, object], flag: str
) -> None:
    photos.mkdir()

    with pytest.raises(ConfigError, match=flag):
        clean(replace(config, **change))  # type: ignore[arg-type]


def test_a_table_without_a_data_dir_is_relative_to_its_own_folder(
    config: CleanConfig, photos: Path, write_photo: WritePhoto
) -> None:
    write_photo(photos / "1.jpg", 1)
    write_photo(photos / "2.jpg", 2)
    write_photo(photos / "3.jpg", 3)
    (photos / "t.csv").write_text("path,label,leaf,style\n1.jpg,rust,x,lab\n2.jpg,rust,x,field\n", encoding="utf-8")

    clean(replace(config, data_dir=None, labels_csv=photos / "t.csv", group_column="leaf", style_column="style"))

    records = records_of(config)
    assert sorted(records) == ["1.jpg", "2.jpg"]
    assert records["1.jpg"].group == records["2.jpg"].group
    assert records["2.jpg"].style == "field"


# ---- running again --------------------------------------------------------------------------------------------------


def grown(photos: Path, write_photo: WritePhoto, count: int = 12) -> None:
    for seed in range(count):
        write_photo(photos / ("rust" if seed % 2 else "scab") / f"{seed}.jpg", seed)


def test_a_second_run_reads_nothing_again_and_changes_nothing(
    config: CleanConfig, photos: Path, write_photo: WritePhoto
) -> None:
    grown(photos, write_photo)
    clean(config)
    before = everything(config.output_file.parent)

    again = clean(config)

    assert again.reused == 12
    assert everything(config.output_file.parent) == before


def test_a_changed_photo_is_done_again(config: CleanConfig, photos: Path, write_photo: WritePhoto) -> None:
    grown(photos, write_photo)
    clean(config)
    write_photo(photos / "rust" / "1.jpg", 99, width=500)

    again = clean(config)

    assert again.reused == 11
    assert records_of(config)["rust/1.jpg"].original_size == (500, 300)


def test_a_removed_photo_leaves_the_manifest_and_the_images(
    config: CleanConfig, photos: Path, write_photo: WritePhoto
) -> None:
    grown(photos, write_photo)
    report = clean(config)
    (photos / "rust" / "1.jpg").unlink()

    clean(config)

    assert "rust/1.jpg" not in records_of(config)
    assert not (report.images_dir / "rust" / "1.jpg.jpg").exists()


def test_a_deleted_image_is_made_again(config: CleanConfig, photos: Path, write_photo: WritePhoto) -> None:
    grown(photos, write_photo)
    report = clean(config)
    before = everything(config.output_file.parent)
    (report.images_dir / "rust" / "1.jpg.jpg").unlink()
    (report.images_dir / "rust" / "3.jpg.jpg").write_bytes(b"cut short")

    clean(config)

    assert everything(config.output_file.parent) == before


def test_other_sizes_redo_every_photo_and_leave_no_old_image(
    config: CleanConfig, photos: Path, write_photo: WritePhoto
) -> None:
    grown(photos, write_photo)
    write_photo(photos / "rust" / "small.jpg", 50, width=300, height=260)
    clean(config)

    report = clean(replace(config, min_size=280, target_size=128))

    assert report.reused == 0
    assert not (report.images_dir / "rust" / "small.jpg.jpg").exists()
    assert {max(record.size) for record in records_of(config).values()} == {128}


def test_a_new_seed_draws_again_without_reading_a_photo(
    config: CleanConfig, photos: Path, write_photo: WritePhoto
) -> None:
    grown(photos, write_photo)
    clean(config)
    before = [record.split for record in read_clean_records(config.output_file)]

    again = clean(replace(config, seed=5, new_splits=True))

    assert again.reused == 12
    assert [record.split for record in read_clean_records(config.output_file)] != before


def test_files_of_the_user_in_the_images_folder_are_never_removed(
    config: CleanConfig, photos: Path, write_photo: WritePhoto
) -> None:
    grown(photos, write_photo)
    report = clean(config)
    (report.images_dir / "holiday.jpg").write_bytes(b"mine")

    clean(replace(config, min_size=280))

    assert (report.images_dir / "holiday.jpg").read_bytes() == b"mine"


@pytest.mark.parametrize("cut", [1, 30, 200])
def test_a_journal_cut_off_by_a_kill_is_read_up_to_there(
    config: CleanConfig, photos: Path, write_photo: WritePhoto, cut: int
) -> None:
    grown(photos, write_photo)
    clean(config)
    before = everything(config.output_file.parent)
    journal = config.output_file.with_name("clean.work.jsonl")
    journal.write_bytes(journal.read_bytes()[:-cut])

    again = clean(config)

    assert again.reused == 11
    assert everything(config.output_file.parent) == before


def test_a_moved_source_gives_the_same_manifest(
    config: CleanConfig, photos: Path, tmp_path: Path, write_photo: WritePhoto
) -> None:
    grown(photos, write_photo)
    clean(config)
    before = config.output_file.read_bytes()
    shutil.move(photos, tmp_path / "moved")

    clean(replace(config, data_dir=tmp_path / "moved"))

    assert config.output_file.read_bytes() == before


def test_the_number_of_workers_changes_nothing(
    config: CleanConfig, photos: Path, tmp_path: Path, write_photo: WritePhoto
) -> None:
    grown(photos, write_photo, 40)
    (photos / "rust" / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    clean(config)
    alone = everything(config.output_file.parent)
    shutil.rmtree(config.output_file.parent)

    clean(replace(config, num_workers=2))

    told = "clean.config.json"  # it says how many workers there were
    assert everything(config.output_file.parent) | {told: b""} == alone | {told: b""}


# ---- what it says ---------------------------------------------------------------------------------------------------


@pytest.fixture
def report(config: CleanConfig, photos: Path, write_photo: WritePhoto, make_pixels: MakePixels) -> CleanReport:
    leaky(photos, write_photo, make_pixels(1))
    write_photo(photos / "val" / "scab" / "1.jpg", 1)
    (photos / "train" / "rust" / "soft.jpg").write_bytes(encode_jpeg(cv2.GaussianBlur(make_pixels(8), (0, 0), 8), 95))
    (photos / "notes.txt").write_text("x", encoding="utf-8")
    return clean(config)


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", ["6 photos kept of 7 files", "not-an-image 1", "blurred 1", "LEAK", "no photo in train: scab"]),
        ("fr", ["6 photos gardées sur 7 fichiers", "not-an-image 1", "FUITE", "aucune photo dans train : scab"]),
    ],
)
def test_the_summary_says_what_a_person_wants_to_know(report: CleanReport, language: str, said: list[str]) -> None:
    set_message_language(language)  # type: ignore[arg-type]
    try:
        summary = report.summary()
    finally:
        set_message_language(None)

    assert [phrase for phrase in said if phrase not in summary] == []


def test_rejecting_files_is_no_failure(report: CleanReport) -> None:
    assert report.exit_code == 0


def test_the_sidecar_exists(report: CleanReport) -> None:
    assert meta_path(report.manifest).exists()


def write_dated_photo(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Write a photo as a phone does: with its time and its place."""
    exif = Image.Exif()
    exif[0x8769] = {0x9003: "2024:05:03 14:05:09"}
    exif[0x8825] = {1: "N"}
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, "JPEG", quality=90, exif=exif)


def test_the_time_of_capture_is_left_out_of_the_manifest(
    config: CleanConfig, photos: Path, make_pixels: MakePixels
) -> None:
    write_dated_photo(photos / "rust" / "1.jpg", make_pixels(1))

    clean(config)

    assert records_of(config)["rust/1.jpg"].taken_at is None


def test_the_time_of_capture_is_kept_when_asked(config: CleanConfig, photos: Path, make_pixels: MakePixels) -> None:
    write_dated_photo(photos / "rust" / "1.jpg", make_pixels(1))

    clean(replace(config, keep_time=True))

    assert records_of(config)["rust/1.jpg"].taken_at == "2024-05-03T14:05:09"


def test_asking_for_the_time_later_needs_no_second_measuring(
    config: CleanConfig, photos: Path, make_pixels: MakePixels
) -> None:
    write_dated_photo(photos / "rust" / "1.jpg", make_pixels(1))
    clean(config)

    report = clean(replace(config, keep_time=True))

    assert report.reused == 1
    assert records_of(config)["rust/1.jpg"].taken_at == "2024-05-03T14:05:09"


def test_an_image_carries_no_exif_of_its_source(config: CleanConfig, photos: Path, make_pixels: MakePixels) -> None:
    write_dated_photo(photos / "rust" / "1.jpg", make_pixels(1))
    with Image.open(photos / "rust" / "1.jpg") as source:
        assert source.getexif().get_ifd(0x8825) == {1: "N"}

    report = clean(config)

    with Image.open(report.images_dir / "rust" / "1.jpg.jpg") as image:
        assert dict(image.getexif()) == {}
        assert "exif" not in image.info
