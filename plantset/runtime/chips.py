"""The TPU generations, and which of their chips Linux lists on this machine; no library is needed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from plantset.core.errors import DeviceError
from plantset.core.language import tr

_PCI_DEVICES = Path("/sys/bus/pci/devices")
_GOOGLE = "0x1ae0"  # the vendor's number on the PCI bus
_GIB = 2**30


@dataclass(frozen=True, slots=True)
class TpuGeneration:
    """What a chip is.

    Numbers of the PCI bus: torch_xla 2.9 (`_internal/tpu.py`) and torch_tpu 0.2 (`_internal/utils/hardware.py`).
    Memory and links: the generation's page under cloud.google.com/tpu/docs, as read in November 2026.

    Attributes:
        pci_device: its number on the bus.
        memory_bytes: of a chip.
        cores: TensorCores of a chip, which is what `--tpu-cores` and names such as v4-8 count.
        devices: that a program sees of a chip: v4 and v5p show their two cores as one.
        link_gbps: bandwidth between chips, of one chip, in Gbit/s; None where its page does not say.
    """

    name: str
    pci_device: str
    memory_bytes: int
    cores: int
    devices: int
    link_gbps: int | None = None


TPU_GENERATIONS = (
    TpuGeneration("v2/v3", "0x0027", 16 * _GIB, cores=2, devices=2),
    TpuGeneration("v4", "0x005e", 32 * _GIB, cores=2, devices=1, link_gbps=2400),
    TpuGeneration("v5p", "0x0062", 95 * _GIB, cores=2, devices=1, link_gbps=4800),
    TpuGeneration("v5e", "0x0063", 16 * _GIB, cores=1, devices=1, link_gbps=1600),
    TpuGeneration("v6e", "0x006f", 32 * _GIB, cores=1, devices=1, link_gbps=3200),
    TpuGeneration("v7", "0x0076", 192 * _GIB, cores=2, devices=2),
)


def find_generation(name: str) -> TpuGeneration:
    """Return the generation of that name, such as v5e."""
    return next(generation for generation in TPU_GENERATIONS if generation.name == name)


def count_tpu_chips(pci_devices: Path = _PCI_DEVICES) -> dict[str, int]:
    """Return generation -> chips of this host, from what Linux lists on its PCI bus."""
    names = {generation.pci_device: generation.name for generation in TPU_GENERATIONS}
    chips: dict[str, int] = {}
    for vendor in sorted(pci_devices.glob("*/vendor")):
        device = vendor.with_name("device")
        if vendor.read_text().strip() == _GOOGLE and device.exists():
            generation = names.get(device.read_text().strip())
            if generation is not None:
                chips[generation] = chips.get(generation, 0) + 1
    return chips


def count_cores(chips: dict[str, int]) -> int:
    """Return the TensorCores of these chips."""
    return sum(find_generation(name).cores * count for name, count in chips.items())


def check_cores(asked: int | None, there: int, how: str) -> None:
    """Refuse a number of cores that is not there.

    Args:
        how: what the cores are, such as "TPU v4", to be shown; a CPU's can be made as many as are asked for.

    Raises:
        DeviceError: naming both numbers.
    """
    if asked is None or asked == there:
        return
    fix = tr(f"give --tpu-cores {there}, or leave it out", f"donnez --tpu-cores {there}, ou ne le donnez pas")
    if how == "CPU":
        fix += tr(
            f"; or let this CPU stand for as many: CPU_NUM_DEVICES={asked}",
            f" ; ou faites de ce processeur autant d'appareils : CPU_NUM_DEVICES={asked}",
        )
    raise DeviceError(
        tr(
            f"--tpu-cores {asked}, but {there} are there ({how})",
            f"--tpu-cores {asked}, mais il y en a {there} ({how})",
        ),
        fix,
    )


def install_lines() -> str:
    """Return what installs a TPU runtime: one of two, never both."""
    return tr(
        "pip install 'plantset[tpu]' (torch_tpu), or in an environment of its own pip install 'plantset[xla]'"
        " (torch_xla, with torch 2.9.1)",
        "pip install 'plantset[tpu]' (torch_tpu), ou dans un environnement à part pip install 'plantset[xla]'"
        " (torch_xla, avec torch 2.9.1)",
    )
