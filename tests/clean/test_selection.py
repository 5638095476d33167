"""Which copy stays, seen from the command."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from plantset.clean.config import CleanConfig
from plantset.clean.run import clean
from plantset.core.photo import decode_photo, encode_jpeg
from plantset.core.records import read_clean_records, read_rejected, rejected_path

WritePhoto = Callable[..., Path]


@pytest.fixture
def config(tmp_path: Path, write_photo: WritePhoto) -> CleanConfig:
    """Six photos of two classes, and a smaller copy of the first."""
    for number in range(6):
        write_photo(tmp_path / "photos" / ("rust" if number % 2 else "scab") / f"{number}.jpg", number)
    pixels = decode_photo(tmp_path / "photos" / "scab" / "0.jpg").pixels
    small: NDArray[np.uint8] = np.asarray(cv2.resize(pixels, (360, 270), interpolation=cv2.INTER_AREA), dtype=np.uint8)
    (tmp_path / "photos" / "scab" / "-small.jpg").write_bytes(encode_jpeg(small))
    return CleanConfig(data_dir=tmp_path / "photos", output_file=tmp_path / "m.jsonl", num_workers=0, audit=False)


def reasons(config: CleanConfig) -> list[tuple[str, str]]:
    return [(record.source_path, record.reason) for record in read_rejected(rejected_path(config.output_file))]


def test_the_smaller_copy_stays_and_says_whose_it_is(config: CleanConfig) -> None:
    clean(config)

    copies = {record.source_path: record.copy_of for record in read_clean_records(config.output_file) if record.copy_of}

    assert copies == {"scab/-small.jpg": "scab/0.jpg"}


def test_near_copies_are_dropped_when_asked(config: CleanConfig) -> None:
    clean(replace(config, drop_duplicates=True))

    assert reasons(config) == [("scab/-small.jpg", "near-copy")]


def test_the_same_pixels_in_another_format_are_an_exact_copy(config: CleanConfig) -> None:
    assert config.data_dir is not None
    pixels = decode_photo(config.data_dir / "rust" / "1.jpg").pixels
    Image.fromarray(pixels).save(config.data_dir / "rust" / "z.png")

    clean(config)

    assert reasons(config) == [("rust/z.png", "exact-copy")]


def test_a_later_run_keeps_the_splits(config: CleanConfig, write_photo: WritePhoto) -> None:
    assert config.data_dir is not None
    clean(config)
    before = {record.sha256: record.split for record in read_clean_records(config.output_file)}
    for number in range(10, 20):
        write_photo(config.data_dir / "rust" / f"{number}.jpg", number)

    clean(replace(config, seed=9))

    after = {record.sha256: record.split for record in read_clean_records(config.output_file)}
    assert {sha256: after[sha256] for sha256 in before} == before
