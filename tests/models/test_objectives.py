"""Each loss against numbers from outside: scikit-learn, ten lines of NumPy, hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.utils.class_weight import compute_class_weight

from plantset.models.objectives import (
    ClassificationLoss,
    balanced_class_weights,
    contrastive_loss,
    log_prior,
    matching_loss,
)

LABELS = torch.tensor([0, 2, 1, 2])
ONES = torch.ones(4)


@pytest.fixture
def logits() -> torch.Tensor:
    return torch.randn(4, 3, generator=torch.Generator().manual_seed(0))


def test_plain_cross_entropy_is_torchs(logits: torch.Tensor) -> None:
    torch.testing.assert_close(ClassificationLoss()(logits, LABELS, ONES).mean, F.cross_entropy(logits, LABELS))


def test_label_smoothing_is_torchs(logits: torch.Tensor) -> None:
    loss = ClassificationLoss(label_smoothing=0.1)(logits, LABELS, ONES).mean

    torch.testing.assert_close(loss, F.cross_entropy(logits, LABELS, label_smoothing=0.1))


def test_padding_photos_count_nothing(logits: torch.Tensor) -> None:
    loss = ClassificationLoss()(logits, LABELS, torch.tensor([1.0, 1.0, 0.0, 0.0])).mean

    torch.testing.assert_close(loss, F.cross_entropy(logits[:2], LABELS[:2]))


def test_a_batch_of_padding_alone_has_a_loss_of_zero(logits: torch.Tensor) -> None:
    assert ClassificationLoss()(logits, LABELS, torch.zeros(4)).mean == 0


def test_balanced_weights_are_scikit_learns() -> None:
    labels = np.repeat([0, 1, 2], [7, 2, 11])
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)

    weights = balanced_class_weights(torch.tensor([7, 2, 11]))

    np.testing.assert_allclose(weights.numpy(), expected, rtol=1e-6)


def test_a_class_without_a_photo_has_weight_zero_and_changes_no_other() -> None:
    weights = balanced_class_weights(torch.tensor([7, 0, 2, 11]))

    torch.testing.assert_close(weights[[0, 2, 3]], balanced_class_weights(torch.tensor([7, 2, 11])))
    assert weights[1] == 0


def test_class_weights_multiply_each_photos_loss(logits: torch.Tensor) -> None:
    weights = torch.tensor([2.0, 0.5, 1.0])
    each = F.cross_entropy(logits, LABELS, reduction="none")

    loss = ClassificationLoss(class_weights_C=weights)(logits, LABELS, ONES).mean

    torch.testing.assert_close(loss, (each * weights[LABELS]).mean())


def test_logit_adjustment_adds_the_log_of_each_classs_share(logits: torch.Tensor) -> None:
    prior = log_prior(torch.tensor([6, 3, 1]))
    by_hand = torch.tensor([math.log(0.6), math.log(0.3), math.log(0.1)])

    loss = ClassificationLoss(log_prior_C=prior)(logits, LABELS, ONES).mean

    torch.testing.assert_close(prior, by_hand)
    torch.testing.assert_close(loss, F.cross_entropy(logits + by_hand, LABELS))


def test_the_log_prior_of_a_class_without_a_photo_is_finite() -> None:
    assert torch.isfinite(log_prior(torch.tensor([6, 0, 1]))).all()


def _contrastive_in_numpy(logits: np.ndarray, labels: np.ndarray, bank_labels: np.ndarray) -> float:
    losses = []
    for row, label in zip(logits, labels, strict=True):
        log_probs = row - np.log(np.exp(row).sum())
        positives = log_probs[bank_labels == label]
        if len(positives):
            losses.append(-positives.mean())
    return float(np.mean(losses))


def test_contrastive_loss_is_label_aware_as_ten_lines_of_numpy_say() -> None:
    logits = torch.randn(4, 5, generator=torch.Generator().manual_seed(1)) * 3
    bank_labels = torch.tensor([0, 0, 1, 2, 2])

    loss = contrastive_loss(logits, LABELS, bank_labels, ONES).mean

    expected = _contrastive_in_numpy(logits.double().numpy(), LABELS.numpy(), bank_labels.numpy())
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_a_photo_whose_class_has_no_description_counts_nothing() -> None:
    logits = torch.randn(4, 3, generator=torch.Generator().manual_seed(1))
    bank_labels = torch.tensor([0, 0, 1])

    loss = contrastive_loss(logits, LABELS, bank_labels, ONES).mean

    expected = _contrastive_in_numpy(logits.double().numpy(), LABELS.numpy(), bank_labels.numpy())
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_padding_counts_nothing_in_the_contrastive_loss() -> None:
    logits = torch.randn(4, 3, generator=torch.Generator().manual_seed(1))
    bank_labels = torch.tensor([0, 1, 2])

    loss = contrastive_loss(logits, LABELS, bank_labels, torch.tensor([1.0, 1.0, 0.0, 0.0])).mean

    torch.testing.assert_close(loss, contrastive_loss(logits[:2], LABELS[:2], bank_labels, torch.ones(2)).mean)


def test_matching_loss_is_binary_cross_entropy_over_the_rows_with_a_note() -> None:
    logits = torch.tensor([2.0, -1.0, 0.5, 9.0])
    fits = torch.tensor([True, False, True, False])

    loss = matching_loss(logits, fits, torch.tensor([1.0, 1.0, 1.0, 0.0])).mean

    by_hand = (math.log1p(math.exp(-2.0)) + math.log1p(math.exp(-1.0)) + math.log1p(math.exp(-0.5))) / 3
    assert float(loss) == pytest.approx(by_hand, rel=1e-6)
