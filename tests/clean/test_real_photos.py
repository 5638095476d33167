"""The verdict on each of 27 odd files met in the wild, and on the licensed photo set."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest

from plantset.clean.config import CleanConfig
from plantset.clean.run import clean
from plantset.core.records import read_clean_records, read_rejected, rejected_path

KEPT = {
    "02_Corn_Gray_Spot (32).jpg": (),
    "07_4-70_thumb.png": (),
    "08_1-65_thumb.png": (),
    "09_1-29.png": (),
    "10_tsm2.png": (),
    "12_tsm3.png": (),
    "13_5-57_thumb (1).png": (),
    "16_5-7_thumb.png": (),
    "22_alfalfa-mosaic-virus-treatment-1536x1536.webp": (),
    "23_csm_basal_rot_fusarium_oxysporum_tomato_koppert_41b5d22c2b.webp": (),
    "24_fuzTscAPhiNPLNYMhQz2TL-774-80.jpg.webp": ("text-overlay",),  # a picture library's number
    "28_Dgqmiyeaqy-1080.webp": ("extension-mismatch", "text-overlay"),  # a university's name
    "29_how-to-get-rid-of-colorado-potato-beetles-780x520.webp": ("extension-mismatch",),
    "46_Corn_Blight (1107).jpg": ("extreme-aspect",),
    "50_Eight-spotted_flea_beetle_(Omophoita_cyanipennis_octomaculata).jpg": (),
    "53_redrot (450).jpeg": (),
    "55_redrot (483).jpeg": (),
    "60_Corn_Blight (208).jpg": (),
    "63_89d03cba-77b6-4197-9993-434138cf6eba___RS_GLSp 7303.JPG": (),
    "syn_trailing_garbage.jpg": ("trailing-data",),
}
REJECTED = {
    "00_streak virus626_.jpg": "corrupt",
    "01_leaf spot723_.jpg": "corrupt",
    "index.csv": "not-an-image",
    "syn_empty.jpg": "empty",
    "syn_html_404.jpg": "html-page",
    "syn_lfs_pointer.jpg": "git-lfs-pointer",
    "syn_truncated_half.jpg": "truncated",
    "syn_truncated_header.jpg": "truncated",
}


@pytest.fixture(scope="module")
def verdicts(plantdata_odd_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, ...] | str]:
    """What clean says of each odd file: its issues when kept, its reason when rejected."""
    folder = tmp_path_factory.mktemp("odd")
    shutil.copytree(plantdata_odd_dir, folder / "photos" / "leaf")
    config = CleanConfig(data_dir=folder / "photos", output_file=folder / "clean.jsonl", num_workers=0)
    clean(config)
    kept = {Path(record.source_path).name: record.issues for record in read_clean_records(config.output_file)}
    rejected = read_rejected(rejected_path(config.output_file))
    return {**kept, **{Path(record.source_path).name: record.reason for record in rejected}}


def test_every_odd_file_has_a_verdict_here(verdicts: dict[str, object]) -> None:
    assert set(verdicts) == set(KEPT) | set(REJECTED)


@pytest.mark.parametrize("name", KEPT)
def test_an_odd_but_whole_photo_is_kept(verdicts: dict[str, object], name: str) -> None:
    assert verdicts[name] == KEPT[name]


@pytest.mark.parametrize("name", REJECTED)
def test_what_is_no_whole_photo_is_rejected_for_the_right_reason(verdicts: dict[str, object], name: str) -> None:
    assert verdicts[name] == REJECTED[name]


@pytest.fixture(scope="module")
def cleaned(plantdata_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> CleanConfig:
    """Every 8th photo of the manifest, and all that share a group with one of them."""
    folder = tmp_path_factory.mktemp("real")
    with (plantdata_dir / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    groups = [row["near_dup_group"] for row in rows]
    chosen = [row for index, row in enumerate(rows) if index % 8 == 0 or groups.count(row["near_dup_group"]) > 1]
    table = folder / "manifest.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, chosen[0])
        writer.writeheader()
        writer.writerows(chosen)
    config = CleanConfig(
        data_dir=plantdata_dir,
        labels_csv=table,
        label_column="canonical",
        group_column="near_dup_group",
        style_column="style",
        source_column="source",
        min_size=96,
        test_ratio=0.2,
        num_workers=0,
        output_file=folder / "clean.jsonl",
    )
    clean(config)
    return config


def test_no_good_real_photo_is_refused_for_damage(cleaned: CleanConfig) -> None:
    reasons = {record.reason for record in read_rejected(rejected_path(cleaned.output_file))}

    assert reasons <= {"too-small"}


def test_groups_of_the_manifest_stay_in_one_split(cleaned: CleanConfig) -> None:
    splits: dict[str, set[str]] = {}
    for record in read_clean_records(cleaned.output_file):
        splits.setdefault(record.group, set()).add(record.split)

    assert {len(names) for names in splits.values()} == {1}


def test_the_groups_of_the_manifest_that_span_two_classes_are_flagged(cleaned: CleanConfig) -> None:
    flagged = {
        Path(record.source_path).stem.split("__")[0]
        for record in read_clean_records(cleaned.output_file)
        if "label-conflict" in record.issues
    }

    assert {"577", "381", "750_0325_0427_0222_0200", "1119_1211_0592_0217_0201"} <= flagged


def test_few_real_photos_are_flagged(cleaned: CleanConfig) -> None:
    records = read_clean_records(cleaned.output_file)

    flagged = sum(bool(set(record.issues) - {"label-conflict"}) for record in records)

    assert flagged / len(records) < 0.02
