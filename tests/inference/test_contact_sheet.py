"""The contact sheet: every photo beside its map, with what such a map can't tell."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from plantset.core.errors import ConfigError, DataError
from plantset.core.language import set_message_language
from plantset.core.photo import encode_jpeg
from plantset.inference.config import ExplainConfig
from plantset.inference.contact_sheet import explain, half_area


@pytest.fixture
def config(photos_dir: Path, checkpoint: Path, tmp_path: Path) -> ExplainConfig:
    return ExplainConfig((photos_dir,), checkpoint, output=tmp_path / "sheet.html", batch_size=3, device="cpu")


def pictures(page: Path) -> list[np.ndarray]:
    found = re.findall(r"data:image/jpeg;base64,([^\"]+)", page.read_text(encoding="utf-8"))
    return [cv2.imdecode(np.frombuffer(base64.b64decode(code), np.uint8), cv2.IMREAD_COLOR) for code in found]


def test_each_photo_stands_beside_its_map(config: ExplainConfig, photos_dir: Path) -> None:
    report = explain(config)

    shown = pictures(config.output)
    assert (report.num_photos, len(shown)) == (8, 16)
    assert (report.exit_code, report.errors) == (0, ())
    assert all(a.shape == b.shape and (a != b).any() for a, b in zip(shown[::2], shown[1::2], strict=True))


def test_a_map_has_the_shape_of_its_photo(config: ExplainConfig, tmp_path: Path) -> None:
    wide = tmp_path / "wide.jpg"
    wide.write_bytes(encode_jpeg(np.random.default_rng(0).integers(0, 255, (60, 180, 3), dtype=np.uint8)))

    explain(replace(config, photos=(wide,)))

    assert [picture.shape for picture in pictures(config.output)] == [(60, 180, 3)] * 2


def test_a_broken_photo_is_named_and_the_rest_goes_on(config: ExplainConfig, photo: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8 no photo")

    report = explain(replace(config, photos=(broken, photo)))

    assert (report.num_photos, report.exit_code) == (1, 3)
    assert "broken.jpg" in config.output.read_text(encoding="utf-8")


def test_a_photo_that_is_given_twice_is_shown_once(config: ExplainConfig, photo: Path) -> None:
    assert explain(replace(config, photos=(photo, photo.parent))).num_photos == 8


def test_limit_takes_photos_from_all_over_the_folder(config: ExplainConfig, photos_dir: Path) -> None:
    explain(replace(config, limit=2))

    page = config.output.read_text(encoding="utf-8")
    first, *_, last = sorted(photos_dir.glob("*.jpg"))
    assert [path.name for path in sorted(photos_dir.glob("*.jpg")) if path.name in page] == [first.name, last.name]
    assert "--limit 8" in page


def test_the_page_says_what_a_map_cannot_tell(config: ExplainConfig) -> None:
    explain(config)

    page = config.output.read_text(encoding="utf-8")
    assert "not as proof that it is right" in page
    assert "with random weights behind the vision network" in page


def test_the_page_speaks_french(config: ExplainConfig) -> None:
    set_message_language("fr")

    explain(config)

    assert "pas comme preuve" in config.output.read_text(encoding="utf-8")


def test_an_unsure_answer_says_so(config: ExplainConfig, unsure_checkpoint: Path) -> None:
    explain(replace(config, checkpoint=unsure_checkpoint))

    assert "– not sure" in config.output.read_text(encoding="utf-8")


def test_half_of_the_heat_lies_on_the_hottest_pixels() -> None:
    heat = np.zeros((10, 10))
    heat[0, :5] = 0.2

    assert half_area(heat) == pytest.approx(0.03)


def test_an_even_map_says_nothing() -> None:
    assert half_area(np.full((4, 4), 1 / 16)) is None


def test_no_photo_is_a_mistake_of_the_user(config: ExplainConfig) -> None:
    with pytest.raises(ConfigError, match="no photo"):
        explain(replace(config, photos=()))


def test_a_path_without_photos_is_named(config: ExplainConfig, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere"):
        explain(replace(config, photos=(tmp_path / "nowhere",)))
