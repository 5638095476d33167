"""The loop by itself: stopping, NaN, what is summed and what is called."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import torch
from torch import nn

from plantset.core.errors import DataError
from plantset.models.objectives import Term
from plantset.models.presets import ObjectiveWeights
from plantset.runtime.local import LocalStrategy
from plantset.training.loop import Ending, Hooks, Plan, Progress, Trainer
from plantset.training.meter import EpochSums, LossDivergedError, Meter
from plantset.training.metrics import Judgement
from plantset.training.step import weighted_sum
from plantset.training.stopping import Clock, StopRequest

STEPS = 3
ONE = torch.tensor(1.0)
PLAN = Plan(
    epochs=4, num_photos=2 * STEPS, batches_per_epoch=STEPS, warmup_steps=0, gradient_clip=0.0, early_stopping=0
)


class _Batch:
    """A batch of two photos that any device already has."""

    indices_B = torch.tensor([4, 7])

    def __len__(self) -> int:
        return 2

    def to(self, _: torch.device) -> _Batch:
        return self


class _Loader:
    """The batches of an epoch that are left when `start` photos are done."""

    def __init__(self, start: int) -> None:
        self._left = STEPS - start // 2

    def __len__(self) -> int:
        return self._left

    def __iter__(self) -> Iterator[_Batch]:
        return iter([_Batch() for _ in range(self._left)])


@dataclass
class _Run:
    """What `_run` saw."""

    progress: Progress
    ending: Ending
    was_best: list[bool] = field(default_factory=list)
    saved_steps: list[int] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)


def _fit(
    *,
    scores: list[float],
    error: float = 0.0,
    loss_of_step: Callable[[int], float] = lambda _: 1.0,
    plan: Plan = PLAN,
    progress: Progress | None = None,
    signal_at_step: int = -1,
    limit_s: float | None = None,
) -> _Run:
    """Fit a linear model whose losses and judged scores are given."""
    model = nn.Linear(1, 1)
    optimizer = torch.optim.SGD([{"params": model.parameters(), "lr": 1.0, "initial_lr": 1.0}])
    run = _Run(progress or Progress(), "complete")
    done, request = run.progress, StopRequest()

    def terms(model: Any, _: Any) -> dict[str, Term]:
        run.rates.append(optimizer.param_groups[0]["lr"])
        if done.step == signal_at_step:
            request.signal_number = signal.SIGTERM
        value = model(torch.ones(1, 1)).sum() * 0 + loss_of_step(done.step)
        return {"classification": Term(value, ONE), "caption": Term(ONE / 2, ONE)}

    hooks = Hooks(
        loader=lambda _, start: _Loader(start),  # type: ignore[arg-type, return-value]
        begin_epoch=lambda *_: None,
        counts=lambda *_: {"classification": ONE, "caption": ONE},
        terms=terms,
        weigh=lambda terms, counts: weighted_sum(terms, counts, ObjectiveWeights(caption=1.0)),
        judge=lambda _: Judgement(scores[done.epoch], error, {"macro_f1": scores[done.epoch]}),
        epoch_done=lambda _, is_best: run.was_best.append(is_best),
        save=lambda progress: run.saved_steps.append(progress.step),
        logged=lambda *_: None,
    )
    strategy = LocalStrategy(torch.device("cpu"))
    trainer = Trainer(model, optimizer, strategy, plan, done, hooks)  # type: ignore[arg-type]
    run.ending = trainer.fit(request, Clock(limit_s, time.perf_counter()))
    return run


def _run(**given: Any) -> tuple[Progress, list[bool]]:
    """Return where the run ended, and for each epoch whether its model was kept."""
    run = _fit(**given)
    return run.progress, run.was_best


def test_every_epoch_is_judged_and_the_best_is_the_first_of_the_highest() -> None:
    progress, was_best = _run(scores=[0.2, 0.6, 0.6, 0.4])

    assert was_best == [True, True, False, False]
    assert (progress.best_epoch, progress.best_score) == (1, 0.6)
    assert (progress.epoch, progress.step) == (4, 12)


def test_the_history_holds_the_mean_of_each_loss_and_of_their_sum() -> None:
    progress, _ = _run(scores=[0.1] * 4, loss_of_step=lambda step: step / 10)

    assert [row["loss/classification"] for row in progress.history] == pytest.approx([0.1, 0.4, 0.7, 1.0])
    assert [row["loss"] for row in progress.history] == pytest.approx([0.6, 0.9, 1.2, 1.5])
    assert all(row["loss/caption"] == 0.5 for row in progress.history)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_no_number_stops_the_run_before_it_is_judged_or_saved(value: float) -> None:
    with pytest.raises(DataError, match="loss/classification") as stopped:
        _run(scores=[0.1] * 4, loss_of_step=lambda step: value if step == 1 else 1.0)

    assert "--learning-rate" in stopped.value.fix


def test_early_stopping_counts_epochs_without_a_better_score() -> None:
    progress, was_best = _run(scores=[0.5, 0.4, 0.5, 0.9], plan=replace(PLAN, early_stopping=2))

    assert progress.epoch == 3
    assert was_best == [True, False, False]


def test_a_better_score_begins_the_count_anew() -> None:
    progress, _ = _run(scores=[0.5, 0.4, 0.6, 0.1], plan=replace(PLAN, early_stopping=2))

    assert progress.epoch == 4


def test_a_run_that_stopped_early_takes_no_further_epoch_when_resumed() -> None:
    stopped = Progress(epoch=3, step=9, best_score=0.5, best_epoch=0)

    progress, was_best = _run(scores=[0.9] * 4, plan=replace(PLAN, early_stopping=2), progress=stopped)

    assert (progress.epoch, was_best) == (3, [])


def test_a_finished_run_takes_no_further_step() -> None:
    progress, was_best = _run(scores=[0.9] * 4, progress=Progress(epoch=4, step=12))

    assert (progress.step, was_best) == (12, [])


def test_an_epoch_within_one_standard_error_of_the_best_is_kept_because_it_is_later() -> None:
    progress, was_kept = _run(scores=[0.5, 0.8, 0.75, 0.77], error=0.04)

    assert was_kept == [True, True, False, True]
    assert (progress.best_epoch, progress.kept_epoch) == (1, 3)


def test_two_batches_of_a_step_take_half_as_many_steps_of_the_same_photos() -> None:
    run = _fit(scores=[0.1] * 4, plan=replace(PLAN, accumulate_steps=2))

    assert run.progress.step == 4 * 2  # three batches an epoch: a step of two, and one of the one that is left
    assert run.progress.history[0]["loss"] == pytest.approx(1.5)  # of each step, whatever it counts


def test_a_signal_ends_the_run_after_the_step_that_it_came_in() -> None:
    run = _fit(scores=[0.1] * 4, signal_at_step=4)

    assert (run.ending, run.progress.epoch, run.progress.step, run.progress.seen) == ("signal", 1, 5, 4)
    assert run.saved_steps == [5]


def test_a_run_that_was_stopped_inside_an_epoch_ends_as_one_that_was_not() -> None:
    whole = _fit(scores=[0.1] * 4, loss_of_step=lambda step: step / 10)
    stopped = _fit(scores=[0.1] * 4, loss_of_step=lambda step: step / 10, signal_at_step=4)

    resumed = _fit(scores=[0.1] * 4, loss_of_step=lambda step: step / 10, progress=stopped.progress)

    losses = [[row["loss"] for row in run.progress.history] for run in (whole, resumed)]
    assert losses[0] == losses[1]
    assert stopped.rates + resumed.rates == whole.rates


def test_the_state_is_saved_every_so_many_steps_inside_an_epoch() -> None:
    assert _fit(scores=[0.1] * 4, plan=replace(PLAN, save_steps=2)).saved_steps == [2, 4, 8, 10]  # 6 ends an epoch


def test_steps_that_run_out_end_the_epoch_early_with_a_judged_model_and_a_learning_rate_near_zero() -> None:
    run = _fit(scores=[0.1] * 4, plan=replace(PLAN, max_steps=5))

    assert (run.ending, run.progress.step, run.was_best) == ("max-steps", 5, [True, False])
    assert run.rates[-1] == pytest.approx(0.5 * (1 + math.cos(math.pi * 4 / 5)))


def test_a_run_that_had_too_little_time_gets_its_whole_schedule_back_without_a_limit() -> None:
    run = _fit(scores=[0.1] * 4, progress=Progress(epoch=3, step=9, total_steps=9))

    assert run.rates == pytest.approx([0.5 * (1 + math.cos(math.pi * step / 12)) for step in (9, 10, 11)])


def test_time_that_is_up_ends_the_run_before_its_next_step() -> None:
    run = _fit(scores=[0.1] * 4, limit_s=0.0)

    assert (run.ending, run.progress.step) == ("max-time", 0)


def test_a_loss_that_grows_beyond_three_times_its_start_stops_the_run_and_names_the_photos() -> None:
    with pytest.raises(LossDivergedError, match="diverges") as stopped:
        _fit(scores=[0.1] * 4, loss_of_step=lambda step: 1.0 if step < 3 else 50.0)

    assert stopped.value.positions == (4, 7)


def test_a_loss_that_is_no_number_stops_the_run_before_it_is_saved_inside_an_epoch() -> None:
    with pytest.raises(LossDivergedError) as stopped:
        _run(
            scores=[0.1] * 4,
            plan=replace(PLAN, save_steps=2),
            loss_of_step=lambda step: math.nan if step == 1 else 1.0,
        )

    assert stopped.value.positions == (4, 7)


def test_an_answer_that_is_no_number_stops_the_run_before_its_model_is_kept() -> None:
    progress = Progress()

    with pytest.raises(LossDivergedError, match="macro_f1"):
        _run(scores=[math.nan] * 4, progress=progress)

    assert (progress.kept_epoch, progress.history) == (-1, [])


class _SecondRank(LocalStrategy):
    """The second of two processes, as far as a meter can tell."""

    rank = 1

    @property
    def is_main(self) -> bool:
        return False


def test_every_rank_has_the_losses_of_an_open_window_by_name_and_one_alone_their_sums() -> None:
    sums = EpochSums(window={"loss": 3.0}, window_steps=2)

    first, second = (
        Meter(strategy(torch.device("cpu")), replace(sums), "epoch").snapshot().window
        for strategy in (LocalStrategy, _SecondRank)
    )

    assert first == {"loss": 3.0}
    assert second == {"loss": 0.0}


def test_time_for_what_comes_after_the_last_epoch_is_set_aside() -> None:
    clock = Clock(60.0, time.perf_counter(), closing_s=20.0)

    assert clock.left_s is not None
    assert clock.left_s <= 40.0
