"""Asks the model about photos that are none of its classes, and scores how well it notices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plantset.core.errors import DataError
from plantset.core.language import tr
from plantset.core.photo import decode_photo
from plantset.core.records import Record
from plantset.data.geometry import fit_photo
from plantset.evaluation.intervals import index_groups
from plantset.evaluation.predict import EvaluatedModel, PhotoAnswers, PhotoSource, answer_records, answer_views
from plantset.evaluation.unknown import UnknownScores, draw_non_photos, familiarity, score_unknown

PHOTO_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"})
_DRAWN_COUNT = 16
_MAX_RESAMPLES = 300  # each sorts all photos again, for every kind


def judge_unknown(
    model: EvaluatedModel,
    familiar_N: NDArray[np.float64],
    known_groups_N: NDArray[np.int64],
    unlearned: Sequence[Record],
    known_crops: frozenset[str],
    source: PhotoSource,
    *,
    strangers_dir: Path | None,
    bootstrap_count: int,
    rng: np.random.Generator,
) -> tuple[UnknownScores, ...]:
    """Score each kind of unknown photo against the known photos of the split.

    Args:
        familiar_N: how much each known photo looks like the learned classes.
        unlearned: photos of the split whose class the model never learned; may be empty.
        known_crops: crops of which the model learned a class: another disease on one of them is harder to notice.
        strangers_dir: photos of the user's that show none of the classes.

    Raises:
        DataError: the folder has no photo, or one of them cannot be read.
    """
    rule = model.calibration.unknown
    kinds = [*_unlearned_kinds(model, unlearned, known_crops, source)]
    if strangers_dir is not None:
        views = read_strangers(strangers_dir, model)
        kinds.append(("given photos", answer_views(model, views, source), np.arange(len(views))))
    for kind, views in draw_non_photos(model.preprocess.image_size_px, _DRAWN_COUNT, rng).items():
        kinds.append((kind, answer_views(model, views, source), np.arange(len(views))))
    return tuple(
        score_unknown(
            kind,
            familiar_N,
            known_groups_N,
            familiarity(answers.single_logits_NC, answers.features_NF, model.calibration),
            groups,
            threshold=None if rule is None else rule.threshold,
            bootstrap_count=min(bootstrap_count, _MAX_RESAMPLES),
            rng=rng,
        )
        for kind, answers, groups in kinds
    )


def read_strangers(folder: Path, model: EvaluatedModel) -> NDArray[np.uint8]:
    """Return the photos under the folder as the model sees them, (N, S, S, 3).

    Raises:
        DataError: there is none, or one cannot be read.
    """
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in PHOTO_SUFFIXES)
    if not paths:
        raise DataError(
            tr(f"--unknown-dir {folder} has no photo", f"--unknown-dir {folder} n'a aucune photo"),
            tr("give a folder of photos", "donnez un dossier de photos"),
        )
    return np.stack([fit_photo(decode_photo(path).pixels, model.preprocess) for path in paths])


def _unlearned_kinds(
    model: EvaluatedModel, unlearned: Sequence[Record], known_crops: frozenset[str], source: PhotoSource
) -> Iterator[tuple[str, PhotoAnswers, NDArray[np.int64]]]:
    """Yield (kind, answers, groups): other diseases of crops that the model knows, then other crops."""
    of_known = [record for record in unlearned if record.crop in known_crops]
    others = [record for record in unlearned if record.crop not in known_crops]
    for kind, records in (("unlearned classes", of_known), ("other crops", others)):
        if records:
            groups = index_groups([record.group for record in records])
            yield kind, answer_records(model, records, source), groups
