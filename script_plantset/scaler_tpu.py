"""Trains on a TPU: the verb `scale-tpu`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":
    # not this folder: here, a file named evaluate.py would hide the package of that name
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from plantset.cli import lazy_names, script_main

if TYPE_CHECKING:
    from plantset.training.config import TpuTrainConfig as TpuTrainConfig
    from plantset.training.run import train_on_tpu as train_on_tpu

__all__ = ["TpuTrainConfig", "train_on_tpu"]

__getattr__ = lazy_names(
    __name__,
    {
        "TpuTrainConfig": "plantset.training.config:TpuTrainConfig",
        "train_on_tpu": "plantset.training.run:train_on_tpu",
    },
)

if __name__ == "__main__":
    sys.exit(script_main("scale-tpu"))
