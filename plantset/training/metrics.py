"""What an epoch is judged by: one score, higher is better, with its standard error, and all that is worth logging.

Dimensions: N photos, C classes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy.special
from numpy.typing import NDArray
from sklearn import metrics

from plantset.evaluation.classification import in_top_k
from plantset.training.config_learning import Metric

_TOP_K = 5


@dataclass(frozen=True, slots=True)
class Judgement:
    """How good a model is.

    Attributes:
        score: 0 to 1, higher is better.
        error: one standard error of the score: two epochs that are nearer than that are alike.
        values: of every metric, by its name in the history.
    """

    score: float
    error: float
    values: Mapping[str, float]


def judge_answers(logits_NC: NDArray[np.floating], labels_N: NDArray[np.int64], metric: Metric) -> Judgement:
    """Score answers by all metrics; the one that is named is the score.

    For `nll` the score is exp(-NLL), the geometric mean of the probability that each photo's class is given: the same
    order, and a share as the others are. Its error follows from that of the mean (delta method); those of the others
    are binomial, which for the means over classes is an approximation.
    """
    predicted = logits_NC.argmax(axis=1)
    present = np.unique(labels_N)
    asked = {"labels": present, "average": "macro", "zero_division": 0}
    log_probs_NC = scipy.special.log_softmax(logits_NC.astype(np.float64), axis=1)
    losses_N = -np.take_along_axis(log_probs_NC, labels_N[:, None], axis=1)[:, 0]
    values = {
        "accuracy": float((predicted == labels_N).mean()),
        "macro_f1": float(metrics.f1_score(labels_N, predicted, **asked)),
        "balanced_accuracy": float(metrics.recall_score(labels_N, predicted, **asked)),
        "top5_accuracy": float(in_top_k(logits_NC, labels_N, _TOP_K).mean()),
        "nll": float(losses_N.mean()),
    }
    count = len(labels_N)
    if metric == "nll":
        score = math.exp(-values["nll"])
        return Judgement(score, score * float(losses_N.std()) / math.sqrt(count), values)
    score = values[metric.replace("-", "_")]
    return Judgement(score, math.sqrt(score * (1.0 - score) / count), values)
