"""`plantset doctor`: what this machine has for Plantset, what is missing, and the command that mends it."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement

from plantset import __version__
from plantset.core.files import write_json
from plantset.core.language import tr
from plantset.runtime.chips import count_cores, count_tpu_chips, find_generation, install_lines
from plantset.runtime.config import DoctorConfig

_EXTRAS = ("heif", "s3", "gs", "daft", "shards", "lora", "offline")
_TORCH_OF = {"torch_tpu": ">=2.11,<=2.15", "torch_xla": "==2.9.*"}  # what each TPU runtime says it was built for
_GB = 1e9


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    Attributes:
        about: a stable English word: system, processor, gpu, tpu, disk, packages, extras, device.
        said: what was found, in the language of messages.
        fix: the command that mends it; None where nothing is wrong.
        is_needed: whether nothing works without it.
    """

    about: str
    said: str
    fix: str | None = None
    is_needed: bool = False


@dataclass(frozen=True, slots=True)
class DoctorReport:
    """What was found."""

    findings: tuple[Finding, ...]

    @property
    def exit_code(self) -> int:
        """Return 2 when something is missing without which nothing works."""
        return 2 if any(finding.is_needed and finding.fix for finding in self.findings) else 0

    def summary(self) -> str:
        """Return a line for each finding, and under it what mends it."""
        lines = []
        for finding in self.findings:
            lines.append(f"{_title(finding.about):<12} {finding.said}")
            if finding.fix:
                lines.append(f"{'':<12} → {finding.fix}")
        return "\n".join(lines)


def doctor(config: DoctorConfig) -> DoctorReport:
    """Look at packages, processor, GPU, TPU and disk; nothing is changed."""
    report = DoctorReport((_system(), *_packages(), *_extras(), *_devices(), *_tpu(count_tpu_chips()), _disk()))
    if config.output is not None:
        write_json(config.output, [dataclasses.asdict(finding) for finding in report.findings])
    return report


def _system() -> Finding:
    return Finding(
        "system",
        f"plantset {__version__}, Python {platform.python_version()}, {platform.system()} {platform.machine()}",
    )


def _packages() -> Iterator[Finding]:
    """Yield one line for the packages that Plantset needs, and one for each that is missing or too old."""
    needed = [requirement for requirement in _requirements() if _applies(requirement)]
    if not needed:
        yield Finding(
            "packages",
            tr("plantset itself is not installed here", "plantset lui-même n'est pas installé ici"),
            "pip install .",
            is_needed=True,
        )
        return
    wrong = [requirement for requirement in needed if not _is_met(requirement)]
    yield Finding(
        "packages",
        tr(
            f"{len(needed) - len(wrong)} of {len(needed)} as needed",
            f"{len(needed) - len(wrong)} sur {len(needed)} comme il faut",
        ),
    )
    for requirement in wrong:
        yield Finding("packages", _state_of(requirement), _install_line([requirement]), is_needed=True)


def _extras() -> Iterator[Finding]:
    """Yield one line for the optional parts that are there, and one for each that is not."""
    there: list[str] = []
    for extra in _EXTRAS:
        parts = [
            requirement for requirement in _requirements() if _applies(requirement, extra) and not _applies(requirement)
        ]
        wrong = [requirement for requirement in parts if not _is_met(requirement)]
        if wrong:
            states = ", ".join(map(_state_of, wrong))
            yield Finding("extras", tr(f"{extra}: {states}", f"{extra} : {states}"), _install_line(wrong))
        elif parts:
            there.append(extra)
    if there:
        names = ", ".join(there)
        yield Finding("extras", tr(f"there: {names}", f"présents : {names}"))


def _devices() -> Iterator[Finding]:
    """Yield what torch can compute on, and what `--device auto` would take."""
    try:
        import torch

        from plantset.runtime.devices import device_memory, find_device, tpu_runtime
        from plantset.runtime.precision import mixed_precision_for
    except (ImportError, OSError) as error:  # OSError: a library of its own that the system cannot load
        yield Finding(
            "device",
            tr(f"torch cannot be loaded: {error}", f"torch ne peut être chargé : {error}"),
            "pip install --force-reinstall torch torchvision",
            is_needed=True,
        )
        return
    cpu = torch.device("cpu")
    memory, cores = device_memory(cpu), os.cpu_count()
    held = "" if memory is None else f", {_size(memory)}"
    yield Finding(
        "processor",
        tr(
            f"{cores} cores{held}; torch {torch.__version__} uses {torch.get_num_threads()} threads;"
            f" --mixed-precision gives {mixed_precision_for(cpu)}",
            f"{cores} cœurs{held} ; torch {torch.__version__} utilise {torch.get_num_threads()} fils ;"
            f" --mixed-precision donne {mixed_precision_for(cpu)}",
        ),
    )
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            found = torch.cuda.get_device_properties(index)
            yield Finding("gpu", f"{found.name}, {_size(found.total_memory)}")
    else:
        built = torch.version.cuda
        yield Finding(
            "gpu",
            tr("none", "aucun")
            + (
                tr(
                    f" (torch is built for CUDA {built}; no driver answers)",
                    f" (torch est fait pour CUDA {built} ; aucun pilote ne répond)",
                )
                if built
                else tr(" (torch is built without CUDA)", " (torch est fait sans CUDA)")
            ),
        )
    auto = tpu_runtime("auto") or find_device("auto")
    yield Finding("device", tr(f"--device auto trains on: {auto}", f"--device auto entraîne sur : {auto}"))


