"""Damaged, huge and odd files each end as one line: kept with a mark, or rejected with a reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from plantset.clean.config import CleanConfig
from plantset.clean.run import clean
from plantset.core.records import CleanRecord, RejectedRecord, read_clean_records, read_rejected, rejected_path

MakePixels = Callable[..., NDArray[np.uint8]]


def jpeg(pixels: NDArray[np.uint8]) -> bytes:
    return bytes(simplejpeg.encode_jpeg(pixels, 95, "RGB", "444"))


def with_zeros(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes(64) + data[middle + 64 :]


def with_bomb_header(data: bytes) -> bytes:
    place = data.find(b"\xff\xc0") + 5
    return data[:place] + b"\xea\x60\xea\x60" + data[place + 4 :]


@pytest.fixture
def photos(tmp_path: Path, make_pixels: MakePixels) -> Path:
    folder = tmp_path / "photos" / "rust"
    folder.mkdir(parents=True)
    for seed in range(3):
        (folder / f"whole {seed}.jpg").write_bytes(jpeg(make_pixels(seed)))
    stepped = make_pixels(3).astype(np.int16)
    stepped[152:, :] += 30
    stepped[144:152, 200:] += 30
    (folder / "stepped.jpg").write_bytes(jpeg(np.clip(stepped, 0, 255).astype(np.uint8)))
    (folder / "zeros.jpg").write_bytes(with_zeros(jpeg(make_pixels(4))))
    (folder / "bomb.jpg").write_bytes(with_bomb_header(jpeg(make_pixels(5))))
    (folder / "cut.jpg").write_bytes(jpeg(make_pixels(6))[:-2000])
    Image.new("RGB", (15_000, 256)).save(folder / "strip.png")
    return tmp_path / "photos"


def cleaned(photos: Path) -> tuple[list[CleanRecord], list[RejectedRecord]]:
    output = photos.parent / "out" / "clean.jsonl"
    clean(CleanConfig(photos, output_file=output, num_workers=0))
    return list(read_clean_records(output)), list(read_rejected(rejected_path(output)))


def test_each_damaged_file_is_rejected_for_its_own_reason(photos: Path) -> None:
    _, rejected = cleaned(photos)

    assert {record.source_path.removeprefix("rust/"): record.reason for record in rejected} == {
        "zeros.jpg": "corrupt",
        "bomb.jpg": "too-many-pixels",
        "cut.jpg": "truncated",
        "strip.png": "extreme-shape",
    }


def test_a_photo_with_the_step_of_a_changed_bit_is_kept_and_marked(photos: Path) -> None:
    kept, _ = cleaned(photos)

    assert [record.source_path for record in kept if "suspected-damage" in record.issues] == ["rust/stepped.jpg"]


def test_every_file_is_one_line(photos: Path) -> None:
    kept, rejected = cleaned(photos)

    lines = sorted(record.source_path for record in [*kept, *rejected])
    assert lines == sorted(f"rust/{path.name}" for path in (photos / "rust").iterdir())
