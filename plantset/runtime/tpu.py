"""A process for each TPU chip, with `torch_tpu`; what they do together is `runtime.distributed` with its `tpu_dist`.

Never run on chips: it was written from torch_tpu 0.2.0, with whose signatures a test compares each call made here and,
on the device's own module, in `runtime.local`. Each process finds its chip by its LOCAL_RANK.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

import torch
import torch_tpu  # noqa: F401  # makes the device "tpu" and the backend "tpu_dist" known to torch

from plantset.runtime.processes import Hosts, start_processes

_ReportT = TypeVar("_ReportT")


def tpu_device() -> torch.device:
    """Return the chip of this process."""
    return torch.device("tpu")


def start_on_chips(action: Callable[[], _ReportT]) -> _ReportT:
    """Run `action` in a process for each chip of this host, one of the hosts of the slice; return the first's answer.

    Every host is started with the same command: which one it is stands in the variables of its TPU VM.

    Raises:
        PlantsetError: the action raised it, or a process ended early.
    """
    tpu: Any = torch.tpu  # type: ignore[attr-defined]
    count = tpu.device_count()
    tpu.distributed.set_tpu_launch_env(nproc_per_node=count)
    return start_processes(action, count, _hosts())


def _hosts() -> Hosts:
    """Read what `set_tpu_launch_env` found: it names the hosts where there are several."""
    count = int(os.environ.get("NNODES", "1"))
    if count == 1:
        return Hosts()
    address = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
    return Hosts(count, int(os.environ["NODE_RANK"]), address)
