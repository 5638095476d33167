"""Classifiers against hand computation: cosines, temperatures, and a hierarchy whose probabilities add up."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax

from plantset.models.config import ModelConfig
from plantset.models.heads import CosineClassifier, DescriptionHead, HierarchicalClassifier, build_classifier

WIDTH, CROPS = 8, (0, 1, 1, 2, 1)
CLASSES = len(CROPS)


def _features(scale: float = 1.0) -> torch.Tensor:
    return scale * torch.randn(4, WIDTH, generator=torch.Generator().manual_seed(0))


def _hierarchy(classifier: str = "linear") -> HierarchicalClassifier:
    torch.manual_seed(0)
    config = ModelConfig(CLASSES, hierarchy=True, class_crops=CROPS, classifier=classifier)  # type: ignore[arg-type]
    built = build_classifier(config, WIDTH).eval()
    assert isinstance(built, HierarchicalClassifier)
    with torch.no_grad():
        for weight in built.parameters():
            weight.add_(torch.randn_like(weight))
    return built


@torch.no_grad()
def test_the_cosine_classifier_is_the_cosine_over_the_temperature() -> None:
    head = CosineClassifier(WIDTH, 3, dropout=0.5).eval()
    head.log_temperature.fill_(math.log(0.25))
    seen = _features().numpy()
    seen = (seen - seen.mean(axis=1, keepdims=True)) / np.sqrt(seen.var(axis=1, keepdims=True) + 1e-5)
    seen /= np.linalg.norm(seen, axis=1, keepdims=True)
    directions = head.directions_CF.numpy() / np.linalg.norm(head.directions_CF.numpy(), axis=1, keepdims=True)

    np.testing.assert_allclose(head(_features()).numpy(), seen @ directions.T / 0.25, rtol=1e-5, atol=1e-6)


@torch.no_grad()
def test_how_long_a_direction_is_does_not_matter() -> None:
    head = CosineClassifier(WIDTH, 3, dropout=0.0).eval()
    before = head(_features())

    head.directions_CF[1] *= 7.0

    torch.testing.assert_close(head(_features()), before)


@torch.no_grad()
@pytest.mark.parametrize(("log_temperature", "expected"), [(-20.0, 0.01), (20.0, 1.0), (math.log(0.5), 0.5)])
def test_temperatures_stay_between_a_hundredth_and_one(log_temperature: float, expected: float) -> None:
    head = DescriptionHead(WIDTH, WIDTH, 4)

    head.log_temperature.fill_(log_temperature)

    assert float(head.temperature) == pytest.approx(expected)


@torch.no_grad()
@pytest.mark.parametrize("classifier", ["linear", "cosine"])
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_the_hierarchy_is_crop_times_disease_given_crop(classifier: str, scale: float) -> None:
    head = _hierarchy(classifier)
    features = _features(scale)
    crop_log_probs = log_softmax(head.crops(features).double().numpy(), axis=1)
    class_logits = head.classes(features).double().numpy()

    expected = np.zeros((4, CLASSES))
    for crop in range(3):
        members = [label for label, own in enumerate(CROPS) if own == crop]
        expected[:, members] = crop_log_probs[:, [crop]] + log_softmax(class_logits[:, members], axis=1)

    np.testing.assert_allclose(head(features).numpy(), expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_the_logits_are_the_joint_distribution_and_its_marginals_sum_to_one() -> None:
    head = _hierarchy()

    logits = head(_features())

    np.testing.assert_allclose(np.exp(logits.numpy()), softmax(logits.numpy(), axis=1), rtol=1e-5)
    crops = head.crop_log_probs(logits).exp()
    torch.testing.assert_close(crops, head.crops(_features()).softmax(dim=1), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(crops.sum(dim=1), torch.ones(4))


@torch.no_grad()
def test_logits_of_a_very_unlikely_class_stay_finite() -> None:
    head = _hierarchy()
    head.crops.linear.weight.mul_(1e4)  # type: ignore[union-attr, operator]

    assert head(_features()).isfinite().all()


def test_the_gradient_of_the_hierarchy_is_finite_and_reaches_crops_and_classes() -> None:
    head = _hierarchy()

    torch.nn.functional.cross_entropy(head(_features()), torch.tensor([0, 1, 2, 3])).backward()

    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in head.parameters())
    assert all(bool(part.linear.weight.grad.any()) for part in (head.crops, head.classes))  # type: ignore[union-attr]
