"""Learning rate and weight decay: values from outside the code."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from transformers import get_cosine_schedule_with_warmup

from plantset.models.build import create_multimodal_model
from plantset.training.config_learning import OptimizerName, ScheduleName
from plantset.training.optimizer import OptimizerSettings, build_optimizer, set_learning_rate
from plantset.training.schedule import default_warmup_steps, learning_rate_factor, warmup_cosine


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


def test_one_cycle_is_that_of_torch() -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=50, cycle_momentum=False)
    factors = []
    for _ in range(50):
        factors.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        theirs.step() if len(factors) < 50 else None

    rise = default_warmup_steps("one-cycle", 50)
    ours = [learning_rate_factor(step, schedule="one-cycle", warmup_steps=rise, total_steps=50) for step in range(50)]

    assert ours == pytest.approx(factors)


def test_a_constant_rate_rises_and_stays() -> None:
    factors = [learning_rate_factor(step, schedule="constant", warmup_steps=4, total_steps=8) for step in range(12)]

    assert factors == [0.25, 0.5, 0.75] + [1.0] * 9


@pytest.mark.parametrize("schedule", ["cosine", "constant", "one-cycle"])
@pytest.mark.parametrize("warmup_steps", [0, 1, 7, 20])
def test_no_step_of_any_schedule_is_wasted_or_above_the_peak(schedule: ScheduleName, warmup_steps: int) -> None:
    factors = [
        learning_rate_factor(step, schedule=schedule, warmup_steps=warmup_steps, total_steps=20) for step in range(20)
    ]

    assert all(0 < factor <= 1 for factor in factors)
    assert max(factors) == 1.0


SETTINGS = OptimizerSettings(1e-3, vision_ratio=0.1, weight_decay=0.05)


@pytest.fixture(scope="module", params=["test_resnet", "test_vit"])
def groups(request: pytest.FixtureRequest, tiny_bert: str) -> dict[str, dict[str, float]]:
    """Name -> learning rate and decay, of every parameter that the optimizer has."""
    size = 160 if request.param == "test_vit" else 64
    model = create_multimodal_model(
        3, request.param, tiny_bert, 24, 24, 24, 4, pretrained=False, image_size=size, freeze_text=False,
        vocabulary_size=50,
    )  # fmt: skip
    optimizer = build_optimizer(model, SETTINGS)
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

    optimizer = build_optimizer(model, SETTINGS)

    learning = {id(p) for group in optimizer.param_groups for p in group["params"]}
    towers = [*model.vision.parameters(), *model.text.parameters()]  # type: ignore[union-attr]
    assert not learning & {id(p) for p in towers}


def test_a_factor_scales_each_group_from_its_own_rate() -> None:
    model = nn.ModuleDict({"vision": nn.Linear(2, 2), "head": nn.Linear(2, 2)})
    optimizer = build_optimizer(model, OptimizerSettings(1.0, vision_ratio=0.5, weight_decay=0.1))

    for factor in (0.1, 0.5):
        set_learning_rate(optimizer, factor)

    assert sorted({group["lr"] for group in optimizer.param_groups}) == [0.25, 0.5]


def _loss(model: nn.Module) -> torch.Tensor:
    return model(torch.ones(2, 4)).square().sum()


def _trained(name: OptimizerName, steps: int, state: dict | None = None, model: nn.Module | None = None) -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.Linear(8, 1)) if model is None else model
    optimizer = build_optimizer(model, OptimizerSettings(1e-2, weight_decay=0.1, name=name))
    if state is not None:
        optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    for _ in range(steps):
        optimizer.zero_grad()
        _loss(model).backward()
        optimizer.step()
    model.optimizer_state = optimizer.state_dict()["state"]  # type: ignore[assignment]
    return model


@pytest.mark.parametrize("name", ["adamw", "sgd", "lion", "nadamw"])
def test_every_optimizer_learns(name: OptimizerName) -> None:
    assert _loss(_trained(name, 20)) < 0.9 * _loss(_trained(name, 0))


@pytest.mark.parametrize("name", ["adamw", "sgd", "lion", "nadamw"])
def test_the_tensors_of_each_parameter_are_all_that_an_optimizer_needs_to_go_on(name: OptimizerName) -> None:
    straight = _trained(name, 6)

    half = _trained(name, 3)
    state = half.optimizer_state
    resumed = _trained(name, 3, state, half)  # type: ignore[arg-type]

    assert all(isinstance(value, torch.Tensor) for slots in state.values() for value in slots.values())  # type: ignore[union-attr,operator]
    assert all(torch.equal(a, b) for a, b in zip(straight.parameters(), resumed.parameters(), strict=True))


def test_adamw_is_torchs_own() -> None:
    ours = _trained("adamw", 5)

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.Linear(8, 1))
    vectors = [p for p in model.parameters() if p.ndim < 2]
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    optimizer = torch.optim.AdamW(
        [{"params": vectors, "weight_decay": 0.0}, {"params": matrices, "weight_decay": 0.1}], lr=1e-2
    )
    for _ in range(5):
        optimizer.zero_grad()
        _loss(model).backward()
        optimizer.step()

    for own, theirs in zip(ours.parameters(), model.parameters(), strict=True):
        assert torch.allclose(own, theirs, rtol=1e-5, atol=1e-7)


def test_layer_decay_lets_each_layer_of_the_tower_learn_slower_than_the_one_above(tiny_bert: str) -> None:
    model = create_multimodal_model(
        3, "test_vit", tiny_bert, 24, 24, 24, 4, pretrained=False, image_size=160, vocabulary_size=50
    )

    optimizer = build_optimizer(model, OptimizerSettings(1.0, vision_ratio=0.5, layer_decay=0.5))

    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    rate = {name: rates[id(p)] for name, p in model.named_parameters() if id(p) in rates}
    assert rate["vision.model.norm.weight"] == rate["vision.model.blocks.5.mlp.fc1.weight"] == 0.5
    assert [rate[f"vision.model.blocks.{n}.attn.qkv.weight"] for n in range(6)] == [
        0.5 * 0.5**n for n in (5, 4, 3, 2, 1, 0)
    ]
    assert rate["vision.model.patch_embed.proj.weight"] == rate["vision.model.pos_embed"] == 0.5 * 0.5**6
    assert {value for name, value in rate.items() if not name.startswith("vision.")} == {1.0}


def test_what_a_module_holds_bare_does_not_decay() -> None:
    model = nn.Module()
    model.queries = nn.Parameter(torch.ones(4, 8))
    model.linear = nn.Linear(8, 8)

    optimizer = build_optimizer(model, OptimizerSettings(1.0, weight_decay=0.1))

    assert {g["weight_decay"]: len(g["params"]) for g in optimizer.param_groups} == {0.0: 2, 0.1: 1}


@pytest.mark.parametrize("name", ["adamw", "sgd", "lion", "nadamw"])
def test_a_step_does_not_depend_on_the_memory_format_of_a_gradient(name: OptimizerName) -> None:
    kernels = []
    for memory_format in (torch.contiguous_format, torch.channels_last):
        torch.manual_seed(0)
        model = nn.Conv2d(4, 8, 3)
        model.weight.grad = torch.randn(8, 4, 3, 3).contiguous(memory_format=memory_format)
        build_optimizer(model, OptimizerSettings(0.1, name=name)).step()
        kernels.append(model.weight.detach())

    assert torch.equal(*kernels)
