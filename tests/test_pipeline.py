"""The whole road on a few made-up leaves, each stage through the command that users type."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from plantset.core.records import read_clean_records, read_records, read_rejected, rejected_path
from plantset.demo.config import DemoDataConfig
from plantset.demo.data import make_demo_data


def plantset(*words: str | Path, cwd: Path) -> str:
    """Run the command in a process of its own and return what it printed."""
    command = [sys.executable, "-m", "plantset", *map(str, words)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, encoding="utf-8")
    assert done.returncode in (0, 3), done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def road(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the documented commands ran one after the other, with their default file names."""
    folder = tmp_path_factory.mktemp("road")
    make_demo_data(DemoDataConfig(run_dir=folder, photos_per_class=6, size_px=96, workers=1))
    plantset("clean", "--data-dir", "leaves", "--min-size", "80", "--num-workers", "1", cwd=folder)
    plantset("map", "--diseases-json", "maladies_enrichies.json", "--photo-texts", "photo_texts.jsonl", cwd=folder)
    training = ("--epochs", "1", "--cache-views", "1", "--num-workers", "0", "--num-threads", "1", "--image-size", "96")
    plantset("train", "--jsonl-file", "multimodal_dataset.jsonl", *training, cwd=folder)
    plantset(
        *("evaluate", "--checkpoint", "checkpoints/best_model.pth", "--jsonl-file", "multimodal_dataset.jsonl"),
        *("--caption-count", "4", "--bootstrap-count", "20"),
        cwd=folder,
    )
    return folder


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_kept_and_rejected_files_add_up_to_the_files_found(road: Path) -> None:
    found = [path for path in (road / "leaves").rglob("*") if path.is_file()]

    kept, rejected = (
        read_clean_records(road / "dataset_clean.jsonl"),
        read_rejected(rejected_path(road / "dataset_clean.jsonl")),
    )

    assert len(kept) + len(rejected) == len(found)


def test_every_mapped_photo_lies_where_its_record_says(road: Path) -> None:
    records = read_records(road / "multimodal_dataset.jsonl")

    assert all((road / "dataset_clean_images" / record.image_path).is_file() for record in records)


def test_a_new_process_scores_the_checkpoint_as_training_did(road: Path) -> None:
    trained = read(road / "checkpoints" / "train_report.json")

    scores = read(road / "evaluation_results" / "metrics.json")["classification"]

    assert scores["accuracy"]["value"] == trained["val_accuracy"]
    assert scores["macro_f1"]["value"] == pytest.approx(trained["val_macro_f1"], abs=1e-12)


def test_training_leaves_what_people_look_at(road: Path) -> None:
    left = {path.name for path in (road / "checkpoints").iterdir()}

    assert {"best_model.pth", "last_model.pth", "train_batch.jpg", "history.csv", "history.png", "run.json"} <= left


def test_a_photo_is_answered_with_probabilities_that_add_up(road: Path) -> None:
    photo = next((road / "dataset_clean_images").rglob("*.jpg"))

    plantset(
        *("infer", "--checkpoint", "checkpoints/best_model.pth", "--image", photo, "--top-k", "1000"),
        *("--generate-description", "--output", "infer.json"),
        cwd=road,
    )

    (answer,) = read(road / "infer.json")
    assert sum(candidate["probability"] for candidate in answer["candidates"]) == pytest.approx(1.0)


def test_the_source_folder_is_as_it_was(road: Path, tmp_path: Path) -> None:
    make_demo_data(DemoDataConfig(run_dir=tmp_path, photos_per_class=6, size_px=96, workers=1))

    before = {
        path.relative_to(tmp_path): path.read_bytes() for path in (tmp_path / "leaves").rglob("*") if path.is_file()
    }
    after = {path.relative_to(road): path.read_bytes() for path in (road / "leaves").rglob("*") if path.is_file()}
    assert after == before
