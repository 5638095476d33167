"""How good the model is while it is trained: the score that selects an epoch, the calibration, the final check."""

from __future__ import annotations

import time
from collections.abc import Callable, Set

import numpy as np
import torch
from numpy.typing import NDArray

from plantset.data.module import photo_batches
from plantset.evaluation import calibration
from plantset.models.decision import Calibration
from plantset.models.load import LoadedModel
from plantset.models.multimodal import MultimodalModel
from plantset.runtime.strategy import Strategy
from plantset.training.feeds import PhotoFeeds
from plantset.training.metrics import Judgement, judge_answers
from plantset.training.stopping import Interrupted, StopRequest
from plantset.training.task import Task, labels_of, val_answers

_UNSEEN_PHOTOS = 8  # enough for a mean, quick for a thousand classes
Judge = Callable[[MultimodalModel], Judgement]


def build_judge(task: Task, feeds: PhotoFeeds, strategy: Strategy, request: StopRequest) -> Judge:
    """Return what scores a model on the selection half of val by `--metric`.

    A class that no training photo shows can't be named by any model: its val photos select nothing.
    """
    labels = labels_of(task, task.val_records)
    chosen = np.array([position for position in task.selection if task.data.class_counts[labels[position]] > 0])

    def check() -> None:
        if strategy.any_rank(request.signal_number != 0):
            raise Interrupted

    def judge(model: MultimodalModel) -> Judgement:
        logits, _ = val_answers(model, feeds.val(), strategy, check, with_features=False)
        return judge_answers(logits[chosen], labels[chosen], task.config.metric)

    return judge


def calibrate(task: Task, feeds: PhotoFeeds, strategy: Strategy) -> Calibration:
    """Fit temperature, thresholds and sets on the half of val that chose nothing; see `evaluation.calibration.fit`."""
    logits, features = val_answers(task.model, feeds.val(), strategy)
    labels = labels_of(task, task.val_records)
    return calibration.fit(
        logits,
        features,
        labels,
        selection=np.array(task.selection),
        calibration=np.array(task.calibration),
        others=_answers_of_unseen(task, set(labels[list(task.selection)].tolist())) if features.shape[1] else None,
    )


@torch.no_grad()
def _answers_of_unseen(task: Task, seen: Set[int]) -> tuple[NDArray[np.float32], NDArray[np.int64]] | None:
    """Return features and labels of a few training photos of each class that is not among those seen; None without."""
    train = task.data.split("train")
    labels = labels_of(task, train)
    chosen: list[int] = []
    for label in sorted(set(labels.tolist()) - seen):
        chosen += np.flatnonzero(labels == label)[:_UNSEEN_PHOTOS].tolist()
    if not chosen:
        return None
    model = task.model.eval()
    batches = photo_batches(
        [train[at] for at in chosen], task.data.images_dir, model.vision.preprocess, task.config.batch_size
    )
    features = [
        model(model.encode_photos(pixels_BHWC.to(model.no_image.device), None), None).features_BF.float().cpu()
        for _, pixels_BHWC in batches
    ]
    return torch.cat(features).numpy(), labels[chosen]


def estimate_last_look_s(task: Task) -> float:
    """Return the seconds that `score_checkpoint` will take, from its first batch."""
    started = time.perf_counter()
    records = task.val_records[: task.config.batch_size]
    for _, pixels_BHWC in photo_batches(records, task.data.images_dir, task.model.vision.preprocess, len(records)):
        with torch.no_grad():
            task.model.eval()(task.model.encode_photos(pixels_BHWC.to(task.model.no_image.device), None), None)
    return (time.perf_counter() - started) * len(task.val_records) / len(records)


def score_checkpoint(model: LoadedModel, task: Task) -> tuple[float, float]:
    """Return accuracy and macro-F1 of the written file on all val photos, read from disk again."""
    batches = photo_batches(
        task.val_records, task.data.images_dir, model.preprocess, task.config.batch_size, task.config.num_workers
    )
    logits = np.concatenate([model.predict_batch(pixels).numpy() for _, pixels in batches])
    values = judge_answers(logits, labels_of(task, task.val_records), "macro-f1").values
    return values["accuracy"], values["macro_f1"]
