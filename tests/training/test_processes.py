"""Training over processes that torchrun starts: as in one process, also when their number changes between runs."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from plantset.runtime.checkpoint import load_checkpoint
from plantset.training.config import TrainConfig
from plantset.training.run import train
from tests.training.conftest import Configure
from tests.training.test_train import _command

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
LEARNING_RATE = 1e-4
# 16 photos in all: two steps an epoch, twenty in the run; without dropout, whose numbers differ from rank to rank
SETTINGS = {
    "batch_size": 16, "epochs": 10, "dropout": 0.0, "freeze_vision": True, "learning_rate": LEARNING_RATE,
    "mixup": 0.4, "cutmix": 1.0,
}  # fmt: skip


def _run(config: TrainConfig, *, processes: int, steps: int = 0) -> str:
    """Train, and end without a word after so many steps of this start; return what was printed."""
    flags = _command(config)[3:]
    launcher = TORCHRUN if processes == 2 else [sys.executable]
    done = subprocess.run(
        [*launcher, "-m", "tests.training.stopped", str(steps), *flags],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert steps or done.returncode == 0, done.stderr
    return done.stdout


def _rows(folder: Path) -> list[dict[str, float]]:
    with (folder / "history.csv").open(encoding="utf-8", newline="") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


@pytest.mark.slow
def test_two_then_one_then_two_processes_train_what_one_trains(configure: Configure, tmp_path: Path) -> None:
    train(configure(checkpoint_dir=tmp_path / "one", **SETTINGS))
    config = configure(checkpoint_dir=tmp_path / "changing", resume="auto", save_steps=1, **SETTINGS)

    _run(config, processes=2, steps=8)
    first = load_checkpoint(config.checkpoint_dir / "last_model.pth").meta["progress"]
    _run(config, processes=1, steps=7)
    printed = _run(config, processes=2)

    assert (first["step"], first["seen"]) == (7, 16)  # inside the fourth epoch
    one, changing = _rows(tmp_path / "one"), _rows(tmp_path / "changing")
    assert len(changing) == 10
    for name in ("loss", "loss/caption", "loss/note_only", "accuracy", "macro_f1"):
        assert [row[name] for row in changing] == pytest.approx([row[name] for row in one], abs=1e-5)
    weights, expected = (
        load_checkpoint(tmp_path / run / "last_model.pth").section("model") for run in ("changing", "one")
    )
    for name, tensor in expected.items():
        torch.testing.assert_close(weights[name], tensor, rtol=0, atol=0.1 * LEARNING_RATE, msg=name)
    assert printed.count("best_model.pth") == 2  # the summary names it twice; the other process says nothing
