"""The losses: each named, each reporting itself, each exactly zero where its modality is absent.

The masked ones need modules of their own: `models.masking`.

Each is a sum and a count, never a mean: a mean over a part of a batch (a micro-batch, one process's share) is not the
mean over the whole, and gradients accumulated from such means are not those of the large batch.

Dimensions: B batch, C classes, M descriptions in the bank, K tokens, W width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

_NEVER = -1e9  # finite: a row of it alone has a softmax
_TINY = 1e-7  # below this x^gamma has no gradient for gamma < 1


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
    """Cross-entropy with label smoothing, class weights, logit adjustment and focus on what is still wrong.

    Attributes:
        label_smoothing: share of the target spread over all classes (Szegedy et al. 2016, section 7).
        class_weights_C: float or None; "balanced" weights as scikit-learn's.
        log_prior_C: float or None; added to the logits in training, so that a rare class needs no larger margin at
            inference (logit adjustment, Menon et al., arXiv 2007.07314, eq. 10); times tau for another strength.
        focal_gamma: each photo's loss is multiplied by (1 - p)^gamma, p its class's probability (focal loss, Lin et
            al., arXiv 1708.02002, eq. 4); 0 is cross-entropy. With label smoothing the factor is the same.
    """

    label_smoothing: float = 0.0
    class_weights_C: Tensor | None = None
    log_prior_C: Tensor | None = None
    focal_gamma: float = 0.0

    def __call__(
        self,
        logits_BC: Tensor,
        labels_B: Tensor,
        weights_B: Tensor,
        other_labels_B: Tensor | None = None,
        other_shares_B: Tensor | None = None,
    ) -> Term:
        """Sum over the photos that are not padding.

        Args:
            other_labels_B: a second class of each photo, where two photos are mixed.
            other_shares_B: its share s of the target: the loss is (1 - s) of the first's and s of the second's (mixup,
                Zhang et al., arXiv 1710.09412: cross-entropy is linear in its target, smoothed and weighted too).
        """
        logits = logits_BC.float()
        if self.log_prior_C is not None:
            logits = logits + self.log_prior_C.to(logits)
        losses_B = self._losses(logits, labels_B)
        if other_labels_B is not None and other_shares_B is not None:
            losses_B = torch.lerp(losses_B, self._losses(logits, other_labels_B), other_shares_B.to(losses_B))
        return Term((losses_B * weights_B).sum(), weights_B.sum())

    def _losses(self, logits_BC: Tensor, labels_B: Tensor) -> Tensor:
        class_weights = None if self.class_weights_C is None else self.class_weights_C.to(logits_BC)
        losses_B = F.cross_entropy(
            logits_BC, labels_B, weight=class_weights, label_smoothing=self.label_smoothing, reduction="none"
        )
        if not self.focal_gamma:
            return losses_B
        # From log-probabilities: 1 - p of a photo that is all but sure loses its digits, and its gradient is NaN.
        log_probs_B = -F.cross_entropy(logits_BC, labels_B, reduction="none")
        return losses_B * (-torch.expm1(log_probs_B)).clamp(min=_TINY) ** self.focal_gamma


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


def image_text_loss(logits_BB: Tensor, labels_B: Tensor, note_labels_B: Tensor, weights_B: Tensor) -> Term:
    """Pull each photo to the batch's notes about its class and each note to the photos of its class.

    CLIP's symmetric loss (arXiv 2103.00020, figure 3) with label-aware targets: a note about another photo of the same
    class is a positive. What is summed are photos and notes that have a positive. Who is in the batch matters, as with
    all negatives from the batch: two batches of 8 are not one of 16.

    Args:
        logits_BB: similarity of each photo (row) to each note (column), over the temperature.
        note_labels_B: the class that each note is about, -1 where there is none.
        weights_B: 0 for a padding photo, whose note does not count either.
    """
    fits_BB, allowed_BB = _pairs(labels_B, note_labels_B, weights_B)
    logits_BB = logits_BB.float().masked_fill(~allowed_BB, _NEVER)
    total, counted = logits_BB.new_zeros(()), logits_BB.new_zeros(())
    for scores_BB, positive_BB in ((logits_BB, fits_BB), (logits_BB.T, fits_BB.T)):
        count_B = positive_BB.sum(dim=1)
        log_probs_BB = F.log_softmax(scores_BB, dim=1).masked_fill(~positive_BB, 0.0)
        total = total - (log_probs_BB.sum(dim=1) / count_B.clamp(min=1)).sum()
        counted = counted + (count_B > 0).sum()
    return Term(total, counted)


def image_text_count(labels_B: Tensor, note_labels_B: Tensor, weights_B: Tensor) -> Tensor:
    """Return what `image_text_loss` counts."""
    fits_BB, _ = _pairs(labels_B, note_labels_B, weights_B)
    return (fits_BB.any(dim=1).sum() + fits_BB.any(dim=0).sum()).float()


def hard_negatives(similarity_BB: Tensor, labels_B: Tensor, note_labels_B: Tensor, weights_B: Tensor) -> Tensor:
    """Return for each photo the note of the batch that fits best among those about OTHER classes (B,).

    The hardest one, where ALBEF draws by similarity (arXiv 2107.07651, section 3.2): no random numbers. A photo for
    which the batch has none gets any row: `has_negative` says which do.
    """
    fits_BB, allowed_BB = _pairs(labels_B, note_labels_B, weights_B)
    return similarity_BB.detach().float().masked_fill(fits_BB | ~allowed_BB, _NEVER).argmax(dim=1)


def has_negative(labels_B: Tensor, note_labels_B: Tensor, weights_B: Tensor) -> Tensor:
    """Return 1.0 for each photo for which the batch has a note about another class, else 0.0."""
    fits_BB, allowed_BB = _pairs(labels_B, note_labels_B, weights_B)
    return (allowed_BB & ~fits_BB).any(dim=1).float()


def masked_losses(predicted_BKW: Tensor, target_BKW: Tensor, masked_BK: Tensor) -> Tensor:
    """Return each row's mean of 1 - cosine over its masked tokens (B,), float32; 0 for a row that has none.

    No gradient flows into the target.
    """
    cosine_BK = F.cosine_similarity(predicted_BKW.float(), target_BKW.detach().float(), dim=-1)
    weights_BK = masked_BK.float()
    return ((1.0 - cosine_BK) * weights_BK).sum(dim=1) / weights_BK.sum(dim=1).clamp(min=1.0)


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


def _pairs(labels_B: Tensor, note_labels_B: Tensor, weights_B: Tensor) -> tuple[Tensor, Tensor]:
    """Return which photos (rows) and notes (columns) fit, and which pairs count at all."""
    real_B = weights_B > 0
    allowed_BB = real_B[:, None] & (real_B & (note_labels_B >= 0))[None, :]
    return allowed_BB & (labels_B[:, None] == note_labels_B[None, :]), allowed_BB
