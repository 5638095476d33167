"""Asks the model about a photo or a folder: the verb `infer`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":
    # not this folder: here, a file named evaluate.py would hide the package of that name
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from plantset.cli import lazy_names, script_main

if TYPE_CHECKING:
    from plantset.inference.config import InferConfig as InferConfig
    from plantset.inference.run import infer as infer

__all__ = ["InferConfig", "infer"]

__getattr__ = lazy_names(
    __name__,
    {
        "InferConfig": "plantset.inference.config:InferConfig",
        "infer": "plantset.inference.run:infer",
    },
)

if __name__ == "__main__":
    sys.exit(script_main("infer"))
