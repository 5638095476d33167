"""From logits to an answer, or to "not sure": temperature, threshold, prediction set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Decision = Literal["answer", "unsure"]


@dataclass(frozen=True, slots=True)
class Calibration:
    """Fitted on the calibration half of val, stored in the checkpoint (DESIGN §4).

    Attributes:
        temperature: logits are divided by it (Guo et al., arXiv 1706.04599).
        confidence_threshold: an answer needs at least this probability; 0 answers always.
        conformal_quantile: a class is in the set when those more probable weigh at most this; 1 gives all classes.
        num_photos: how many photos it was fitted on; 0 means not fitted.
    """

    temperature: float = 1.0
    confidence_threshold: float = 0.0
    conformal_quantile: float = 1.0
    num_photos: int = 0


def probabilities(logits_NC: NDArray[np.float32], temperature: float) -> NDArray[np.float64]:
    """Return softmax(logits / temperature), computed in double precision."""
    scaled = logits_NC.astype(np.float64) / temperature
    scaled -= scaled.max(axis=1, keepdims=True)
    exponentials = np.exp(scaled)
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))


def decide(probs_C: NDArray[np.float64], calibration: Calibration) -> Decision:
    """Return "answer" when the best class is sure enough, else "unsure"."""
    return "answer" if float(probs_C.max()) >= calibration.confidence_threshold else "unsure"


def prediction_set(probs_C: NDArray[np.float64], calibration: Calibration) -> list[int]:
    """Return class indices, most probable first: each one before whose turn the weight has not passed the quantile.

    The set of `evaluation.calibration.conformal_quantile`: c is in it when the classes more probable than c weigh at
    most the quantile.
    """
    order = np.argsort(-probs_C, kind="stable")
    above = np.concatenate([[0.0], np.cumsum(probs_C[order])[:-1]])
    return [int(index) for index in order[above <= calibration.conformal_quantile]]
