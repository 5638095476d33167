"""The review table outlives the run that wrote it."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from plantset.core.errors import DataError
from plantset.core.records import CleanRecord, ManifestMeta, read_records, write_manifest
from plantset.knowledge.config import MapConfig
from plantset.knowledge.review import review_path
from plantset.knowledge.run import map_texts


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
