"""`--compile`: let torch.compile make the parts of the model that learn faster, and say whether it did."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from plantset.core.errors import DeviceError
from plantset.core.language import tr
from plantset.core.log import say
from plantset.data.batch import Batch
from plantset.models.multimodal import MultimodalModel
from plantset.runtime.strategy import Strategy
from plantset.training.loop import Hooks

_BACKEND = "inductor"
_TIMED_STEPS = 3


@dataclass(frozen=True, slots=True)
class CompileReport:
    """What compiling brought.

    Attributes:
        before_s, after_s: seconds of a forward and backward pass of one batch.
        warmup_s: seconds that the first pass took for compiling.
        graph_breaks: why a part could not be compiled as a whole, and how often.
    """

    before_s: float
    after_s: float
    warmup_s: float
    graph_breaks: dict[str, int]

    def summary(self) -> str:
        """Return the gain, what it cost, and after how many steps it has paid."""
        gain = self.before_s - self.after_s
        pays = f"{self.warmup_s / gain:.0f}" if gain > 0 else "∞"
        breaks = "; ".join(f"{count} × {reason}" for reason, count in self.graph_breaks.items())
        return tr(
            f"compiled in {self.warmup_s:.1f} s: {self.before_s:.3f} s a step before, {self.after_s:.3f} s after"
            f" ({self.before_s / self.after_s:.2f} times as fast); paid after {pays} steps;"
            f" graph breaks: {breaks or 'none'}",
            f"compilé en {self.warmup_s:.1f} s : {self.before_s:.3f} s par pas avant, {self.after_s:.3f} s après"
            f" ({self.before_s / self.after_s:.2f} fois plus vite) ; remboursé après {pays} pas ;"
            f" ruptures de graphe : {breaks or 'aucune'}",
        )


def compile_model(model: MultimodalModel, batches: Sequence[Batch], hooks: Hooks, strategy: Strategy) -> CompileReport:
    """Compile in place what learns, time it on real batches, and leave weights, statistics and random numbers alone.

    `nn.Module.compile` renames no weight, so that checkpoints of compiled and of plain runs are the same. Sums are
    added in another order: going on with or without it differs in the last bits, as another number of threads does.

    Raises:
        DeviceError: this machine cannot compile, or compiles each step in any case.
    """
    if strategy.is_compiled:
        raise DeviceError(
            tr(
                f"--compile changes nothing on {strategy.device}: XLA compiles each step in any case",
                f"--compile ne change rien sur {strategy.device} : XLA compile chaque pas de toute façon",
            ),
            tr("leave --compile out", "ne donnez pas --compile"),
        )
    hooks.begin_epoch(0, 0)
    model.train()
    with _untouched(model, strategy):
        _pass(model, batches, hooks, strategy)  # warms up what both need
        before_s = min(_timed(model, batches, hooks, strategy) for _ in range(_TIMED_STEPS))
        torch._dynamo.reset()
        torch._dynamo.utils.counters.clear()
        for module in _parts(model):
            module.compile(backend=_BACKEND)
        try:
            first_s = _timed(model, batches, hooks, strategy)
        except torch._dynamo.exc.BackendCompilerFailed as error:
            raise _cannot_compile(error) from error
        after_s = min(_timed(model, batches, hooks, strategy) for _ in range(_TIMED_STEPS))
    breaks = {
        str(reason).splitlines()[0]: count for reason, count in torch._dynamo.utils.counters["graph_break"].items()
    }
    report = CompileReport(before_s / len(batches), after_s / len(batches), max(0.0, first_s - after_s), breaks)
    say(report.summary())
    return report


def _parts(model: MultimodalModel) -> Iterator[nn.Module]:
    """Yield the modules that a step calls, each from tensors to tensors."""
    yield from model.cut.trained_modules
    yield model.image_connector
    yield model.fusion
    if model.captioner is not None:
        yield model.captioner


def _timed(model: MultimodalModel, batches: Sequence[Batch], hooks: Hooks, strategy: Strategy) -> float:
    _wait(strategy)
    started = time.perf_counter()
    _pass(model, batches, hooks, strategy)
    _wait(strategy)
    return time.perf_counter() - started


def _pass(model: MultimodalModel, batches: Sequence[Batch], hooks: Hooks, strategy: Strategy) -> None:
    for batch in batches:
        moved: Any = batch.to(strategy.device)
        with strategy.autocast():
            loss, _ = hooks.weigh(hooks.terms(model, moved), hooks.counts(model, moved))
        loss.backward()  # type: ignore[no-untyped-call]
        model.zero_grad(set_to_none=True)


def _wait(strategy: Strategy) -> None:
    strategy.fetch({"now": torch.zeros((), device=strategy.device)})


@contextmanager
def _untouched(model: MultimodalModel, strategy: Strategy) -> Iterator[None]:
    """Put back running statistics and random numbers: the training that follows is the one that would have been."""
    state = strategy.state()
    buffers = {name: buffer.detach().clone() for name, buffer in model.named_buffers()}
    yield
    strategy.restore(state)
    with torch.no_grad():
        for name, buffer in model.named_buffers():
            buffer.copy_(buffers[name])


def _cannot_compile(error: Exception) -> DeviceError:
    reason = str(error).strip().splitlines()[0]
    return DeviceError(
        tr(
            f"this machine cannot compile the model: {reason}",
            f"cette machine ne peut pas compiler le modèle : {reason}",
        ),
        tr(
            "install a C++ compiler (Linux: g++; Windows: Visual C++; macOS: Xcode's command line tools), or leave"
            " --compile out",
            "installez un compilateur C++ (Linux : g++ ; Windows : Visual C++ ; macOS : les outils de ligne de commande"
            " de Xcode), ou ôtez --compile",
        ),
    )