def _tpu(chips: dict[str, int]) -> Iterator[Finding]:
    """Yield the chips of this host and its place in the slice, what computes on them, and what does not fit."""
    runtimes = [f"{name} {version}" for name in _TORCH_OF if (version := _version(name)) is not None]
    with_runtimes = ", ".join(runtimes) or tr("no TPU runtime installed", "aucun environnement TPU installé")
    if not chips:
        note = tr(
            "; --device xla computes its programs on this CPU", " ; --device xla calcule ses programmes sur ce CPU"
        )
        can = note if _version("torch_xla") is not None else ""
        yield Finding("tpu", tr("no chip on this machine; ", "aucune puce ici ; ") + with_runtimes + can)
    else:
        found = ", ".join(f"{count} × TPU {name} ({_chip_memory(name)})" for name, count in chips.items())
        cores = count_cores(chips)
        missing = None if runtimes else install_lines()
        said = tr(
            f"{found}, --tpu-cores {cores}{_hosts_said()}; {with_runtimes}",
            f"{found}, --tpu-cores {cores}{_hosts_said()} ; {with_runtimes}",
        )
        yield Finding("tpu", said, missing)
    yield from _unfit_torch()


def _chip_memory(name: str) -> str:
    size = find_generation(name).memory_bytes // 2**30
    return tr(f"{size} GiB each", f"{size} Gio chacune")


def _hosts_said() -> str:
    """Say which host of a slice this is, as a TPU VM's variables tell."""
    hosts = [host for host in os.environ.get("TPU_WORKER_HOSTNAMES", "").split(",") if host]
    if len(hosts) < 2:
        return ""
    own = os.environ.get("TPU_WORKER_ID", "?")
    return tr(f", host {own} of {len(hosts)}", f", hôte {own} sur {len(hosts)}")


def _unfit_torch() -> Iterator[Finding]:
    """Yield a line for each TPU runtime that was built for another torch than the one that is installed."""
    for name, needed in _TORCH_OF.items():
        if _version(name) is not None and not _is_met(Requirement(f"torch{needed}")):
            yield Finding(
                "tpu",
                tr(
                    f"{name} needs torch{needed}, {_version('torch')} is installed: they cannot share an environment",
                    f"{name} demande torch{needed}, {_version('torch')} est installé : les deux ne peuvent partager un"
                    " environnement",
                ),
                f"pip uninstall {name}",
            )


def _disk() -> Finding:
    free = _size(shutil.disk_usage(Path.cwd()).free)
    return Finding("disk", tr(f"{free} free in this folder", f"{free} libres dans ce dossier"))


def _size(num_bytes: int) -> str:
    return tr(f"{num_bytes / _GB:.0f} GB", f"{num_bytes / _GB:.0f} Go")


def _title(about: str) -> str:
    titles = {
        "system": tr("system", "système"),
        "processor": tr("processor", "processeur"),
        "gpu": "GPU",
        "tpu": "TPU",
        "disk": tr("disk", "disque"),
        "packages": tr("packages", "paquets"),
        "extras": tr("extras", "options"),
        "device": tr("device", "appareil"),
    }
    return titles[about]


def _requirements() -> list[Requirement]:
    """Return what the installed Plantset says it needs, extras included; empty where it is not installed."""
    try:
        return [Requirement(line) for line in importlib.metadata.requires("plantset") or []]
    except importlib.metadata.PackageNotFoundError:
        return []


def _applies(requirement: Requirement, extra: str = "") -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


def _is_met(requirement: Requirement) -> bool:
    version = _version(requirement.name)
    return version is not None and requirement.specifier.contains(version, prereleases=True)


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _state_of(requirement: Requirement) -> str:
    version = _version(requirement.name)
    if version is None:
        return tr(f"{requirement.name} is missing", f"{requirement.name} manque")
    return tr(
        f"{requirement.name} {version} does not fit {requirement.specifier}",
        f"{requirement.name} {version} ne convient pas à {requirement.specifier}",
    )


def _install_line(requirements: list[Requirement]) -> str:
    return "pip install " + " ".join(f"'{requirement.name}{requirement.specifier}'" for requirement in requirements)
