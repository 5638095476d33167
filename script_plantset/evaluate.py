"""Measures a trained model: the verb `evaluate`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":
    # not this folder: here, a file named evaluate.py would hide the package of that name
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from plantset.cli import lazy_names, script_main

if TYPE_CHECKING:
    from plantset.evaluation.config import EvaluateConfig as EvaluateConfig
    from plantset.evaluation.run import evaluate as evaluate

__all__ = ["EvaluateConfig", "evaluate"]

__getattr__ = lazy_names(
    __name__,
    {
        "EvaluateConfig": "plantset.evaluation.config:EvaluateConfig",
        "evaluate": "plantset.evaluation.run:evaluate",
    },
)

if __name__ == "__main__":
    sys.exit(script_main("evaluate"))
