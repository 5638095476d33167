"""The leak probe: how well a note alone names its class, and through which phrases.

Notes must help a little and never give the class away. A linear model on TF-IDF reads every shortcut there is, so
its cross-validated accuracy bounds what notes leak in words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline

from plantset.core.language import Language, tr
from plantset.core.records import Record
from plantset.knowledge.notes import grower_notes

_NOTES_PER_CLASS = 20
_FOLDS = 4
_SEED = 0
_TOP_PHRASES = 20


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What the probe found.

    Attributes:
        accuracy: of note -> class, cross-validated, in 0..1.
        chance: 1 / classes.
        majority: share of the most frequent class among the photos.
        phrases: (phrase, class, weight) of the heaviest weights, heaviest first.
    """

    accuracy: float
    chance: float
    majority: float
    classes: int
    notes: int
    phrases: tuple[tuple[str, str, float], ...] = ()

    def sentence(self) -> str:
        """Return the outcome in one line."""
        return tr(
            f"leak probe: a note alone names its class {self.accuracy:.1%} of the time "
            f"(chance {self.chance:.1%}, most frequent class {self.majority:.1%}, {self.classes} classes)",
            f"sonde de fuite : une note seule nomme sa classe {_percent(self.accuracy)} du temps "
            f"(hasard {_percent(self.chance)}, classe la plus fréquente {_percent(self.majority)}, "
            f"{self.classes} classes)",
        )

    def to_json(self) -> dict[str, Any]:
        """Return JSON-able values."""
        return {
            "accuracy": round(self.accuracy, 4),
            "chance": round(self.chance, 4),
            "majority": round(self.majority, 4),
            "classes": self.classes,
            "notes": self.notes,
            "phrases": [{"phrase": p, "class_id": c, "weight": round(w, 3)} for p, c, w in self.phrases],
        }


def probe_notes(records: Sequence[Record], language: Language) -> ProbeResult | None:
    """Return how well generated notes name their class; None with fewer than two classes that have notes."""
    texts, targets = _sample(records, language)
    classes = sorted(set(targets))
    if len(classes) < 2:
        return None
    accuracy, phrases = _fit(texts, targets)
    photos = Counter(record.class_id for record in records)
    return ProbeResult(
        accuracy=accuracy,
        chance=1 / len(classes),
        majority=max(photos.values()) / len(records),
        classes=len(classes),
        notes=len(texts),
        phrases=phrases,
    )


def _sample(records: Iterable[Record], language: Language) -> tuple[list[str], list[str]]:
    """Return as many notes of every class, spread over its photos."""
    by_class: dict[str, list[Record]] = {}
    for record in records:
        members = by_class.setdefault(record.class_id, [])
        if len(members) < _NOTES_PER_CLASS:
            members.append(record)
    texts: list[str] = []
    targets: list[str] = []
    for class_id, members in sorted(by_class.items()):
        each = -(-_NOTES_PER_CLASS // len(members))
        notes = [note for record in members for note in grower_notes(record, language=language, count=each, seed=_SEED)]
        texts += notes[:_NOTES_PER_CLASS]
        targets += [class_id] * len(notes[:_NOTES_PER_CLASS])
    return texts, targets


def _fit(texts: list[str], targets: list[str]) -> tuple[float, tuple[tuple[str, str, float], ...]]:
    model = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
        LogisticRegression(C=10.0, max_iter=200, tol=1e-3),
    )
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=_SEED)
    predicted = cross_val_predict(model, texts, targets, cv=folds)
    model.fit(texts, targets)
    names = model[0].get_feature_names_out()
    weights = np.atleast_2d(model[1].coef_)
    labels = model[1].classes_[-len(weights) :]
    heaviest = np.argsort(weights, axis=None)[::-1][:_TOP_PHRASES]
    rows, columns = np.unravel_index(heaviest, weights.shape)
    phrases = tuple(
        (str(names[column]), str(labels[row]), float(weights[row, column]))
        for row, column in zip(rows, columns, strict=True)
    )
    return float(np.mean(predicted == np.asarray(targets))), phrases


def _percent(share: float) -> str:
    return f"{share * 100:.1f}".replace(".", ",") + " %"
