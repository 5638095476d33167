"""Asks the model about photos that are none of its classes, and scores how well it notices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from plantset.core.records import Record
from plantset.evaluation.intervals import index_groups
from plantset.evaluation.predict import EvaluatedModel, PhotoAnswers, PhotoSource, answer_records, answer_views
from plantset.evaluation.unknown import UnknownScores, draw_non_photos, max_softmax, score_unknown
from plantset.models.decision import Calibration

_DRAWN_COUNT = 16
_MAX_RESAMPLES = 300  # each sorts all photos again, for every kind


def judge_unknown(
    model: EvaluatedModel,
    known: PhotoAnswers,
    known_groups_N: NDArray[np.int64],
    unlearned: Sequence[Record],
    source: PhotoSource,
    *,
    bootstrap_count: int,
    rng: np.random.Generator,
) -> tuple[UnknownScores, ...]:
    """Score each kind of unknown photo against the known photos of the split.

    Familiarity is what the checkpoint's rule gives; the top probability where it has none.

    Args:
        unlearned: photos of the split whose class the model never learned; may be empty.
    """
    rule = model.calibration.unknown
    familiar_N = familiarity(known, model.calibration)
    kinds: list[tuple[str, PhotoAnswers, NDArray[np.int64]]] = []
    if unlearned:
        groups = index_groups([record.group for record in unlearned])
        kinds.append(("unlearned classes", answer_records(model, unlearned, source), groups))
    side_px = model.preprocess.image_size_px
    for kind, views in draw_non_photos(side_px, _DRAWN_COUNT, rng).items():
        kinds.append((kind, answer_views(model, views, source), np.arange(len(views))))
    return tuple(
        score_unknown(
            kind,
            familiar_N,
            known_groups_N,
            familiarity(answers, model.calibration),
            groups,
            threshold=None if rule is None else rule.threshold,
            bootstrap_count=min(bootstrap_count, _MAX_RESAMPLES),
            rng=rng,
        )
        for kind, answers, groups in kinds
    )


def familiarity(answers: PhotoAnswers, calibration: Calibration) -> NDArray[np.float64]:
    """Return how much each photo looks like the learned classes."""
    if calibration.unknown is None:
        return max_softmax(answers.logits_NC / calibration.temperature)
    return calibration.unknown.familiarity(answers.features_NF)
