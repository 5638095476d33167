"""The losses: each named, each reporting itself, each exactly zero where its modality is absent.

Each is a sum and a count, never a mean: a mean over a part of a batch (a micro-batch, one process's share) is not the
mean over the whole, and gradients accumulated from such means are not those of the large batch.

Dimensions: B batch, C classes, M descriptions in the bank.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Term(NamedTuple):
    """One loss of one batch, as float scalars: the sum over what is counted, and how much that is."""

    total: Tensor
    counted: Tensor

    @property
    def mean(self) -> Tensor:
        """Return total / counted; exactly 0, with a gradient of 0, where nothing is counted."""
        return self.total / self.counted.clamp(min=1.0)


@dataclass(frozen=True, slots=True)
class ClassificationLoss:
    """Cross-entropy with label smoothing, class weights and logit adjustment.

    Attributes:
        label_smoothing: share of the target spread over all classes (Szegedy et al. 2016, section 7).
        class_weights_C: float or None; "balanced" weights as scikit-learn's.
        log_prior_C: float or None; added to the logits in training, so that a rare class needs no larger margin at
            inference (logit adjustment, Menon et al., arXiv 2007.07314, eq. 10).
    """

    label_smoothing: float = 0.0
    class_weights_C: Tensor | None = None
    log_prior_C: Tensor | None = None

    def __call__(self, logits_BC: Tensor, labels_B: Tensor, weights_B: Tensor) -> Term:
        """Sum over the photos that are not padding."""
        logits = logits_BC.float()
        if self.log_prior_C is not None:
            logits = logits + self.log_prior_C.to(logits)
        class_weights = None if self.class_weights_C is None else self.class_weights_C.to(logits)
        losses_B = F.cross_entropy(
            logits, labels_B, weight=class_weights, label_smoothing=self.label_smoothing, reduction="none"
        )
        return Term((losses_B * weights_B).sum(), weights_B.sum())


def contrastive_loss(logits_BM: Tensor, labels_B: Tensor, bank_labels_M: Tensor, weights_B: Tensor) -> Term:
    """Pull each photo to all descriptions of its class, away from the others'.

    Label-aware (supervised contrastive, Khosla et al., arXiv 2004.11362, eq. 2, with the bank's texts as anchors'
    positives): two photos of one class are never each other's negatives. A photo whose class has no text counts zero.
    """
    positive_BM = (labels_B[:, None] == bank_labels_M[None, :]).to(logits_BM.dtype)
    count_B = positive_BM.sum(dim=1)
    log_probs_BM = F.log_softmax(logits_BM.float(), dim=1)
    losses_B = -(log_probs_BM * positive_BM).sum(dim=1) / count_B.clamp(min=1.0)
    counted_B = weights_B * (count_B > 0)
    return Term((losses_B * counted_B).sum(), counted_B.sum())


def matching_loss(logits_B: Tensor, fits_B: Tensor, weights_B: Tensor) -> Term:
    """Binary cross-entropy of "the note is about this photo", summed over the rows that have a note."""
    losses_B = F.binary_cross_entropy_with_logits(logits_B.float(), fits_B.float(), reduction="none")
    return Term((losses_B * weights_B).sum(), weights_B.sum())


def balanced_class_weights(counts_C: Tensor) -> Tensor:
    """Return n / (classes present × count), as scikit-learn's "balanced"; 0 for a class without a photo."""
    counts = counts_C.float()
    present = counts > 0
    weights = counts.sum() / (present.sum() * counts.clamp(min=1.0))
    return torch.where(present, weights, torch.zeros_like(weights))


def log_prior(counts_C: Tensor) -> Tensor:
    """Return the log of each class's share of the training photos; an absent class counts half a photo."""
    counts = counts_C.float().clamp(min=0.5)
    return (counts / counts.sum()).log()
