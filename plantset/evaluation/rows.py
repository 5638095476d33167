"""predictions.jsonl, a row a photo, made when it is asked for: rows of a million photos are never all in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plantset.core.records import Record
from plantset.evaluation.classification import TOP_K
from plantset.evaluation.modality import NOT_RUN
from plantset.evaluation.predict import NotePlan, SplitPredictions
from plantset.models.decision import Calibration, decide, is_unknown, prediction_set, probabilities


@dataclass(frozen=True)
class PredictionRows:
    """One JSON object per scored photo: the answer from the photo alone, then what each other condition changed.

    Attributes:
        caption_rows: image_path -> what the model wrote about it.
    """

    scored: Sequence[Record]
    predictions: SplitPredictions
    notes: NotePlan
    class_names: tuple[str, ...]
    calibration: Calibration
    caption_rows: Mapping[str, Mapping[str, Any]]

    def __len__(self) -> int:
        """Return the number of photos."""
        return len(self.scored)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield the rows in the order of the photos."""
        return map(self._row, range(len(self.scored)))

    def _row(self, at: int) -> dict[str, Any]:
        record, names = self.scored[at], self.class_names
        probs_C = probabilities(self.predictions.logits_NC[at : at + 1], self.calibration.temperature)[0]
        top_K = np.argsort(-probs_C, kind="stable")[:TOP_K]
        best = int(top_K[0])
        familiarity = float(self.predictions.familiarity_N[at])
        return {
            "image_path": record.image_path,
            "label": record.label,
            "class_id": record.class_id,
            "predicted": names[best],
            "probability": float(probs_C[best]),
            "correct": names[best] == record.class_id,
            "decision": decide(probs_C, self.calibration, unknown=is_unknown(familiarity, self.calibration)),
            "prediction_set": [names[k] for k in prediction_set(probs_C, self.calibration)],
            "top5": [{"class_id": names[k], "probability": float(probs_C[k])} for k in top_K],
            "split": record.split,
            "group": record.group,
            "note": self.notes.right[at],
            "wrong_note": self.notes.wrong[at],
            "conditions": {name: self._name(answers, at) for name, answers in self.predictions.predicted.items()},
            "caption": self.caption_rows.get(record.image_path),
        }

    def _name(self, answers_N: NDArray[np.int64], at: int) -> str | None:
        return self.class_names[answers_N[at]] if answers_N[at] != NOT_RUN else None
