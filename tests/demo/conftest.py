"""One small drawing, shared by the tests that only look."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from plantset.core.files import read_json_lines
from plantset.core.photo import decode_photo
from plantset.demo.config import DemoDataConfig
from plantset.demo.data import DemoDataReport, make_demo_data


@dataclass(frozen=True)
class Drawing:
    """A run folder, its report and the rows of photo_texts.jsonl."""

    folder: Path
    report: DemoDataReport
    rows: list[dict[str, Any]]

    def photo(self, row: dict[str, Any]) -> NDArray[np.uint8]:
        return decode_photo(self.folder / "leaves" / row["source_path"]).pixels

    def mask(self, row: dict[str, Any], kind: str) -> NDArray[np.bool_]:
        image = cv2.imdecode(np.frombuffer((self.folder / row[kind]).read_bytes(), np.uint8), cv2.IMREAD_GRAYSCALE)
        assert image is not None
        return image > 0


def draw(folder: Path, **settings: Any) -> Drawing:
    report = make_demo_data(DemoDataConfig(run_dir=folder, workers=1, **settings))
    return Drawing(folder, report, [row for _, row in read_json_lines(folder / "photo_texts.jsonl")])


@pytest.fixture(scope="session")
def drawing(tmp_path_factory: pytest.TempPathFactory) -> Drawing:
    """Six photos of two leaves of every class, 160 px."""
    return draw(tmp_path_factory.mktemp("drawing"), photos_per_class=6, size_px=160)


@pytest.fixture(scope="session")
def many_leaves(tmp_path_factory: pytest.TempPathFactory) -> Drawing:
    """Twenty leaves of every class, photographed once each, 96 px."""
    return draw(tmp_path_factory.mktemp("many"), photos_per_class=20, photos_per_leaf=1, size_px=96)
