"""The loop: epochs of steps, a judgement after each, a state that can be taken up anywhere.

It knows no device and no rank: the `Strategy` does. It never waits for the device between log points.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sized
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from plantset.core.errors import DataError
from plantset.core.language import tr
from plantset.data.batch import Batch
from plantset.models.multimodal import MultimodalModel
from plantset.models.objectives import Term
from plantset.runtime.strategy import Strategy
from plantset.training.optimizer import set_learning_rate
from plantset.training.schedule import warmup_cosine

_LOG_EVERY_STEPS = 20


class BatchLoader(Iterable[Batch], Sized, Protocol):
    """An epoch's batches, and how many they are."""


@dataclass(frozen=True)
class Plan:
    """How long and how fast.

    Attributes:
        early_stopping: epochs without a better score after which to stop; 0 never stops.
        selection_photos: how many photos the score rests on; 0 takes it for exact.
    """

    epochs: int
    steps_per_epoch: int
    warmup_steps: int
    gradient_clip: float
    early_stopping: int
    selection_photos: int = 0

    def tolerance(self, best_score: float) -> float:
        """Return one standard error of the best score: less than that is no difference between two epochs.

        The one-standard-error rule (Breiman et al. 1984, section 3.4.3) takes the simplest model within it; here the
        latest, whose learning rate has come down furthest. A strict maximum over epochs picks the luckiest.
        """
        if not self.selection_photos or best_score <= 0:
            return 0.0
        return math.sqrt(best_score * (1.0 - best_score) / self.selection_photos)

    @property
    def total_steps(self) -> int:
        """Return the steps of the whole run."""
        return self.epochs * self.steps_per_epoch


@dataclass
class Progress:
    """Where a run stands: all of it is saved, so that a resumed run goes on from here.

    Attributes:
        best_epoch: of the highest score, which early stopping counts from.
        kept_epoch: of the model that is kept: the latest within one standard error of the best.
    """

    epoch: int = 0
    step: int = 0
    best_score: float = -1.0
    best_epoch: int = -1
    kept_epoch: int = -1
    history: list[dict[str, float]] = field(default_factory=list)


@dataclass(frozen=True)
class Hooks:
    """What the loop calls out to.

    Attributes:
        counts: model, batch -> what each loss will count, known before the model is asked.
        terms: model, batch -> each loss's sum and count.
        weigh: terms, counts of the whole step -> the number to minimise, and each loss's part of it.
        judge: model -> score on the selection photos and what else is worth logging; higher is better.
        epoch_done: called after each epoch with whether its model is kept: saves and logs.
        logged: called at log points with step and values.
    """

    counts: Callable[[MultimodalModel, Batch], dict[str, Tensor]]
    terms: Callable[[MultimodalModel, Batch], dict[str, Term]]
    weigh: Callable[[Mapping[str, Term], Mapping[str, Tensor]], tuple[Tensor, dict[str, Tensor]]]
    judge: Callable[[MultimodalModel], tuple[float, dict[str, float]]]
    epoch_done: Callable[[Progress, bool], None]
    logged: Callable[[int, Mapping[str, float]], None]


def fit(
    model: MultimodalModel,
    optimizer: torch.optim.Optimizer,
    strategy: Strategy,
    plan: Plan,
    progress: Progress,
    loader_of_epoch: Callable[[int], BatchLoader],
    hooks: Hooks,
) -> None:
    """Train from where `progress` stands to the end of the plan, or until early stopping.

    Raises:
        DataError: the loss became NaN or infinite.
    """
    while progress.epoch < plan.epochs and not _has_stalled(plan, progress):
        started = time.perf_counter()
        means = _train_epoch(model, optimizer, strategy, plan, progress, loader_of_epoch(progress.epoch), hooks)
        score, judged = hooks.judge(model)
        is_kept = score > progress.best_score - plan.tolerance(progress.best_score)
        if score > progress.best_score:
            progress.best_score, progress.best_epoch = score, progress.epoch
        if is_kept:
            progress.kept_epoch = progress.epoch
        row = {"epoch": float(progress.epoch), **means, **judged, "seconds": time.perf_counter() - started}
        progress.history.append(row)
        progress.epoch += 1
        hooks.epoch_done(progress, is_kept)


def _has_stalled(plan: Plan, progress: Progress) -> bool:
    """Return whether early stopping is due; asked before each epoch, so that a resumed run stops where it did."""
    return bool(plan.early_stopping) and progress.epoch - 1 - progress.best_epoch >= plan.early_stopping


