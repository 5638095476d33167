"""Small models that every test here may use."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tiny_models import save_tiny_bert


@pytest.fixture(scope="package")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with a two-layer BERT, as `--text-model` takes it."""
    return str(save_tiny_bert(Path(tmp_path_factory.mktemp("models") / "bert")))
