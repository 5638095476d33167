"""A model from shards is the model from files, and all who read a photo see the same pixels."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch

from plantset.core.errors import DataError
from plantset.data.config import ShardConfig
from plantset.evaluation.config import EvaluateConfig
from plantset.evaluation.predict import PhotoSource, read_photos
from plantset.evaluation.run import evaluate
from plantset.inference.predictor import load_predictor
from plantset.runtime.checkpoint import load_checkpoint
from plantset.runtime.local import LocalStrategy
from plantset.training.config import TrainConfig
from plantset.training.feeds import PhotoFeeds
from plantset.training.run import train
from plantset.training.task import prepare_task
from tests.training.conftest import Configure

pytest.importorskip("pyarrow")
from plantset.data.shard import shard


class _Pair(NamedTuple):
    files: TrainConfig
    shards: TrainConfig


@pytest.fixture(scope="module")
def pair(base_config: TrainConfig, leaves: Path, tmp_path_factory: pytest.TempPathFactory) -> _Pair:
    """One epoch on the cached tokens of a frozen tower, once from files and once from shards, in two folders."""
    folder = tmp_path_factory.mktemp("pair")
    shard(ShardConfig(jsonl_file=leaves, output_dir=folder / "shards"))
    configs = _Pair(
        dataclasses.replace(base_config, epochs=1, freeze_vision=True, checkpoint_dir=folder / "from_files"),
        dataclasses.replace(
            base_config,
            epochs=1,
            freeze_vision=True,
            checkpoint_dir=folder / "from_shards",
            jsonl_file=folder / "shards",
        ),
    )
    for config in configs:
        train(config)
    return configs


def test_the_weights_are_the_same_bit_for_bit(pair: _Pair) -> None:
    one, other = (load_checkpoint(config.checkpoint_dir / "best_model.pth").tensors for config in pair)

    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_evaluation_gives_the_same_predictions(pair: _Pair, tmp_path: Path) -> None:
    found = []
    for config in pair:
        out = tmp_path / config.checkpoint_dir.name
        settings = EvaluateConfig(
            checkpoint=pair.files.checkpoint_dir / "best_model.pth",
            jsonl_file=config.jsonl_file,
            output_dir=out,
            caption_count=0,
            bootstrap_count=10,
            num_workers=0,
            device="cpu",
        )
        evaluate(settings)
        lines = (out / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
        found.append([json.loads(line) for line in lines])

    assert len(found[0]) == 16
    assert found[0] == found[1]


def test_training_evaluation_and_inference_see_equal_pixels_from_files_and_from_shards(pair: _Pair) -> None:
    predictor = load_predictor(pair.files.checkpoint_dir / "best_model.pth", device="cpu")
    images = pair.files.jsonl_file.parent / "images"
    views = {}
    for name, config in zip(_Pair._fields, pair, strict=True):
        task = prepare_task(dataclasses.replace(config, freeze_vision=False, freeze_stages=0))
        records, source = task.val_records, PhotoSource(task.data.images_dir, batch_size=8, num_workers=0)
        batches = list(PhotoFeeds(task, LocalStrategy(torch.device("cpu"))).val())
        views[name, "training"] = torch.cat([b.pixels_BHWC for b in batches if b.pixels_BHWC is not None]).numpy()
        views[name, "evaluation"] = torch.cat([p for _, p in read_photos(predictor.model, records, source)]).numpy()
    views["files", "inference"] = np.stack([predictor.read(images / record.image_path) for record in records])

    assert len(views["files", "inference"]) == 16
    assert all(np.array_equal(seen, views["files", "inference"]) for seen in views.values())


def test_a_broken_photo_stops_a_training_unless_it_is_skipped(configure: Configure, pair: _Pair) -> None:
    folder = pair.shards.jsonl_file
    file = next((folder / "data").glob("train-*"))
    whole = file.read_bytes()
    damaged = bytearray(whole)
    at = whole.index(b"\xff\xda") + 300
    damaged[at] ^= 8
    file.write_bytes(damaged)
    try:
        with pytest.raises(DataError, match=r"train-00000-of-00001\.parquet row 0"):
            train(configure(jsonl_file=folder, epochs=1))
        report = train(configure(jsonl_file=folder, epochs=1, skip_broken=True))
    finally:
        file.write_bytes(whole)

    assert report.num_train == 31  # type: ignore[union-attr]


def test_a_file_of_shards_that_is_gone_can_be_skipped_too(configure: Configure, pair: _Pair) -> None:
    folder = pair.shards.jsonl_file
    file = next((folder / "data").glob("val-*"))
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    try:
        report = train(configure(jsonl_file=folder, epochs=1, skip_broken=True))
    finally:
        file.write_bytes(whole)

    assert 0 < report.num_val < 16  # type: ignore[union-attr]
