"""One process on one CPU or one GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

import torch
from torch import Tensor, nn

from plantset.runtime.precision import Precision
from plantset.runtime.strategy import MovableBatch

_BatchT = TypeVar("_BatchT", bound=MovableBatch)
_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class LocalStrategy:
    """Train in this process (see `runtime.strategy.Strategy`)."""

    def __init__(self, device: torch.device, precision: Precision = "fp32") -> None:
        self.device = device
        self.precision = precision
        self.rank = 0
        self.world_size = 1
        self.num_devices = 1
        self.is_compiled = False
        self._scaler = torch.amp.GradScaler(device.type, enabled=precision == "fp16")

    @property
    def is_main(self) -> bool:
        """Return whether this is the process that writes files and speaks."""
        return self.rank == 0

    def prepare(self, model: nn.Module) -> nn.Module:
        """Move the model to the device."""
        return model.to(self.device)

    def autocast(self) -> AbstractContextManager[None]:
        """Return autocast in this precision; nothing for fp32."""
        if self.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=_DTYPES[self.precision])

    def wrap_loader(self, loader: Iterable[_BatchT]) -> Iterator[_BatchT]:
        """Yield the loader's batches on the device."""
        for batch in loader:
            yield batch.to(self.device)

    def backward(self, loss: Tensor, *, is_boundary: bool = True) -> None:  # noqa: ARG002  # all gradients are here
        """Back-propagate, scaled when fp16 needs it."""
        self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]

    def step(self, optimizer: torch.optim.Optimizer, parameters: Iterable[nn.Parameter], max_norm: float) -> None:
        """Clip after unscaling, then update; a step with infinite fp16 gradients is skipped by the scaler."""
        if max_norm > 0:
            self._scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(list(parameters), max_norm)
        self._scaler.step(optimizer)
        self._scaler.update()
        optimizer.zero_grad(set_to_none=True)

    def reduce_sum(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the values as they are: there are no others to add."""
        return {name: value.detach().float() for name, value in values.items()}

    def fetch(self, metrics: Mapping[str, Tensor]) -> dict[str, float]:
        """Bring the scalars to the host in one transfer."""
        if not metrics:
            return {}
        values = torch.stack([value.detach().float() for value in metrics.values()]).tolist()
        return dict(zip(metrics, values, strict=True))

    def gather_rows(self, rows: Tensor) -> Tensor:
        """Return the rows as they are."""
        return rows

    def any_rank(self, flag: bool) -> bool:
        """Return the flag: there is nobody else to ask."""
        return flag

    def barrier(self) -> None:
        """Return at once."""

    def in_turn(self) -> AbstractContextManager[None]:
        """Return an empty context."""
        return nullcontext()

    def on_main(self, action: Callable[[], None]) -> None:
        """Run the action."""
        action()

    @property
    def _draws_on_device(self) -> bool:
        return self.device.type in ("cuda", "tpu")

    def state(self) -> dict[str, Tensor]:
        """Return the random states and the loss scale."""
        state = {"cpu_rng": torch.get_rng_state()}
        if self._draws_on_device:
            state[f"{self.device.type}_rng"] = torch.get_device_module(self.device).get_rng_state(self.device)
        if self._scaler.is_enabled():
            scaler = self._scaler.state_dict()
            state["loss_scale"] = torch.tensor(scaler["scale"])
            state["steps_at_loss_scale"] = torch.tensor(scaler["_growth_tracker"])
        return state

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take back the random states and the loss scale."""
        torch.set_rng_state(state["cpu_rng"].cpu())
        name = f"{self.device.type}_rng"
        if self._draws_on_device and name in state:
            torch.get_device_module(self.device).set_rng_state(state[name].cpu(), self.device)
        if self._scaler.is_enabled() and "loss_scale" in state:
            # `update` would refuse: a scaler that has not scaled anything yet has no scale to change
            counted = {"scale": float(state["loss_scale"]), "_growth_tracker": int(state["steps_at_loss_scale"])}
            self._scaler.load_state_dict({**self._scaler.state_dict(), **counted})
