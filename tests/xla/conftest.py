"""Scenes in processes of their own, two at a time, begun together and waited for by the tests that ask."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

Answer = dict[str, Any]
# The longest first; SPMD over 4 and 8 devices, one device, and whole trainings over 4.
SCENES: dict[str, tuple[int, tuple[str, ...]]] = {
    "whole": (4, ("whole",)),
    "presets": (1, ("parity", "cross-attention/adamw", "cross-attention/sgd/vit", "florence-2/adamw")),
    "on 4": (4, ("parity", "cross-attention/adamw")),
    "small on 1": (1, ("small",)),
    "small on 8": (8, ("small",)),
}
# Programs that run for a second need no costly optimisation.
_QUICK = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if importlib.util.find_spec("torch_xla") is None:
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.skip(reason="torch_xla is not installed: make test-xla"))


@pytest.fixture(scope="session")
def xla_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where every scene finds the same photos and the same text model."""
    from tests.xla.trainings import base_config

    folder = tmp_path_factory.mktemp("xla")
    base_config(folder)
    return folder


@pytest.fixture(scope="session")
def scenes(xla_folder: Path) -> Iterator[dict[str, Future[Answer]]]:
    with ThreadPoolExecutor(2) as pool:
        yield {name: pool.submit(_run, xla_folder, *scene) for name, scene in SCENES.items()}


@pytest.fixture(scope="session")
def answer(scenes: dict[str, Future[Answer]]) -> Callable[[str], Answer]:
    """Return a function: name of a scene -> what its process answered."""
    return lambda name: scenes[name].result()


def _run(folder: Path, num_devices: int, words: tuple[str, ...]) -> Answer:
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
