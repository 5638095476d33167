"""The model on photos whose leaf is painted over: what it then still knows, it knows from the background."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from plantset.core.errors import DataError
from plantset.core.language import tr
from plantset.core.records import Record
from plantset.evaluation.classification import Truth
from plantset.evaluation.intervals import mean_estimate, renumber_groups
from plantset.evaluation.predict import EvaluatedModel, PhotoSource, answer_views, read_photos
from plantset.evaluation.shortcuts import BackgroundScores

MAX_PHOTOS = 512
_MASK_ENDINGS = (".leaf.png", ".png")


def judge_background(
    model: EvaluatedModel,
    scored: Sequence[Record],
    truth: Truth,
    predicted_N: NDArray[np.int64],
    masks_dir: Path,
    source: PhotoSource,
    *,
    bootstrap_count: int,
    rng: np.random.Generator,
) -> BackgroundScores:
    """Ask about each photo that has a mask with its leaf painted over.

    Args:
        predicted_N: the model's answers to the photos as they are.
        masks_dir: masks named after the source photo, in the same folders: `a/leaf.jpg` has `a/leaf.leaf.png` or
            `a/leaf.png`; where it is not black, there is leaf.

    Raises:
        DataError: the folder has no mask of these photos, or a mask cannot be read.
    """
    found = {at: mask for at, record in enumerate(scored) if (mask := find_mask(record, masks_dir)) is not None}
    if not found:
        raise DataError(
            tr(
                f"--masks-dir {masks_dir} has no mask of these photos",
                f"--masks-dir {masks_dir} n'a de masque pour aucune de ces photos",
            ),
            tr(
                f"name them after the photo: {masks_dir / _mask_stem(scored[0])}{_MASK_ENDINGS[0]}",
                f"nommez-les d'après la photo : {masks_dir / _mask_stem(scored[0])}{_MASK_ENDINGS[0]}",
            ),
        )
    chosen = np.sort(rng.permutation(list(found))[:MAX_PHOTOS])
    views = torch.cat([pixels for _, pixels in read_photos(model, [scored[at] for at in chosen], source)]).numpy()
    masks = [read_mask(found[at], views.shape[1]) for at in chosen.tolist()]
    painted = np.stack([paint_over(view, mask) for view, mask in zip(views, masks, strict=True)])
    labels, groups = truth.labels_N[chosen], renumber_groups(truth.group_index_N[chosen])
    answers = answer_views(model, painted, source).logits_NC.argmax(axis=1)
    return BackgroundScores(
        num_photos=len(chosen),
        background=mean_estimate(answers == labels, groups, bootstrap_count, rng),
        model=mean_estimate(predicted_N[chosen] == labels, groups, bootstrap_count, rng),
        chance=float(np.bincount(labels).max() / len(labels)),
        mean_leaf_share=float(np.mean([mask.mean() for mask in masks])),
    )


def find_mask(record: Record, masks_dir: Path) -> Path | None:
    """Return the mask of the record's source photo, or None."""
    stem = masks_dir / _mask_stem(record)
    return next((path for ending in _MASK_ENDINGS if (path := stem.with_name(stem.name + ending)).is_file()), None)


def read_mask(path: Path, side_px: int) -> NDArray[np.bool_]:
    """Return where the leaf is, (S, S), squashed to a square as the model sees its photo.

    Raises:
        DataError: the file is no picture.
    """
    mask = cv2.imdecode(np.frombuffer(path.read_bytes(), dtype=np.uint8), cv2.IMREAD_GRAYSCALE)
    if mask is None:
        raise DataError(
            tr(f"the mask {path} cannot be read", f"le masque {path} est illisible"),
            tr("write it as a PNG, black where there is no leaf", "écrivez-le en PNG, noir hors de la feuille"),
        )
    return np.asarray(cv2.resize(mask, (side_px, side_px), interpolation=cv2.INTER_NEAREST) > 0)


def paint_over(view_HWC: NDArray[np.uint8], leaf_HW: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return the photo with the leaf in the mean colour of the rest; mid-grey where there is no rest."""
    painted = view_HWC.copy()
    rest = view_HWC[~leaf_HW]
    painted[leaf_HW] = rest.mean(axis=0).round().astype(np.uint8) if len(rest) else 128
    return painted


def _mask_stem(record: Record) -> Path:
    return Path(record.source_path or record.image_path).with_suffix("")
