"""Training on a released checkpoint's towers."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from plantset.core.errors import ConfigError
from plantset.models.config import PACKAGED_TEXT, PACKAGED_VISION
from plantset.models.load import load_model
from plantset.training.run import TrainReport, train
from plantset.training.task import frozen_stages, vision_learning_rate_ratio, with_towers
from tests.encoders.test_released_text import save_with_tokenizer
from tests.training.conftest import Configure

_DEFAULT_TOWERS = {"vision_backbone": PACKAGED_VISION, "text_model": PACKAGED_TEXT}


@pytest.fixture(scope="module")
def florence(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("florence")
    save_with_tokenizer(folder, "florence2")
    return str(folder)


def test_a_run_on_a_base_trains_resumes_and_answers_with_notes(configure: Configure, florence: str) -> None:
    config = configure(base=florence, epochs=1, pretrained=True, **_DEFAULT_TOWERS)
    train(config)

    report = train(dataclasses.replace(config, resume="auto"))

    assert isinstance(report, TrainReport)
    loaded = load_model(report.best_path)
    own = f"released:{florence}"
    assert loaded.card.training["base"] == florence
    assert loaded.model.vision.name == own
    assert loaded.predict_tokens(None, ["taches brunes"]).isfinite().all()
    assert loaded.model.text is not None
    assert loaded.model.text.name == own


def test_a_base_is_trained_as_any_large_tower_and_not_as_the_packaged_one(configure: Configure, florence: str) -> None:
    config = with_towers(configure(base=florence, pretrained=True, vision_learning_rate_ratio=None, **_DEFAULT_TOWERS))

    assert (frozen_stages(config), vision_learning_rate_ratio(config)) == (0, 0.1)


def test_a_base_that_is_not_there_is_refused_before_anything_is_read(configure: Configure, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    with pytest.raises(ConfigError, match="empty"):
        train(configure(base=str(tmp_path / "empty"), **_DEFAULT_TOWERS))
