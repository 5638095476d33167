"""Whether generated descriptions name the class that the photo shows, and the one that the classifier answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plantset.core.classes import ClassInfo
from plantset.evaluation.intervals import Estimate, mean_estimate
from plantset.knowledge.naming import named_classes


@dataclass(frozen=True, slots=True)
class NamingScores:
    """What generated descriptions name, over the described photos.

    Attributes:
        num_photos: described; num_naming: of these, the text names a class that the model knows.
        class_right: share of all whose text names the class that the photo shows.
        crop_right: share of all whose text names a class of the crop that the photo shows.
        contradicts: share of all whose text names another class than the classifier answers for the same photo.
        contradicts_crop: share of all whose text names a class of another crop than the answer's.
    """

    num_photos: int
    num_naming: int
    class_right: Estimate
    crop_right: Estimate
    contradicts: Estimate
    contradicts_crop: Estimate


def score_naming(
    named: Sequence[frozenset[str]],
    true: Sequence[str],
    answered: Sequence[str],
    classes: Sequence[ClassInfo],
    group_index_N: NDArray[np.int64],
    *,
    bootstrap_count: int,
    rng: np.random.Generator,
) -> NamingScores:
    """Compare what the texts name with what the photos show and with what the classifier answers.

    Args:
        named: of each text the classes it can mean, from `knowledge.naming.named_classes`; empty where it names none.
        true, answered: class ids, one per text.
    """
    crop_of = {info.class_id: info.crop or info.class_id for info in classes}
    crops = [{crop_of[class_id] for class_id in ids} for ids in named]

    def share(values: Sequence[bool]) -> Estimate:
        return mean_estimate(np.array(values), group_index_N, bootstrap_count, rng)

    return NamingScores(
        num_photos=len(named),
        num_naming=sum(map(bool, named)),
        class_right=share([class_id in ids for ids, class_id in zip(named, true, strict=True)]),
        crop_right=share([crop_of[class_id] in said for said, class_id in zip(crops, true, strict=True)]),
        contradicts=share([bool(ids) and class_id not in ids for ids, class_id in zip(named, answered, strict=True)]),
        contradicts_crop=share(
            [bool(said) and crop_of[class_id] not in said for said, class_id in zip(crops, answered, strict=True)]
        ),
    )


def name_all(texts: Sequence[str], classes: Sequence[ClassInfo], language: str) -> list[frozenset[str]]:
    """Return of each text the classes it can mean."""
    return [named_classes(text, classes, language) for text in texts]
