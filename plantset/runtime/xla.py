"""Training through XLA: a TPU by `torch_xla`, or this CPU (`PJRT_DEVICE=CPU`), which computes the same programs.

One process sees all devices of its host (SPMD): the batch is cut over a one-dimensional mesh, the compiler adds the
sums over devices, and what is computed is what one device with the whole batch computes, BatchNorm and the norm that is
clipped included. Nothing is computed until `torch_xla.sync`, which stands here alone: at the end of a step, between two
batches, and before values come to the host.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import torch
import torch.utils.checkpoint
import torch_xla
import torch_xla.core.xla_model as xm
import torch_xla.distributed.spmd as xs
import torch_xla.runtime as xr
from torch import Tensor, nn
from torch_xla.utils.checkpoint import checkpoint as xla_checkpoint

from plantset.core.errors import DeviceError
from plantset.core.language import tr
from plantset.runtime.chips import check_cores, count_cores, count_tpu_chips
from plantset.runtime.local import LocalStrategy
from plantset.runtime.precision import Precision
from plantset.runtime.strategy import MovableBatch

_BatchT = TypeVar("_BatchT", bound=MovableBatch)
_AXIS = "data"
_SEEDS = 2**31 - 1
_MIN_SHARDED = 2**16  # a parameter of fewer numbers costs more messages than it saves memory


class XlaStrategy(LocalStrategy):
    """Train on all XLA devices of this host (see `runtime.strategy.Strategy`); made by `open_xla`.

    Args:
        shard_parameters: cut parameters, gradients and optimizer states over the devices as well, as FSDP does, for a
            model too large to hold on each.
    """

    def __init__(self, precision: Precision = "fp32", *, shard_parameters: bool = False) -> None:
        super().__init__(torch_xla.device(), precision)
        self.num_devices = xr.global_runtime_device_count()
        self.is_compiled = True
        self._mesh = xs.Mesh(np.arange(self.num_devices), (self.num_devices,), (_AXIS,))
        self._shard_parameters = shard_parameters
        self._seed = 0
        self._steps = 0

    def prepare(self, model: nn.Module) -> nn.Module:
        """Move the model to the devices; what shared a weight before shares it after."""
        shared = _shared_parameters(model)
        model.to(self.device)
        _tie(model, shared)
        for module in model.modules():  # transformers' layers hold the function; others look it up (`open_xla`)
            if getattr(module, "gradient_checkpointing", False) is True:
                module._gradient_checkpointing_func = _recompute  # type: ignore[assignment]
        for tensor in (*model.parameters(), *model.buffers()):
            self._place(tensor)
        self._seed, self._steps = torch.initial_seed() % _SEEDS, 0
        self._seed_dropout()
        torch_xla.sync()
        return model

    def wrap_loader(self, loader: Iterable[_BatchT]) -> Iterator[_BatchT]:
        """Yield the batches, each cut over the devices; what was asked of the one before is computed meanwhile."""
        for batch in loader:
            torch_xla.sync()
            yield self._share(batch.to(self.device))
        torch_xla.sync()

    def backward(self, loss: Tensor, *, is_boundary: bool = True) -> None:  # noqa: ARG002  # the compiler adds the sums
        """Back-propagate; each micro-batch is a program of its own, so that its activations are freed.

        The update is another one: an optimizer's first step differs from all later ones, and a program that held both
        would be compiled twice as a whole.
        """
        loss.backward()  # type: ignore[no-untyped-call]
        torch_xla.sync()

    def step(self, optimizer: torch.optim.Optimizer, parameters: Iterable[nn.Parameter], max_norm: float) -> None:
        """Clip the norm of the summed gradients, update, and start computing."""
        super().step(optimizer, parameters, max_norm)
        torch_xla.sync()
        self._steps += 1
        self._seed_dropout()

    def fetch(self, metrics: Mapping[str, Tensor]) -> dict[str, float]:
        """Bring the scalars to the host in one transfer."""
        torch_xla.sync()  # else all that they depend on would be computed once for them and once more for the rest
        return super().fetch(metrics)

    def state(self) -> dict[str, Tensor]:
        """Return the random states: of the CPU, and the seed and position that dropout is drawn from."""
        return {**super().state(), "xla_rng": torch.tensor([self._seed, self._steps])}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take back the random states; a run that began on another kind of device goes on with its own."""
        super().restore(state)
        if "xla_rng" in state:
            self._seed, self._steps = (int(value) for value in state["xla_rng"])
        self._seed_dropout()

    def _seed_dropout(self) -> None:
        """Seed by step: how often the program was cut in between (saving, judging) must change nothing."""
        seed = int(np.random.SeedSequence([self._seed, self._steps]).generate_state(1)[0]) % _SEEDS
        xm.set_rng_state(seed, str(self.device))

    def _share(self, batch: _BatchT) -> _BatchT:
        for field in dataclasses.fields(batch):  # type: ignore[arg-type]  # every batch is a dataclass of tensors
            tensor = getattr(batch, field.name)
            if isinstance(tensor, Tensor) and tensor.device.type == "xla" and self.num_devices > 1:
                xs.mark_sharding(tensor, self._mesh, (_AXIS, *(None,) * (tensor.ndim - 1)))
        return batch

    def _place(self, tensor: Tensor) -> None:
        """Cut a large tensor along its longest axis that the devices divide evenly; hold any other whole on each.

        Said for each of them: XLA says it of what a program returns, and would compile the first step's program, which
        begins with what nothing was said of, once more for the second.
        """
        axes = range(tensor.ndim)
        even = [axis for axis in axes if tensor.shape[axis] % self.num_devices == 0]
        is_cut = self._shard_parameters and tensor.numel() >= _MIN_SHARDED and bool(even) and self.num_devices > 1
        longest = max(even, key=lambda axis: tensor.shape[axis]) if is_cut else None
        xs.mark_sharding(tensor, self._mesh, tuple(_AXIS if axis == longest else None for axis in axes))


