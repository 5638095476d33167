"""What can be asked of `plantset doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from plantset.core.options import option


@dataclass(frozen=True)
class DoctorConfig:
    """Say what this machine has for Plantset, and what is missing, with the command that mends it."""

    output: Path | None = option(
        None,
        en="also write what was found as JSON, for a bug report",
        fr="écrire aussi ce qui a été trouvé en JSON, pour un rapport de bogue",
    )
