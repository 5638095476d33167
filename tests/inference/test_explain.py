"""A heat map shows what spoke for the class, where it stands in the photo."""

from __future__ import annotations

import copy
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from plantset.core.classes import class_infos
from plantset.core.records import read_records
from plantset.inference.config import InferConfig
from plantset.inference.explain import draw_heat, mass_inside
from plantset.inference.predictor import Predictor
from plantset.inference.run import infer
from plantset.models.build import create_multimodal_model
from plantset.models.decision import Calibration
from plantset.models.load import LoadedModel, ModelCard, to_checkpoint
from plantset.models.relevance import explain_photos


@pytest.fixture
def views(predictor: Predictor, photos_dir: Path) -> Tensor:
    """Four photos as the model sees them."""
    return torch.from_numpy(np.stack([predictor.read(path) for path in sorted(photos_dir.glob("*.jpg"))[:4]]))


def test_maps_have_the_photos_size_and_sum_to_one(predictor: Predictor, views: Tensor) -> None:
    maps = explain_photos(predictor.model, views, torch.zeros(4, dtype=torch.long))

    assert maps.shape == views.shape[:3]
    assert (maps >= 0).all()
    np.testing.assert_allclose(maps.sum(axis=(1, 2)), 1.0, rtol=1e-6)


def test_a_photo_has_the_same_map_alone_and_in_a_batch(predictor: Predictor, views: Tensor) -> None:
    classes = torch.tensor([0, 1, 2, 3])

    together = explain_photos(predictor.model, views, classes)
    alone = explain_photos(predictor.model, views[2:3], classes[2:3])

    np.testing.assert_allclose(together[2], alone[0], atol=1e-6)


def test_a_transformer_is_explained_too(photos_dir: Path, views: Tensor) -> None:
    torch.manual_seed(0)
    built = create_multimodal_model(
        4, "test_vit", "none", 24, 24, 24, 4, pretrained=False, image_size=64, vocabulary_size=0
    )
    infos = class_infos(read_records(photos_dir.parent / "multimodal_dataset.jsonl"))
    card = ModelCard(infos, "fr", None, Calibration(), {}, {})
    model = LoadedModel(to_checkpoint(built, card), torch.device("cpu"))

    maps = explain_photos(model, views, torch.zeros(4, dtype=torch.long))

    np.testing.assert_allclose(maps.sum(axis=(1, 2)), 1.0, rtol=1e-6)
    assert all(heat.std() > 0.1 * heat.mean() for heat in maps)


def test_another_class_has_another_map(predictor: Predictor, views: Tensor) -> None:
    first = explain_photos(predictor.model, views[:1], torch.tensor([0]))
    second = explain_photos(predictor.model, views[:1], torch.tensor([1]))

    assert np.abs(first - second).max() > 0.1 * first.max()


def test_a_map_of_two_classes_is_that_of_the_difference_of_their_logits(predictor: Predictor, views: Tensor) -> None:
    """A model whose first class has the difference of two as its weights is explained alike."""
    differing: LoadedModel = copy.copy(predictor.model)
    differing.model = copy.deepcopy(predictor.model.model)
    with torch.no_grad():
        linear = differing.model.classifier.linear
        linear.weight[0] -= linear.weight[2]
    first, other = torch.zeros(4, dtype=torch.long), torch.full((4,), 2)

    against = explain_photos(predictor.model, views, first, other)
    plain = explain_photos(differing, views, first)

    np.testing.assert_allclose(against, plain, atol=1e-6)


def test_random_weights_destroy_the_map(predictor: Predictor, views: Tensor) -> None:
    """The sanity check of Adebayo et al. 2018 (arXiv 1810.03292): a map must depend on what was learned."""
    broken: LoadedModel = copy.copy(predictor.model)
    broken.model = copy.deepcopy(predictor.model.model)
    torch.manual_seed(1)
    with torch.no_grad():
        broken.model.classifier.linear.weight.normal_(std=0.3)
    classes = torch.zeros(4, dtype=torch.long)

    maps, destroyed = (explain_photos(model, views, classes) for model in (predictor.model, broken))

    likeness = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(maps, destroyed, strict=True)]
    assert np.mean(likeness) < 0.8


def test_an_even_map_puts_on_a_mask_its_share_of_the_area() -> None:
    mask = np.zeros((10, 10), dtype=bool)
    mask[:3, :5] = True

    assert mass_inside(np.full((10, 10), 0.01), mask) == pytest.approx(0.15)


def test_heat_changes_the_photo_where_it_is_hot_and_nowhere_else() -> None:
    view = np.full((8, 8, 3), 60, dtype=np.uint8)
    heat = np.zeros((8, 8))
    heat[2, 3] = 1.0

    drawn = draw_heat(view, heat)

    assert [tuple(place) for place in np.argwhere((drawn != view).any(axis=2))] == [(2, 3)]


def test_the_command_writes_a_picture_a_photo(checkpoint: Path, photos_dir: Path, tmp_path: Path) -> None:
    infer(InferConfig(checkpoint, photos_dir, explain=tmp_path / "maps", device="cpu", batch_size=3))

    written = sorted(path.name for path in (tmp_path / "maps").iterdir())
    assert written == sorted(f"{path.name}.png" for path in photos_dir.glob("*.jpg"))
    assert cv2.imread(str(tmp_path / "maps" / written[0])).shape == (64, 64, 3)
