"""Scenes of `trainings`, each in a process of its own: how many devices XLA makes of a CPU is fixed when it starts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

Answer = dict[str, Any]
# The longest first; SPMD over 4 and 8 devices, one device, and whole trainings over 4, one of them from a store.
SCENES: dict[str, tuple[int, tuple[str, ...]]] = {
    "whole": (4, ("whole",)),
    "presets": (1, ("parity", "cross-attention/adamw", "cross-attention/sgd/vit", "florence-2/adamw")),
    "on 4": (4, ("parity", "cross-attention/adamw")),
    "store": (4, ("store",)),
    "small on 1": (1, ("small",)),
    "small on 8": (8, ("small",)),
}
# Programs that run for a second need no costly optimisation.
_QUICK = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"


def run_scene(folder: Path, num_devices: int, words: tuple[str, ...]) -> Answer:
    """Return what a scene answers in a process of its own, where a CPU stands for that many devices."""
    scene, *rest = words
    settings = {"PJRT_DEVICE": "CPU", "CPU_NUM_DEVICES": str(num_devices), "XLA_FLAGS": _QUICK, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.xla.trainings", scene, str(folder), *rest],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("answer: ")]
    assert lines, done.stderr
    return json.loads(lines[-1].removeprefix("answer: "))  # type: ignore[no-any-return]
