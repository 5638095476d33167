"""Learning rate and weight decay: values from outside the code."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from transformers import get_cosine_schedule_with_warmup

from plantset.models.build import create_multimodal_model
from plantset.training.optimizer import build_optimizer, set_learning_rate
from plantset.training.schedule import warmup_cosine


@pytest.mark.parametrize(
    ("step", "factor"), [(0, 0.25), (1, 0.5), (3, 1.0), (4, 1.0), (8, 0.853553), (12, 0.5), (20, 0.0), (25, 0.0)]
)
def test_the_factor_rises_for_four_steps_and_falls_as_half_a_cosine(step: int, factor: float) -> None:
    assert warmup_cosine(step, warmup_steps=4, total_steps=20) == pytest.approx(factor, abs=1e-6)


def test_after_warm_up_the_factor_is_that_of_transformers() -> None:
    parameter = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    theirs = get_cosine_schedule_with_warmup(optimizer, num_warmup_steps=5, num_training_steps=30)
    factors = []
    for _ in range(30):
        factors.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        theirs.step()

    ours = [warmup_cosine(step, warmup_steps=5, total_steps=30) for step in range(30)]

    assert ours[5:] == pytest.approx(factors[5:])


def test_without_warm_up_the_first_step_is_the_largest() -> None:
    factors = [warmup_cosine(step, warmup_steps=0, total_steps=10) for step in range(10)]

    assert factors[0] == 1.0
    assert factors == sorted(factors, reverse=True)


@pytest.fixture(scope="module", params=["test_resnet", "test_vit"])
def groups(request: pytest.FixtureRequest, tiny_bert: str) -> dict[str, dict[str, float]]:
    """Name -> learning rate and decay, of every parameter that the optimizer has."""
    size = 160 if request.param == "test_vit" else 64
    model = create_multimodal_model(
        3, request.param, tiny_bert, 24, 24, 24, 4, pretrained=False, image_size=size, freeze_text=False,
        vocabulary_size=50,
    )  # fmt: skip
    optimizer = build_optimizer(model, learning_rate=1e-3, vision_ratio=0.1, weight_decay=0.05)
    by_id = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    return {
        name: {"lr": by_id[id(p)]["lr"], "decay": by_id[id(p)]["weight_decay"]} for name, p in model.named_parameters()
    }


def test_norms_biases_embeddings_positions_and_temperatures_do_not_decay(groups: dict[str, dict[str, float]]) -> None:
    plain = ("bias", "norm", "bn", "pos_embed", "cls_token", "embeddings.", "words", "positions", "temperature", "no_")

    decayed = {name for name, group in groups.items() if group["decay"] > 0}

    assert not {name for name in decayed if any(part in name.lower() for part in plain)}


def test_matrices_and_kernels_decay(groups: dict[str, dict[str, float]]) -> None:
    for name in ("classifier.linear.weight", "fusion.layers.0.image_asks_note.query.weight"):
        assert groups[name]["decay"] == 0.05
    assert {group["decay"] for name, group in groups.items() if name.endswith(("conv2.weight", "qkv.weight"))} == {0.05}


def test_the_vision_tower_learns_at_its_own_rate(groups: dict[str, dict[str, float]]) -> None:
    rates = {(name.startswith("vision."), group["lr"]) for name, group in groups.items()}

    assert rates == {(True, 1e-4), (False, 1e-3)}


def test_a_frozen_tower_is_in_no_group(tiny_bert: str) -> None:
    model = create_multimodal_model(
        3, "test_resnet", tiny_bert, 24, 24, 24, 4, pretrained=False, image_size=64, freeze_vision=True
    )

    optimizer = build_optimizer(model, learning_rate=1e-3, vision_ratio=0.1, weight_decay=0.05)

    learning = {id(p) for group in optimizer.param_groups for p in group["params"]}
    towers = [*model.vision.parameters(), *model.text.parameters()]  # type: ignore[union-attr]
    assert not learning & {id(p) for p in towers}


def test_a_factor_scales_each_group_from_its_own_rate() -> None:
    model = nn.ModuleDict({"vision": nn.Linear(2, 2), "head": nn.Linear(2, 2)})
    optimizer = build_optimizer(model, learning_rate=1.0, vision_ratio=0.5, weight_decay=0.1)

    for factor in (0.1, 0.5):
        set_learning_rate(optimizer, factor)

    assert sorted({group["lr"] for group in optimizer.param_groups}) == [0.25, 0.5]
