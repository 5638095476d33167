"""From logits to an answer, to "not sure", or to "none of the classes I learned": temperature, thresholds, sets.

Dimensions: N photos, C classes, F features of the classifier.
"""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from plantset.models.config import refuse_later_fields

Decision = Literal["answer", "unsure", "unknown", "not a leaf"]
Confidence = Literal["almost certain", "likely", "possible", "doubtful", "none"]
_CONFIDENCES: tuple[tuple[float, Confidence], ...] = ((0.95, "almost certain"), (0.8, "likely"), (0.5, "possible"))
_EPSILON = 1e-12


@dataclass(frozen=True, slots=True)
class UnknownRule:
    """Tells a photo that shows none of the learned classes by two things that fail on different photos.

    What no leaf looks like has features that point away from every class's mean; another disease or plant has logits
    that are all low. Chosen by measurement (`evaluation.unknown`): each in units of its spread over known photos, and
    their sum. A rule of an earlier version weighs the features alone.

    Attributes:
        threshold: a photo whose familiarity is below is unknown.
        known_error: the share of photos of learned classes that the threshold was set to refuse.
        num_photos: how many photos the class means rest on.
        means_CF: of standardised features, unit length; float16 in base64, as are the next two: it travels as JSON.
        centre_F, scale_F: what standardises the features.
        cosine_mean, energy_mean: over known photos, of the cosine to the nearest class mean and of the energy.
        cosine_gain, energy_gain: what each is multiplied with, one over its standard deviation.
    """

    threshold: float
    known_error: float
    num_photos: int
    num_features: int
    means_CF: str
    centre_F: str
    scale_F: str
    cosine_mean: float = 0.0
    cosine_gain: float = 1.0
    energy_mean: float = 0.0
    energy_gain: float = 0.0

    def familiarity(self, logits_NC: NDArray[np.floating], features_NF: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return how much each photo looks like the learned classes, (N,): 0 is the average of known photos.

        Args:
            logits_NC: of the photos alone, not calibrated.
            features_NF: what the classifier reads of them.
        """
        cosine_N, energy_N = self.nearest_mean(features_NF), energy(logits_NC)
        return (cosine_N - self.cosine_mean) * self.cosine_gain + (energy_N - self.energy_mean) * self.energy_gain

    def nearest_mean(self, features_NF: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the cosine (N,) between each photo's standardised features and the nearest class mean, -1..1."""
        standard = (features_NF.astype(np.float64) - _unpack(self.centre_F)) / _unpack(self.scale_F)
        means = _unpack(self.means_CF).reshape(-1, self.num_features)
        sizes = np.linalg.norm(standard, axis=1, keepdims=True)
        return np.asarray((standard / np.maximum(sizes, _EPSILON) @ means.T).max(axis=1))


@dataclass(frozen=True, slots=True)
class Calibration:
    """Fitted on val at the end of training, on photos that did not choose the model; stored in the checkpoint.

    Attributes:
        temperature: logits are divided by it (Guo et al., arXiv 1706.04599).
        confidence_threshold: an answer needs at least this probability; 0 answers always.
        conformal_quantile: a class is in the set when those more probable weigh at most this; 1 gives all classes.
        num_photos: how many photos it was fitted on; 0 means not fitted.
        class_quantiles: the quantile of each class that had photos enough for one of its own; None or empty: the
            common one holds.
        target_error: the share of wrong answers that the confidence threshold was set to.
        coverage: the share of sets that the quantile was set to make right.
        unknown: None where it was not fitted: then no photo is called unknown.
    """

    temperature: float = 1.0
    confidence_threshold: float = 0.0
    conformal_quantile: float = 1.0
    num_photos: int = 0
    class_quantiles: tuple[float | None, ...] = ()
    target_error: float = 0.05
    coverage: float = 0.9
    unknown: UnknownRule | None = None


def make_unknown_rule(
    means_CF: NDArray[np.floating],
    centre_F: NDArray[np.floating],
    scale_F: NDArray[np.floating],
    *,
    threshold: float,
    known_error: float,
    num_photos: int,
) -> UnknownRule:
    """Pack the arrays of a rule, as small as a checkpoint needs them."""
    return UnknownRule(
        threshold,
        known_error,
        num_photos,
        means_CF.shape[1],
        means_CF=_pack(means_CF),
        centre_F=_pack(centre_F),
        scale_F=_pack(scale_F),
    )


def calibration_from_json(values: Mapping[str, Any]) -> Calibration:
    """Restore what `dataclasses.asdict` gave, after a round trip through JSON; fields unknown then have defaults.

    Raises:
        ValueError: a field that only a later version knows.
    """
    unknown = values.get("unknown")
    refuse_later_fields(Calibration, values)
    refuse_later_fields(UnknownRule, unknown or {})
    quantiles = tuple(values.get("class_quantiles", ()))
    rule = UnknownRule(**unknown) if unknown is not None else None
    return dataclasses.replace(Calibration(**{**values, "unknown": None}), class_quantiles=quantiles, unknown=rule)


def probabilities(logits_NC: NDArray[np.float32], temperature: float) -> NDArray[np.float64]:
    """Return softmax(logits / temperature), computed in double precision."""
    scaled = logits_NC.astype(np.float64) / temperature
    scaled -= scaled.max(axis=1, keepdims=True)
    exponentials = np.exp(scaled)
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))


