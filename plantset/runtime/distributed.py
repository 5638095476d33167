"""Several processes, one model: data parallelism under torchrun (gloo on CPUs, NCCL on GPUs, tpu_dist on TPUs).

Each process computes its part of the loss on its chunk of the batch; gradients are summed at the boundary of a step.
`DistributedDataParallel` is not used: it wraps one `forward`, and a step here calls several parts of the model (photos,
notes alone, captioner); it averages, where parts of a sum must be summed; and parameters without a gradient (a training
stage that rests a tower, a batch without a note) need its graph search at each step. What it gains is to send gradients
while others are still being computed. Here each process says which parameters got a gradient; one that got none
anywhere keeps none, so that the optimizer passes it over as in one process.

BatchNorm takes its statistics over the whole batch (`runtime.batch_norm`), so that 2 processes of 8 photos equal one of
16 there too.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn

from plantset.core.errors import DeviceError
from plantset.core.language import tr
from plantset.runtime.batch_norm import share_batch_norms
from plantset.runtime.contact import contact
from plantset.runtime.local import LocalStrategy
from plantset.runtime.precision import Precision

_STEP_TIMEOUT = timedelta(minutes=30)
# While one process fills a cache or saves, the others wait; that one has died is seen at once, by its closed socket.
_WAIT_TIMEOUT = timedelta(days=2)
_BACKENDS = {"cuda": "nccl", "tpu": "tpu_dist"}
_BUCKET_BYTES = 32 << 20  # one message for many small gradients; a second one travels while the next is packed


@dataclass(frozen=True, slots=True)
class World:
    """What torchrun tells each process."""

    rank: int
    local_rank: int
    size: int
    local_size: int


def find_world() -> World | None:
    """Return this process's place among those that torchrun started; None when it is alone."""
    names = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR")
    if not all(name in os.environ for name in names) or int(os.environ["WORLD_SIZE"]) < 2:
        return None
    size = int(os.environ["WORLD_SIZE"])
    return World(
        rank=int(os.environ["RANK"]),
        local_rank=int(os.environ["LOCAL_RANK"]),
        size=size,
        local_size=int(os.environ.get("LOCAL_WORLD_SIZE", size)),
    )