@contextmanager
def open_xla(
    *, mixed_precision: bool, cores: int | None = None, shard_parameters: bool = False
) -> Iterator[XlaStrategy]:
    """Open the XLA devices of this host for one training.

    Args:
        cores: how many must be there; None takes what is there.

    Raises:
        DeviceError: another number is there, or this is one of several hosts.
    """
    xr.use_spmd()
    if xr.process_count() > 1:
        raise DeviceError(
            tr("torch_xla trains here on one host alone", "torch_xla n'entraîne ici que sur un seul hôte"),
            tr(
                "on several hosts, install torch_tpu: docs/tpu.md",
                "sur plusieurs hôtes, installez torch_tpu : docs/tpu.fr.md",
            ),
        )
    check_cores(cores, count_xla_cores(), xr.device_type())
    before = torch.utils.checkpoint.checkpoint
    torch.utils.checkpoint.checkpoint = _recompute  # type: ignore[assignment]  # where timm and our stages look it up
    try:
        yield XlaStrategy("bf16" if mixed_precision else "fp32", shard_parameters=shard_parameters)
    finally:
        torch.utils.checkpoint.checkpoint = before


def xla_device() -> torch.device:
    """Return the device that stands for all XLA devices of this host."""
    xr.use_spmd()
    device: torch.device = torch_xla.device()
    return device


def settle() -> None:
    """Compute what was asked for so far: values that are read one by one would each be computed on their own."""
    torch_xla.sync()


def count_xla_cores() -> int:
    """Return the TensorCores of the TPU chips that XLA computes on, or how many devices it makes of a CPU."""
    if xr.device_type() == "TPU":
        return count_cores(count_tpu_chips())
    return int(xr.global_runtime_device_count())


def _shared_parameters(model: nn.Module) -> list[list[str]]:
    """Return the names of each parameter that has several."""
    names: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
    return [group for group in names.values() if len(group) > 1]


def _tie(model: nn.Module, shared: Iterable[list[str]]) -> None:
    """Let these names stand for one parameter again: moving to XLA makes a new one for each (torch_xla issue 2719)."""
    for first, *others in shared:
        parameter = model.get_parameter(first)
        for name in others:
            owner, _, own_name = name.rpartition(".")
            setattr(model.get_submodule(owner), own_name, parameter)


def _recompute(function: Callable[..., Any], *args: Any, use_reentrant: bool | None = None, **options: Any) -> Any:  # noqa: ARG001  # XLA has one kind
    """Compute activations again in the backward pass, as `torch.utils.checkpoint.checkpoint` does.

    XLA's compiler undoes torch's own: it sees that the same is computed twice, and does it once. `torch_xla`'s holds
    the second pass back behind a barrier. It gives gradients only where an argument has one: behind a frozen stage none
    has, so one is given.
    """
    if not any(isinstance(arg, Tensor) and arg.requires_grad for arg in args):
        args = tuple(
            arg.detach().requires_grad_() if isinstance(arg, Tensor) and arg.is_floating_point() else arg
            for arg in args
        )
    return xla_checkpoint(function, *args, use_reentrant=True, **options)
