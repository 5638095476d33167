"""Photos that show no plant: what `--embeddings` says of photos that other packages bring along, and of leaves."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.cbook import get_sample_data
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_sample_image

from plantset.clean.config import CleanConfig
from plantset.clean.embeddings import MIN_PLANT_SHARE, see_photos
from plantset.clean.run import clean
from plantset.clean.seen import LeafPhoto
from plantset.core.files import sha256_file
from plantset.core.photo import encode_jpeg
from plantset.core.records import read_clean_records
from tests.clean.conftest import MakePixels


def portrait() -> NDArray[np.uint8]:
    """Grace Hopper in uniform."""
    with get_sample_data("grace_hopper.jpg") as file:
        return np.asarray(Image.open(file).convert("RGB"))


@pytest.fixture
def folder(tmp_path: Path, make_pixels: MakePixels) -> Path:
    """A temple, a woman and a flower between leaves, one of them twice."""
    pictures = {f"leaf_{seed}": make_pixels(seed) for seed in range(4)}
    pictures |= {
        "temple": load_sample_image("china.jpg"),
        "woman": portrait(),
        "flower": load_sample_image("flower.jpg"),
    }
    made = tmp_path / "photos" / "rust"
    made.mkdir(parents=True)
    for name, pixels in pictures.items():
        (made / f"{name}.jpg").write_bytes(encode_jpeg(pixels))
    (made / "leaf_again.jpg").write_bytes((made / "leaf_0.jpg").read_bytes())
    return made.parent


def test_a_temple_and_a_woman_are_no_plants_and_a_flower_is(folder: Path, tmp_path: Path) -> None:
    photos = [LeafPhoto(path, sha256_file(path)) for path in sorted((folder / "rust").iterdir())]

    shares = dict(zip((photo.path.stem for photo in photos), see_photos(photos, tmp_path / "seen.npz"), strict=True))

    assert max(shares["temple"], shares["woman"]) < MIN_PLANT_SHARE / 2
    assert shares["flower"] > 0.5
    assert shares["leaf_again"] == shares["leaf_0"]


@pytest.fixture
def config(folder: Path, tmp_path: Path) -> CleanConfig:
    return CleanConfig(folder, output_file=tmp_path / "clean.jsonl", embeddings=True, num_workers=0, audit=False)


def test_clean_marks_them_and_keeps_them(config: CleanConfig) -> None:
    clean(config)

    marked = {
        Path(one.source_path).stem for one in read_clean_records(config.output_file) if "not-a-leaf" in one.issues
    }
    assert {"temple", "woman"} <= marked
    assert "flower" not in marked


def test_reject_leaves_them_out_with_the_reason(config: CleanConfig) -> None:
    report = clean(CleanConfig(**{**config.__dict__, "reject": ("not-a-leaf",)}))

    lines = config.output_file.with_name("clean.rejected.jsonl").read_text(encoding="utf-8").splitlines()
    reasons = {Path(row["source_path"]).stem: row["reason"] for row in map(json.loads, lines)}
    assert {reasons["temple"], reasons["woman"]} == {"not-a-leaf"}
    assert report.kept + sum(report.rejected.values()) == report.found