def _train_epoch(
    model: MultimodalModel,
    optimizer: torch.optim.Optimizer,
    strategy: Strategy,
    plan: Plan,
    progress: Progress,
    loader: BatchLoader,
    hooks: Hooks,
) -> dict[str, float]:
    """Take every step of one epoch and return the mean of each loss."""
    model.train()
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    meter = _Meter(strategy, progress, plan, len(loader))
    for batch in meter.timed(strategy.wrap_loader(loader)):
        factor = warmup_cosine(progress.step, warmup_steps=plan.warmup_steps, total_steps=plan.total_steps)
        set_learning_rate(optimizer, factor)
        counts = strategy.reduce_sum(hooks.counts(model, batch))
        with strategy.autocast():
            loss, losses = hooks.weigh(hooks.terms(model, batch), counts)
        strategy.backward(loss)
        strategy.step(optimizer, parameters, plan.gradient_clip)
        progress.step += 1
        meter.add({"loss": loss, **{f"loss/{name}": value for name, value in losses.items()}}, len(batch))
        if progress.step % _LOG_EVERY_STEPS == 0:
            hooks.logged(progress.step, {**meter.flush(), "learning_rate_factor": factor})
    meter.flush()
    return meter.means()


class _Meter:
    """Sums losses on the device, brings them to the host at log points, and shows one line of progress."""

    def __init__(self, strategy: Strategy, progress: Progress, plan: Plan, num_batches: int) -> None:
        self._strategy = strategy
        self._progress = progress
        self._plan = plan
        self._num_batches = num_batches
        self._sums: dict[str, Tensor] = {}
        self._pending: dict[str, int] = {}
        self._totals: dict[str, float] = {}
        self._counts: dict[str, int] = {}
        self._photos = 0
        self._waiting_s = 0.0
        self._bar: object | None = None

    def timed(self, loader: Iterable[Batch]) -> Iterable[Batch]:
        """Yield the batches behind a progress bar, measuring the time spent waiting for them."""
        from tqdm import tqdm

        title = tr(
            f"epoch {self._progress.epoch + 1}/{self._plan.epochs}",
            f"époque {self._progress.epoch + 1}/{self._plan.epochs}",
        )
        started = time.perf_counter()
        with tqdm(
            total=self._num_batches, desc=title, unit="batch", disable=None, leave=False, dynamic_ncols=True
        ) as bar:
            self._bar = bar
            asked = started
            for batch in loader:
                self._waiting_s += time.perf_counter() - asked
                yield batch
                bar.update()
                asked = time.perf_counter()
        self._elapsed_s = time.perf_counter() - started

    def add(self, values: Mapping[str, Tensor], photos: int) -> None:
        """Add one step's losses, without waiting for the device."""
        self._photos += photos
        for name, value in values.items():
            detached = value.detach()
            self._sums[name] = self._sums[name] + detached if name in self._sums else detached
            self._pending[name] = self._pending.get(name, 0) + 1

    def flush(self) -> dict[str, float]:
        """Return the means since the last flush.

        Raises:
            DataError: a loss is NaN or infinite.
        """
        sums = self._strategy.fetch(self._strategy.reduce_sum(self._sums))
        means = {name: total / self._pending[name] for name, total in sums.items()}
        for name, total in sums.items():
            self._totals[name] = self._totals.get(name, 0.0) + total
            self._counts[name] = self._counts.get(name, 0) + self._pending[name]
        self._sums, self._pending = {}, {}
        if not all(math.isfinite(mean) for mean in means.values()):
            raise _diverged(self._progress.step, means)
        if self._bar is not None and "loss" in means:
            self._bar.set_postfix(loss=f"{means['loss']:.3f}")  # type: ignore[attr-defined]
        return means

    def means(self) -> dict[str, float]:
        """Return the epoch's mean of each loss, photos a second and the share of time spent waiting for data."""
        means = {name: total / self._counts[name] for name, total in self._totals.items()}
        means["photos_per_s"] = self._photos / self._elapsed_s
        means["data_wait_ratio"] = self._waiting_s / self._elapsed_s
        return means


def _diverged(step: int, means: Mapping[str, float]) -> DataError:
    broken = ", ".join(name for name, mean in means.items() if not math.isfinite(mean))
    return DataError(
        tr(
            f"the loss is no longer a number at step {step} ({broken})",
            f"la perte n'est plus un nombre au pas {step} ({broken})",
        ),
        tr(
            "lower --learning-rate (usual: 1e-5 to 1e-3), lengthen --warmup-steps, or train without --mixed-precision; "
            "the last checkpoint is untouched",
            "baissez --learning-rate (usuel : 1e-5 à 1e-3), allongez --warmup-steps, ou entraînez sans "
            "--mixed-precision ; le dernier point de contrôle est intact",
        ),
    )
