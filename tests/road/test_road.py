"""`plantset run`: one command from photos to a judged model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from plantset.core.records import read_records


@pytest.fixture(scope="module")
def demo_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("road")
    drawn = plantset("demo-data", "--run-dir", "demo", "--photos-per-class", "6", "--workers", "1", folder=folder)
    assert drawn.returncode == 0, drawn.stderr
    return folder


@pytest.fixture(scope="module")
def first(demo_dir: Path) -> subprocess.CompletedProcess[str]:
    return go(demo_dir)


def go(folder: Path) -> subprocess.CompletedProcess[str]:
    words = ["run", "demo/leaves", "--diseases-json", "demo/maladies_enrichies.json"]
    return plantset(*words, "--epochs", "1", "--freeze-vision", folder=folder)


def plantset(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "plantset", *words],
        cwd=folder,
        env={**os.environ, "PLANTSET_LANG": "en", "PYTHONIOENCODING": "utf-8", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=900,
    )


@pytest.mark.slow
def test_a_folder_with_broken_photos_goes_all_the_way(first: subprocess.CompletedProcess[str]) -> None:
    assert first.returncode == 0, first.stderr[-3000:]


@pytest.mark.slow
def test_the_end_names_the_report_the_model_and_what_to_do_next(
    first: subprocess.CompletedProcess[str], demo_dir: Path
) -> None:
    named = dict(line.split(maxsplit=1) for line in first.stdout.splitlines())

    assert (demo_dir / named["report:"]).is_file()
    assert (demo_dir / named["model:"]).is_file()
    assert named["next:"].startswith("plantset infer --checkpoint plantset_run/checkpoints/best_model.pth --image")


@pytest.mark.slow
def test_each_stage_is_shown_as_the_command_that_repeats_it(first: subprocess.CompletedProcess[str]) -> None:
    shown = [line.split()[2] for line in first.stderr.splitlines() if line.startswith("$ plantset ")]

    assert shown[:4] == ["clean", "map", "train", "evaluate"]


@pytest.mark.slow
def test_the_config_that_was_used_stands_beside_the_results(
    first: subprocess.CompletedProcess[str], demo_dir: Path
) -> None:
    config = json.loads((demo_dir / "plantset_run" / "run_config.json").read_text(encoding="utf-8"))

    assert (config["photos"], config["epochs"]) == ("demo/leaves", 1)


@pytest.mark.slow
def test_run_again_it_ends_the_same(first: subprocess.CompletedProcess[str], demo_dir: Path) -> None:
    before = read_records(demo_dir / "plantset_run" / "multimodal_dataset.jsonl")

    again = go(demo_dir)

    assert (again.returncode, again.stdout) == (first.returncode, first.stdout), again.stderr[-3000:]
    assert read_records(demo_dir / "plantset_run" / "multimodal_dataset.jsonl") == before
