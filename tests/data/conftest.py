"""Leaves on disk for the data tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fake_leaves import write_leaves


@pytest.fixture(scope="package")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight training, four val and two test photos of each of four classes."""
    return write_leaves(tmp_path_factory.mktemp("leaves"), (("train", 8), ("val", 4), ("test", 2)))
