"""The benchmarks that stand on inner parts still run: a figure that cannot be measured again is worth nothing."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", BENCHMARKS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_loader_is_compared_with_a_bare_loop_and_the_usual_recipe(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loader = _load("loader")

    loader.compare("small", loader.write_photos(tmp_path, (96, 72), 16, None), rounds=1)

    said = capsys.readouterr().out
    assert all(contender in said for contender in ("our loader", "bare loop", "Pillow + torchvision", "goal at least"))


def test_a_step_of_the_loop_is_timed(tmp_path: Path) -> None:
    training = _load("train")
    training.write_photos(tmp_path, 16)

    assert training.run_loop("resnet18", tmp_path, 1, 0)["cpu"] > 0