def energy(logits_NC: NDArray[Any]) -> NDArray[np.float64]:
    """Return log-sum-exp of the logits, the negative free energy (Liu et al. 2020, arXiv 2010.03759)."""
    logits = logits_NC.astype(np.float64)
    highest_N1 = logits.max(axis=1, keepdims=True)
    return np.asarray(highest_N1[:, 0] + np.log(np.exp(logits - highest_N1).sum(axis=1)))


def is_unknown(familiarity: float | None, calibration: Calibration) -> bool:
    """Tell whether a photo looks so little like the learned classes that it shows none; never where no rule was fitted.

    Args:
        familiarity: by the calibration's own rule, `UnknownRule.familiarity`.
    """
    rule = calibration.unknown
    return rule is not None and familiarity is not None and familiarity < rule.threshold


def decide(
    probs_C: NDArray[np.float64], calibration: Calibration, *, unknown: bool = False, no_plant: bool = False
) -> Decision:
    """Return what is said of a photo: "answer" when the best class is sure enough, else "unsure".

    Args:
        unknown: it looks like none of the classes: no answer, however probable the best one is.
        no_plant: nothing in it has a plant's colour. Alone it says little (a leaf may be all brown), but an unknown
            photo of that kind is "not a leaf".
    """
    if unknown:
        return "not a leaf" if no_plant else "unknown"
    return "answer" if float(probs_C.max()) >= calibration.confidence_threshold else "unsure"


def confidence(probability: float, decision: Decision) -> Confidence:
    """Return a calibrated probability as a word; "none" where the photo shows none of the classes."""
    if decision in ("unknown", "not a leaf"):
        return "none"
    return next((word for least, word in _CONFIDENCES if probability >= least), "doubtful")


def prediction_set(probs_C: NDArray[np.float64], calibration: Calibration) -> list[int]:
    """Return the indices of the classes in the conformal set, most probable first; see `prediction_sets`."""
    members = prediction_sets(probs_C[None, :], calibration)[0]
    return [int(index) for index in np.argsort(-probs_C, kind="stable") if members[index]]


def prediction_sets(probs_NC: NDArray[np.float64], calibration: Calibration) -> NDArray[np.bool_]:
    """Return (N, C): a class is in the set when the classes more probable than it weigh at most its quantile.

    The sets of `evaluation.calibration.conformal_quantile`; the most probable class is always in.
    """
    quantiles_C = class_quantiles(calibration, probs_NC.shape[1])
    order = np.argsort(-probs_NC, axis=1, kind="stable")
    sorted_NC = np.take_along_axis(probs_NC, order, axis=1)
    above = np.empty_like(probs_NC)
    np.put_along_axis(above, order, np.cumsum(sorted_NC, axis=1) - sorted_NC, axis=1)
    members = above <= quantiles_C
    np.put_along_axis(members, order[:, :1], True, axis=1)  # rounding must not take the first one out
    return np.asarray(members)


def class_quantiles(calibration: Calibration, num_classes: int) -> NDArray[np.float64]:
    """Return the quantile that holds for each class, (C,)."""
    own = calibration.class_quantiles or (None,) * num_classes
    return np.array([calibration.conformal_quantile if value is None else value for value in own])


def _pack(values: NDArray[np.floating]) -> str:
    return base64.b64encode(np.ascontiguousarray(values, dtype="<f2").tobytes()).decode("ascii")


def _unpack(text: str) -> NDArray[np.float64]:
    return np.frombuffer(base64.b64decode(text), dtype="<f2").astype(np.float64)
