"""Photos that fail a check which `--reject` names are left out, with the check as the reason."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from plantset.clean.config import CleanConfig
from plantset.clean.selection import Candidate
from plantset.clean.thresholds import CHECK_NAMES, NOT_A_LEAF, CheckThresholds
from plantset.core.errors import ConfigError
from plantset.core.language import tr
from plantset.core.records import RejectedRecord

_RANGES = {
    "dark_level": (0, 255),
    "light_level": (0, 255),
    "low_contrast_range": (0, 255),
    "uniform_std": (0, 127.5),
    "blurred_variance": (0, 1e6),
    "extreme_aspect_ratio": (1, 1000),
    "grey_chroma": (0, 255),
}


def thresholds_of(config: CleanConfig) -> CheckThresholds:
    """Return the thresholds that the flags of the same names give.

    Raises:
        ConfigError: one lies where its check would flag all photos or none by mistake.
    """
    for name, (low, high) in _RANGES.items():
        if not low <= getattr(config, name) <= high:
            flag = "--" + name.replace("_", "-")
            raise ConfigError(
                tr(f"{flag} is out of range", f"{flag} est hors limites"),
                tr(f"give {low:g} to {high:g}", f"donnez de {low:g} à {high:g}"),
            )
    return CheckThresholds(
        dark_level=config.dark_level,
        light_level=config.light_level,
        low_contrast_range=config.low_contrast_range,
        uniform_std=config.uniform_std,
        blurred_variance=config.blurred_variance,
        extreme_aspect_ratio=config.extreme_aspect_ratio,
        grey_chroma=config.grey_chroma,
    )


def names_to_reject(values: Sequence[str], *, embeddings: bool) -> frozenset[str]:
    """Read the names of checks, parted by commas or given one by one.

    Args:
        embeddings: whether the check that needs a network will run.

    Raises:
        ConfigError: a name that no check has (all names are listed), or of a check that will not run.
    """
    names = frozenset(name.strip() for value in values for name in value.split(",") if name.strip())
    unknown = sorted(names - {*CHECK_NAMES, NOT_A_LEAF})
    if unknown:
        known = ", ".join(sorted([*CHECK_NAMES, NOT_A_LEAF]))
        raise ConfigError(
            tr(f"--reject: there is no check {unknown[0]!r}", f"--reject : il n'y a pas de contrôle « {unknown[0]} »"),
            tr(f"the checks are {known}", f"les contrôles sont {known}"),
        )
    if NOT_A_LEAF in names and not embeddings:
        raise ConfigError(
            tr(f"--reject {NOT_A_LEAF} without --embeddings", f"--reject {NOT_A_LEAF} sans --embeddings"),
            tr("add --embeddings: a network looks for the plant", "ajoutez --embeddings : un réseau cherche la plante"),
        )
    return names


def reject_failed(
    candidates: Sequence[Candidate], names: Collection[str]
) -> tuple[list[Candidate], list[RejectedRecord]]:
    """Part the photos that fail none of these checks from those that do; the first check by name is the reason."""
    kept: list[Candidate] = []
    rejected: list[RejectedRecord] = []
    for candidate in candidates:
        failed = [issue for issue in candidate.facts.issues if issue in names]
        if failed:
            rejected.append(RejectedRecord(candidate.file.source_path, failed[0], ", ".join(failed)))
        else:
            kept.append(candidate)
    return kept, rejected
