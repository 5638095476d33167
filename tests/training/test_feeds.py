"""Training from the cache and training from photos: the same losses for the same views."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from plantset.core.errors import ConfigError, DataError
from plantset.data.choices import AugmentPolicy, CacheDtype
from plantset.data.dataset import PhotoReader
from plantset.data.photo_hashes import hash_photos
from plantset.data.photos import photos_of
from plantset.data.sampler import Key
from plantset.runtime.local import LocalStrategy
from plantset.training.checks import check_numbers
from plantset.training.feeds import PhotoFeeds
from plantset.training.step import training_terms
from plantset.training.task import Task, build_bank, build_objective, note_encoder, prepare_task
from tests.training.conftest import Configure


@pytest.mark.parametrize(("dtype", "tolerance"), [("fp16", 1e-3), ("fp32", 1e-5)])
def test_cached_features_give_the_losses_of_the_views_they_were_made_of(
    configure: Configure, dtype: CacheDtype, tolerance: float
) -> None:
    task = prepare_task(configure(freeze_vision=True, cache_dtype=dtype, cache_views=2))
    cached = list(PhotoFeeds(task, LocalStrategy(torch.device("cpu"))).train(1))
    objective, encode_notes = build_objective(task, build_bank(task)), note_encoder(task)
    task.model.eval()

    for batch in cached:
        seen = dataclasses.replace(batch, pixels_BHWC=_views(task, batch.indices_B), features_B=None)
        with torch.no_grad():
            from_cache = training_terms(task.model, batch, objective, encode_notes)
            from_photos = training_terms(task.model, seen, objective, encode_notes)

        assert {name: float(term.mean) for name, term in from_cache.items()} == pytest.approx(
            {name: float(term.mean) for name, term in from_photos.items()}, abs=tolerance
        )


def _views(task: Task, indices_B: torch.Tensor) -> torch.Tensor:
    paths = photos_of(task.data.split("train"), task.data.images_dir)
    seeds = [int(digest[:16], 16) for digest in hash_photos(list(paths), task.config.checkpoint_dir / "hashes.json")]
    reader = PhotoReader(paths, task.data.preprocess, augment=AugmentPolicy(), seed=task.data.seed, photo_seeds=seeds)
    return torch.from_numpy(np.stack([reader.read(Key(1, index)) for index in indices_B.tolist()]))


def test_a_cache_that_cannot_fit_is_refused_before_the_first_step(configure: Configure) -> None:
    feeds = PhotoFeeds(prepare_task(configure(freeze_vision=True, cache_gb=1e-6)), LocalStrategy(torch.device("cpu")))

    with pytest.raises(ConfigError, match="--cache-gb"):
        feeds.fill()


@pytest.mark.parametrize(
    "setting", [{"layer_decay": 0.0}, {"layer_decay": 1.1}, {"logit_adjustment": -1.0}, {"focal_gamma": -0.5}]
)
def test_a_setting_out_of_its_range_is_refused_by_name(configure: Configure, setting: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="--" + next(iter(setting)).replace("_", "-")):
        check_numbers(configure(**setting))


@pytest.mark.parametrize(("tau", "share"), [(None, 1.0), (0.5, 0.5), (2.0, 2.0)])
def test_the_logit_adjustment_scales_the_logarithm_of_the_classes_shares(
    configure: Configure, tau: float | None, share: float
) -> None:
    objective = build_objective(prepare_task(configure(logit_adjustment=tau)))

    adjustment = objective.classification.log_prior_C
    assert adjustment is not None
    assert adjustment.tolist() == pytest.approx([share * np.log(0.25)] * 4)


def test_no_adjustment_is_left_with_class_weights_or_at_zero(configure: Configure) -> None:
    for changes in ({"class_weights": True}, {"logit_adjustment": 0.0}):
        assert build_objective(prepare_task(configure(**changes))).classification.log_prior_C is None


def test_the_focus_on_what_is_wrong_reaches_the_loss(configure: Configure) -> None:
    plain, focal = (build_objective(prepare_task(configure(focal_gamma=gamma))).classification for gamma in (0.0, 2.0))
    logits, labels = torch.zeros(1, 4), torch.zeros(1, dtype=torch.int64)

    ratio = focal(logits, labels, torch.ones(1)).total / plain(logits, labels, torch.ones(1)).total

    assert float(ratio) == pytest.approx(0.75**2)  # four classes alike: p is a quarter


@pytest.mark.parametrize(
    "setting", [{"class_weights": True}, {"logit_adjustment": 1.0}, {"focal_gamma": 2.0}, {"label_smoothing": 0.1}]
)
def test_what_shapes_class_logits_is_refused_where_there_are_none(
    configure: Configure, setting: dict[str, float]
) -> None:
    with pytest.raises(ConfigError, match="--" + next(iter(setting)).replace("_", "-")):
        prepare_task(configure(preset="florence-2", **setting))


def test_a_hash_is_remembered_until_the_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photo, memory = tmp_path / "a.jpg", tmp_path / "memory.json"
    photo.write_bytes(b"one")
    os.utime(photo, (1e9, 1e9))
    first = hash_photos([photo], memory)
    monkeypatch.setattr("plantset.data.photo_hashes.sha256_file", lambda _path: "read again")

    assert hash_photos([photo], memory) == first
    photo.write_bytes(b"two")
    assert hash_photos([photo], memory) == ["read again"]


def test_a_missing_photo_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.jpg"):
        hash_photos([tmp_path / "gone.jpg"], tmp_path / "memory.json")
