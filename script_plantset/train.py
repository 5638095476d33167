"""Trains the model: the verb `train`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":
    # not this folder: here, a file named evaluate.py would hide the package of that name
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from plantset.cli import lazy_names, script_main

if TYPE_CHECKING:
    from plantset.training.config import TrainConfig as TrainConfig
    from plantset.training.run import train as train
    from plantset.training.run import train_model as train_model

__all__ = ["TrainConfig", "train", "train_model"]

__getattr__ = lazy_names(
    __name__,
    {
        "TrainConfig": "plantset.training.config:TrainConfig",
        "train": "plantset.training.run:train",
        "train_model": "plantset.training.run:train_model",
    },
)

if __name__ == "__main__":
    sys.exit(script_main("train"))
