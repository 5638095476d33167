"""Which device a name stands for, and what it has."""

from __future__ import annotations

import importlib.util
import os
from typing import Literal

import torch

from plantset.core.errors import DeviceError
from plantset.core.language import tr
from plantset.runtime.chips import count_tpu_chips, install_lines

DeviceName = Literal["auto", "cpu", "cuda", "tpu", "xla"]
TpuRuntime = Literal["torch_tpu", "torch_xla"]
TPU_RUNTIMES: tuple[TpuRuntime, ...] = ("torch_tpu", "torch_xla")  # the one that is preferred first


def find_device(name: DeviceName) -> torch.device:
    """Return the device that was asked for; `auto` is a GPU when there is one, else the CPU.

    `auto` never is a TPU here: what a loaded model is asked has many shapes, each another program. A training's `auto`
    is `tpu_runtime`'s.

    Raises:
        DeviceError: it is not there, or what computes on it is not installed.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    runtime = tpu_runtime(name)
    if runtime == "torch_tpu":
        from plantset.runtime.tpu import tpu_device

        return tpu_device()
    if runtime == "torch_xla":
        from plantset.runtime.xla import xla_device

        return xla_device()
    if name == "cuda" and not torch.cuda.is_available():
        raise DeviceError(
            tr("no CUDA device is there", "aucun périphérique CUDA n'est présent"),
            tr(
                "use --device cpu, or install a CUDA build of torch and the driver",
                "utilisez --device cpu, ou installez une version CUDA de torch et le pilote",
            ),
        )
    return torch.device(name)


def tpu_runtime(name: DeviceName) -> TpuRuntime | None:
    """Return the package that trains on the device of that name; None for a CPU or GPU of torch's own.

    `auto` takes chips that are there, if a package for them is installed.

    Raises:
        DeviceError: no chip is there, or no package for it is installed.
    """
    if name in ("cpu", "cuda"):
        return None
    installed = [runtime for runtime in TPU_RUNTIMES if importlib.util.find_spec(runtime) is not None]
    if name == "xla":
        if "torch_xla" not in installed:
            raise _no_runtime(tr("torch_xla is not installed", "torch_xla n'est pas installé"))
        return "torch_xla"
    has_chips = bool(count_tpu_chips())
    if name == "auto":
        return installed[0] if has_chips and installed else None
    if not has_chips:
        raise DeviceError(
            tr("no TPU chip is on this machine", "aucune puce TPU n'est sur cette machine"),
            tr(
                "use --device auto, or --device xla to compute the same programs on this CPU",
                "utilisez --device auto, ou --device xla pour calculer les mêmes programmes sur ce processeur",
            ),
        )
    if not installed:
        raise _no_runtime(tr("no TPU runtime is installed", "aucun environnement TPU n'est installé"))
    return installed[0]


def find_tpu() -> DeviceName:
    """Return the device of a training that is meant for a TPU: the chips of this machine, else XLA on its CPU.

    Raises:
        DeviceError: nothing that computes on a TPU is installed.
    """
    if count_tpu_chips():
        return "tpu"
    if importlib.util.find_spec("torch_xla") is None:
        raise _no_runtime(
            tr(
                "no TPU chip is on this machine, and no torch_xla to compute its programs on the CPU",
                "aucune puce TPU n'est sur cette machine, ni torch_xla pour calculer ses programmes sur le processeur",
            )
        )
    return "xla"


def device_memory(device: torch.device) -> int | None:
    """Return the bytes that the device has in all; None where the system does not say."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    if "SC_PHYS_PAGES" not in getattr(os, "sysconf_names", {}):  # Windows
        return None
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _no_runtime(problem: str) -> DeviceError:
    return DeviceError(problem, install_lines())
