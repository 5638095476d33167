"""The loop: epochs of steps, a judgement after each, a state that can be taken up after any step.

It knows no device and no rank: the `Strategy` does. It never waits for the device between log points.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal

import torch
from torch import Tensor

from plantset.core.language import tr
from plantset.data.batch import Batch
from plantset.models.multimodal import MultimodalModel
from plantset.models.objectives import Term
from plantset.runtime.strategy import Strategy
from plantset.training.average import WeightAverage
from plantset.training.config_learning import ScheduleName
from plantset.training.meter import BatchLoader, EpochSums, Meter, diverged
from plantset.training.metrics import Judgement
from plantset.training.optimizer import set_learning_rate
from plantset.training.schedule import learning_rate_factor
from plantset.training.stopping import Clock, Interrupted, StopRequest

_LOG_EVERY_STEPS = 20
Ending = Literal["complete", "stalled", "max-steps", "max-time", "signal"]


@dataclass(frozen=True)
class Plan:
    """How long and how fast.

    Attributes:
        num_photos: of an epoch. num_judged: photos that each epoch is judged on.
        batches_per_epoch: micro-batches of an epoch.
        accumulate_steps: micro-batches of a step; their gradients are exactly those of one large batch.
        early_stopping: epochs without a better score after which to stop; 0 never stops.
        max_steps: steps after which to stop; 0 goes through all epochs.
        save_steps: steps between two saved states inside an epoch; 0 saves after epochs alone.
    """

    epochs: int
    num_photos: int
    batches_per_epoch: int
    warmup_steps: int
    gradient_clip: float
    early_stopping: int
    accumulate_steps: int = 1
    schedule: ScheduleName = "cosine"
    max_steps: int = 0
    save_steps: int = 0
    num_judged: int = 0

    @property
    def total_steps(self) -> int:
        """Return the steps of the whole run, over which the learning rate comes down."""
        steps = self.epochs * -(-self.batches_per_epoch // self.accumulate_steps)
        return min(steps, self.max_steps) if self.max_steps else steps


@dataclass
class Progress:
    """Where a run stands: all of it is saved, so that a resumed run goes on from here.

    Attributes:
        epoch: epochs that are done.
        seen: photos of the current epoch that are done, over all processes.
        total_steps: to which the learning rate comes down; fewer than planned when the time is too short for all.
        best_error: one standard error of the best score.
        best_epoch: of the highest score, which early stopping counts from.
        kept_epoch: of the model that is kept: the latest within one standard error of the best.
        sums: what the current epoch has added up.
    """

    epoch: int = 0
    step: int = 0
    seen: int = 0
    total_steps: int = 0
    best_score: float = -1.0
    best_error: float = 0.0
    best_epoch: int = -1
    kept_epoch: int = -1
    history: list[dict[str, float]] = field(default_factory=list)
    sums: EpochSums = field(default_factory=EpochSums)


@dataclass(frozen=True)
class Hooks:
    """What the loop calls out to.

    Attributes:
        loader: epoch, photos of it that are done -> the batches that are left.
        begin_epoch: called with the epoch and the photos of it that are done, before its next step: what learns in it.
        counts: model, batch -> what each loss will count, known before the model is asked.
        terms: model, batch -> each loss's sum and count.
        weigh: terms, counts of the whole step -> the number to minimise, and each loss's part of it.
        judge: model -> its score on the selection photos. It raises `Interrupted` when a signal comes meanwhile.
        epoch_done: called after each epoch with whether its model is kept: saves and logs.
        save: called inside an epoch, to save where the run stands.
        logged: called at log points with step and values.
    """

    loader: Callable[[int, int], BatchLoader]
    begin_epoch: Callable[[int, int], None]
    counts: Callable[[MultimodalModel, Batch], dict[str, Tensor]]
    terms: Callable[[MultimodalModel, Batch], dict[str, Term]]
    weigh: Callable[[Mapping[str, Term], Mapping[str, Tensor]], tuple[Tensor, dict[str, Tensor]]]
    judge: Callable[[MultimodalModel], Judgement]
    epoch_done: Callable[[Progress, bool], None]
    save: Callable[[Progress], None]
    logged: Callable[[int, Mapping[str, float]], None]


class Trainer:
    """A model on its way through a plan.

    Args:
        average: of the weights, which follows each step; None where none is kept.
        progress: where the run stands; changed as it goes on.
    """

    def __init__(
        self,
        model: MultimodalModel,
        optimizer: torch.optim.Optimizer,
        strategy: Strategy,
        plan: Plan,
        progress: Progress,
        hooks: Hooks,
        average: WeightAverage | None = None,
    ) -> None:
        self._model = model
        self._optimizer = optimizer
        self._parameters = [weight for group in optimizer.param_groups for weight in group["params"]]
        self._strategy = strategy
        self._plan = plan
        self._progress = progress
        self._hooks = hooks
        self._average = average

    def fit(self, request: StopRequest, clock: Clock) -> Ending:
        """Train from where the progress stands until the plan, the time or the patience ends, or somebody asks.

        Steps or time that run out end the epoch early: it is judged and saved like any other. A signal only saves.

        Raises:
            LossDivergedError: the loss became NaN or infinite, or grew without end.
        """
        progress, plan = self._progress, self._plan
        if clock.left_s is None or not progress.total_steps:  # a run that had too little time may now have all of it
            progress.total_steps = plan.total_steps
        while progress.epoch < plan.epochs:
            if plan.early_stopping and progress.epoch - 1 - progress.best_epoch >= plan.early_stopping:
                return "stalled"  # asked before each epoch, so that a resumed run stops where it did
            ending = self._ending(request, clock)
            if ending is not None:
                return ending
            started = time.perf_counter()
            meter = Meter(self._strategy, progress.sums, _title(progress.epoch, plan.epochs))
            try:
                if self._train_epoch(meter, request, clock) == "signal":
                    raise Interrupted
                self._end_epoch(meter.means(), started, clock)
            except Interrupted:
                self._save(meter)
                return "signal"
        return "complete"

    def _train_epoch(self, meter: Meter, request: StopRequest, clock: Clock) -> Ending | None:
        """Take the steps that are left of this epoch; return why it ended early, None when it did not."""
        progress, plan = self._progress, self._plan
        self._hooks.begin_epoch(progress.epoch, progress.seen)
        self._model.train()
        batches = iter(self._strategy.wrap_loader(meter.timed(self._hooks.loader(progress.epoch, progress.seen))))
        while window := tuple(islice(batches, plan.accumulate_steps)):
            factor = self._step(window, meter)
            if progress.step % _LOG_EVERY_STEPS == 0:
                self._hooks.logged(progress.step, {**meter.flush(), "learning_rate_factor": factor})
                self._fit_schedule_to(clock, meter)
            ending = self._ending(request, clock)
            if ending is not None:
                if ending != "signal":  # which leaves the window open, to go on adding to it
                    meter.flush()
                return ending
            if plan.save_steps and progress.step % plan.save_steps == 0 and progress.seen < plan.num_photos:
                self._save(meter)
        meter.flush()
        return None

    def _step(self, window: tuple[Batch, ...], meter: Meter) -> float:
        """Take one step over the micro-batches of a window; return the factor on the learning rate."""
        progress, plan, strategy = self._progress, self._plan, self._strategy
        factor = learning_rate_factor(
            progress.step,
            schedule=plan.schedule,
            warmup_steps=plan.warmup_steps,
            total_steps=progress.total_steps,
        )
        set_learning_rate(self._optimizer, factor)
        counted = [self._hooks.counts(self._model, batch) for batch in window]
        counts = strategy.reduce_sum(_added(counted))
        values: list[dict[str, Tensor]] = []
        for number, batch in enumerate(window, start=1):
            with strategy.autocast():
                loss, parts = self._hooks.weigh(self._hooks.terms(self._model, batch), counts)
            strategy.backward(loss, is_boundary=number == len(window))
            values.append({"loss": loss.detach(), **{f"loss/{name}": part.detach() for name, part in parts.items()}})
        strategy.step(self._optimizer, self._parameters, plan.gradient_clip)
        if self._average is not None:
            self._average.update(progress.step)
        before = progress.seen
        progress.seen = min(plan.num_photos, before + strategy.world_size * sum(map(len, window)))
        progress.step += 1
        positions = tuple(int(index) for batch in window for index in batch.indices_B)
        meter.add(_added(values), positions, progress.seen - before)
        return factor

    def _ending(self, request: StopRequest, clock: Clock) -> Ending | None:
        progress, plan = self._progress, self._plan
        if self._strategy.any_rank(request.signal_number != 0):
            return "signal"
        if plan.max_steps and progress.step >= plan.max_steps:
            return "max-steps"
        if clock.left_s is not None and self._strategy.any_rank(clock.left_s <= 0):
            return "max-time"
        return None

    def _fit_schedule_to(self, clock: Clock, meter: Meter) -> None:
        """Let the learning rate come down by the time that is left, if that is too short for all steps."""
        progress, plan = self._progress, self._plan
        if clock.left_s is None:
            return
        if not clock.reserve_s:  # nothing was judged yet: three times at a third of what a photo costs to learn from
            clock.reserve_s = plan.num_judged / meter.photos_per_s
        photos_per_step = plan.num_photos * plan.accumulate_steps / plan.batches_per_epoch
        steps = torch.tensor(clock.left_s * meter.photos_per_s / photos_per_step, device=self._strategy.device)
        left = self._strategy.fetch(self._strategy.reduce_sum({"steps": steps}))["steps"] / self._strategy.world_size
        progress.total_steps = max(progress.step + 1, min(plan.total_steps, progress.step + int(left)))

    def _end_epoch(self, means: dict[str, float], started: float, clock: Clock) -> None:
        progress = self._progress
        trained = time.perf_counter()
        judged = self._hooks.judge(self._model)
        broken = [name for name, value in judged.values.items() if not math.isfinite(value)]
        if broken:  # before anything is written: the kept model stays as it is
            raise diverged(broken, means["loss"], progress.sums.first_loss, ())
        # The one-standard-error rule (Breiman et al. 1984, section 3.4.3) takes the simplest model within it; here the
        # latest, whose learning rate has come down furthest. A strict maximum over epochs picks the luckiest.
        is_kept = judged.score > progress.best_score - progress.best_error
        if judged.score > progress.best_score:
            progress.best_score, progress.best_error, progress.best_epoch = judged.score, judged.error, progress.epoch
        if is_kept:
            progress.kept_epoch = progress.epoch
        row = {"epoch": float(progress.epoch), **means, **judged.values, "seconds": time.perf_counter() - started}
        progress.history.append(row)
        progress.epoch += 1
        progress.seen = 0
        progress.sums = EpochSums(first_loss=progress.sums.first_loss)
        self._hooks.epoch_done(progress, is_kept)
        clock.reserve_s = 3 * (time.perf_counter() - trained)  # to judge and save once more, and calibrate after it

    def _save(self, meter: Meter) -> None:
        self._progress.sums = meter.snapshot()
        self._hooks.save(self._progress)


def _title(epoch: int, epochs: int) -> str:
    return tr(f"epoch {epoch + 1}/{epochs}", f"époque {epoch + 1}/{epochs}")


def _added(parts: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    total: dict[str, Tensor] = {}
    for part in parts:
        for name, value in part.items():
            total[name] = total[name] + value if name in total else value
    return total
