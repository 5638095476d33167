"""What a user can get wrong is said before the first step, with what to mend."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from plantset.core.errors import CheckpointError, ConfigError, DataError, PlantsetError
from plantset.runtime.local import LocalStrategy
from plantset.training import judging
from plantset.training.config import TrainConfig
from plantset.training.feeds import PhotoFeeds
from plantset.training.run import train
from plantset.training.state import LAST_NAME
from plantset.training.stopping import StopRequest
from plantset.training.task import labels_of, prepare_task, stage_of
from tests.fake_leaves import CLASS_IDS
from tests.training.conftest import Configure

Rows = list[dict[str, Any]]


@pytest.fixture
def changed(leaves: Path, tmp_path: Path) -> Callable[[Callable[[Rows], Rows]], dict[str, Path]]:
    """Return the settings of a manifest whose rows were changed; the photos stay where they are."""

    def make(change: Callable[[Rows], Rows]) -> dict[str, Path]:
        rows = [json.loads(line) for line in leaves.read_text(encoding="utf-8").splitlines()]
        path = tmp_path / "changed.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in change(rows)), encoding="utf-8")
        return {"jsonl_file": path, "root_dir": leaves.parent / "images"}

    return make


Changed = Callable[[Callable[[Rows], Rows]], dict[str, Path]]


def _refused(config: TrainConfig, kind: type[PlantsetError]) -> str:
    """Return what is said; nothing may have been trained."""
    with pytest.raises(kind) as refused:
        train(config)
    assert not (config.checkpoint_dir / LAST_NAME).exists()
    assert refused.value.fix
    return str(refused.value)


def test_photos_that_are_missing_are_counted_and_named(configure: Configure, changed: Changed) -> None:
    def lose_two(rows: Rows) -> Rows:
        lost = [row for row in rows if row["split"] == "train"][-2:]
        return [{**row, "image_path": f"gone/{row['image_path']}"} if row in lost else row for row in rows]

    said = _refused(configure(**changed(lose_two)), DataError)

    assert "2 photos" in said
    assert "gone/" in said


def test_a_photo_that_is_listed_twice_is_named(configure: Configure, changed: Changed, leaves: Path) -> None:
    first = json.loads(leaves.read_text(encoding="utf-8").splitlines()[0])

    said = _refused(configure(**changed(lambda rows: [*rows, rows[0]])), DataError)

    assert first["image_path"] in said


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_split_without_photos_is_named(configure: Configure, changed: Changed, split: str) -> None:
    said = _refused(configure(**changed(lambda rows: [row for row in rows if row["split"] != split])), DataError)

    assert f"no {split} photo" in said


def test_a_checkpoint_folder_that_is_a_file_is_named(configure: Configure, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")

    said = _refused(configure(checkpoint_dir=tmp_path / "taken" / "run"), ConfigError)

    assert str(tmp_path / "taken") in said


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_checkpoint_folder_that_may_not_be_written_is_named(configure: Configure, tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)

    said = _refused(configure(checkpoint_dir=tmp_path / "closed" / "run"), ConfigError)

    assert str(tmp_path / "closed") in said


@pytest.mark.parametrize(
    "change", [{"fusion_dim": 16}, {"vision_backbone": "test_vit"}, {"text_length": 12}], ids=["width", "tower", "text"]
)
def test_a_run_does_not_go_on_with_another_model(configure: Configure, change: dict[str, Any]) -> None:
    config = configure(epochs=1)
    train(config)
    before = (config.checkpoint_dir / LAST_NAME).read_bytes()

    with pytest.raises(CheckpointError, match=next(iter(change)).replace("_", "[_-]")):
        train(dataclasses.replace(config, epochs=2, resume="auto", **change))

    assert (config.checkpoint_dir / LAST_NAME).read_bytes() == before


def test_a_run_does_not_go_on_with_other_photos(configure: Configure, changed: Changed) -> None:
    config = configure(epochs=1)
    train(config)

    with pytest.raises(CheckpointError, match="photos"):
        train(dataclasses.replace(config, epochs=2, resume="auto", **changed(lambda rows: rows[1:])))


def test_an_average_that_would_never_change_is_refused(configure: Configure) -> None:
    assert "--ema-decay" in _refused(configure(ema_decay=1.0), ConfigError)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"mixup": 0.2, "batch_size": 7}, "--batch-size 7"),
        ({"mixup": 0.2, "preset": "florence-2"}, "--mixup"),
        ({"cutmix": 1.0, "vision_backbone": "test_vit", "freeze_vision": True}, "--cutmix"),
        ({"mix_prob": 1.5}, "--mix-prob"),
        ({"augment_prob": -0.1}, "--augment-prob"),
    ],
    ids=["odd-batch", "classes-as-texts", "tokens", "mix-prob", "augment-prob"],
)
def test_what_cannot_be_mixed_or_augmented_is_refused_by_its_flag(
    configure: Configure, changes: dict[str, Any], named: str
) -> None:
    assert named in _refused(configure(**changes), ConfigError)


def test_a_class_of_val_without_a_training_photo_is_said_counted_and_left_out_of_selection(
    configure: Configure, changed: Changed, capsys: pytest.CaptureFixture[str]
) -> None:
    def lose_rust(rows: Rows) -> Rows:
        return [row for row in rows if (row["split"], row["class_id"]) != ("train", CLASS_IDS[0])]

    config = configure(**changed(lose_rust))
    task = prepare_task(config)
    labels = labels_of(task, task.val_records)
    right = 9.0 * np.eye(len(CLASS_IDS), dtype=np.float32)[np.maximum(labels, 1)]  # all but the class never seen

    said = capsys.readouterr().err
    assert "1 classes of val have no training photo" in said
    assert CLASS_IDS[0] in said
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(judging, "val_answers", lambda *_, **__: (right, right))
        strategy = LocalStrategy(torch.device("cpu"))
        judged = judging.build_judge(task, PhotoFeeds(task, strategy), strategy, StopRequest())(task.model)
    assert judged.values["accuracy"] == 1.0


def test_towers_rest_as_long_as_asked_and_then_learn(configure: Configure) -> None:
    task = prepare_task(configure(unfreeze_after=2, preset="qwen-vl"))

    learning = []
    for epoch in range(4):
        task.model.train_parts(stage_of(task.config, epoch).trains)
        learning.append(
            [any(w.requires_grad for w in part.parameters()) for part in (task.model.vision, task.model.fusion)]
        )

    assert learning == [[False, True], [False, True], [True, True], [True, True]]


def test_a_val_split_whose_classes_were_never_trained_is_refused(configure: Configure, changed: Changed) -> None:
    def rename(rows: Rows) -> Rows:
        return [row if row["split"] == "train" else {**row, "class_id": f"user--{row['class_id']}"} for row in rows]

    assert "val" in _refused(configure(**changed(rename)), DataError)


@pytest.mark.parametrize("change", ["order", "texts"])
def test_a_run_does_not_go_on_with_photos_in_another_order_or_other_texts(
    configure: Configure, changed: Changed, change: str
) -> None:
    def alter(rows: Rows) -> Rows:
        return rows[::-1] if change == "order" else [{**row, "text": f"{row['text']} !"} for row in rows]

    config = configure(epochs=1)
    train(config)

    with pytest.raises(CheckpointError, match="photos"):
        train(dataclasses.replace(config, epochs=2, resume="auto", **changed(alter)))


def test_a_run_that_began_from_a_model_goes_on_from_the_same(configure: Configure, tmp_path: Path) -> None:
    first = train(configure(epochs=1, checkpoint_dir=tmp_path / "first"))
    config = configure(epochs=1, init_checkpoint=first.best_path)  # type: ignore[union-attr]
    train(config)

    with pytest.raises(CheckpointError, match="init_checkpoint"):
        train(dataclasses.replace(config, epochs=2, resume="auto", init_checkpoint=None))


@pytest.mark.parametrize("tried", [{"dry_run": True}, {"learning_rate": 0.5, "resume": "auto"}])
def test_what_is_only_tried_or_refused_leaves_the_record_of_the_run_as_it_is(
    configure: Configure, tried: dict[str, Any]
) -> None:
    config = configure(epochs=1)
    train(config)
    before = (config.checkpoint_dir / "run.json").read_bytes()

    with suppress(CheckpointError):
        train(dataclasses.replace(config, epochs=2, **tried))

    assert (config.checkpoint_dir / "run.json").read_bytes() == before


def test_classes_learnt_by_their_names_train_on_the_default_preset(configure: Configure) -> None:
    config = configure(classifier="names", epochs=1, max_steps=2)

    train(config)

    assert (config.checkpoint_dir / "best_model.pth").exists()
