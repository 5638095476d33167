"""What `metrics.json` holds, key by key: this dataclass as JSON.

Raise `METRICS_SCHEMA_VERSION` when a key changes its meaning or goes away; adding one is free. Rates are 0..1
(chrF and BLEU 0..100); an `{value, low, high}` is an estimate with its 95 % interval by leaf groups; null means
"cannot be said", never 0.
"""

from __future__ import annotations

from dataclasses import dataclass

from plantset.core.language import tr
from plantset.core.records import Split
from plantset.evaluation.calibration import CalibrationScores
from plantset.evaluation.captions import CaptionScores
from plantset.evaluation.classification import ClassificationScores
from plantset.evaluation.intervals import Estimate
from plantset.evaluation.modality import ModalityScores
from plantset.evaluation.naming import NamingScores
from plantset.evaluation.retrieval import RetrievalScores
from plantset.evaluation.robustness import RobustnessScore
from plantset.evaluation.sets import SelectiveScores, SetScores
from plantset.evaluation.shortcuts import BackgroundScores, ShortcutScores
from plantset.evaluation.unknown import UnknownScores

METRICS_SCHEMA_VERSION = 2  # 2: ece, brier and nll are estimates with intervals
SPLIT_NAMES: dict[Split, str] = {"train": "training split", "val": "selection split", "test": "test split"}


@dataclass(frozen=True, slots=True)
class GroupCheck:
    """Whether the scored photos show leaves that training never saw.

    Attributes:
        leaf_disjoint: True when every photo has a group and none is in training; False when some are;
            None when photos have no groups, so that nobody knows.
        num_photos_without_group: each was taken for a leaf of its own.
        num_photos_seen_in_training: photos whose leaf (group) also has training photos.
    """

    leaf_disjoint: bool | None
    num_photos_without_group: int
    num_photos_seen_in_training: int


@dataclass(frozen=True)
class EvaluationResults:
    """All the numbers of one evaluation.

    Attributes:
        split, split_name: "val" is the "selection split": training chose its model on it.
        checkpoint, checkpoint_sha256: None when the model was still in memory (end of training).
        num_photos_scored: photos of the split whose class the model knows.
        num_photos_of_unknown_class: photos of the split that were left out because it does not.
        classification: from the photo alone.
        modality: None when no photo has a note.
        calibration: of the probabilities as the model gives them, with its temperature; calibration_before: with
            temperature 1.
        sets, selective: what the promises of the checkpoint hold on these photos; sets is None where none was fitted.
        unknown: by kind of unknown photo, against the photos of this split.
        tta_gain: accuracy with test-time augmentation minus without; None where it was not asked for.
        robustness: empty where it was not asked for.
        shortcuts: None where the manifest has no training photos of other leaves to learn them from.
        background: None where no masks of leaves were given.
        retrieval: photos and descriptions found by each other; None where the model has no space for both, or fewer
            than two distinct texts are there.
        naming: what the generated descriptions name; None without any.
        captions: None when none was asked for or no reference text is there.
    """

    schema_version: int
    plantset_version: str
    split: Split
    split_name: str
    checkpoint: str | None
    checkpoint_sha256: str | None
    language: str
    seed: int
    bootstrap_count: int
    temperature: float
    num_photos_scored: int
    num_photos_of_unknown_class: int
    groups: GroupCheck
    classification: ClassificationScores
    modality: ModalityScores | None
    calibration_before: CalibrationScores
    calibration: CalibrationScores
    sets: SetScores | None
    selective: SelectiveScores
    unknown: tuple[UnknownScores, ...]
    tta_gain: Estimate | None
    robustness: tuple[RobustnessScore, ...]
    shortcuts: ShortcutScores | None
    background: BackgroundScores | None
    retrieval: RetrievalScores | None
    captions: CaptionScores | None
    naming: NamingScores | None


def split_title(split: Split) -> str:
    """Return the split's name in the language of messages."""
    return {
        "train": tr("training split", "jeu d'entraînement"),
        "val": tr("selection split", "jeu de sélection"),
        "test": tr("test split", "jeu de test"),
    }[split]
