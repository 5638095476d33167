"""Two steps of a training, to learn what the whole would take: memory, seconds a step, time to the end."""

from __future__ import annotations

import dataclasses
import resource
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor

from plantset.core.language import tr
from plantset.data.batch import Batch
from plantset.models.objectives import Term
from plantset.runtime.strategy import Strategy
from plantset.training.feeds import cached_views
from plantset.training.loop import Hooks, Plan, Progress, Trainer
from plantset.training.metrics import Judgement
from plantset.training.stopping import Clock, StopRequest
from plantset.training.task import Task

_STEPS = 2  # the first warms up, the second is timed
_JUDGED_RATIO = 1 / 3  # a photo that is only looked at costs about a third of one that is learnt from


@dataclass(frozen=True)
class DryRunReport:
    """What two steps told.

    Attributes:
        step_s: seconds of one step, its photos read already.
        read_s, frozen_s: seconds to read a batch's photos in one process, and to take them through what is frozen.
        total_s: estimate for the whole training.
        memory_gb: peak so far: of the GPU, or of this process.
    """

    photos_per_step: int
    steps: int
    step_s: float
    read_s: float
    frozen_s: float
    total_s: float
    memory_gb: float
    is_cached: bool

    def summary(self) -> str:
        """Return what was measured and what follows from it."""
        kept = tr(" (computed once, then kept)", " (calculée une fois, puis gardée)") if self.is_cached else ""
        return tr(
            f"two steps of {self.photos_per_step} photos: {self.step_s:.2f} s a step; reading a batch"
            f" {self.read_s:.2f} s in one process, frozen part {self.frozen_s:.2f} s{kept}\n"
            f"peak memory {self.memory_gb:.1f} GB; all {self.steps} steps with judging: about {_clock(self.total_s)}\n"
            "nothing was trained or saved: leave --dry-run out to begin",
            f"deux pas de {self.photos_per_step} photos : {self.step_s:.2f} s par pas ; lecture d'un lot"
            f" {self.read_s:.2f} s dans un processus, partie gelée {self.frozen_s:.2f} s{kept}\n"
            f"mémoire maximale {self.memory_gb:.1f} Go ; les {self.steps} pas avec le jugement : environ"
            f" {_clock(self.total_s)}\n"
            "rien n'a été entraîné ni enregistré : enlevez --dry-run pour commencer",
        )

    @property
    def exit_code(self) -> int:
        """Return 0."""
        return 0


def try_out(task: Task, optimizer: torch.optim.Optimizer, strategy: Strategy, plan: Plan, hooks: Hooks) -> DryRunReport:
    """Take two real steps on the first photos, without the cache, and estimate the rest from them."""
    batches, read_s, frozen_s = first_batches(task, strategy, _STEPS * plan.accumulate_steps)
    asked: list[float] = []

    def weigh(terms: Mapping[str, Term], counts: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        asked.append(time.perf_counter())
        return hooks.weigh(terms, counts)

    quiet = dataclasses.replace(
        hooks,
        loader=lambda *_: batches,
        weigh=weigh,
        judge=lambda _: Judgement(0.0, 0.0, {}),
        epoch_done=lambda *_: asked.append(time.perf_counter()),
        save=lambda _: None,
    )
    short = dataclasses.replace(plan, max_steps=_STEPS, epochs=1, save_steps=0)
    Trainer(task.model, optimizer, strategy, short, Progress(), quiet).fit(StopRequest(), Clock(None, 0.0))
    # from where the first step's last micro-batch was weighed to the same place of the last step
    per_step = plan.accumulate_steps
    step_s = asked[-2] - asked[-2 - per_step] if len(asked) > per_step + 1 else asked[-1] - asked[0]
    return _report(task, plan, strategy, (step_s, read_s, frozen_s))


def first_batches(task: Task, strategy: Strategy, count: int) -> tuple[list[Batch], float, float]:
    """Return the first training batches, and the seconds that reading and the frozen part took for each.

    Read in this process and without the cache: what is only tried out leaves no worker and no file.
    """
    data = dataclasses.replace(task.data, loader=dataclasses.replace(task.data.loader, num_workers=0))
    batches, read_s = _timed_batches(data.train_dataloader(), count)
    if not task.model.cut.is_cacheable:
        return batches, read_s, 0.0
    batches, frozen_s = _with_features(task, batches, strategy)
    return batches, read_s, frozen_s


def _timed_batches(loader: object, count: int) -> tuple[list[Batch], float]:
    started = time.perf_counter()
    batches = list(islice(iter(loader), count))  # type: ignore[call-overload]
    return batches, (time.perf_counter() - started) / len(batches)


@torch.no_grad()
def _with_features(task: Task, batches: list[Batch], strategy: Strategy) -> tuple[list[Batch], float]:
    task.model.eval()
    started = time.perf_counter()
    filled = []
    for batch in batches:
        assert batch.pixels_BHWC is not None
        features_B = task.model.vision_features(batch.pixels_BHWC.to(strategy.device)).cpu()
        filled.append(dataclasses.replace(batch, pixels_BHWC=None, features_B=features_B))
    return filled, (time.perf_counter() - started) / len(batches)


def _report(task: Task, plan: Plan, strategy: Strategy, measured: tuple[float, float, float]) -> DryRunReport:
    step_s, read_s, frozen_s = measured
    batch_size, workers = task.config.batch_size, max(1, task.config.num_workers)
    batches = plan.num_photos / batch_size
    val_batches = len(task.val_records) / batch_size
    photo_s = read_s / workers + frozen_s
    judged_s = _JUDGED_RATIO * val_batches * step_s / plan.accumulate_steps
    steps_s = plan.total_steps * step_s + plan.epochs * judged_s
    is_cached = task.model.cut.is_cacheable
    times_read = cached_views(task.config) if is_cached else plan.epochs
    times_judged = 1 if is_cached else plan.epochs
    return DryRunReport(
        photos_per_step=batch_size * plan.accumulate_steps,
        steps=plan.total_steps,
        step_s=step_s,
        read_s=read_s,
        frozen_s=frozen_s,
        total_s=steps_s + photo_s * (times_read * batches + times_judged * val_batches),
        memory_gb=_peak_gb(strategy.device),
        is_cached=is_cached,
    )


def _peak_gb(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    unit = 1 if sys.platform == "darwin" else 1024  # bytes on macOS, kilobytes elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def _clock(seconds: float) -> str:
    minutes = max(1, round(seconds / 60))
    return f"{minutes // 60} h {minutes % 60:02d}" if minutes >= 60 else f"{minutes} min"
