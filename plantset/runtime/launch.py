"""Which strategy this process trains with: the only place that looks at how it was started."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from plantset.core.errors import ConfigError
from plantset.core.language import tr
from plantset.core.log import mute
from plantset.runtime.chips import check_cores, count_cores, count_tpu_chips
from plantset.runtime.devices import DeviceName, find_device, tpu_runtime
from plantset.runtime.distributed import device_of, find_world, open_processes
from plantset.runtime.local import LocalStrategy
from plantset.runtime.precision import mixed_precision_for
from plantset.runtime.strategy import Strategy

_ReportT = TypeVar("_ReportT")


def on_every_chip(device: DeviceName, action: Callable[[], _ReportT]) -> _ReportT:
    """Run `action` in a process for each chip, where that is how the device computes; elsewhere in this one.

    Args:
        action: picklable; its answer is that of the main process.
    """
    if tpu_runtime(device) != "torch_tpu" or find_world() is not None or sum(count_tpu_chips().values()) == 1:
        return action()
    from plantset.runtime.tpu import start_on_chips

    return start_on_chips(action)


@contextmanager
def launch(
    device: DeviceName, *, mixed_precision: bool, tpu_cores: int | None = None, shard_parameters: bool = False
) -> Iterator[Strategy]:
    """Yield the strategy: of one process, or of all that torchrun started, of which only the main one speaks.

    Args:
        tpu_cores: how many must be there; None takes what is there.
        shard_parameters: cut the parameters over the devices, too; with `torch_xla` alone.

    Raises:
        ConfigError: parameters cannot be cut on this device.
        DeviceError: the device is not there, has another number of cores, or another process is gone.
    """
    runtime = tpu_runtime(device)
    if runtime == "torch_xla":
        from plantset.runtime.xla import open_xla

        with open_xla(mixed_precision=mixed_precision, cores=tpu_cores, shard_parameters=shard_parameters) as strategy:
            yield strategy
        return
    if shard_parameters:
        raise ConfigError(
            tr(
                "--shard-parameters cuts parameters over XLA devices alone",
                "--shard-parameters ne répartit les paramètres que sur des appareils XLA",
            ),
            tr(
                "leave it out, or use torch_xla: --device xla", "ne le donnez pas, ou utilisez torch_xla : --device xla"
            ),
        )
    found = find_device("tpu" if runtime == "torch_tpu" else device)
    world = find_world()
    if found.type == "tpu":
        chips = count_tpu_chips()
        cores = count_cores(chips) * (world.size // world.local_size if world is not None else 1)
        check_cores(tpu_cores, cores, f"TPU {', '.join(chips)}")
    if world is not None:
        found = device_of(world, found)
    precision = mixed_precision_for(found) if mixed_precision else "fp32"
    if world is None:
        yield LocalStrategy(found, precision)
        return
    if world.rank:
        mute()
    with open_processes(world, found, precision) as processes:
        yield processes
