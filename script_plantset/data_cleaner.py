"""From a messy photo folder to a clean manifest: the verb `clean`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":
    # not this folder: here, a file named evaluate.py would hide the package of that name
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from plantset.cli import lazy_names, script_main

if TYPE_CHECKING:
    from plantset.clean.config import CleanConfig as CleanConfig
    from plantset.clean.run import clean as clean

__all__ = ["CleanConfig", "clean"]

__getattr__ = lazy_names(
    __name__,
    {
        "CleanConfig": "plantset.clean.config:CleanConfig",
        "clean": "plantset.clean.run:clean",
    },
)

if __name__ == "__main__":
    sys.exit(script_main("clean"))
