"""The documented families build and take a step, in tiny sizes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from plantset.models.build import count_parameters, create_multimodal_model
from plantset.models.multimodal import MultimodalModel
from tests.tiny_models import save_tiny_bert, save_tiny_gpt2, save_tiny_llama, save_tiny_roberta

SAVERS = {"bert": save_tiny_bert, "roberta": save_tiny_roberta, "gpt2": save_tiny_gpt2, "llama": save_tiny_llama}
TextModel = Callable[[str], str]


@pytest.fixture(scope="module")
def text_model(tmp_path_factory: pytest.TempPathFactory) -> TextModel:
    saved: dict[str, Path] = {}

    def get(family: str) -> str:
        if family not in saved:
            saved[family] = SAVERS[family](tmp_path_factory.mktemp("text") / family)
        return str(saved[family])

    return get


def _step(model: MultimodalModel, size_px: int) -> float:
    """Take one optimisation step and return how much the loss of the same batch fell."""
    torch.manual_seed(0)
    photos = torch.randint(0, 256, (2, size_px, size_px, 3), dtype=torch.uint8)
    labels = torch.tensor([0, 1])
    notes = ("taches brunes", "white downy growth")

    def loss() -> torch.Tensor:
        torch.manual_seed(1)  # the same units dropped, before and after
        return F.cross_entropy(model(model.encode_photos(photos), model.encode_notes(notes)).logits_BC, labels)

    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1e-3)
    model.train()
    before = loss()
    before.backward()
    optimizer.step()
    return float(before.detach() - loss().detach())


@pytest.mark.parametrize("family", list(SAVERS))
def test_a_text_family_builds_and_learns_in_a_step(text_model: TextModel, family: str) -> None:
    model = create_multimodal_model(
        3, "test_resnet", text_model(family), 24, 24, 24, 4, pretrained=False, image_size=64, dropout=0.0,
        freeze_text=False,
    )  # fmt: skip
    assert any(parameter.requires_grad for parameter in model.text.parameters())  # type: ignore[union-attr]

    assert _step(model, 64) > 0


@pytest.mark.parametrize(
    ("backbone", "size_px"),
    [("resnet18", 64), ("resnet50", 64), ("efficientnet_b4", 64), ("vit_tiny_patch16_224", 32), ("test_convnext", 64)],
)
def test_a_vision_family_builds_and_learns_in_a_step(text_model: TextModel, backbone: str, size_px: int) -> None:
    model = create_multimodal_model(
        3, backbone, text_model("gpt2"), 24, 24, 24, 4, pretrained=False, image_size=size_px, dropout=0.0
    )
    assert model.vision.preprocess.image_size_px == size_px

    assert _step(model, size_px) > 0


def test_the_contracts_twelve_heads_on_512_build(text_model: TextModel) -> None:
    model = create_multimodal_model(
        num_classes=133,
        vision_backbone="test_efficientnet",
        text_model=text_model("gpt2"),
        vision_dim=768,
        text_dim=768,
        fusion_dim=512,
        num_attention_heads=12,
        num_attention_layers=4,
        pretrained=False,
        image_size=64,
    ).eval()

    with torch.no_grad():
        logits = model(model.encode_photos(torch.zeros(1, 64, 64, 3, dtype=torch.uint8)), None).logits_BC

    assert logits.shape == (1, 133)
    assert len(model.fusion.layers) == 4


def test_counted_parameters_are_those_of_all_parts_and_those_that_learn(text_model: TextModel) -> None:
    model = create_multimodal_model(
        3, "test_resnet", text_model("bert"), 24, 24, 24, 4, pretrained=False, image_size=64, freeze_vision=True
    )
    towers = [*model.vision.parameters(), *model.text.parameters()]  # type: ignore[union-attr]

    total, trainable = count_parameters(model)

    assert total - trainable == sum(parameter.numel() for parameter in towers)
