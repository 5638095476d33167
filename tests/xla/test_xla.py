"""Training through XLA, on 1, 4 and 8 devices that a CPU stands for, beside the same training without it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.xla import small
from tests.xla.trainings import STEPS, Losses, losses_of, training_of

Answer = Callable[[str], dict[str, Any]]


def _largest_ratio(found: Losses, expected: Losses) -> float:
    """Return the largest relative difference of a step's loss."""
    assert len(found) == len(expected)
    return max(
        abs(one["loss"] - other["loss"]) / abs(other["loss"]) for one, other in zip(found, expected, strict=True)
    )


@pytest.fixture(scope="module")
def on_cpu(xla_folder: Path) -> Callable[[str], Losses]:
    """Return a function: name of a training -> its losses without XLA."""
    known: dict[str, Losses] = {}

    def ask(name: str) -> Losses:
        if name not in known:
            known[name] = losses_of(dataclasses.replace(training_of(name, xla_folder), device="cpu"))
        return known[name]

    return ask


# 50 steps of SGD on the small ResNet are 1e-7 apart for six steps, and up to 1e-4 after a jump; on a transformer they
# are 1e-7 apart to the end. Probably ReLU: a value that rounding puts on the other side of 0 has another gradient.
@pytest.mark.parametrize("name", ["cross-attention/sgd/vit", "cross-attention/adamw", "florence-2/adamw"])
def test_each_steps_loss_is_that_of_the_cpu(name: str, answer: Answer, on_cpu: Callable[[str], Losses]) -> None:
    found = answer("presets")[name]

    assert len(found) == STEPS[name.split("/")[1]]
    assert _largest_ratio(found, on_cpu(name)) < 1e-5


def test_four_devices_take_the_steps_of_one(answer: Answer, on_cpu: Callable[[str], Losses]) -> None:
    assert _largest_ratio(answer("on 4")["cross-attention/adamw"], on_cpu("cross-attention/adamw")) < 1e-5


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    """The steps of the small network without XLA."""
    return small.on_this_cpu()


@pytest.mark.parametrize("devices", [1, 8])
@pytest.mark.parametrize("way", ["plain", "sharded"])
@pytest.mark.parametrize("what", ["losses", "bias", "running_mean"])
def test_clipped_steps_are_those_of_the_cpu(
    devices: int, way: str, what: str, answer: Answer, expected: dict[str, Any]
) -> None:
    found = answer(f"small on {devices}")

    assert found["devices"] == devices
    assert found[way][what] == pytest.approx(expected[what], rel=2e-5, abs=1e-6)


def test_bf16_is_near(answer: Answer, expected: dict[str, Any]) -> None:
    assert answer("small on 8")["bf16"]["losses"] == pytest.approx(expected["losses"], rel=2e-2)


def test_what_shared_a_weight_shares_it_after_the_move(answer: Answer) -> None:
    assert answer("small on 8")["plain"]["is_tied"]


def test_a_large_parameter_lies_in_parts_on_the_devices_and_a_small_one_whole(answer: Answer) -> None:
    sharding = answer("small on 8")["sharded"]["sharding"]

    assert "devices=[8,1]" in sharding["wide.weight"]
    assert "devices" not in sharding["norm.bias"]


def test_dropout_is_another_on_each_device(answer: Answer) -> None:
    rows = answer("small on 8")["drawn"]

    assert len({tuple(row) for row in rows}) == 8
    assert 0.3 < sum(value == 0 for row in rows for value in row) / 512 < 0.7


def test_the_same_seed_takes_the_same_steps_with_dropout(answer: Answer) -> None:
    first, second = answer("small on 8")["dropped"]

    assert first == second


def test_activations_are_computed_again_behind_a_barrier_and_give_the_same_gradients(answer: Answer) -> None:
    found = answer("small on 1")["recomputed"]
    kept, again = found["gradients"]

    assert found["barriers"] > 0
    assert again == pytest.approx(kept, rel=1e-5, abs=1e-7)
    assert any(again)


@pytest.mark.parametrize("devices", [1, 8])
def test_steps_as_they_should_be_compile_nothing_and_bring_nothing_to_the_host(devices: int, answer: Answer) -> None:
    assert answer(f"small on {devices}")["counted"]["usual"] == [0, 0, 0]


def test_a_look_at_the_loss_in_each_step_is_counted(answer: Answer) -> None:
    _, fetched, _ = answer("small on 8")["counted"]["looks at the loss"]

    assert fetched >= 4


def test_another_shape_is_counted_as_compiled(answer: Answer) -> None:
    compiled, _, _ = answer("small on 8")["counted"]["another shape"]

    assert compiled >= 1


def test_after_the_first_epoch_nothing_is_compiled_until_the_last_step(answer: Answer) -> None:
    compiled = {step: compiled for step, compiled, _, _ in answer("whole")["steps"]}

    # four steps an epoch, the last of them half padding; judging and saving lie between
    assert compiled[12] == compiled[5]


def test_inside_an_epoch_nothing_comes_to_the_host(answer: Answer) -> None:
    fetched = {step: fetched for step, _, fetched, _ in answer("whole")["steps"]}

    assert fetched[8] == fetched[5]
    assert fetched[12] == fetched[9]
    assert fetched[9] > fetched[8]  # judging does: the counter sees what it should


def test_no_operation_of_a_step_is_left_to_the_host(answer: Answer) -> None:
    left = {step: left for step, _, _, left in answer("whole")["steps"]}

    assert left[8] == left[5]


def test_a_run_that_is_killed_and_gone_on_with_equals_the_run_never_killed(answer: Answer) -> None:
    found = answer("whole")

    assert "SIGTERM after 1 epochs, step 5" in found["stopped"]
    assert found["differing"] == []
    assert found["history"] == [4, 4]


@pytest.mark.parametrize("trained", ["to_end", "on_cpu"])
def test_a_checkpoint_gives_the_same_answers_with_and_without_xla(trained: str, answer: Answer) -> None:
    logits = answer("whole")["logits"][trained]

    for found, expected in zip(logits["xla"], logits["cpu"], strict=True):
        assert found == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_shards_in_a_store_train_to_the_weights_of_files(answer: Answer) -> None:
    pytest.importorskip("moto.server")

    assert answer("store")["differing"] == []
