"""Each loss against numbers from outside: scikit-learn, ten lines of NumPy, hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.utils.class_weight import compute_class_weight

from plantset.models.objectives import (
    ClassificationLoss,
    balanced_class_weights,
    contrastive_loss,
    hard_negatives,
    has_negative,
    image_text_count,
    image_text_loss,
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


@pytest.mark.parametrize("weighted", [False, True])
def test_the_loss_of_a_mixture_is_torchs_cross_entropy_with_the_mixed_target(
    logits: torch.Tensor, weighted: bool
) -> None:
    """Smoothing, class weights and logit adjustment included: torch takes the mixed distribution as its target."""
    count, num_classes = logits.shape
    labels, others = torch.arange(count) % num_classes, (torch.arange(count) + 1) % num_classes
    shares = torch.linspace(0, 0.5, count)
    prior = torch.linspace(-2, -0.5, num_classes)
    class_weights = torch.linspace(0.5, 2, num_classes) if weighted else None

    term = ClassificationLoss(0.1, class_weights, prior)(logits, labels, torch.ones(count), others, shares)

    target = (1 - shares)[:, None] * F.one_hot(labels, num_classes) + shares[:, None] * F.one_hot(others, num_classes)
    expected = F.cross_entropy(logits + prior, target, weight=class_weights, label_smoothing=0.1, reduction="sum")
    torch.testing.assert_close(term.total, expected)


def test_focal_loss_by_hand() -> None:
    logits = torch.tensor([[2.0, 0.0], [0.0, 0.0]])  # p of class 0: 0.880797 and 0.5

    loss = ClassificationLoss(focal_gamma=2.0)(logits, torch.tensor([0, 0]), torch.ones(2)).total

    p = 1 / (1 + math.exp(-2.0))
    assert float(loss) == pytest.approx(-((1 - p) ** 2) * math.log(p) - 0.25 * math.log(0.5), rel=1e-5)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_focal_loss_of_a_photo_that_is_sure_has_a_finite_gradient(gamma: float) -> None:
    logits = torch.tensor([[80.0, 0.0]], requires_grad=True)

    ClassificationLoss(focal_gamma=gamma)(logits, torch.tensor([0]), torch.ones(1)).total.backward()

    assert logits.grad is not None
    assert logits.grad.isfinite().all()


NOTE_LABELS = torch.tensor([0, -1, 1, 0])  # about the photos' classes 0, 2, 1, 2: fits, none, fits, about another


def _image_text_in_numpy(logits: np.ndarray, labels: np.ndarray, note_labels: np.ndarray) -> tuple[float, int]:
    noted = note_labels >= 0
    total, counted = 0.0, 0
    for scores, targets in (
        (logits[:, noted], labels[:, None] == note_labels[noted][None]),
        (logits.T[noted], note_labels[noted][:, None] == labels[None]),
    ):
        log_probs = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
        for row, positive in zip(log_probs, targets, strict=True):
            if positive.any():
                total, counted = total - row[positive].mean(), counted + 1
    return float(total), counted


def test_image_text_loss_is_label_aware_both_ways_as_numpy_says() -> None:
    logits = torch.randn(4, 4, generator=torch.Generator().manual_seed(1)) * 3

    total, counted = image_text_loss(logits, LABELS, NOTE_LABELS, ONES)

    expected = _image_text_in_numpy(logits.double().numpy(), LABELS.numpy(), NOTE_LABELS.numpy())
    assert (float(total), float(counted)) == pytest.approx(expected, rel=1e-5)
    assert float(image_text_count(LABELS, NOTE_LABELS, ONES)) == expected[1]


def test_a_batch_without_a_note_has_an_image_text_loss_of_zero_and_no_gradient() -> None:
    logits = torch.randn(4, 4, requires_grad=True)

    total, counted = image_text_loss(logits, LABELS, torch.full((4,), -1), ONES)
    total.backward()

    assert (total.item(), counted.item()) == (0.0, 0.0)
    assert logits.grad is not None
    assert not logits.grad.any()


def test_a_hard_negative_is_the_most_similar_note_about_another_class() -> None:
    similarity = torch.tensor([[9.0, 9.0, 1.0, 8.0], [0.0, 9.0, 2.0, 3.0], [5.0, 9.0, 9.0, 4.0], [1.0, 9.0, 2.0, 0.0]])

    chosen = hard_negatives(similarity, LABELS, NOTE_LABELS, ONES)

    assert chosen.tolist() == [2, 3, 0, 2]
    assert has_negative(LABELS, NOTE_LABELS, ONES).tolist() == [1.0, 1.0, 1.0, 1.0]


def test_a_batch_of_one_class_has_no_negative() -> None:
    assert has_negative(torch.zeros(3), torch.tensor([0, -1, 0]), torch.ones(3)).tolist() == [0.0, 0.0, 0.0]


def _flava_losses(fits: torch.Tensor) -> Any:
    """Return what transformers' FLAVA says of four pairs, with a tiny model and the same weights each time."""
    from transformers import FlavaConfig, FlavaForPreTraining

    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    torch.manual_seed(0)
    config = FlavaConfig(
        image_config={**small, "image_size": 32, "patch_size": 16, "vocab_size": 20},
        text_config={**small, "vocab_size": 30, "max_position_embeddings": 16},
        multimodal_config=small,
        hidden_size=16,
        projection_dim=8,
    )
    flava = FlavaForPreTraining(config).eval()
    ids = torch.randint(1, 30, (4, 6))
    with torch.no_grad():
        return flava(
            input_ids=ids,
            input_ids_masked=ids,
            pixel_values=torch.randn(4, 3, 32, 32),
            attention_mask=torch.ones_like(ids),
            bool_masked_pos=torch.tensor([[1, 0, 0, 1]] * 4),
            mlm_labels=torch.tensor([[-100, 5, -100, -100, 7, -100]] * 4),
            mim_labels=torch.zeros(4, 4, dtype=torch.long),
            itm_labels=fits,
            return_loss=True,
        )


def test_matching_loss_is_that_of_transformers_flava() -> None:
    fits = torch.tensor([1, 1, 0, 1])

    seen = _flava_losses(fits)

    logit_B = seen.itm_logits[:, 1] - seen.itm_logits[:, 0]  # the softmax of two logits is the sigmoid of one
    torch.testing.assert_close(matching_loss(logit_B, fits, ONES).mean, seen.loss_info.itm)


def test_image_text_loss_of_pairs_of_four_classes_is_that_of_transformers_flava() -> None:
    seen = _flava_losses(torch.ones(4, dtype=torch.long))
    classes = torch.arange(4)

    loss = image_text_loss(seen.contrastive_logits_per_image, classes, classes, ONES).mean

    torch.testing.assert_close(loss, seen.loss_info.global_contrastive)


def test_flava_too_takes_its_masked_multimodal_loss_on_matching_pairs_only() -> None:
    seen = _flava_losses(torch.tensor([1, 1, 0, 1]))

    assert seen.mmm_text_logits.shape[0] == 3 * 2  # two hidden words of each of three pairs
    assert seen.mmm_image_logits.shape[0] == 3 * 2
