"""The review table outlives the run that wrote it."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plantset.core.errors import DataError
from plantset.core.records import CleanRecord, ManifestMeta, read_records, write_manifest
from plantset.knowledge.catalogue import load_catalogue
from plantset.knowledge.config import MapConfig
from plantset.knowledge.matching import LabelMatch, Matcher
from plantset.knowledge.review import review_path
from plantset.knowledge.run import map_texts
from tests.knowledge.name_lists import read_names


def _config(folder: Path, *labels: str, strict: bool = False) -> MapConfig:
    path = folder / "dataset_clean.jsonl"
    records = [
        CleanRecord(
            image_path=f"{index}.jpg",
            label=label,
            split="train",
            original_size=(300, 200),
            size=(300, 200),
            sha256=f"{index:064x}",
            phash=f"{index:016x}",
            group=str(index),
            source_path=f"photos/{index}.jpg",
        )
        for index, label in enumerate(labels)
    ]
    write_manifest(path, records, ManifestMeta("images", tuple(sorted(set(labels))), 7, "clean"))
    return MapConfig(dataset_jsonl=path, output_file=folder / "multi.jsonl", strict=strict)


def _decide(config: MapConfig, label: str, decision: str) -> None:
    """Fill in one decision as a French spreadsheet saves it: semicolons, and a byte-order mark."""
    table = review_path(config.output_file)
    with table.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    with table.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys(), delimiter=";")
        writer.writeheader()
        writer.writerows(row | {"decision": decision if row["label"] == label else ""} for row in rows)


def _disease(config: MapConfig, label: str) -> str | None:
    return next(record.disease_id for record in read_records(config.output_file) if record.label == label)


def test_a_decision_is_remembered_by_later_runs(tmp_path: Path) -> None:
    config = _config(tmp_path, "Bacterial spot", strict=True)
    with pytest.raises(DataError):
        map_texts(config)
    _decide(config, "Bacterial spot", "peach--bacterial-spot")

    map_texts(config)
    map_texts(config)

    assert _disease(config, "Bacterial spot") == "peach--bacterial-spot"


def test_a_decision_outlives_a_run_without_its_label(tmp_path: Path) -> None:
    config = _config(tmp_path, "Bacterial spot", "Tomato___Late_blight")
    map_texts(config)
    _decide(config, "Bacterial spot", "peach--bacterial-spot")
    map_texts(_config(tmp_path, "Tomato___Late_blight"))

    map_texts(_config(tmp_path, "Bacterial spot"))

    assert _disease(config, "Bacterial spot") == "peach--bacterial-spot"


def test_photos_and_their_order_change_no_match(tmp_path: Path) -> None:
    labels = ("Bacterial spot", "Tomato___Late_blight", "maize_MSV")
    map_texts(_config(tmp_path, *labels))
    first = {record.label: record.match for record in read_records(tmp_path / "multi.jsonl")}

    map_texts(_config(tmp_path, *reversed(labels), *labels))

    assert {record.label: record.match for record in read_records(tmp_path / "multi.jsonl")} == first


_LABELS = [name.label for file in ("adversarial.tsv", "third.tsv") for name in read_names(file)]


@settings(deadline=None, max_examples=15)
@given(st.lists(st.sampled_from(_LABELS), min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_a_match_depends_on_no_other_label_and_no_order(labels: list[str], random: Random) -> None:
    shuffled = [*labels, *labels]
    random.shuffle(shuffled)
    fresh = Matcher(_CATALOGUE)

    matches = {label: fresh.match(label) for label in shuffled}

    assert matches == {label: _alone(label) for label in labels}


@settings(deadline=None, max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(("Bacterial spot", "Tomato___Late_blight", "maize_MSV", "rust")), min_size=1))
def test_the_number_of_photos_changes_no_match(tmp_path: Path, labels: list[str]) -> None:
    map_texts(_config(tmp_path, *labels))

    found = {record.label: record.disease_id for record in read_records(tmp_path / "multi.jsonl")}
    assert found == {label: _alone(label).disease_id for label in labels}


def test_the_table_stands_beside_the_output_under_its_own_name(tmp_path: Path) -> None:
    map_texts(_config(tmp_path, "Bacterial spot"))

    assert (tmp_path / "mapping_review.csv").exists()


def test_the_command_exits_2_under_strict_until_every_label_is_decided(tmp_path: Path) -> None:
    config = _config(tmp_path, "Bacterial spot", "Tomato___Late_blight")
    command = [sys.executable, "-m", "plantset", "map", "--strict", "--lang", "en"]
    command += ["--dataset-jsonl", str(config.dataset_jsonl), "--output-file", str(config.output_file)]

    first = subprocess.run(command, capture_output=True, text=True, check=False)
    _decide(config, "Bacterial spot", "peach--bacterial-spot")
    second = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (first.returncode, second.returncode) == (2, 0)
    assert "Bacterial spot" in first.stderr
    assert "mapping_review.csv" in first.stderr


_CATALOGUE = load_catalogue()
_MATCHER = Matcher(_CATALOGUE)


def _alone(label: str) -> LabelMatch:
    return _MATCHER.match(label)
