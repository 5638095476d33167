"""Photos that show no plant: what `--embeddings` says of photos that other packages bring along, and of leaves."""

from __future__ import annotations

import json
import shutil
import time
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
from plantset.clean.seen import LeafPhoto, read_plant_shares, read_seen
from plantset.core.errors import DataError
from plantset.core.files import sha256_file
from plantset.core.photo import PhotoError, encode_jpeg
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


def test_a_photo_that_vanishes_is_named_and_what_was_seen_stays(folder: Path, tmp_path: Path) -> None:
    photos = [LeafPhoto(path, sha256_file(path)) for path in sorted((folder / "rust").iterdir())]
    shares = see_photos(photos[:3], tmp_path / "seen.npz")
    photos[4].path.unlink()

    with pytest.raises(PhotoError, match=photos[4].path.name):
        see_photos(photos, tmp_path / "seen.npz")

    for photo in photos[:3]:
        photo.path.unlink()
    assert see_photos(photos[:3], tmp_path / "seen.npz") == shares


def test_a_damaged_memory_is_named(tmp_path: Path) -> None:
    (tmp_path / "seen.npz").write_bytes(b"PK\x03\x04 cut off")

    with pytest.raises(DataError, match=r"seen\.npz"):
        read_seen(tmp_path / "seen.npz")


def test_what_a_minute_of_work_found_is_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = read_seen(tmp_path / "seen.npz")
    seen.features["a"], seen.plant_shares["a"] = np.zeros(112, dtype=np.float16), 0.5

    seen.save_in_time()
    assert not seen.path.exists()
    monkeypatch.setattr("time.monotonic", lambda clock=time.monotonic: clock() + 61)
    seen.save_in_time()

    assert read_plant_shares(seen.path) == {"a": 0.5}


def test_an_error_loses_nothing_that_was_seen(tmp_path: Path) -> None:
    seen = read_seen(tmp_path / "seen.npz")

    def fail() -> None:
        with seen.saved():
            seen.features["a"], seen.plant_shares["a"] = np.zeros(112, dtype=np.float16), 0.5
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()

    assert read_plant_shares(seen.path) == {"a": 0.5}


def test_photos_and_memory_in_a_store(s3: str, folder: Path, tmp_path: Path) -> None:
    store = pytest.importorskip("s3fs").S3FileSystem()
    store.mkdir("bucket")
    store.put(str(folder) + "/", "bucket/photos/", recursive=True)
    there = CleanConfig(
        Path("s3://bucket/photos"),
        output_file=Path("s3://bucket/out/clean.jsonl"),
        embeddings=True,
        num_workers=0,
        audit=False,
    )

    first = clean(there)
    shutil.rmtree(tmp_path / "cache")  # another machine
    again = clean(there)

    assert first.issues["not-a-leaf"] == again.issues["not-a-leaf"] >= 2
    assert again.splits_kept == again.kept == again.reused - 1  # one is a copy
    assert store.exists("bucket/out/clean.embeddings.npz")


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
