"""What an evaluation asks beside its main question, each from random numbers of its own, so that none moves another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch

from plantset.core.classes import ClassInfo
from plantset.core.records import Record
from plantset.evaluation.background import judge_background
from plantset.evaluation.captions import caption_text
from plantset.evaluation.classification import Truth
from plantset.evaluation.config import EvaluateConfig
from plantset.evaluation.intervals import Estimate, mean_estimate, renumber_groups
from plantset.evaluation.naming import NamingScores, name_all, score_naming
from plantset.evaluation.predict import (
    EvaluatedModel,
    PhotoSource,
    SplitPredictions,
    answer_views,
    read_borders,
    read_photos,
)
from plantset.evaluation.retrieval import MAX_PHOTOS as MAX_COMPARED
from plantset.evaluation.retrieval import RetrievalScores, index_texts, score_retrieval
from plantset.evaluation.robustness import MAX_PHOTOS, RobustnessScore, score_robustness
from plantset.evaluation.shortcuts import MAX_TRAIN_PHOTOS, BackgroundScores, ShortcutScores, TrainCues, score_shortcuts

ORDER_STREAM, BOOTSTRAP_STREAM, CAPTION_STREAM, _ROBUSTNESS_STREAM = 9_101, 9_102, 9_103, 9_104
_SHORTCUT_STREAM, _BACKGROUND_STREAM, _RETRIEVAL_STREAM = 9_105, 9_106, 9_107


def judge_shortcuts(
    model: EvaluatedModel,
    scored: Sequence[Record],
    records: Sequence[Record],
    truth: Truth,
    predictions: SplitPredictions,
    source: PhotoSource,
    config: EvaluateConfig,
) -> ShortcutScores | None:
    """Learn the cues from training photos of other leaves than the scored ones."""
    index = {class_id: position for position, class_id in enumerate(model.class_names)}
    leaves = {record.group for record in scored if record.group}
    paths = {record.image_path for record in scored}
    able = [
        record
        for record in records
        if record.split == "train"
        and record.class_id in index
        and record.group not in leaves
        and record.image_path not in paths
    ]
    order = np.sort(seeded(config, _SHORTCUT_STREAM).permutation(len(able))[:MAX_TRAIN_PHOTOS])
    chosen = [able[at] for at in order]
    if not chosen:
        return None
    train = TrainCues(
        borders_TP=np.concatenate([read_borders(pixels) for _, pixels in read_photos(model, chosen, source)]),
        labels_T=np.array([index[record.class_id] for record in chosen]),
        sources=[record.source for record in chosen],
    )
    return score_shortcuts(
        train,
        predictions.borders_NP,
        predictions.logits_NC.argmax(axis=1),
        truth,
        bootstrap_count=config.bootstrap_count,
        rng=seeded(config, BOOTSTRAP_STREAM),
    )


def judge_masked_leaves(
    model: EvaluatedModel,
    scored: Sequence[Record],
    truth: Truth,
    predictions: SplitPredictions,
    source: PhotoSource,
    config: EvaluateConfig,
) -> BackgroundScores:
    """Ask about photos whose leaf is painted over; `masks_dir` must be given."""
    assert config.masks_dir is not None
    return judge_background(
        model,
        scored,
        truth,
        predictions.logits_NC.argmax(axis=1),
        config.masks_dir,
        source,
        bootstrap_count=config.bootstrap_count,
        rng=seeded(config, _BACKGROUND_STREAM),
    )


def choose_compared(model: EvaluatedModel, scored: Sequence[Record], config: EvaluateConfig) -> frozenset[int]:
    """Draw the photos that are compared with texts, of those that have one; none where they have all the same."""
    language = content_language(config, model)
    able = [at for at, record in enumerate(scored) if caption_text(record, language)] if model.compares_texts else []
    if len({caption_text(scored[at], language) for at in able}) < 2:
        return frozenset()
    drawn = seeded(config, _RETRIEVAL_STREAM).permutation(len(able))[:MAX_COMPARED]
    return frozenset(able[at] for at in drawn)


def judge_retrieval(
    model: EvaluatedModel,
    scored: Sequence[Record],
    truth: Truth,
    predictions: SplitPredictions,
    config: EvaluateConfig,
) -> RetrievalScores | None:
    """Compare the photos and the texts whose vectors were kept; None where none were."""
    vectors = predictions.captions.vectors
    rows = sorted(vectors)
    if not rows:
        return None
    texts, text_index = index_texts([caption_text(scored[row], content_language(config, model)) for row in rows])
    return score_retrieval(
        np.stack([vectors[row] for row in rows]),
        model.text_vectors(texts).numpy(),
        text_index,
        renumber_groups(truth.group_index_N[rows]),
        bootstrap_count=config.bootstrap_count,
        rng=seeded(config, BOOTSTRAP_STREAM),
    )


def judge_robustness(
    model: EvaluatedModel, scored: Sequence[Record], truth: Truth, source: PhotoSource, config: EvaluateConfig
) -> tuple[RobustnessScore, ...]:
    """Ask about at most `MAX_PHOTOS` photos spoiled in every way."""
    chosen = np.sort(seeded(config, _ROBUSTNESS_STREAM).permutation(len(scored))[:MAX_PHOTOS])
    views = torch.cat([pixels for _, pixels in read_photos(model, [scored[at] for at in chosen], source)]).numpy()
    return score_robustness(
        lambda pixels: answer_views(model, pixels, source).logits_NC.argmax(axis=1),
        views,
        truth.labels_N[chosen],
        renumber_groups(truth.group_index_N[chosen]),
        bootstrap_count=config.bootstrap_count,
        rng=seeded(config, BOOTSTRAP_STREAM),
    )


def judge_naming(
    model: EvaluatedModel,
    scored: Sequence[Record],
    infos: Sequence[ClassInfo],
    truth: Truth,
    predictions: SplitPredictions,
    config: EvaluateConfig,
) -> NamingScores | None:
    """Say what the descriptions name; None where none was written."""
    rows = sorted(predictions.captions.generated)
    if not rows:
        return None
    answers = predictions.logits_NC.argmax(axis=1)
    return score_naming(
        name_all([predictions.captions.generated[row] for row in rows], infos, content_language(config, model)),
        [scored[row].class_id for row in rows],
        [model.class_names[answers[row]] for row in rows],
        infos,
        renumber_groups(truth.group_index_N[rows]),
        bootstrap_count=config.bootstrap_count,
        rng=seeded(config, BOOTSTRAP_STREAM),
    )


def tta_gain(predictions: SplitPredictions, truth: Truth, config: EvaluateConfig) -> Estimate:
    """Return what several views of each photo bring."""
    several, single = (
        (logits.argmax(axis=1) == truth.labels_N).astype(float)
        for logits in (predictions.logits_NC, predictions.single_logits_NC)
    )
    rng = seeded(config, BOOTSTRAP_STREAM)
    return mean_estimate(several - single, truth.group_index_N, config.bootstrap_count, rng, is_share=False)


def content_language(config: EvaluateConfig, model: EvaluatedModel) -> Literal["fr", "en"]:
    """Return the language of notes and descriptions: what was asked for, else the model's own."""
    language = config.language or model.language
    return "en" if language == "en" else "fr"


def seeded(config: EvaluateConfig, stream: int) -> np.random.Generator:
    """Return the random numbers of one question."""
    return np.random.default_rng([config.seed, stream])
