"""Gives every photo its disease and its texts: the verb `map`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":
    # not this folder: here, a file named evaluate.py would hide the package of that name
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from plantset.cli import lazy_names, script_main

if TYPE_CHECKING:
    from plantset.knowledge.config import MapConfig as MapConfig
    from plantset.knowledge.run import map_texts as map_texts

__all__ = ["MapConfig", "map_texts"]

__getattr__ = lazy_names(
    __name__,
    {
        "MapConfig": "plantset.knowledge.config:MapConfig",
        "map_texts": "plantset.knowledge.run:map_texts",
    },
)

if __name__ == "__main__":
    sys.exit(script_main("map"))
