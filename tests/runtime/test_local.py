"""One process on one device: precision, clipping, random state."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from plantset.core.errors import DeviceError
from plantset.runtime.devices import find_device
from plantset.runtime.launch import launch
from plantset.runtime.local import LocalStrategy
from plantset.runtime.precision import Precision, mixed_precision_for

CPU = torch.device("cpu")


def _linear() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(4, 2, bias=False)


def _one_step(strategy: LocalStrategy, *, max_norm: float, scale: float = 100.0) -> torch.Tensor:
    """Take a step of plain gradient descent at rate 1 and return the update, which is the clipped gradient."""
    model = strategy.prepare(_linear())
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    before = next(model.parameters()).detach().clone()
    loss = scale * model(torch.ones(3, 4)).sum()
    strategy.backward(loss)
    strategy.step(optimizer, model.parameters(), max_norm)
    return before - next(model.parameters()).detach()


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_clipping_keeps_the_gradients_direction_at_the_given_norm(precision: Precision) -> None:
    update = _one_step(LocalStrategy(CPU, precision), max_norm=0.5)

    torch.testing.assert_close(update, torch.full((2, 4), 0.5 / 8**0.5), rtol=1e-4, atol=1e-5)


def test_a_norm_of_zero_does_not_clip() -> None:
    torch.testing.assert_close(_one_step(LocalStrategy(CPU), max_norm=0.0), torch.full((2, 4), 300.0))


def test_a_gradient_under_the_norm_is_left_alone() -> None:
    torch.testing.assert_close(
        _one_step(LocalStrategy(CPU), max_norm=1.0, scale=1e-3), torch.full((2, 4), 3e-3), rtol=1e-4, atol=1e-6
    )


def test_a_step_clears_the_gradients() -> None:
    strategy, model = LocalStrategy(CPU), _linear()
    strategy.backward(model(torch.ones(1, 4)).sum())

    strategy.step(torch.optim.SGD(model.parameters(), lr=1.0), model.parameters(), 1.0)

    assert all(parameter.grad is None for parameter in model.parameters())


def test_an_fp16_step_with_infinite_gradients_is_skipped_and_the_scale_halves() -> None:
    strategy, model = LocalStrategy(CPU, "fp16"), _linear()
    before = model.weight.detach().clone()
    strategy.backward(model(torch.ones(1, 4)).sum() * float("inf"))

    strategy.step(torch.optim.SGD(model.parameters(), lr=1.0), model.parameters(), 1.0)

    assert torch.equal(model.weight, before)
    assert strategy.state()["loss_scale"] == 2.0**15


@pytest.mark.parametrize(
    ("precision", "expected"), [("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)]
)
def test_autocast_computes_in_the_chosen_format(precision: Precision, expected: torch.dtype) -> None:
    with LocalStrategy(CPU, precision).autocast():
        assert _linear()(torch.ones(1, 4)).dtype == expected


def test_mixed_precision_is_bf16_where_the_cpu_has_it_and_fp32_where_it_would_be_emulated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chosen = {}
    for has_units in (True, False):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda has_units=has_units: has_units)
        chosen[has_units] = mixed_precision_for(CPU)

    assert chosen == {True: "bf16", False: "fp32"}


@pytest.mark.parametrize(("has_bf16", "expected"), [(True, "bf16"), (False, "fp16")])
def test_a_gpu_without_bf16_units_uses_fp16(
    monkeypatch: pytest.MonkeyPatch, has_bf16: bool, expected: Precision
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: has_bf16)

    assert mixed_precision_for(torch.device("cuda")) == expected


def test_without_mixed_precision_the_strategy_computes_in_fp32() -> None:
    with launch("cpu", mixed_precision=False) as strategy:
        assert strategy.precision == "fp32"


def test_a_restored_random_state_draws_the_same_numbers() -> None:
    strategy = LocalStrategy(CPU)
    state = strategy.state()
    expected = torch.rand(5)
    torch.rand(100)

    strategy.restore(state)

    assert torch.equal(torch.rand(5), expected)


def test_a_new_strategy_takes_back_the_loss_scale() -> None:
    used = LocalStrategy(CPU, "fp16")
    _one_step(used, max_norm=1.0, scale=float("inf"))  # halves the scale
    fresh = LocalStrategy(CPU, "fp16")

    fresh.restore(used.state())

    assert fresh.state()["loss_scale"] == used.state()["loss_scale"] == 2.0**15


def test_a_new_strategy_goes_on_counting_the_steps_until_the_loss_scale_grows() -> None:
    used = LocalStrategy(CPU, "fp16")
    _one_step(used, max_norm=1.0)
    fresh = LocalStrategy(CPU, "fp16")
    fresh.restore(used.state())

    _one_step(fresh, max_norm=1.0)

    assert fresh.state()["steps_at_loss_scale"] == 2


def test_metrics_come_to_the_host_by_name() -> None:
    assert LocalStrategy(CPU).fetch({"loss": torch.tensor(1.5), "n": torch.tensor(2)}) == {"loss": 1.5, "n": 2.0}


def test_no_metrics_are_an_empty_answer() -> None:
    assert LocalStrategy(CPU).fetch({}) == {}


def test_a_missing_gpu_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    with pytest.raises(DeviceError) as refused:
        find_device("cuda")

    assert "--device cpu" in refused.value.fix


def test_auto_is_the_cpu_where_no_gpu_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    assert find_device("auto") == CPU
