"""The loop by itself: stopping, NaN, what is summed and what is called."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from plantset.core.errors import DataError
from plantset.models.objectives import Term
from plantset.models.presets import ObjectiveWeights
from plantset.runtime.local import LocalStrategy
from plantset.training.loop import Hooks, Plan, Progress, fit
from plantset.training.step import weighted_sum

STEPS = 3
ONE = torch.tensor(1.0)
PLAN = Plan(epochs=4, steps_per_epoch=STEPS, warmup_steps=0, gradient_clip=0.0, early_stopping=0)


class _Batch:
    """A batch of two photos that any device already has."""

    def __len__(self) -> int:
        return 2

    def to(self, _: torch.device) -> _Batch:
        return self


class _Loader:
    def __len__(self) -> int:
        return STEPS

    def __iter__(self) -> Iterator[_Batch]:
        return iter([_Batch() for _ in range(STEPS)])


def _run(
    *,
    scores: list[float],
    loss_of_step: Callable[[int], float] = lambda _: 1.0,
    plan: Plan = PLAN,
    progress: Progress | None = None,
) -> tuple[Progress, list[bool], nn.Linear]:
    """Fit a linear model whose judged scores are given and return progress, "was best" of each epoch, the model."""
    model = nn.Linear(1, 1)
    optimizer = torch.optim.SGD([{"params": model.parameters(), "lr": 0.1, "initial_lr": 0.1}])
    done = progress or Progress()
    was_best: list[bool] = []

    def terms(model: Any, _: Any) -> dict[str, Term]:
        value = model(torch.ones(1, 1)).sum() * 0 + loss_of_step(done.step)
        return {"classification": Term(value, ONE), "caption": Term(ONE / 2, ONE)}

    hooks = Hooks(
        counts=lambda *_: {"classification": ONE, "caption": ONE},
        terms=terms,
        weigh=lambda terms, counts: weighted_sum(terms, counts, ObjectiveWeights(caption=1.0)),
        judge=lambda _: (scores[done.epoch], {"macro_f1": scores[done.epoch]}),
        epoch_done=lambda _, is_best: was_best.append(is_best),
        logged=lambda *_: None,
    )
    fit(model, optimizer, LocalStrategy(torch.device("cpu")), plan, done, lambda _: _Loader(), hooks)  # type: ignore[arg-type, return-value]
    return done, was_best, model


def test_every_epoch_is_judged_and_the_best_is_the_first_of_the_highest() -> None:
    progress, was_best, _ = _run(scores=[0.2, 0.6, 0.6, 0.4])

    assert was_best == [True, True, False, False]
    assert (progress.best_epoch, progress.best_score) == (1, 0.6)
    assert (progress.epoch, progress.step) == (4, 12)


def test_the_history_holds_the_mean_of_each_loss_and_of_their_sum() -> None:
    progress, _, _ = _run(scores=[0.1] * 4, loss_of_step=lambda step: float(step))

    assert [row["loss/classification"] for row in progress.history] == pytest.approx([1.0, 4.0, 7.0, 10.0])
    assert [row["loss"] for row in progress.history] == pytest.approx([1.5, 4.5, 7.5, 10.5])
    assert all(row["loss/caption"] == 0.5 for row in progress.history)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_no_number_stops_the_run_before_it_is_judged_or_saved(value: float) -> None:
    with pytest.raises(DataError, match="loss/classification") as stopped:
        _run(scores=[0.1] * 4, loss_of_step=lambda step: value if step == 1 else 1.0)

    assert "--learning-rate" in stopped.value.fix


def test_early_stopping_counts_epochs_without_a_better_score() -> None:
    progress, was_best, _ = _run(scores=[0.5, 0.4, 0.5, 0.9], plan=replace(PLAN, early_stopping=2))

    assert progress.epoch == 3
    assert was_best == [True, False, False]


def test_a_better_score_begins_the_count_anew() -> None:
    progress, _, _ = _run(scores=[0.5, 0.4, 0.6, 0.1], plan=replace(PLAN, early_stopping=2))

    assert progress.epoch == 4


def test_a_run_that_stopped_early_takes_no_further_epoch_when_resumed() -> None:
    stopped = Progress(epoch=3, step=9, best_score=0.5, best_epoch=0)

    progress, was_best, _ = _run(scores=[0.9] * 4, plan=replace(PLAN, early_stopping=2), progress=stopped)

    assert (progress.epoch, was_best) == (3, [])


def test_a_finished_run_takes_no_further_step() -> None:
    progress, was_best, _ = _run(scores=[0.9] * 4, progress=Progress(epoch=4, step=12))

    assert (progress.step, was_best) == (12, [])


def test_an_epoch_within_one_standard_error_of_the_best_is_kept_because_it_is_later() -> None:
    # one standard error of 0.8 on 100 photos is 0.04
    progress, was_kept, _ = _run(scores=[0.5, 0.8, 0.75, 0.77], plan=replace(PLAN, selection_photos=100))

    assert was_kept == [True, True, False, True]
    assert (progress.best_epoch, progress.kept_epoch) == (1, 3)