class DistributedStrategy(LocalStrategy):
    """Train with the other processes (see `runtime.strategy.Strategy`); made by `launch`."""

    def __init__(self, device: torch.device, precision: Precision, waiting: dist.ProcessGroup) -> None:
        super().__init__(device, precision)
        self.rank = dist.get_rank()
        self.world_size = self.num_devices = dist.get_world_size()
        self._waiting = waiting
        self._parameters: list[nn.Parameter] = []

    def prepare(self, model: nn.Module) -> nn.Module:
        """Move the model to the device, as rank 0 has it; dropout differs from rank to rank."""
        model.to(self.device)
        share_batch_norms(model)
        self._parameters = list(model.parameters())
        with contact(self.rank):
            for tensor in (*self._parameters, *model.buffers()):
                dist.broadcast(tensor.detach(), src=0)
        torch.manual_seed(torch.initial_seed() + self.rank)
        return model

    def backward(self, loss: Tensor, *, is_boundary: bool = True) -> None:
        """Back-propagate; at the boundary, sum the gradients over all ranks."""
        super().backward(loss)
        if is_boundary:
            self._sum_gradients()

    def reduce_sum(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the sums over all ranks, in one message."""
        if not values:
            return {}
        names = sorted(values)  # a resumed rank may hold them in another order than the others
        stacked = torch.stack([values[name].detach().float().to(self.device) for name in names])
        with contact(self.rank):
            dist.all_reduce(stacked)
        sums = dict(zip(names, stacked.unbind(), strict=True))
        return {name: sums[name] for name in values}

    def gather_rows(self, rows: Tensor) -> Tensor:
        """Return the rows of all ranks, rank after rank."""
        rows = rows.to(self.device).contiguous()
        counts = [torch.zeros(1, dtype=torch.int64, device=self.device) for _ in range(self.world_size)]
        with contact(self.rank):
            dist.all_gather(counts, torch.tensor([len(rows)], device=self.device))
            sizes = [int(count) for count in counts]
            padded = rows.new_zeros((max(sizes), *rows.shape[1:]))
            padded[: len(rows)] = rows
            parts = [torch.empty_like(padded) for _ in sizes]
            dist.all_gather(parts, padded)
        return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])

    def any_rank(self, flag: bool) -> bool:
        """Return whether the flag is set on any rank; between hosts, so that no GPU is waited for."""
        flags = torch.tensor([flag], dtype=torch.uint8)
        with contact(self.rank):
            dist.all_reduce(flags, op=dist.ReduceOp.MAX, group=self._waiting)
        return bool(flags.item())

    def barrier(self) -> None:
        """Wait until all ranks have come here, however long that takes."""
        self.any_rank(False)

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """Let the ranks in one after the other."""
        for _ in range(self.rank):
            self.barrier()
        yield
        for _ in range(self.rank, self.world_size):
            self.barrier()

    def on_main(self, action: Callable[[], None]) -> None:
        """Run the action on rank 0 while the others wait."""
        if self.is_main:
            action()
        self.barrier()

    def state(self) -> dict[str, Tensor]:
        """Return the random states of all ranks and the loss scale; rank 0's bear the names that one process uses."""
        own = super().state()
        state = dict(own)
        for name in ("cpu_rng", "cuda_rng", "tpu_rng"):
            if name in own:
                parts = [torch.empty_like(own[name]) for _ in range(self.world_size)]
                with contact(self.rank):
                    dist.all_gather(parts, own[name].contiguous(), group=self._waiting)
                state |= {_name_of(rank, name): part for rank, part in enumerate(parts)}
        return state

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take back this rank's random states; a rank that the saved run did not have draws a seed from rank 0's."""
        own = {name: state[_name_of(self.rank, name)] for name in state if _name_of(self.rank, name) in state}
        is_known = "cpu_rng" in own
        super().restore({**state, **own})
        if not is_known:
            torch.manual_seed(int(torch.randint(2**62, ())) + self.rank)

    def _sum_gradients(self) -> None:
        used = self._parameters_with_gradient()
        for parameter in used:
            if parameter.grad is None:  # another rank's part of the loss reached it
                parameter.grad = torch.zeros_like(parameter)
        sent: list[tuple[list[Tensor], Tensor, dist.Work]] = []
        with contact(self.rank):
            for bucket in _buckets([parameter.grad for parameter in used if parameter.grad is not None]):
                flat = torch.cat([gradient.reshape(-1) for gradient in bucket])
                sent.append((bucket, flat, dist.all_reduce(flat, async_op=True)))
            for _, _, work in sent:
                work.wait()
        for bucket, flat, _ in sent:
            parts = torch.split(flat, [gradient.numel() for gradient in bucket])
            torch._foreach_copy_(bucket, [part.view_as(own) for part, own in zip(parts, bucket, strict=True)])

    def _parameters_with_gradient(self) -> list[nn.Parameter]:
        """Return the parameters that any rank has a gradient of, in the same order on all."""
        flags = torch.tensor([parameter.grad is not None for parameter in self._parameters], dtype=torch.uint8)
        with contact(self.rank):
            dist.all_reduce(flags, op=dist.ReduceOp.MAX, group=self._waiting)
        return [parameter for parameter, flag in zip(self._parameters, flags.tolist(), strict=True) if flag]


@contextmanager
def open_processes(world: World, device: torch.device, precision: Precision) -> Iterator[DistributedStrategy]:
    """Meet the other processes, and part from them at the end.

    Raises:
        DeviceError: they cannot be reached, or one of them ended early.
    """
    with contact(world.rank):
        dist.init_process_group(
            _BACKENDS.get(device.type, "gloo"),
            timeout=_STEP_TIMEOUT,
            device_id=device if device.type == "cuda" else None,
        )
        waiting = dist.new_group(backend="gloo", timeout=_WAIT_TIMEOUT)
        assert isinstance(waiting, dist.ProcessGroup), "every process is in the group"
    try:
        strategy = DistributedStrategy(device, precision, waiting)
        yield strategy
        strategy.barrier()  # the store lives in rank 0: it must not go before the others are done
    finally:
        dist.destroy_process_group()


def device_of(world: World, device: torch.device) -> torch.device:
    """Return the device of this process: on GPUs, each has its own.

    Raises:
        DeviceError: there are fewer GPUs than processes on this machine.
    """
    if device.type != "cuda":
        return device
    count = torch.cuda.device_count()
    if world.local_size > count:
        raise DeviceError(
            tr(
                f"{world.local_size} processes on this machine, but {count} CUDA devices",
                f"{world.local_size} processus sur cette machine, mais {count} périphériques CUDA",
            ),
            tr(
                f"torchrun --nproc-per-node {count}, or --device cpu",
                f"torchrun --nproc-per-node {count}, ou --device cpu",
            ),
        )
    own = torch.device("cuda", world.local_rank)
    torch.cuda.set_device(own)
    return own


def _name_of(rank: int, name: str) -> str:
    return name if rank == 0 else f"rank{rank}.{name}"


def _buckets(gradients: Iterable[Tensor]) -> Iterator[list[Tensor]]:
    """Yield runs of gradients of one type, each of about `_BUCKET_BYTES`."""
    bucket: list[Tensor] = []
    size = 0
    for gradient in gradients:
        if bucket and (gradient.dtype != bucket[0].dtype or size >= _BUCKET_BYTES):
            yield bucket
            bucket, size = [], 0
        bucket.append(gradient)
        size += gradient.numel() * gradient.element_size()
    if bucket:
        yield bucket
