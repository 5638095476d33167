"""What a run tells of itself: sums of losses, one line of progress, and a stop when the loss is lost."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sized
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from plantset.core.errors import DataError
from plantset.core.language import tr
from plantset.core.log import is_muted
from plantset.data.batch import Batch
from plantset.runtime.strategy import Strategy

_DIVERGED_RATIO = 3.0  # of the run's first window: a loss that grows beyond it is not coming back


class BatchLoader(Iterable[Batch], Sized, Protocol):
    """An epoch's batches, and how many they are."""


class LossDivergedError(DataError):
    """The loss is no number any more, or grows without end.

    Attributes:
        positions: of the photos in the training records, of the step that it began with.
    """

    positions: tuple[int, ...] = ()


@dataclass
class EpochSums:
    """What an epoch has added up so far: part of the saved state, so that its means survive a restart.

    Attributes:
        totals: of each loss, over the windows that were brought to the host.
        window: of each loss, of the window that is still open.
    """

    totals: dict[str, float] = field(default_factory=dict)
    window: dict[str, float] = field(default_factory=dict)
    steps: int = 0
    window_steps: int = 0
    first_loss: float = 0.0


class Meter:
    """Sums losses on the device, brings them to the host at log points, and shows one line of progress.

    Args:
        sums: where the epoch stood when the run was stopped inside it; kept up to date by `snapshot`.
    """

    def __init__(self, strategy: Strategy, sums: EpochSums, title: str) -> None:
        self._strategy = strategy
        self._sums = sums
        self._title = title
        # they are sums over all ranks already; the others hold the same names, for an exchange of them
        held = sums.window if strategy.is_main else dict.fromkeys(sums.window, 0.0)
        self._window = {name: torch.tensor(value, device=strategy.device) for name, value in held.items()}
        self._recent: list[tuple[Tensor, tuple[int, ...]]] = []
        self._photos = 0
        self._waiting_s = 0.0
        self._started_s = time.perf_counter()
        self._bar: object | None = None

    def timed(self, loader: BatchLoader) -> Iterator[Batch]:
        """Yield the batches behind a progress bar, measuring the time spent waiting for them."""
        from tqdm import tqdm

        with tqdm(
            total=len(loader),
            desc=self._title,
            unit="batch",
            disable=is_muted() or None,
            leave=False,
            dynamic_ncols=True,
        ) as bar:
            self._bar = bar
            asked = time.perf_counter()
            for batch in loader:
                self._waiting_s += time.perf_counter() - asked
                yield batch
                bar.update()
                asked = time.perf_counter()

    def add(self, values: Mapping[str, Tensor], positions: tuple[int, ...], photos: int) -> None:
        """Add one step's losses, without waiting for the device.

        Args:
            positions: of the step's photos in the training records.
            photos: how many of them are no padding.
        """
        self._photos += photos
        self._sums.window_steps += 1
        self._recent.append((values["loss"].detach(), positions))
        for name, value in values.items():
            known = self._window.get(name)
            self._window[name] = value.detach().float() if known is None else known + value.detach().float()

    def flush(self) -> dict[str, float]:
        """Return the means since the last flush, over all ranks.

        Raises:
            LossDivergedError: a loss is NaN, infinite, or several times what it was at the start of the run.
        """
        if not self._sums.window_steps:
            return {}
        window = self._strategy.fetch(self._strategy.reduce_sum(self._window))
        means = {name: total / self._sums.window_steps for name, total in window.items()}
        self._check(means)
        for name, total in window.items():
            self._sums.totals[name] = self._sums.totals.get(name, 0.0) + total
        self._sums.steps += self._sums.window_steps
        self._sums.window_steps, self._sums.window = 0, {}
        self._window, self._recent = {}, []
        if self._bar is not None:
            waiting = 100 * self._waiting_s / max(1e-9, time.perf_counter() - self._started_s)
            self._bar.set_postfix_str(  # type: ignore[attr-defined]
                tr(
                    f"loss {means['loss']:.3f}, {self.photos_per_s:.0f} photos/s, data wait {waiting:.0f} %",
                    f"perte {means['loss']:.3f}, {self.photos_per_s:.0f} photos/s, attente {waiting:.0f} %",
                )
            )
        return means

    def snapshot(self) -> EpochSums:
        """Return the sums as they stand, the open window included, exactly: a restart adds on to the same bits.

        Raises:
            LossDivergedError: a loss of the open window is NaN or infinite.
        """
        self._sums.window = self._strategy.fetch(self._strategy.reduce_sum(self._window))
        broken = [name for name, total in self._sums.window.items() if not math.isfinite(total)]
        if broken:
            raise self._diverged(broken, math.nan)
        return self._sums

    @property
    def photos_per_s(self) -> float:
        """Photos a second since this epoch was begun or gone on with, padding not counted."""
        return self._photos / max(1e-9, time.perf_counter() - self._started_s)

    def means(self) -> dict[str, float]:
        """Return the epoch's mean of each loss, photos a second and the share of time spent waiting for data."""
        means = {name: total / max(1, self._sums.steps) for name, total in self._sums.totals.items()}
        means["photos_per_s"] = self.photos_per_s
        means["data_wait_ratio"] = self._waiting_s / max(1e-9, time.perf_counter() - self._started_s)
        return means

    def _check(self, means: Mapping[str, float]) -> None:
        broken = [name for name, mean in means.items() if not math.isfinite(mean)]
        first = self._sums.first_loss or means["loss"]
        if not broken and means["loss"] <= _DIVERGED_RATIO * max(first, 1.0):
            self._sums.first_loss = first
            return
        raise self._diverged(broken, means["loss"])

    def _diverged(self, broken: list[str], loss: float) -> LossDivergedError:
        """Return the error, with the photos, of all ranks, of the step that it began with."""
        parts = {str(index): loss for index, (loss, _) in enumerate(self._recent)}
        losses = self._strategy.fetch(self._strategy.reduce_sum(parts))
        worst = next((i for i, loss in enumerate(losses.values()) if not math.isfinite(loss)), len(self._recent) - 1)
        positions = self._strategy.gather_rows(torch.tensor(self._recent[worst][1] if self._recent else []))
        return diverged(broken, loss, self._sums.first_loss, tuple(map(int, positions.tolist())))


def diverged(broken: list[str], loss: float, first: float, positions: tuple[int, ...]) -> LossDivergedError:
    """Return what to say of a loss that is lost.

    Args:
        broken: names of what is NaN or infinite; none where the loss only grew.
    """
    problem = (
        tr(
            f"the loss is no longer a number ({', '.join(broken)})",
            f"la perte n'est plus un nombre ({', '.join(broken)})",
        )
        if broken
        else tr(
            f"the loss diverges: {loss:.3g}, after {first:.3g} at the start",
            f"la perte diverge : {loss:.3g}, après {first:.3g} au début",
        )
    )
    error = LossDivergedError(
        problem,
        tr(
            "lower --learning-rate (usual: 1e-5 to 1e-3), lengthen --warmup-steps, or train without --mixed-precision; "
            "the last checkpoint is untouched, and the photos of that step are listed in diverged.json",
            "baissez --learning-rate (usuel : 1e-5 à 1e-3), allongez --warmup-steps, ou entraînez sans "
            "--mixed-precision ; le dernier point de contrôle est intact, et les photos de ce pas sont dans "
            "diverged.json",
        ),
    )
    error.positions = positions
    return error
