"""The one interface between the training loop and the machine: the loop has no device or rank `if`.

Implementations: `local` (one CPU or one GPU), `distributed` (several processes), `xla` (all XLA devices of a host, a
TPU's or a CPU's) and `tpu` (a process for each chip). Every method that says "all ranks" is a rendezvous: each process
calls it, in the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

import torch
from torch import Tensor, nn

from plantset.runtime.precision import Precision

_BatchT = TypeVar("_BatchT", bound="MovableBatch")


class MovableBatch(Protocol):
    """What a loader yields: something that can follow the model to its device."""

    def to(self: _BatchT, device: torch.device) -> _BatchT:
        """Return it with its tensors on `device`."""


class Strategy(Protocol):
    """Where tensors live, how a step is taken there, and what the other processes know.

    Attributes:
        rank: of this process, 0 to world_size - 1.
        num_devices: over which a batch is cut, those of all ranks together.
        is_compiled: whether the device computes whole steps that it compiles, with or without torch.compile.
        is_main: whether this process writes the files and speaks: that of rank 0.
    """

    device: torch.device
    precision: Precision
    rank: int
    world_size: int
    num_devices: int
    is_compiled: bool

    @property
    def is_main(self) -> bool:
        """Return whether this is the process that writes files and speaks."""

    def prepare(self, model: nn.Module) -> nn.Module:
        """Move the model to where it trains, equal on all ranks; build the optimizer after this."""

    def autocast(self) -> AbstractContextManager[None]:
        """Return the context in which the forward pass computes."""

    def wrap_loader(self, loader: Iterable[_BatchT]) -> Iterable[_BatchT]:
        """Return the loader's batches on the device."""

    def backward(self, loss: Tensor, *, is_boundary: bool = True) -> None:
        """Accumulate gradients of this process's part of the loss: the parts of all ranks add up to the whole.

        Args:
            is_boundary: this micro-batch is the last before `step`: gradients are summed over all ranks here.
        """

    def step(self, optimizer: torch.optim.Optimizer, parameters: Iterable[nn.Parameter], max_norm: float) -> None:
        """Unscale, clip the global norm (0: no clipping), update the parameters and clear the gradients."""

    def reduce_sum(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the sums over all ranks, as float32 scalars on the device; waits for no device.

        Args:
            values: scalars by name; the same names on all ranks, in any order.
        """

    def fetch(self, metrics: Mapping[str, Tensor]) -> dict[str, float]:
        """Bring device scalars to the host: the one place where the loop waits for the device."""

    def gather_rows(self, rows: Tensor) -> Tensor:
        """Return the rows of all ranks, rank after rank; each may have another number of them, none included."""

    def any_rank(self, flag: bool) -> bool:
        """Return whether `flag` is set on any of all ranks: a stop must be one decision."""

    def barrier(self) -> None:
        """Wait until all ranks have come here."""

    def in_turn(self) -> AbstractContextManager[None]:
        """Return a context that all ranks enter one after the other, rank 0 first: what one makes, the next finds."""

    def on_main(self, action: Callable[[], None]) -> None:
        """Run `action` in the main process; all ranks go on when it is done, or fail with it."""

    def state(self) -> dict[str, Tensor]:
        """Return what a resumed run needs of all ranks (random states, loss scale), the same on each."""

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take back this rank's part of what `state` gave, which may come from another number of ranks."""
