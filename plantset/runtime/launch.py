"""Which strategy this process trains with: the only place that looks at how it was started."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from plantset.core.log import mute
from plantset.runtime.distributed import device_of, find_world, open_processes
from plantset.runtime.local import DeviceName, LocalStrategy, find_device
from plantset.runtime.precision import mixed_precision_for
from plantset.runtime.strategy import Strategy


@contextmanager
def launch(device: DeviceName, *, mixed_precision: bool) -> Iterator[Strategy]:
    """Yield the strategy: of one process, or of all that torchrun started, of which only the main one speaks.

    Raises:
        DeviceError: the device is not there, or another process is gone.
    """
    found = find_device(device)
    world = find_world()
    if world is not None:
        found = device_of(world, found)
    precision = mixed_precision_for(found) if mixed_precision else "fp32"
    if world is None:
        yield LocalStrategy(found, precision)
        return
    if world.rank:
        mute()
    with open_processes(world, found, precision) as strategy:
        yield strategy
